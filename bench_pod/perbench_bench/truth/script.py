"""What a truth server does, as one value: read from a file or flags, checked as a whole before anything is started.

Times are in ms, sizes in bytes or tokens. A script that contradicts itself is refused (`checks`): a server that did
something else than it was told would be no judge.
"""

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from perbench.base import Document
from perbench_bench.truth.delay import Delay, constant

Count = Annotated[int, Field(ge=1, le=1_000_000)]


class Usage(StrEnum):
    """When the server tells token counts."""

    AS_ASKED = "as-asked"
    """As the request says: `include_usage`, `continuous_usage_stats`; TGI's `details`."""
    END = "end"
    """At the end, asked or not; `continuous_usage_stats` is unknown to it."""
    CONTINUOUS = "continuous"
    """With every chunk, asked or not."""
    NEVER = "never"
    STRICT = "strict"
    """At the end, where asked; a request for `continuous_usage_stats` is refused, as by a server that knows no such
    option."""


class Moment(StrEnum):
    """When the headers, or the chunk with the role, are sent."""

    AT_ONCE = "at-once"
    """When the request has come (vLLM and TGI send their headers so)."""
    WITH_SLOT = "with-slot"
    """When the request's turn has come (llama-server)."""
    WITH_FIRST_TOKEN = "with-first-token"  # noqa: S105 - no password
    NEVER = "never"


class Overload(StrEnum):
    """How a request is refused for which there is no room."""

    TOO_MANY_REQUESTS = "too-many-requests"
    UNAVAILABLE = "unavailable"
    EVENT = "overload-event"


class FaultKind(StrEnum):
    """The ways to go wrong."""

    RESET = "reset"
    """The connection is reset before an answer, after some seconds or at once."""
    HALF_OPEN = "half-open"
    """The request is taken and never answered."""
    REFUSE = "refuse"
    """The server stops listening and resets every connection."""
    GARBAGE = "garbage"
    """Bytes that are no HTTP, then the end."""
    TOO_MANY_REQUESTS = "too-many-requests"
    UNAVAILABLE = "unavailable"
    OVERLOAD_EVENT = "overload-event"
    """HTTP 200, then overload as an event of the stream."""
    RESET_MIDWAY = "reset-midway"
    SILENCE = "silence"
    """The stream falls silent and stays open."""
    BAD_JSON = "bad-json"
    HALF_CHUNK = "half-chunk"
    """The connection ends inside a chunk."""
    ERROR_EVENT = "error-event"
    """An error as an event of the stream, which then ends."""
    NO_NEWLINE = "no-newline"
    """For some seconds bytes come, and no line ends."""
    EXIT = "exit"
    """The server's process ends."""
    NO_USAGE = "no-usage"
    BROKEN_KEEP_ALIVE = "broken-keep-alive"
    """The whole answer, then the end of a connection that was to be kept."""
    HUGE_CHUNKS = "huge-chunks"
    """Each chunk carries a text of 1 MiB."""
    FLOOD = "flood"
    """10,000 tokens in one chunk, however many were asked for."""


MIDWAY = frozenset({
    FaultKind.RESET_MIDWAY, FaultKind.SILENCE, FaultKind.BAD_JSON, FaultKind.HALF_CHUNK, FaultKind.ERROR_EVENT,
    FaultKind.NO_NEWLINE, FaultKind.EXIT,
})  # fmt: skip
"""Faults that happen after some chunks of the answer."""

LASTING = frozenset({FaultKind.NO_NEWLINE, FaultKind.RESET})
"""Faults that may take time."""

DEFAULT_CHUNK = 2
DEFAULT_SECONDS = 60.0


class Fault(Document):
    """One way to go wrong, and which requests it meets."""

    kind: FaultKind
    share: float = Field(gt=0, le=1, default=1.0)
    """Of the requests it considers, drawn by the script's seed."""
    after: int = Field(ge=0, default=0)
    """Requests that are left alone before."""
    requests: Count | None = None
    """How many it then considers. None: all."""
    chunk: int | None = Field(ge=0, default=None)
    """Faults in the middle: chunks sent before (default 2; at most one less than the answer has)."""
    seconds: float | None = Field(gt=0, le=3600, default=None)
    """`no-newline`: how long (default 60). `reset`: how long the request is held before (default 0)."""

    def considers(self, number: int) -> bool:
        """Whether request `number` (0, 1, …) may be met."""
        return self.after <= number and (self.requests is None or number < self.after + self.requests)


