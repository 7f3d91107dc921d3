"""What of the concurrency was really in flight, by the truth server's record, and who is told why it was less."""

import pytest

from perbench.api.models import Protocol
from perbench.plan import LoadPlan
from perbench.results import Finding
from perbench_bench.engine.closed_loop import REST_SECONDS
from perbench_bench.engine.delivery import delivered, judge_delivery
from perbench_bench.engine.observations import Observations
from perbench_bench.engine.verdict import ClientUse, client_record, judge_client
from perbench_bench.truth import truth_server
from tests.support.loads import Ran, run
from tests.support.quiet import compared
from tests.support.stages import MS, seen_with
from tests.unit.perbench_bench.engine.test_verdict import FEED

C = 4
CLOSED = LoadPlan(concurrency=C, max_seconds=60)
USE = ClientUse(0.0, cpu_seconds=0.1, peak_rss_bytes=1, requests=100)


def findings(seen: Observations) -> list[Finding]:
    record = client_record(seen, CLOSED, FEED, USE)
    return [*judge_client(seen, record, CLOSED, USE), *judge_delivery(seen, record, CLOSED)]


def lacking(**sums: int) -> Observations:
    """Requests of 200 ms, and before each of them something else, in ms."""
    seen = seen_with(100)
    for name, each in sums.items():
        setattr(seen.window, name, 100 * each * MS)
        seen.window.cycle_ns += 100 * each * MS
    return seen


@pytest.mark.parametrize(
    ("sums", "why"),
    [
        ({"connecting_ns": 20}, "connections had to be made"),
        ({"resting_ns": 20}, "slots rested after failed requests"),
        ({"connecting_ns": 7, "resting_ns": 13}, "slots rested after failed requests"),
    ],
)
def test_what_the_target_or_the_network_cost_is_said_and_not_blamed_on_us(sums: dict[str, int], why: str) -> None:
    found = findings(lacking(**sums))
    assert [(finding.code, finding.invalidates) for finding in found] == [("ConcurrencyMissed", False)]
    assert found[0].rule.endswith(why)
    assert found[0].measured == pytest.approx(C * 200 / 220, rel=0.01)
    assert found[0].threshold == pytest.approx(3.8)


def test_a_little_connecting_is_no_matter() -> None:
    assert findings(lacking(connecting_ns=5)) == []


def test_rests_do_not_hide_what_the_client_lost_of_the_other_requests() -> None:
    seen = lacking(resting_ns=200)
    seen.window.lost_ns = 100 * 15 * MS
    assert {finding.code for finding in findings(seen)} == {"LoadGeneratorSaturated"}


def test_a_client_that_is_slow_itself_is_told_so_and_nothing_else() -> None:
    seen = lacking(connecting_ns=20)
    seen.window.lost_ns = 100 * 15 * MS
    assert {finding.code for finding in findings(seen)} == {"LoadGeneratorSaturated"}


def told_and_true(script: dict[str, object], concurrency: int = C, measured: int = 400) -> tuple[float, float, Ran]:
    """Requests in flight over the window: as the engine reports them, and by the server's record."""
    with truth_server(script) as server:
        ran = run(server.url, Protocol.TGI, measured=measured, concurrency=concurrency)
        record = server.record
    start, end = ran.feed.window_start, ran.feed.window_end
    assert start
    assert end
    assert ran.seen.window.resting_ns > 0
    told = delivered(ran.seen.window, concurrency, 0.0)
    assert told is not None
    return told, record.mean_in_flight(start, end), ran


def test_slots_that_rest_after_failures_are_not_in_flight() -> None:
    """One request in ten fails, and its slot rests longer than a request takes."""
    script = {"timing": {"firstMs": 10, "gapMs": 5}, "faults": [{"kind": "unavailable", "share": 0.1, "after": 8}]}

    def compare(found: tuple[float, float, Ran]) -> None:
        told, true, _ = found
        assert true < 0.9 * C
        assert told == pytest.approx(true, rel=0.05)

    compared(lambda: told_and_true(script), compare)


def rests(fault: dict[str, object]) -> float:
    """How long a single slot rested, in rests of the shortest kind."""
    script = {"timing": {"firstMs": 1, "gapMs": 0}, "faults": [{"after": 20} | fault]}
    return told_and_true(script, concurrency=1, measured=60)[2].seen.window.resting_ns / 1e9 / REST_SECONDS


def test_a_slot_rests_once_for_a_failure_and_not_after_the_success_that_follows() -> None:
    def compare(found: float) -> None:
        assert 1 <= found < 2

    compared(lambda: rests({"kind": "unavailable", "requests": 1}), compare)


def test_errors_inside_good_answers_make_slots_rest_too() -> None:
    """Nobody hammers a server that fails so, and the first answer that is one again is followed at once."""

    def compare(found: float) -> None:
        assert 2 + 4 + 8 <= found < 2 + 4 + 8 + 8, "the first shows when the next request has left"

    compared(lambda: rests({"kind": "error-event", "requests": 4}), compare)


def test_a_server_that_refuses_most_has_as_few_in_flight_as_is_told() -> None:
    script = {"timing": {"firstMs": 10, "gapMs": 5}, "queue": {"slots": 2, "limit": 0}}

    def compare(found: tuple[float, float, Ran]) -> None:
        told, true, _ = found
        assert true < 4
        assert told == pytest.approx(true, rel=0.3), "rests that last beyond the window are not in it"

    compared(lambda: told_and_true(script, concurrency=8, measured=200), compare)
