"""The rules of measurement.md §4 and §1 on figures made by hand. Times in ms."""

import numpy as np
import pytest

from perbench.api.load import Arrival
from perbench.plan import DEFAULT_VALIDITY, ArrivalPlan, LoadPlan
from perbench.results import Finding, Outcome
from perbench_bench.engine.causes import Cause, Pressure
from perbench_bench.engine.feed import ClosedFeed, Limits
from perbench_bench.engine.observations import Observations, Row
from perbench_bench.engine.time_histogram import TimeHistogram
from perbench_bench.engine.verdict import ClientUse, client_record, judge_client, tpot_ms
from tests.support.stages import MS, seen_with

C = 4
CLOSED = LoadPlan(concurrency=C, max_seconds=60)
OPEN = LoadPlan(arrivals=ArrivalPlan(rate=200, process=Arrival.POISSON), max_seconds=60)
FEED = ClosedFeed(Limits(0, 0.0, 1), 0)
FEED.window_start, FEED.window_end = 0, 1_000 * MS
USE = ClientUse(0.0, cpu_seconds=0.1, peak_rss_bytes=1, requests=100)


def verdict(seen: Observations, wait: float | None = 0.0, load: LoadPlan = CLOSED) -> list[Finding]:
    use = ClientUse(wait, cpu_seconds=0.1, peak_rss_bytes=1, requests=100)
    return list(judge_client(seen, client_record(seen, load, FEED, use), load, use))


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


def test_where_no_time_between_tokens_is_given_the_read_delay_is_judged_by_the_first_token() -> None:
    """Answers of one token: the delay of their reads is in the client's error, and spoils nothing else."""

    def of_one_token(delay: float) -> Observations:
        seen = seen_with(ttft=500, delay=delay)
        for row in seen.rows.values():
            row.output_tokens, row.content_tokens = 1, 1.0
        seen.itl = TimeHistogram()
        return seen

    assert np.isnan(tpot_ms(of_one_token(0.3))).all()
    assert verdict(of_one_token(0.3)) == [], "0.06 % of the time to the first token"
    assert rules(verdict(of_one_token(11.0)))[0] == "p50 of the client's error", "and 2 % is too much"


def test_concurrency_not_really_delivered_is_our_fault() -> None:
    short = seen_with(ttft=40, turnaround=0.4, duration=4.0)
    found = [f for f in verdict(short) if f.unit == "requests"]
    assert len(found) == 1
    assert found[0].measured == pytest.approx(C * (1 - 0.42 / 4.4), rel=1e-3)
    assert found[0].threshold == pytest.approx(3.8)


def test_time_per_output_token_leaves_out_the_first_chunk() -> None:
    seen = seen_with(2)
    seen.first_tokens[1] = 11
    values = tpot_ms(seen)
    assert values[0] == pytest.approx(10.0)
    assert np.isnan(values[1]), "tokens not more than those of the first chunk: there is none"


def test_a_failed_request_has_no_client_error() -> None:
    seen = seen_with(30)
    seen.first[0] = seen.first_delay[0] = -1
    seen.rows[0] = Row(Outcome.TIMEOUT, "late", "", None, None, None, None, 0.0, "")
    record = client_record(seen, CLOSED, FEED, ClientUse(0.0, 0.1, 1, 30))
    assert record.error_tail_percentile == pytest.approx(65.5)


def test_an_open_loop_whose_requests_leave_late_is_our_fault() -> None:
    """200 per second: the mean gap is 5 ms, so a request is on time within 10 ms."""
    late = [11.0] * 3 + [0.05] * 97
    assert "requests that left when they were due" in rules(verdict(seen_with(turnaround=late, ttft=400), load=OPEN))
    assert rules(verdict(seen_with(turnaround=[9.0] * 3 + [0.05] * 97, ttft=400), load=OPEN)) == []


def test_at_a_low_rate_a_request_is_on_time_within_one_mean_gap() -> None:
    slow = LoadPlan(arrivals=ArrivalPlan(rate=4, process=Arrival.POISSON), max_seconds=60)
    late = [200.0] * 50 + [0.05] * 50
    assert client_record(seen_with(turnaround=late), slow, FEED, USE).on_time_percent == 100
    assert client_record(seen_with(turnaround=[300.0] * 50 + [0.05] * 50), slow, FEED, USE).on_time_percent == 50


