"""Requests whose kept connection broke: which are sent again, what is counted, and who is blamed."""

import numpy as np

from perbench.api.models import Protocol
from perbench.results import Outcome
from perbench_bench.truth import truth_server
from tests.support.loads import Ran, run

HELD_SECONDS = 0.6


def failures(ran: Ran) -> list[str | None]:
    return [row.error for row in ran.seen.rows.values() if row.outcome is not Outcome.SUCCESS]


def test_a_request_that_was_held_and_then_dropped_is_a_failure_of_the_target() -> None:
    """The server had it long enough to work on it: nobody may ask again in silence, and its wait is not ours."""
    dropped = {"kind": "reset", "seconds": HELD_SECONDS, "after": 20, "requests": 12, "share": 0.4}
    with truth_server({"faults": [dropped]}) as server:
        ran = run(server.url, Protocol.OPENAI, concurrency=2)
        record = server.record
    met = sum(fault is not None for fault in record.fault)
    assert met > 0
    assert len(failures(ran)) == met
    assert "the server closed the connection without an answer" in str(failures(ran)[0])
    assert ran.seen.totals.retries == 0
    waited = (ran.seen.end - ran.seen.sent)[~ran.seen.succeeded] / 1e9
    assert waited.min() >= HELD_SECONDS
    assert ran.seen.window.lost_ns / 1e9 < 0.1 * HELD_SECONDS


def test_what_is_lost_to_a_dead_connection_is_connecting_and_no_turnaround() -> None:
    with truth_server({"faults": [{"kind": "broken-keep-alive"}]}) as server:
        ran = run(server.url, Protocol.OPENAI)
    seen = ran.seen
    assert seen.totals.retries == seen.totals.sends - seen.totals.requests
    connecting = seen.window.connecting_ns
    assert connecting > 0
    assert connecting >= np.sum(seen.connect[1:-1]) * 0.5
