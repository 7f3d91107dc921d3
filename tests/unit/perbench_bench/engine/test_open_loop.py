"""The open loop against a server that writes down when requests really came."""

import asyncio
from collections import Counter
from dataclasses import dataclass, field

import numpy as np
import pytest
import uvloop
from numpy.typing import NDArray

from perbench.api.load import Arrival
from perbench.api.models import Protocol
from perbench.plan import ArrivalPlan, LoadPlan, Target
from perbench.results import Outcome
from perbench_bench.engine.arrivals import schedule_ns
from perbench_bench.engine.exchange import Exchange
from perbench_bench.engine.feed import Limits, OpenFeed, Role
from perbench_bench.engine.open_loop import OpenLoop
from perbench_bench.engine.patience import Patience
from perbench_bench.engine.recorder import Recorder
from perbench_bench.session import open_session
from perbench_bench.truth import truth_server
from perbench_bench.truth.reading import Record
from tests.support.loads import HASTY
from tests.support.quiet import compared

SEED = 4


@dataclass
class Ran:
    recorder: Recorder
    feed: OpenFeed
    exchanges: list[Exchange] = field(default_factory=list)

    def take(self, exchange: Exchange) -> bool:
        self.exchanges.append(exchange)
        return self.recorder.take(exchange)


def run(
    url: str, plan: ArrivalPlan, *, measured: int, tokens: int = 4, warmup: int = 0, timeout: float = 30,
    patience: Patience = HASTY,
) -> Ran:  # fmt: skip
    async def work() -> Ran:
        load = LoadPlan(arrivals=plan, max_seconds=60, request_timeout_seconds=timeout)
        session = await open_session(Target(url=url, protocol=Protocol.TGI, model="m"), load, seed=1)
        request = session.request("a b c", tokens)
        feed = OpenFeed(Limits(warmup, 0.0, measured), plan, SEED, session.clock())
        ran = Ran(Recorder(session.read, session.clock, feed, measured, 0, patience=patience), feed)
        wire = session.wire(lambda _: request)
        await OpenLoop(wire, feed, ran, plan.max_in_flight, session.clock).run()
        return ran

    return uvloop.run(asyncio.wait_for(work(), 180))


def test_requests_leave_when_they_are_due() -> None:
    plan = ArrivalPlan(rate=120, process=Arrival.POISSON)

    def measure() -> NDArray[np.float64]:
        """How late each request came, in ms."""
        with truth_server({"timing": {"firstMs": 20, "gapMs": 2}}) as server:
            ran = run(server.url, plan, measured=240, warmup=10)
            record = server.record
        seen, feed = ran.recorder.seen, ran.feed
        assert {row.outcome for row in seen.rows.values()} == {Outcome.SUCCESS}
        assert feed.window_start is not None
        assert (seen.due - feed.window_start).tolist() == schedule_ns(plan, 240, SEED).tolist()
        came = np.sort(record.arrival)
        assert came.size == ran.recorder.seen.totals.requests
        due = np.sort([exchange.due for exchange in ran.exchanges])
        assert (came > due).all(), "each arrival has its request"
        assert (seen.sent >= seen.due).all()
        return (came - due) / 1e6

    def compare(late: NDArray[np.float64]) -> None:
        # Most leave within a millisecond, on a machine that lets them.
        assert np.percentile(late, 10) < 2

    compared(measure, compare)


def test_a_slow_server_is_not_waited_for() -> None:
    """In a closed loop it would be asked less often. Here as many are under way as it is slow."""
    plan = ArrivalPlan(rate=100, process=Arrival.CONSTANT)

    def measure() -> tuple[Ran, Record]:
        with truth_server({"timing": {"firstMs": 400, "gapMs": 1}}) as server:
            ran = run(server.url, plan, measured=100)
            return ran, server.record

    def compare(both: tuple[Ran, Record]) -> None:
        ran, record = both
        feed, seen = ran.feed, ran.recorder.seen
        assert feed.window_start is not None
        assert feed.window_end is not None
        seconds = (feed.window_end - feed.window_start) / 1e9
        assert seconds == pytest.approx(1, rel=0.1)
        assert record.in_flight.max() >= 38
        in_flight = seen.window.in_flight_ns / 1e9 / seconds
        assert in_flight == pytest.approx(40 * (1 - 0.4 / 2), rel=0.15), "it fills at first"
        assert feed.filler_sent >= 30, "the load stays up until the last measured request has ended"

    compared(measure, compare)


