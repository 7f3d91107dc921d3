"""What a truth server really did: a row per request, a stamp per chunk, kept in flat arrays while it serves.

Stamps are ns of CLOCK_MONOTONIC, which every process of a machine shares. The document is JSON lines: one for the
server (`server`), then one per request in order of ending. docs/truth-server.md lists the fields.
"""

from array import array
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import orjson
from numpy.typing import NDArray

from perbench.api.models import Protocol

NONE = -1
FORMAT_VERSION = 1
MOST_CHUNKS = 20_000_000
"""A record of more than this is full: 24 bytes each are half a gigabyte."""


class Outcome(StrEnum):
    """How an answer ended, seen from the server."""

    DONE = "done"
    """The whole answer was written: a good one, an error, or what the script calls one."""
    REFUSED = "refused"
    """There was no room in the queue."""
    CLOSED = "closed"
    RESET = "reset"
    ABANDONED = "abandoned"
    """The client closed the connection first."""
    UNFINISHED = "unfinished"
    """Under way when the server stopped."""


@dataclass(slots=True)
class Row:
    """One request; what is not known is -1."""

    protocol: Protocol
    arrival: int
    """Stamp of the read that brought the request's last byte."""
    in_flight: int
    """Requests that had come and not ended, this one included."""
    connection: int
    """Number of the connection, from 0."""
    prompt_bytes: int
    prompt_tokens: int
    cached_tokens: int
    output_tokens: int
    fault: str | None
    prompt: str
    turn: int = NONE
    """When it had a slot by the script; the arrival, where nobody waits."""
    end: int = NONE
    """Stamp before the write that ended the answer, or of what ended it instead."""
    outcome: Outcome = Outcome.UNFINISHED


class Recorder:
    """Takes ended requests."""

    def __init__(self, prompt_characters: int = 0) -> None:
        self.prompt_characters = prompt_characters
        self.rows: list[Row] = []
        self.due, self.written, self.tokens = array("q"), array("q"), array("q")
        self._counts = array("q")
        self.read_delays = array("q")
        """Half the loop iteration that read each piece of a request (ns): how early `arrival` really was."""
        self.connections = 0

    @property
    def full(self) -> bool:
        """No more can be kept."""
        return len(self.written) >= MOST_CHUNKS

    def read_delayed(self, delay_ns: int) -> None:
        """Called by the loop's monitor."""
        self.read_delays.append(delay_ns)

    def take(self, row: Row, due: list[int], written: list[int], tokens: list[int]) -> None:
        """One request that has ended: stamps of its chunks, as many as were written."""
        self.rows.append(row)
        self.due.extend(due)
        self.written.extend(written)
        self.tokens.extend(tokens)
        self._counts.append(len(written))

    def document(self, about: dict[str, object]) -> str:
        """The record as JSON lines; `about` goes into the server's own."""
        lag = np.asarray(self.written, dtype=np.int64) - np.asarray(self.due, dtype=np.int64)
        server = about | {
            "formatVersion": FORMAT_VERSION,
            "clock": "CLOCK_MONOTONIC",
            "connections": self.connections,
            "lagMs": summary_ms(lag),
            "readDelayMs": summary_ms(np.asarray(self.read_delays, dtype=np.int64)),
        }
        lines = [orjson.dumps({"server": server})]
        start = 0
        for row, count in zip(self.rows, self._counts, strict=True):
            stop = start + count
            lines.append(self._line(row, slice(start, stop)))
            start = stop
        return (b"\n".join(lines) + b"\n").decode()

    def _line(self, row: Row, chunks: slice) -> bytes:
        line = {
            "protocol": row.protocol, "arrival": row.arrival, "turn": row.turn, "end": row.end,
            "due": self.due[chunks].tolist(), "written": self.written[chunks].tolist(),
            "tokens": self.tokens[chunks].tolist(), "inFlight": row.in_flight, "connection": row.connection,
            "promptBytes": row.prompt_bytes, "promptTokens": row.prompt_tokens, "cachedTokens": row.cached_tokens,
            "outputTokens": row.output_tokens, "outcome": row.outcome, "fault": row.fault,
        }  # fmt: skip
        if self.prompt_characters:
            line["prompt"] = row.prompt
        return orjson.dumps(line)


def summary_ms(nanoseconds: NDArray[np.int64]) -> dict[str, float] | None:
    """p50, p99 and maximum, in ms; None of nothing."""
    if not nanoseconds.size:
        return None
    p50, p99 = np.percentile(nanoseconds, [50, 99]) / 1e6
    return {"p50": float(p50), "p99": float(p99), "max": float(nanoseconds.max()) / 1e6}
