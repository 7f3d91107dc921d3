"""What one request came to: outcome, text, token counts, and when each piece of text arrived. Pure."""

from dataclasses import dataclass, field
from enum import Enum, auto

from perbench.results import Outcome


class Ending(Enum):
    """How the exchange of bytes ended."""

    COMPLETE = auto()
    CLOSED = auto()
    """The connection ended before the response did."""
    TIMED_OUT = auto()
    MALFORMED = auto()
    """What came was not HTTP/1.1."""
    NOT_CONNECTED = auto()
    NO_RESOURCES = auto()
    """Not connected for want of something of ours: descriptors, ports, memory."""
    HELD_BACK = auto()
    """Not sent: as many requests as may be were under way."""


@dataclass(slots=True)
class Reply:
    """A response understood. Stamps are in ns; token counts are the server's own, None where it gave none."""

    outcome: Outcome = Outcome.SUCCESS
    error: str | None = None
    finish: str | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    cached_tokens: int | None = None
    stamps: list[int] = field(default_factory=list)
    """Arrival of each chunk that carries text, reasoning or a tool call; what one read brought is one chunk."""
    events: list[int] = field(default_factory=list)
    """Content events in each chunk."""
    tokens: list[int] | None = None
    """Tokens in each chunk where the server says how many; None: it does not."""
    texts: list[str] = field(default_factory=list)
    pending_tokens: int = 0
    """Tokens that came without text of their own and belong to the next chunk."""

    @property
    def text(self) -> str:
        """The answer."""
        return "".join(self.texts)

    @property
    def carried(self) -> list[int]:
        """Tokens in each chunk as far as they can be told apart: as the server says, else its content events."""
        return self.events if self.tokens is None else self.tokens

    def add_content(self, stamp: int, text: str) -> None:
        """One content event. Events of one read (same stamp) are one chunk: the network delivered them together."""
        self.texts.append(text)
        if self.stamps and self.stamps[-1] == stamp:
            self.events[-1] += 1
        else:
            self.stamps.append(stamp)
            self.events.append(1)
            if self.tokens is not None:
                self.tokens.append(0)

    def add_tokens(self, count: int) -> None:
        """Say how many tokens the chunk just added carries (more, where several events share it)."""
        if self.tokens is not None and self.tokens:
            self.tokens[-1] += count

    def fail(self, outcome: Outcome, error: str) -> None:
        """The first thing that went wrong is the one reported."""
        if self.outcome is Outcome.SUCCESS:
            self.outcome = outcome
            self.error = error[:500]


OVERLOAD_WORDS = ("overloaded", "queue is full", "too many requests", "no slot available", "rate limit")


SERVER_WORDS = ("failed during generation", "incomplete generation")
"""TGI's words for what broke behind it, which its chat and completions routes call 422 as well."""


def outcome_of_status(status: int) -> Outcome:
    """Outcome of a response by its HTTP status. 429 and 503 are how servers say "not now"."""
    if status in {429, 503}:
        return Outcome.OVERLOADED
    return Outcome.SERVER_ERROR if status >= 500 else Outcome.CLIENT_ERROR


def outcome_of_error(kind: object, code: object, message: str) -> Outcome:
    """Outcome of an error event inside a stream.

    TGI's chat route says 422 even for overload and for a broken shard, so its words decide before its code does.
    """
    words = f"{kind} {message}".lower()
    if any(word in words for word in OVERLOAD_WORDS):
        return Outcome.OVERLOADED
    if any(word in words for word in SERVER_WORDS):
        return Outcome.SERVER_ERROR
    if kind in {"validation", "template_error", "tool_error", "invalid_request_error"}:
        return Outcome.CLIENT_ERROR
    try:
        status = int(str(code))
    except ValueError:
        return Outcome.SERVER_ERROR
    return outcome_of_status(status) if 400 <= status < 600 else Outcome.SERVER_ERROR
