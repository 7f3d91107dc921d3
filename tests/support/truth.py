"""Plans of the truth server read by the load engine's own reader, without a socket between them."""

from typing import Any

from perbench.api.models import Protocol
from perbench_bench.engine.http1 import ResponseReader
from perbench_bench.engine.protocols import PROTOCOLS, Sampling, interpret
from perbench_bench.engine.reply import Ending as Read
from perbench_bench.engine.reply import Reply
from perbench_bench.truth.asked import read_request
from perbench_bench.truth.checks import read_script
from perbench_bench.truth.plan import Ending, Plan
from perbench_bench.truth.planner import Planner

ENDINGS = {Ending.SILENCE: Read.TIMED_OUT}


def planned(
    document: dict[str, Any],
    protocol: Protocol,
    tokens: int = 6,
    extra: dict[str, Any] | None = None,
    *,
    force: bool = False,
) -> Plan:
    """The first answer of a script to a request for `tokens` tokens with a prompt of four words."""
    body = PROTOCOLS[protocol].body("m", "one two three four", Sampling(tokens, 1, force_length=force), extra or {})
    return Planner(read_script(document)).plan(read_request(protocol, body))


def wire(plan: Plan) -> bytes:
    """All bytes of an answer."""
    return plan.at_arrival + plan.at_turn + b"".join(plan.writes)


def read_back(plan: Plan, protocol: Protocol) -> Reply:
    """What the engine reads, each write in a read of its own; stamps are the writes' numbers, from 1."""
    reader = ResponseReader()
    complete = False
    for stamp, data in enumerate([plan.at_arrival + plan.at_turn, *plan.writes]):
        if data:
            complete = reader.feed(stamp or 1, data)
    ending = Read.COMPLETE if complete else ENDINGS.get(plan.ending, Read.CLOSED)
    return interpret(PROTOCOLS[protocol], reader.response, ending)
