"""A truth server's record, read: arrays over its requests and chunks, and what a judge asks of them. Pure."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from perbench.failures import UsageError
from perbench_bench.truth.record import FORMAT_VERSION, NONE

Integers = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Record:
    """What really happened. Arrays over requests, in order of arrival; stamps in ns of CLOCK_MONOTONIC, -1 for none.

    The chunks of request i are `due`, `written` and `tokens` from `first_chunk[i]` to `first_chunk[i + 1]`.
    """

    server: dict[str, Any]
    protocol: tuple[str, ...]
    arrival: Integers
    turn: Integers
    end: Integers
    in_flight: Integers
    connection: Integers
    prompt_bytes: Integers
    prompt_tokens: Integers
    cached_tokens: Integers
    output_tokens: Integers
    outcome: tuple[str, ...]
    fault: tuple[str | None, ...]
    prompt: tuple[str, ...]
    first_chunk: Integers
    due: Integers
    written: Integers
    tokens: Integers

    def __len__(self) -> int:
        return int(self.arrival.size)

    @property
    def done(self) -> NDArray[np.bool_]:
        """Requests whose answer was written whole, without a fault."""
        pairs = zip(self.outcome, self.fault, strict=True)
        return np.array([outcome == "done" and fault is None for outcome, fault in pairs], dtype=np.bool_)

    @property
    def first(self) -> Integers:
        """Stamp of each request's first chunk with tokens."""
        return self._of_chunks(self.first_chunk[:-1])

    @property
    def last(self) -> Integers:
        """Stamp of each request's last chunk with tokens."""
        return self._of_chunks(self.first_chunk[1:] - 1)

    def chunks(self, request: int) -> slice:
        """Where the chunks of one request are."""
        return slice(int(self.first_chunk[request]), int(self.first_chunk[request + 1]))

    def ttft_ms(self) -> NDArray[np.float64]:
        """From arrival to the first chunk; NaN where there was none."""
        first = self.first
        return np.where(first >= 0, (first - self.arrival) / 1e6, np.nan)

    def gaps_ms(self) -> tuple[NDArray[np.float64], Integers]:
        """Each gap between two chunks of one answer, and the tokens of the later chunk."""
        later = np.ones(self.written.size, dtype=np.bool_)
        later[self.first_chunk[:-1][np.diff(self.first_chunk) > 0]] = False
        place = np.flatnonzero(later)
        return (self.written[place] - self.written[place - 1]) / 1e6, self.tokens[place]

    def lag_ms(self) -> NDArray[np.float64]:
        """How late each chunk was written: the server's own error."""
        return (self.written - self.due) / 1e6

    def wait_ms(self) -> NDArray[np.float64]:
        """How long each request waited for its slot; NaN where it never had one."""
        return np.where(self.turn >= 0, (self.turn - self.arrival) / 1e6, np.nan)

    def mean_in_flight(self, start: int, end: int) -> float:
        """Time-mean of the requests that had come and not ended, from `start` to `end`."""
        ended = np.where(self.end >= 0, self.end, end)
        inside = np.minimum(ended, end) - np.maximum(self.arrival, start)
        return float(np.maximum(inside, 0).sum() / (end - start))

    def request_rate(self, start: int, end: int) -> float:
        """Answers that ended well from `start` to `end`, per second."""
        inside = self.done & (self.end >= start) & (self.end <= end)
        return float(inside.sum() / (end - start) * 1e9)

    def token_rate(self, start: int, end: int) -> float:
        """Tokens written from `start` to `end`, per second."""
        inside = (self.written >= start) & (self.written <= end)
        return float(self.tokens[inside].sum() / (end - start) * 1e9)

    def _of_chunks(self, place: Integers) -> Integers:
        some = np.diff(self.first_chunk) > 0
        stamps = np.full(len(self), NONE, dtype=np.int64)
        stamps[some] = self.written[place[some]]
        return stamps


def read_record(document: bytes) -> Record:
    """Read the JSON lines of a record. Raises UsageError."""
    try:
        head, *lines = [orjson.loads(line) for line in document.splitlines()]
        server = head["server"]
        version = server["formatVersion"]
    except (ValueError, KeyError, TypeError) as error:
        raise UsageError(f"not a record of a truth server: {error}; give the file of --record") from error
    if version != FORMAT_VERSION:
        raise UsageError(f"a record of format {version}: this perbench reads format {FORMAT_VERSION}")
    lines.sort(key=lambda line: line["arrival"])
    counts = [len(line["written"]) for line in lines]

    def column(key: str) -> Integers:
        return np.array([line[key] for line in lines], dtype=np.int64)

    def flat(key: str) -> Integers:
        return np.array([value for line in lines for value in line[key]], dtype=np.int64)

    def words(key: str, default: str | None = None) -> tuple[Any, ...]:
        return tuple(line.get(key, default) for line in lines)

    return Record(
        server=server, protocol=words("protocol"), outcome=words("outcome"), fault=words("fault"),
        prompt=words("prompt", ""), first_chunk=np.concatenate(([0], np.cumsum(counts, dtype=np.int64))),
        **_each(column, arrival="arrival", turn="turn", end="end", in_flight="inFlight", connection="connection",
                prompt_bytes="promptBytes", prompt_tokens="promptTokens", cached_tokens="cachedTokens",
                output_tokens="outputTokens"),
        **_each(flat, due="due", written="written", tokens="tokens"),
    )  # fmt: skip


def _each(read: Callable[[str], Integers], **keys: str) -> dict[str, Integers]:
    return {name: read(key) for name, key in keys.items()}
