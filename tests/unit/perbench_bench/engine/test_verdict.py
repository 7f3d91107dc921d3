"""The rules of measurement.md §4 and §1 on figures made by hand. Times in ms."""

from collections.abc import Sequence

import numpy as np
import pytest

from perbench.results import Finding, Outcome
from perbench_bench.engine.observations import Observations, Row, mean_duration_drift
from perbench_bench.engine.verdict import ClientUse, client_record, judge_client, judge_stage, tpot_ms

MS = 1_000_000
C = 4


def seen_with(
    n: int = 100, *, ttft: float = 40.0, tpot: float = 10.0, turnaround: float | Sequence[float] = 0.05,
    delay: float = 0.02, duration: float | Sequence[float] = 200.0, cached: int = 0, input_tokens: int = 100,
) -> Observations:  # fmt: skip
    """A stage in which every request looks the same unless a list says otherwise."""
    seen = Observations(n)
    turnarounds = np.broadcast_to(np.asarray(turnaround, dtype=np.float64), (n,))
    durations = np.broadcast_to(np.asarray(duration, dtype=np.float64), (n,))
    for i in range(n):
        seen.free[i] = i * 50 * MS
        seen.sent[i] = seen.free[i] + int(turnarounds[i] * MS)
        seen.first[i] = seen.free[i] + int(ttft * MS)
        seen.last[i] = seen.first[i] + int(10 * tpot * MS)
        seen.end[i] = seen.sent[i] + int(durations[i] * MS)
        seen.turnaround[i] = int(turnarounds[i] * MS)
        seen.first_delay[i] = int(delay * MS)
        seen.first_tokens[i] = 1
        seen.rows[i] = Row(Outcome.SUCCESS, None, "x", "length", input_tokens, 11, cached, 11.0)
    seen.read_delay.add(np.full(11 * n, delay))
    seen.window.cycles = n
    seen.window.lost_ns = int((turnarounds + delay).sum() * MS)
    seen.window.cycle_ns = int((turnarounds + durations).sum() * MS)
    return seen


def verdict(seen: Observations, wait: float | None = 0.0) -> list[Finding]:
    use = ClientUse(wait, cpu_seconds=0.1, peak_rss_bytes=1, requests=100)
    return list(judge_client(seen, client_record(seen, C, use), C))


def rules(findings: list[Finding]) -> list[str]:
    assert all(finding.code == "LoadGeneratorSaturated" and finding.invalidates for finding in findings)
    return [finding.rule for finding in findings]


def test_a_client_that_keeps_up_is_not_blamed() -> None:
    assert verdict(seen_with()) == []


def test_a_slow_turnaround_is_our_fault() -> None:
    # p50 of TTFT 40 ms: 2 % is 0.8 ms.
    assert "p50 of the client's error" in rules(verdict(seen_with(turnaround=0.9)))
    assert "p50 of the client's error" not in rules(verdict(seen_with(turnaround=0.75)))


def test_half_a_millisecond_is_always_allowed() -> None:
    assert rules(verdict(seen_with(ttft=5, turnaround=0.45, duration=500))) == []
    assert "p50 of the client's error" in rules(verdict(seen_with(ttft=5, turnaround=0.55, duration=500)))


def test_the_tail_is_judged_at_the_highest_percentile_with_ten_beyond() -> None:
    # 100 requests: p90. Eleven of them late: ten lie beyond, so the limit of max(3, 4) ms sees the eleventh.
    late = [6.0] * 11 + [0.05] * 89
    assert "p90 of the client's error" in rules(verdict(seen_with(turnaround=late)))
    assert rules(verdict(seen_with(turnaround=[6.0] * 10 + [0.05] * 90))) == []


def test_below_twenty_requests_no_tail_is_judged() -> None:
    assert rules(verdict(seen_with(19, turnaround=[6.0] * 9 + [0.05] * 10, duration=5000))) == []


def test_a_client_that_reads_late_is_our_fault() -> None:
    # Median TPOT 10 ms: 5 % is 0.5 ms.
    assert "p50 of the read delay" in rules(verdict(seen_with(delay=0.6, ttft=400)))
    assert rules(verdict(seen_with(delay=0.4, ttft=400))) == []


def test_waiting_for_a_core_counts_although_the_loop_looks_idle() -> None:
    assert "p50 of the read delay" in rules(verdict(seen_with(tpot=2.0), wait=0.25))
    assert rules(verdict(seen_with(tpot=2.0), wait=0.01)) == []


def test_concurrency_not_really_delivered_is_our_fault() -> None:
    short = seen_with(ttft=40, turnaround=0.4, duration=4.0)
    found = [f for f in verdict(short) if f.unit == "requests"]
    assert len(found) == 1
    assert found[0].measured == pytest.approx(C * (1 - 0.42 / 4.4), rel=1e-3)
    assert found[0].threshold == pytest.approx(3.8)


def stage_codes(seen: Observations, *, asked: int | None = None, limited: bool = False) -> dict[str, bool]:
    found = judge_stage(seen, time_limited=limited, input_tokens=asked, steadiness=True)
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


def test_time_per_output_token_leaves_out_the_first_chunk() -> None:
    seen = seen_with(2)
    seen.first_tokens[1] = 11
    values = tpot_ms(seen)
    assert values[0] == pytest.approx(10.0)
    assert np.isnan(values[1]), "tokens not more than those of the first chunk: there is none"


def test_a_failed_request_has_no_client_error() -> None:
    seen = seen_with(30)
    seen.first[0] = seen.first_delay[0] = -1
    seen.rows[0] = Row(Outcome.TIMEOUT, "late", "", None, None, None, None, 0.0)
    record = client_record(seen, C, ClientUse(0.0, 0.1, 1, 30))
    assert record.error_tail_percentile == pytest.approx(65.5)


def test_uneven_replicas_are_a_warning() -> None:
    def uneven(*counts: int) -> list[Finding]:
        seen = seen_with()
        seen.totals.per_address.update({f"10.0.0.{i}": count for i, count in enumerate(counts)})
        found = judge_stage(seen, time_limited=False, input_tokens=None, steadiness=False)
        return [finding for finding in found if finding.code == "UnevenReplicas"]

    assert uneven(100) == []
    assert uneven(105, 95) == []
    [finding] = uneven(50, 60, 40)
    assert (finding.measured, finding.invalidates) == (40.0, False)
    assert uneven(3, 4) == [], "the last round is seldom a whole one"


def test_requests_of_each_address_are_recorded() -> None:
    seen = seen_with()
    use = ClientUse(0.0, cpu_seconds=0.1, peak_rss_bytes=1, requests=100)
    seen.totals.per_address["10.0.0.1"] = 60
    assert client_record(seen, C, use).requests_per_address == ()
    seen.totals.per_address["10.0.0.2"] = 70
    assert client_record(seen, C, use).requests_per_address == (70, 60)