class Timing(Document):
    """When the tokens of an answer come, counted from when its turn has come."""

    first_ms: Delay = constant(20)
    gap_ms: Delay | None = None
    """Between two chunks, however many tokens they carry. Neither this nor `token_ms`: 5."""
    token_ms: Delay | None = None
    """Per token: a chunk of k comes k times this after the one before."""


class Answer(Document):
    """What an answer holds."""

    tokens: Count | None = None
    """Where an answer ends by itself, unless the request's limit is lower. None: always at the request's limit."""
    tokens_per_chunk: Count = 1
    first_chunk_tokens: Count | None = None
    """None: as many as in the others."""
    texts: tuple[Annotated[str, Field(min_length=1)], ...] = Field(min_length=1, default=("tok ",))
    """Texts of the tokens, in turn."""
    usage: Usage = Usage.AS_ASKED
    counts_end_token: bool = False
    """Whether the counts include the end token of answers that end by themselves."""
    cached_share: float | None = Field(ge=0, le=1, default=None)
    """Share of the prompt that usage calls cached. None: usage says nothing of it (nor can TGI's)."""


class Stream(Document):
    """How the answer is cut into bytes and writes."""

    headers: Moment = Moment.AT_ONCE
    role: Moment = Moment.WITH_FIRST_TOKEN
    """Chat: when the chunk with the role is sent."""
    chunks_per_write: Count = 1
    """So many chunks wait for each other and are sent together."""
    empty_every: Count | None = None
    """Before every so manieth chunk comes an event without text."""
    comments_ms: float | None = Field(ge=10, le=3_600_000, default=None)
    """A comment line this often, as long as chunks are to come."""
    crlf: bool = False
    split_at: tuple[Count, ...] = ()
    """A write is cut at these bytes and sent in parts."""
    split_in_character: bool = False
    """A write is cut in the middle of its first character of several bytes."""
    split_ms: float | None = Field(ge=0, le=60_000, default=None)
    """Between the parts of a write (default 0.5)."""

    @property
    def pause_ms(self) -> float:
        """Between the parts of a write."""
        return 0.5 if self.split_ms is None else self.split_ms


class Queue(Document):
    """Who waits for whom. A request holds its slot from its turn until its last byte."""

    slots: Count | None = None
    """Requests served at a time; the others wait, first come first served. None: all."""
    limit: int | None = Field(ge=0, le=1_000_000, default=None)
    """How many may wait; the next is refused. None: all."""
    overload: Overload = Overload.UNAVAILABLE
    offered_rate: float | None = Field(gt=0, le=1_000_000, default=None)
    """Requests per second it is going to get: a queue that would grow without end is refused."""


class Prompt(Document):
    """How prompts are counted: offset + slope · words."""

    offset: float = Field(ge=0, le=1_000_000, default=3.0)
    slope: float = Field(gt=0, le=1000, default=1.0)


class Metrics(Document):
    """How far /metrics departs from what was served."""

    extra_requests: float = Field(ge=0, le=1000, default=0.0)
    """Requests of others that are counted per request of ours, with their tokens."""
    token_factor: float = Field(ge=0, le=1000, default=1.0)
    """Generated tokens are counted times this."""


class Script(Document):
    """All a truth server does."""

    model: str = Field(pattern=r'^[^"\\\n]+$', default="truth")
    seed: int = Field(ge=0, le=2**32, default=1)
    timing: Timing = Timing()
    answer: Answer = Answer()
    stream: Stream = Stream()
    queue: Queue = Queue()
    prompt: Prompt = Prompt()
    metrics: Metrics = Metrics()
    faults: tuple[Fault, ...] = ()