def test_no_more_than_max_in_flight_are_under_way() -> None:
    plan = ArrivalPlan(rate=100, process=Arrival.CONSTANT, max_in_flight=8)
    with truth_server({"timing": {"firstMs": 400, "gapMs": 1}}) as server:
        ran = run(server.url, plan, measured=60)
        record = server.record
    seen = ran.recorder.seen
    assert record.in_flight.max() <= 8
    dropped = [row for row in seen.rows.values() if row.outcome is Outcome.DROPPED]
    assert 30 <= len(dropped) == 60 - sum(row.outcome is Outcome.SUCCESS for row in seen.rows.values())
    assert dropped[0].error == "not sent: 8 requests were under way"
    assert seen.held_back >= len(dropped)


def test_a_server_that_is_not_there_ends_the_load_soon() -> None:
    ran = run("http://127.0.0.1:9", ArrivalPlan(rate=100, process=Arrival.POISSON), measured=10_000)
    assert ran.recorder.aborted
    assert ran.recorder.aborted[0] is Outcome.CONNECT_FAILED
    assert ran.recorder.seen.totals.requests < 2_000, "twenty refusals, and what fell due in the meantime"


def test_a_short_outage_is_measured_and_does_not_end_the_load() -> None:
    """40 requests of 503 in a row are 0.2 s of this load."""
    outage = {"kind": "unavailable", "after": 100, "requests": 40}
    plan = ArrivalPlan(rate=200, process=Arrival.CONSTANT)
    with truth_server({"timing": {"firstMs": 5, "gapMs": 1}, "faults": [outage]}) as server:
        ran = run(server.url, plan, measured=300, patience=Patience())
    assert ran.recorder.aborted is None
    found = Counter(row.outcome for row in ran.recorder.seen.rows.values())
    assert (found[Outcome.OVERLOADED], found.total()) == (40, 300)


def test_a_server_that_serves_some_and_refuses_most_is_measured() -> None:
    """As a TGI past its limit of concurrent requests does: between two successes there are many refusals."""
    plan = ArrivalPlan(rate=200, process=Arrival.POISSON)
    with truth_server({"timing": {"firstMs": 400, "gapMs": 1}, "queue": {"slots": 4, "limit": 4}}) as server:
        ran = run(server.url, plan, measured=500, patience=Patience())
    assert ran.recorder.aborted is None
    found = Counter(row.outcome for row in ran.recorder.seen.rows.values())
    assert found[Outcome.OVERLOADED] > 400
    assert found[Outcome.SUCCESS] > 8


def test_connections_are_kept_and_few_where_few_are_needed() -> None:
    plan = ArrivalPlan(rate=200, process=Arrival.CONSTANT)

    def measure() -> Ran:
        with truth_server({"timing": {"firstMs": 1, "gapMs": 0}}) as server:
            return run(server.url, plan, measured=100)

    def compare(ran: Ran) -> None:
        connected = [exchange for exchange in ran.exchanges if exchange.connect_ns]
        assert len(connected) < 20, "what falls due during a stall needs one each"

    compared(measure, compare)


def test_time_to_first_token_is_from_the_schedule_and_connecting_is_given_apart() -> None:
    plan = ArrivalPlan(rate=50, process=Arrival.CONSTANT)
    with truth_server({"timing": {"firstMs": 20}, "faults": [{"kind": "broken-keep-alive"}]}) as server:
        ran = run(server.url, plan, measured=40)
    seen = ran.recorder.seen
    assert {row.outcome for row in seen.rows.values()} == {Outcome.SUCCESS}
    assert (seen.connect[3:] > 0).all()
    assert (seen.first - seen.due >= seen.first - seen.sent + seen.connect).all()
    assert (seen.lag >= 0).all()


def test_roles_of_what_is_sent() -> None:
    with truth_server({"timing": {"firstMs": 30}}) as server:
        ran = run(server.url, ArrivalPlan(rate=100, process=Arrival.GAMMA, burstiness=0.5), measured=30, warmup=5)
    roles = [exchange.ticket.role for exchange in ran.exchanges]
    assert roles.count(Role.MEASURED) == 30
    assert roles.count(Role.WARMUP) == ran.feed.warmup_sent >= 5
    assert roles.count(Role.FILLER) == ran.feed.filler_sent