def test_requests_that_had_not_left_when_time_was_up_are_late() -> None:
    """A client that stalls until the end must not look punctual for what it never sent."""
    feed = ClosedFeed(Limits(0, 0.0, 1), 0)
    feed.window_start, feed.window_end, feed.overdue = 0, 1_000 * MS, 25
    assert client_record(seen_with(75), OPEN, feed, USE).on_time_percent == 75


def test_in_an_open_loop_nobody_owes_a_concurrency() -> None:
    seen = seen_with(ttft=40, turnaround=0.4, duration=4.0)
    seen.window.in_flight_ns = 2_500 * MS
    record = client_record(seen, OPEN, FEED, USE)
    assert record.concurrency_delivered == 2.5
    assert not [finding for finding in verdict(seen, load=OPEN) if finding.unit == "requests"]


def test_requests_that_no_socket_was_left_for_are_our_fault() -> None:
    seen = seen_with()
    seen.lacking = 1
    use = ClientUse(0.0, 0.1, 1, 100, (Cause(Pressure.DESCRIPTORS, 40.0),))
    found = list(judge_client(seen, client_record(seen, CLOSED, FEED, use), CLOSED, use))
    assert rules(found) == ["requests not sent for want of descriptors, ports or memory"]
    assert found[0].advice == "raise the limit of open files (ulimit -n, now 40), or lower the load"


def test_requests_of_each_address_are_recorded() -> None:
    seen = seen_with()
    seen.totals.per_address["10.0.0.1"] = 60
    assert client_record(seen, CLOSED, FEED, USE).requests_per_address == ()
    seen.totals.per_address["10.0.0.2"] = 70
    assert client_record(seen, CLOSED, FEED, USE).requests_per_address == (70, 60)


@pytest.mark.parametrize(
    ("limits", "load", "rule", "threshold"),
    [
        ({"client_error_milliseconds": 0.01, "client_error_percent": 0}, CLOSED, "p50 of the client's error", 0.01),
        ({"client_error_milliseconds": 0.01, "client_error_percent": 0.1}, CLOSED, "p50 of the client's error", 0.04),
        (
            {"client_error_tail_milliseconds": 0.01, "client_error_tail_percent": 0},
            CLOSED,
            "p90 of the client's error",
            0.01,
        ),
        (
            {"client_error_tail_milliseconds": 0.01, "client_error_tail_percent": 0.1},
            CLOSED,
            "p90 of the client's error",
            0.04,
        ),
        ({"read_delay_milliseconds": 0.01, "read_delay_percent": 0}, CLOSED, "p50 of the read delay", 0.01),
        ({"read_delay_milliseconds": 0.001, "read_delay_percent": 0.1}, CLOSED, "p50 of the read delay", 0.01),
        ({"read_delay_tail_milliseconds": 0.01, "read_delay_tail_percent": 0}, CLOSED, "p96 of the read delay", 0.01),
        (
            {"read_delay_tail_milliseconds": 0.001, "read_delay_tail_percent": 0.1},
            CLOSED,
            "p96 of the read delay",
            0.01,
        ),
        (
            {"concurrency_percent": 100},
            CLOSED,
            "requests left in flight by the load generator, mean of the window",
            4.0,
        ),
        ({"on_time_percent": 100}, OPEN, "requests that left when they were due", 100.0),
    ],
)
def test_each_limit_is_the_benchmarks_own(
    limits: dict[str, float], load: LoadPlan, rule: str, threshold: float
) -> None:
    late = [11.0] + [0.05] * 99
    seen = seen_with(turnaround=late) if "on_time_percent" in limits else seen_with()
    assert verdict(seen, load=load) == [], "by the defaults all is well"
    strict = load.model_copy(update={"validity": DEFAULT_VALIDITY.model_copy(update=limits)})
    found = verdict(seen, load=strict)
    assert rules(found) == [rule]
    assert found[0].threshold == pytest.approx(threshold, rel=0.01)


def test_stalls_that_hit_somewhat_less_than_one_token_in_twenty_are_our_fault() -> None:
    """The 95th percentile of the times between tokens is given, and chance decides whether it shows such stalls."""

    def stalled(share: int) -> Observations:
        seen = seen_with(delay=0.02)
        seen.read_delay.add([4.0] * share)
        return seen

    assert "p96 of the read delay" in rules(verdict(stalled(50)))
    assert rules(verdict(stalled(20))) == []
