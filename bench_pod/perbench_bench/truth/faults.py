"""Plans spoiled: which request a fault meets, and what its answer then does. Pure."""

from collections.abc import Sequence
from dataclasses import replace
from random import Random

from perbench.api.models import Protocol
from perbench_bench.truth.plan import Ending, Plan
from perbench_bench.truth.rendering import STREAM_HEADS, TOO_BUSY, Renderer, Shape, chunk, refusal
from perbench_bench.truth.script import DEFAULT_CHUNK, DEFAULT_SECONDS, MIDWAY, Fault, FaultKind, Overload

GARBAGE = b"\x16\x03\x01 this is no HTTP at all \x00\xff\r\n\r\n"
MEBIBYTE = 2**20
FLOOD_TOKENS = 10_000
DRIP_NS = 100_000_000
"""Between two pieces of a line that does not end."""


OVERLOADS = {
    FaultKind.TOO_MANY_REQUESTS: Overload.TOO_MANY_REQUESTS,
    FaultKind.UNAVAILABLE: Overload.UNAVAILABLE,
    FaultKind.OVERLOAD_EVENT: Overload.EVENT,
}
SILENT_ENDINGS = {
    FaultKind.RESET: Ending.RESET,
    FaultKind.HALF_OPEN: Ending.SILENCE,
    FaultKind.REFUSE: Ending.REFUSE,
}
"""Faults that end a request without a byte."""
CUT_ENDINGS = {
    FaultKind.RESET_MIDWAY: Ending.RESET,
    FaultKind.SILENCE: Ending.SILENCE,
    FaultKind.EXIT: Ending.EXIT,
    FaultKind.HALF_CHUNK: Ending.CLOSE,
    FaultKind.BAD_JSON: Ending.DONE,
    FaultKind.ERROR_EVENT: Ending.DONE,
}


def draw(faults: Sequence[Fault], number: int, random: Random) -> Fault | None:
    """The fault that meets request `number`, if any: at most one, each with its share."""
    value, reached = random.random(), 0.0
    for fault in faults:
        if fault.considers(number):
            reached += fault.share
            if value < reached:
                return fault
    return None


def reshape(shape: Shape, kind: FaultKind) -> Shape:
    """The shape of an answer whose fault is in what it says; any other as it is."""
    if kind is FaultKind.NO_USAGE:
        return replace(shape, usage_at_end=False, usage_always=False)
    if kind is FaultKind.HUGE_CHUNKS:
        return replace(shape, texts=("x" * -(-MEBIBYTE // min(shape.sizes)),))
    if kind is FaultKind.FLOOD:
        return replace(shape, sizes=(FLOOD_TOKENS,), counted=FLOOD_TOKENS, stops=False)
    return shape


def overloaded(kind: Overload, protocol: Protocol, renderer: Renderer) -> Plan:
    """The answer to a request for which there is no room."""
    if kind is Overload.EVENT:
        data = STREAM_HEADS[protocol] + renderer.error(protocol, overloaded=True)
    else:
        data = refusal(429 if kind is Overload.TOO_MANY_REQUESTS else 503, TOO_BUSY, protocol)
    return Plan(writes=(data,), needs_slot=False, whole=False)


def spoil(plan: Plan, fault: Fault, renderer: Renderer, protocol: Protocol) -> Plan:
    """What becomes of a plan that a fault meets."""
    spoiled = (
        _midway(plan, fault, renderer, protocol) if fault.kind in MIDWAY else _whole(plan, fault, renderer, protocol)
    )
    spoiled.fault = fault.kind
    return spoiled


def _whole(plan: Plan, fault: Fault, renderer: Renderer, protocol: Protocol) -> Plan:
    kind = fault.kind
    if kind in OVERLOADS:
        return overloaded(OVERLOADS[kind], protocol, renderer)
    if kind in SILENT_ENDINGS:
        held = round((fault.seconds or 0.0) * 1e9)
        return Plan(offsets=(held,), ending=SILENT_ENDINGS[kind], needs_slot=False, whole=False)
    if kind is FaultKind.GARBAGE:
        return Plan(writes=(GARBAGE,), ending=Ending.CLOSE, needs_slot=False, whole=False)
    return replace(plan, ending=Ending.CLOSE) if kind is FaultKind.BROKEN_KEEP_ALIVE else plan


def _midway(plan: Plan, fault: Fault, renderer: Renderer, protocol: Protocol) -> Plan:
    carrying = [number for number, count in enumerate(plan.tokens) if count]
    at = carrying[min(DEFAULT_CHUNK if fault.chunk is None else fault.chunk, len(carrying) - 1)]
    if fault.kind is FaultKind.NO_NEWLINE:
        return _drip(plan, at, DEFAULT_SECONDS if fault.seconds is None else fault.seconds)
    last = {
        FaultKind.HALF_CHUNK: b'4f\r\ndata: {"choices": [{"ind',
        FaultKind.BAD_JSON: renderer.event(b'{"choices": [{"delta": {"conte') + renderer.end(protocol),
        FaultKind.ERROR_EVENT: renderer.error(protocol, overloaded=False),
    }
    return _cut(plan, at, last.get(fault.kind, b""), CUT_ENDINGS[fault.kind])


def _cut(plan: Plan, at: int, last: bytes, ending: Ending) -> Plan:
    """The plan as far as write `at`, which is replaced."""
    head = _head_of(plan, at)
    return replace(
        plan, writes=(*plan.writes[:at], head + last), offsets=plan.offsets[: at + 1],
        tokens=(*plan.tokens[:at], 0), ending=ending, output_tokens=sum(plan.tokens[:at]), whole=False,
    )  # fmt: skip


def _head_of(plan: Plan, at: int) -> bytes:
    """The headers where they are part of the write that is replaced."""
    data = plan.writes[at]
    return data[: data.index(b"\r\n\r\n") + 4] if data.startswith(b"HTTP/1.1 ") else b""


def _drip(plan: Plan, at: int, seconds: float) -> Plan:
    """Before write `at` a line that does not end for so long: an event without meaning, a byte at a time."""
    begin, pieces = plan.offsets[at], round(seconds * 1e9) // DRIP_NS
    later = round(seconds * 1e9)
    line = (chunk(b'data: {"filler":"'), *[chunk(b"x")] * pieces, chunk(b'"}\n\n'))
    times = (begin, *(begin + DRIP_NS * number for number in range(1, pieces + 1)), begin + later)
    return replace(
        plan,
        writes=(*plan.writes[:at], *line, *plan.writes[at:]),
        offsets=(*plan.offsets[:at], *times, *(offset + later for offset in plan.offsets[at:])),
        tokens=(*plan.tokens[:at], *[0] * len(line), *plan.tokens[at:]),
    )
