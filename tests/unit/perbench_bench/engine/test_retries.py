"""Requests whose kept connection broke: which are sent again, what is counted, and who is blamed."""

import numpy as np

from perbench.api.models import Protocol
from perbench.plan import LoadPlan
from perbench.results import Outcome
from perbench_bench.engine.delivery import judge_connections
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
    assert ran.seen.window.lost_ns / 1e9 < met * HELD_SECONDS / 2, "waiting for the server is no turnaround"


def test_what_is_lost_to_a_dead_connection_is_connecting_and_no_turnaround() -> None:
    with truth_server({"faults": [{"kind": "broken-keep-alive"}]}) as server:
        ran = run(server.url, Protocol.OPENAI)
    seen = ran.seen
    assert seen.totals.retries == seen.totals.sends - seen.totals.requests
    connecting = seen.window.connecting_ns
    assert connecting > 0
    assert connecting >= np.sum(seen.connect[1:-1]) * 0.5


def rare_resets() -> Ran:
    with truth_server({"seed": 3, "faults": [{"kind": "reset", "share": 0.03, "after": 16}]}) as server:
        return run(server.url, Protocol.TGI, measured=400, concurrency=8)


def test_connections_are_kept_where_few_of_them_break() -> None:
    """And a failure is then sent again wherever it happens, not only as long as nobody has counted three."""
    ran = rare_resets()
    assert ran.seen.totals.retries > 3
    assert ran.kept_connections
    made = int((ran.seen.connect > 0).sum())
    assert made < 100, "one of each slot, and one for each that broke"


def test_connections_are_not_kept_where_most_of_them_break() -> None:
    with truth_server({"faults": [{"kind": "broken-keep-alive"}]}) as server:
        ran = run(server.url, Protocol.OPENAI, measured=100, concurrency=8)
    assert not ran.kept_connections
    assert 3 <= ran.seen.totals.retries <= 3 + 8
    assert (ran.seen.connect > 0).all()
    assert list(judge_connections(ran.seen, LoadPlan(concurrency=8, max_seconds=60))) == [], "it was in the warm-up"


def test_many_retries_are_told_since_they_may_hide_failures() -> None:
    found = list(judge_connections(rare_resets().seen, LoadPlan(concurrency=8, max_seconds=60)))
    assert [(finding.code, finding.invalidates, finding.unit) for finding in found] == [
        ("KeepAliveBroken", False, "requests")
    ]
    assert found[0].measured is not None
    assert found[0].threshold is not None
    assert found[0].measured > found[0].threshold
