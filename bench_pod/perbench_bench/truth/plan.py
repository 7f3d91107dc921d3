"""All that one answer is going to do, decided when its request has come: bytes, when each is due, how it ends. Pure."""

from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import accumulate

from perbench_bench.truth.delay import NS_PER_MS
from perbench_bench.truth.script import Stream


class Ending(StrEnum):
    """What happens with the last write."""

    DONE = "done"
    CLOSE = "close"
    RESET = "reset"
    SILENCE = "silence"
    REFUSE = "refuse"
    EXIT = "exit"


@dataclass(slots=True)
class Plan:
    """One answer. Offsets are ns from the moment its turn has come; `writes`, `offsets` and `tokens` go together."""

    at_arrival: bytes = b""
    at_turn: bytes = b""
    writes: tuple[bytes, ...] = (b"",)
    offsets: tuple[int, ...] = (0,)
    tokens: tuple[int, ...] = (0,)
    """Tokens that are whole with each write."""
    ending: Ending = Ending.DONE
    needs_slot: bool = True
    output_tokens: int = 0
    """As the server counts them."""
    prompt_tokens: int = 0
    cached_tokens: int | None = None
    stops: bool = False
    whole: bool = True
    """An answer that a server would call a success."""
    fault: str | None = None


def split(plan: Plan, stream: Stream) -> Plan:
    """Writes with tokens are cut; what the tokens are with is the last part of each."""
    pause = round(stream.pause_ms * NS_PER_MS)
    writes: list[bytes] = []
    offsets: list[int] = []
    tokens: list[int] = []
    for data, offset, count in zip(plan.writes, plan.offsets, plan.tokens, strict=True):
        cuts = _cuts(data, stream) if count else []
        parts = [data[a:b] for a, b in zip([0, *cuts], [*cuts, len(data)], strict=True)]
        writes += parts
        offsets += [offset + pause * number for number in range(len(parts))]
        tokens += [0] * (len(parts) - 1) + [count]
    in_order = tuple(accumulate(offsets, max))
    return replace(plan, writes=tuple(writes), offsets=in_order, tokens=tuple(tokens))


def _cuts(data: bytes, stream: Stream) -> list[int]:
    if stream.split_in_character:
        first = next((at for at, byte in enumerate(data) if byte >= 0xC0), None)  # begins a character of several bytes
        return [] if first is None else [first + 1]
    return [at for at in stream.split_at if at < len(data)]


def with_comments(plan: Plan, every_ms: float, comment: bytes) -> Plan:
    """A comment line every so often until the last write."""
    every, last = round(every_ms * NS_PER_MS), plan.offsets[-1]
    rows = list(zip(plan.offsets, plan.writes, plan.tokens, strict=True))
    rows += [(at, comment, 0) for at in range(every, last, every)]
    rows.sort(key=lambda row: row[0])
    offsets, writes, tokens = zip(*rows, strict=True)
    return replace(plan, writes=writes, offsets=offsets, tokens=tokens)
