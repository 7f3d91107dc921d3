"""What a stage's own figures say about it (measurement.md §1, 3, 4), on figures made by hand. Times in ms."""

import numpy as np
import pytest

from perbench.results import Finding
from perbench_bench.engine.feed import ClosedFeed, Limits
from perbench_bench.engine.observations import Observations, Spare
from perbench_bench.engine.stage_findings import judge_stage, mean_duration_drift
from tests.support.stages import MS, seen_with


def stage_codes(seen: Observations, *, asked: int | None = None, limited: bool = False) -> dict[str, bool]:
    feed = ClosedFeed(Limits(0, 0.0, 1), 0)
    feed.time_limited = limited
    found = judge_stage(seen, feed, input_tokens=asked, steadiness=True, open_loop=False)
    return {finding.code: finding.invalidates for finding in found}


def test_a_cached_prompt_makes_the_stage_invalid() -> None:
    assert stage_codes(seen_with(cached=1)) == {}
    assert stage_codes(seen_with(cached=2)) == {"PrefixCacheActive": True}


def test_a_missed_prompt_length_is_a_warning() -> None:
    assert stage_codes(seen_with(input_tokens=104), asked=100) == {}
    assert stage_codes(seen_with(input_tokens=106), asked=100) == {"InputLengthMissed": False}


def test_the_time_limit_invalidates() -> None:
    assert stage_codes(seen_with(), limited=True) == {"StageTimeLimit": True}


def test_unsteadiness_invalidates_from_200_requests() -> None:
    noise = np.random.default_rng(1).normal(0, 1, 300)
    rising = [200.0] * 150 + [230.0] * 150
    assert stage_codes(seen_with(300, duration=np.asarray(rising) + noise)) == {"NotSteady": True}
    assert stage_codes(seen_with(100, duration=np.asarray(rising)[100:200] + noise[:100])) == {"NotSteady": False}
    steady = np.asarray([200.0] * 150 + [215.0] * 150) + noise
    assert stage_codes(seen_with(300, duration=steady)) == {}, "7.5 % is under the 10 % that count"


def test_unsteadiness_within_the_noise_is_not_called() -> None:
    noise = np.random.default_rng(2).normal(0, 150, 40)
    drift = mean_duration_drift(np.arange(40), 200 + noise)
    assert drift is not None
    assert drift[1] < 2
    assert mean_duration_drift(np.arange(3), np.ones(3)) is None


def keeping_up(durations: np.ndarray, rate: float, held_back: int = 0) -> list[Finding]:
    """Findings on an open loop whose requests come evenly and last as given, without warm-up."""
    n = durations.size
    seen = seen_with(n, duration=durations)
    seen.sent[:] = seen.due[:] = (np.arange(1, n + 1) * 1e9 / rate).astype(np.int64)
    seen.end[:] = seen.sent + (durations * MS).astype(np.int64)
    if held_back:  # evenly over the stage; they end as they are not sent
        never = np.linspace(0, n - 1, held_back).astype(int)
        seen.end[never] = seen.sent[never]
    feed = ClosedFeed(Limits(0, 0.0, n), 0)
    feed.window_start, feed.window_end = 0, int(seen.sent[-1])
    seen.held_back = held_back
    return list(judge_stage(seen, feed, input_tokens=None, steadiness=True, open_loop=True))


def test_a_server_that_falls_behind_is_saturated_and_the_stage_is_valid() -> None:
    growing = np.linspace(100, 5_000, 1_000)
    finding, unsteady = keeping_up(growing, rate=100)
    assert (finding.code, finding.invalidates, finding.unit) == ("TargetSaturated", False, "%")
    assert finding.measured == pytest.approx(67, abs=3)
    assert (unsteady.code, unsteady.invalidates) == ("NotSteady", False), "it cannot be steady"


def test_a_slow_server_that_keeps_up_is_not_saturated() -> None:
    """Many under way, but no more at the end than at the beginning; the window only just holds one duration."""
    assert keeping_up(np.full(1_000, 300.0), rate=100) == []


def test_a_server_that_only_fills_at_first_is_not_saturated() -> None:
    """No warm-up: in the first second nothing can end, however many the server can take."""
    assert "TargetSaturated" not in {found.code for found in keeping_up(np.full(100, 1_000.0), rate=40)}


