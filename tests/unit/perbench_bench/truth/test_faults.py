"""Each fault as the engine sees it, and which requests it meets."""

from random import Random
from typing import Any

import pytest

from perbench.api.models import Protocol
from perbench.results import Outcome
from perbench_bench.engine.http1 import HttpError
from perbench_bench.truth.faults import draw
from perbench_bench.truth.plan import Ending
from perbench_bench.truth.script import MIDWAY, Fault, FaultKind
from tests.support.truth import planned, read_back, wire

SEEN: dict[FaultKind, tuple[Ending, Outcome]] = {
    FaultKind.RESET: (Ending.RESET, Outcome.TRUNCATED),
    FaultKind.HALF_OPEN: (Ending.SILENCE, Outcome.TIMEOUT),
    FaultKind.REFUSE: (Ending.REFUSE, Outcome.TRUNCATED),
    FaultKind.TOO_MANY_REQUESTS: (Ending.DONE, Outcome.OVERLOADED),
    FaultKind.UNAVAILABLE: (Ending.DONE, Outcome.OVERLOADED),
    FaultKind.OVERLOAD_EVENT: (Ending.DONE, Outcome.OVERLOADED),
    FaultKind.RESET_MIDWAY: (Ending.RESET, Outcome.TRUNCATED),
    FaultKind.SILENCE: (Ending.SILENCE, Outcome.TIMEOUT),
    FaultKind.BAD_JSON: (Ending.DONE, Outcome.MALFORMED),
    FaultKind.HALF_CHUNK: (Ending.CLOSE, Outcome.TRUNCATED),
    FaultKind.ERROR_EVENT: (Ending.DONE, Outcome.SERVER_ERROR),
    FaultKind.EXIT: (Ending.EXIT, Outcome.TRUNCATED),
    FaultKind.NO_NEWLINE: (Ending.DONE, Outcome.SUCCESS),
    FaultKind.NO_USAGE: (Ending.DONE, Outcome.SUCCESS),
    FaultKind.BROKEN_KEEP_ALIVE: (Ending.CLOSE, Outcome.SUCCESS),
    FaultKind.HUGE_CHUNKS: (Ending.DONE, Outcome.SUCCESS),
    FaultKind.FLOOD: (Ending.DONE, Outcome.SUCCESS),
}


def with_fault(kind: FaultKind, protocol: Protocol, **fault: Any) -> Any:
    return planned({"faults": [{"kind": kind, **fault}]}, protocol)


def test_every_fault_is_looked_at() -> None:
    assert set(SEEN) == set(FaultKind) - {FaultKind.GARBAGE}


@pytest.mark.parametrize("kind", SEEN)
@pytest.mark.parametrize("protocol", list(Protocol))
def test_what_the_engine_makes_of_it(kind: FaultKind, protocol: Protocol) -> None:
    plan = with_fault(kind, protocol)
    ending, outcome = SEEN[kind]
    assert (plan.ending, plan.fault) == (ending, kind)
    reply = read_back(plan, protocol)
    assert reply.outcome is outcome
    assert plan.whole == (outcome is Outcome.SUCCESS)
    if kind in MIDWAY and kind is not FaultKind.NO_NEWLINE:
        assert reply.text == "tok " * 2, "two chunks were sent before"


def test_garbage_is_no_http() -> None:
    with pytest.raises(HttpError):
        read_back(with_fault(FaultKind.GARBAGE, Protocol.TGI), Protocol.TGI)


@pytest.mark.parametrize("protocol", list(Protocol))
def test_no_usage_leaves_only_the_counts_out(protocol: Protocol) -> None:
    reply = read_back(with_fault(FaultKind.NO_USAGE, protocol), protocol)
    assert (reply.output_tokens, reply.input_tokens, reply.text) == (None, None, "tok " * 6)


@pytest.mark.parametrize("protocol", list(Protocol))
def test_a_flood_is_one_chunk(protocol: Protocol) -> None:
    plan = with_fault(FaultKind.FLOOD, protocol)
    reply = read_back(plan, protocol)
    assert (reply.output_tokens, len(reply.stamps), plan.tokens) == (10_000, 1, (10_000,))


def test_huge_chunks_are_a_mebibyte_each() -> None:
    plan = with_fault(FaultKind.HUGE_CHUNKS, Protocol.OPENAI)
    assert all(2**20 < len(write) < 2**20 + 500 for write in plan.writes[:-1])
    assert read_back(plan, Protocol.OPENAI).output_tokens == 6


def test_a_line_that_does_not_end_for_a_while() -> None:
    good, bad = planned({}, Protocol.TGI), with_fault(FaultKind.NO_NEWLINE, Protocol.TGI, chunk=1, seconds=2)
    assert bad.offsets[-1] - good.offsets[-1] == 2_000_000_000
    drops = bad.writes[1:-6]
    assert len(drops) == 21
    assert all(b"\n" not in drop.split(b"\r\n", 1)[1].removesuffix(b"\r\n") for drop in drops)
    assert read_back(bad, Protocol.TGI).text == "tok " * 6


def test_a_fault_before_the_first_chunk_keeps_the_headers() -> None:
    document = {"faults": [{"kind": "half-chunk", "chunk": 0}], "stream": {"headers": "with-first-token"}}
    plan = planned(document, Protocol.TGI)
    assert wire(plan).startswith(b"HTTP/1.1 200 OK\r\n")
    assert read_back(plan, Protocol.TGI).outcome is Outcome.TRUNCATED


def test_a_short_answer_goes_wrong_before_its_end() -> None:
    plan = planned({"faults": [{"kind": "reset-midway", "chunk": 5}]}, Protocol.TGI, tokens=2)
    assert read_back(plan, Protocol.TGI).text == "tok "


def test_shares_and_turns() -> None:
    faults = [
        Fault(kind=FaultKind.EXIT, share=0.2, after=100),
        Fault(kind=FaultKind.FLOOD, share=0.5, after=100, requests=10_000),
    ]
    random = Random(1)
    drawn = [draw(faults, number, random) for number in range(20_100)]
    assert drawn[:100] == [None] * 100
    early, late = drawn[100:10_100], drawn[10_100:]
    assert early.count(faults[0]) / 10_000 == pytest.approx(0.2, abs=0.02)
    assert early.count(faults[1]) / 10_000 == pytest.approx(0.5, abs=0.02)
    assert late.count(faults[0]) / 10_000 == pytest.approx(0.2, abs=0.02)
    assert late.count(faults[1]) == 0
