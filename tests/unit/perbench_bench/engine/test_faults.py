"""Servers and networks that go wrong under a load of many connections: what each request comes to, and that it ends."""

import asyncio
import socket
from collections import Counter
from collections.abc import Callable

import numpy as np
import pytest

from perbench.api.models import Protocol
from perbench.plan import LoadPlan, Target
from perbench.results import Outcome
from perbench_bench.session import open_session
from perbench_bench.truth import truth_server
from tests.support.loads import Ran, run
from tests.support.quiet import compared

MANY = 256


def outcomes(ran: Ran) -> Counter[Outcome]:
    return Counter(row.outcome for row in ran.seen.rows.values())


def cut_off(ran: Ran) -> bool:
    """A server that goes cuts off what is under way first: as many as are refused until the load gives up."""
    return bool(ran.recorder.aborted) and ran.recorder.aborted[0] is Outcome.TRUNCATED


@pytest.mark.parametrize(
    ("kind", "outcome"),
    [
        ("reset", Outcome.TRUNCATED),
        ("half-open", Outcome.TIMEOUT),
        ("refuse", Outcome.CONNECT_FAILED),
        ("garbage", Outcome.MALFORMED),
        ("too-many-requests", Outcome.OVERLOADED),
        ("unavailable", Outcome.OVERLOADED),
        ("overload-event", Outcome.OVERLOADED),
        ("reset-midway", Outcome.TRUNCATED),
        ("silence", Outcome.TIMEOUT),
        ("bad-json", Outcome.MALFORMED),
        ("half-chunk", Outcome.TRUNCATED),
        ("error-event", Outcome.SERVER_ERROR),
        ("exit", Outcome.CONNECT_FAILED),
        ("no-usage", Outcome.MALFORMED),
    ],
)
def test_a_server_that_goes_wrong_under_256_connections_ends_the_load(kind: str, outcome: Outcome) -> None:
    # Where time-outs are not what is to come, they do not come for a machine that stalls.
    timeout, idle = (2, 1) if outcome is Outcome.TIMEOUT else (30, 30)
    with truth_server({"faults": [{"kind": kind, "after": 5 * MANY}]}) as server:
        ran = run(server.url, Protocol.OPENAI_CHAT, measured=20_000, concurrency=MANY, timeout=timeout, idle=idle)
    assert ran.recorder.aborted, "what was asked for was not waited for"
    assert ran.recorder.aborted[0] is outcome or (kind in {"refuse", "exit"} and cut_off(ran))
    # Those that were answered before stay what they were.
    assert outcomes(ran)[Outcome.SUCCESS] > 0
    assert ran.seen.totals.requests < 20_000


def test_one_reset_in_a_hundred_is_counted_and_goes_no_further() -> None:
    with truth_server({"seed": 3, "faults": [{"kind": "reset-midway", "share": 0.01}]}) as server:
        ran = run(server.url, Protocol.TGI, measured=1_500, concurrency=32)
        record = server.record
    found = outcomes(ran)
    assert set(found) == {Outcome.SUCCESS, Outcome.TRUNCATED}
    met = sum(fault is not None for fault in record.fault)
    assert 0 < found[Outcome.TRUNCATED] <= met
    assert found.total() == 1_500
    assert not ran.recorder.aborted


def test_a_reset_of_a_kept_connection_before_any_answer_is_asked_again_and_no_failure() -> None:
    """Nobody can tell it from a connection that the server had closed while it was idle."""
    with truth_server({"seed": 3, "faults": [{"kind": "reset", "share": 0.01, "after": 64}]}) as server:
        ran = run(server.url, Protocol.TGI, measured=1_000, concurrency=16)
        record = server.record
    met = sum(fault is not None for fault in record.fault)
    assert met > 3
    assert 1_000 - outcomes(ran)[Outcome.SUCCESS] < met / 2, "only one that meets a fault again has failed"
    assert ran.seen.totals.sends == len(record), "each is counted as sent as often as the server got it"
    assert ran.seen.totals.retries == len(record) - ran.seen.totals.requests


def test_chunks_of_a_megabyte() -> None:
    with truth_server({"faults": [{"kind": "huge-chunks"}]}) as server:
        ran = run(server.url, Protocol.OPENAI_CHAT, measured=8, concurrency=2, tokens=4)
    assert outcomes(ran) == {Outcome.SUCCESS: 8}
    assert {row.output_tokens for row in ran.seen.rows.values()} == {4}
    assert min(len(row.text) for row in ran.seen.rows.values()) >= 4 * 1024 * 1024


def test_a_prompt_of_a_hundred_thousand_tokens() -> None:
    with truth_server() as server:
        ran = run(server.url, Protocol.OPENAI, measured=8, concurrency=2, prompt="word " * 100_000)
    assert outcomes(ran) == {Outcome.SUCCESS: 8}
    assert {row.input_tokens for row in ran.seen.rows.values()} == {100_003}


def test_ten_thousand_tokens_in_one_chunk() -> None:
    with truth_server({"faults": [{"kind": "flood"}]}) as server:
        ran = run(server.url, Protocol.OPENAI, measured=8, concurrency=2)
    assert outcomes(ran) == {Outcome.SUCCESS: 8}
    assert {row.output_tokens for row in ran.seen.rows.values()} == {10_000}
    assert ran.seen.itl.document().total == 0, "one chunk has no gap, however many tokens it carries"


def test_a_stream_without_a_line_end_is_waited_for_as_long_as_a_request_may_take() -> None:
    script = {"faults": [{"kind": "no-newline", "seconds": 1.5, "chunk": 1}]}

    def measure() -> Ran:
        with truth_server(script) as server:
            return run(server.url, Protocol.OPENAI, measured=4, concurrency=1, idle=1)

    def compare(patient: Ran) -> None:
        assert outcomes(patient) == {Outcome.SUCCESS: 4}, "unless the server itself stalls for a second"

    patient = compared(measure, compare)
    assert np.median((patient.seen.end - patient.seen.sent) / 1e9) > 1.5
    with truth_server(script) as server:
        hasty = run(server.url, Protocol.OPENAI, measured=40, concurrency=10, timeout=0.5)
    assert hasty.recorder.aborted
    assert hasty.recorder.aborted[0] is Outcome.TIMEOUT


def test_a_name_that_is_not_found_once_is_asked_for_again(monkeypatch: pytest.MonkeyPatch) -> None:
    real: Callable[..., object] = socket.getaddrinfo
    asked: list[object] = []

    def failing_once(*arguments: object, **options: object) -> object:
        asked.append(arguments)
        if len(asked) == 1:
            raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")
        return real(*arguments, **options)

    monkeypatch.setattr(socket, "getaddrinfo", failing_once)
    target = Target(url="http://localhost:9", protocol=Protocol.TGI, model="m")
    session = asyncio.run(open_session(target, LoadPlan(concurrency=1, max_seconds=1), seed=1))
    assert len(asked) >= 2
    assert session.addresses


def test_a_server_that_goes_near_the_end_of_a_load_is_gone() -> None:
    with truth_server({"faults": [{"kind": "refuse", "after": 400}]}) as server:
        ran = run(server.url, Protocol.OPENAI_CHAT, measured=500, concurrency=8)
    gone = ran.recorder.gone()
    assert gone is not None
    assert gone[0] in {Outcome.CONNECT_FAILED, Outcome.TRUNCATED}
    assert outcomes(ran)[Outcome.SUCCESS] > 0