def test_a_window_that_opens_empty_and_is_short_has_a_rate_too_low_and_says_so() -> None:
    [finding] = keeping_up(np.full(60, 1_100.0), rate=20)
    assert (finding.code, finding.invalidates, finding.unit) == ("ShortWindow", False, "%")
    assert finding.measured == pytest.approx(100 * 38 / 60, abs=2)
    assert keeping_up(np.full(1_000, 1_100.0), rate=20) == [], "of a long window it is little"


def test_a_window_that_opens_with_as_many_under_way_as_it_closes_with_is_long_enough() -> None:
    seen = seen_with(60, duration=1_100.0)
    seen.sent[:] = seen.due[:] = (np.arange(1, 61) * 50 * MS).astype(np.int64)
    seen.end[:] = seen.sent + 1_100 * MS
    feed = ClosedFeed(Limits(0, 0.0, 60), 0)
    feed.window_start, feed.window_end = 0, int(seen.sent[-1])
    warmup = [-50 * i * MS for i in range(22)]
    seen.spare_in_window = [Spare(sent, sent + MS, sent + 1_100 * MS, "a", 1, 1) for sent in warmup]
    found = judge_stage(seen, feed, input_tokens=None, steadiness=True, open_loop=True)
    assert [finding.code for finding in found] == []


def test_a_server_without_limits_whose_answers_last_unlike_is_not_saturated() -> None:
    """It only fills for longer than one median: whoever takes long is there to the end of a window of three means."""
    draws = (np.random.default_rng(seed).exponential(2_000, 300) for seed in range(40))
    called = sum("TargetSaturated" in {found.code for found in keeping_up(drawn, rate=50)} for drawn in draws)
    assert called <= 1


@pytest.mark.parametrize("requests", [100, 200, 1_000])
def test_a_server_far_too_slow_is_saturated_from_the_first_requests_on(requests: int) -> None:
    """4 requests/s where 40 come: the 20th waits 5 s already, and the window may be as short."""
    waiting = np.arange(1, requests + 1) * (250.0 - 25.0)
    assert "TargetSaturated" in {found.code for found in keeping_up(waiting, rate=40)}


def test_requests_held_back_say_that_it_does_not_keep_up() -> None:
    assert [finding.code for finding in keeping_up(np.full(400, 900.0), rate=100, held_back=100)] == ["TargetSaturated"]


def test_uneven_replicas_are_a_warning() -> None:
    def uneven(*counts: int) -> list[Finding]:
        seen = seen_with()
        seen.totals.per_address.update({f"10.0.0.{i}": count for i, count in enumerate(counts)})
        found = judge_stage(
            seen, ClosedFeed(Limits(0, 0.0, 1), 0), input_tokens=None, steadiness=False, open_loop=False
        )
        return [finding for finding in found if finding.code == "UnevenReplicas"]

    assert uneven(100) == []
    assert uneven(105, 95) == []
    [finding] = uneven(50, 60, 40)
    assert (finding.measured, finding.invalidates) == (40.0, False)
    assert uneven(3, 4) == [], "the last round is seldom a whole one"


def lengths_missed(output_tokens: int, asked: int) -> list[Finding]:
    seen = seen_with()
    for row in seen.rows.values():
        row.output_tokens = output_tokens
    found = judge_stage(
        seen, ClosedFeed(Limits(0, 0.0, 1), 0), input_tokens=None, output_tokens=asked, steadiness=False,
        open_loop=False,
    )  # fmt: skip
    return list(found)


def test_answers_of_another_length_are_a_warning() -> None:
    assert lengths_missed(91, asked=100) == []
    [finding] = lengths_missed(3, asked=100)
    assert (finding.code, finding.invalidates) == ("OutputLengthUnmet", False)
    assert (finding.measured, finding.threshold, finding.unit) == (3.0, 100.0, "tokens")


def test_bundled_tokens_are_said() -> None:
    seen = seen_with()
    seen.estimated_answers, seen.content_tokens, seen.content_events = 100, 400, 100
    [finding] = judge_stage(
        seen, ClosedFeed(Limits(0, 0.0, 1), 0), input_tokens=None, steadiness=False, open_loop=False
    )
    assert (finding.code, finding.invalidates, finding.measured) == ("TokensBundled", False, 4.0)
