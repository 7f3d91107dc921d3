"""Which request a free slot of the closed loop sends next: warm-up, measured, filler, nothing (measurement.md §1).

Pure: told what happened and when, it answers. The window opens with the first measured request and closes when the
last measured one is *sent*; freed slots go on with filler until the last measured one has *ended*, because a loop
that drains has less than its concurrency in flight, and its tail would be measured at another load.
"""

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

NS = 1_000_000_000


class Role(StrEnum):
    """Why a request is sent."""

    WARMUP = "Warmup"
    MEASURED = "Measured"
    FILLER = "Filler"


@dataclass(frozen=True, slots=True)
class Ticket:
    """One request to send. `index`: of the measured items, or a running number of the spare ones."""

    role: Role
    index: int


@dataclass(frozen=True, slots=True)
class Limits:
    """What ends the phases. Times are seconds; `deadline_ns` is a stamp of the clock the feed is told."""

    warmup_requests: int
    warmup_seconds: float
    measured: int
    window_seconds: float | None = None
    """The window is closed at this length even when not all measured requests were sent (`--duration`)."""
    deadline_ns: int | None = None
    """Nothing measured is sent after this (the stage's time limit)."""


class Feed:
    """The order of requests of one stage."""

    __slots__ = (
        "_aborted", "_limits", "_measured_ended", "_measured_sent", "_spare_sent", "_started", "_warmup_ended",
        "filler_sent", "time_limited", "warmup_sent", "window_end", "window_start",
    )  # fmt: skip

    def __init__(self, limits: Limits, started: int) -> None:
        self._limits = limits
        self._started = started
        self._aborted = False
        self._warmup_ended = 0
        self._measured_sent = 0
        self._measured_ended = 0
        self._spare_sent = 0
        self.warmup_sent = 0
        self.filler_sent = 0
        self.window_start: int | None = None
        self.window_end: int | None = None
        self.time_limited = False

    @property
    def measured_sent(self) -> int:
        """Measured requests sent so far."""
        return self._measured_sent

    @property
    def measured_ended(self) -> int:
        """Measured requests that have ended, well or badly."""
        return self._measured_ended

    @property
    def finished(self) -> bool:
        """Whether nothing more is sent: the load was aborted, or the last measured request has ended."""
        return self._aborted or (self.window_end is not None and self._measured_ended == self._measured_sent)

    def next(self, now: int) -> Ticket | None:
        """The request a slot that is free at `now` (ns) sends; None: the slot is done."""
        if self.window_start is None and not self._open(now):
            return None if self.finished else self._spare(Role.WARMUP)
        if self.window_end is None and (ticket := self._measured(now)):
            return ticket
        return None if self.finished else self._spare(Role.FILLER)

    def ended(self, ticket: Ticket) -> None:
        """A request has ended, however."""
        if ticket.role is Role.MEASURED:
            self._measured_ended += 1
        elif ticket.role is Role.WARMUP:
            self._warmup_ended += 1

    def abort(self, now: int) -> None:
        """Send nothing any more; what is under way may end."""
        if self.window_start is None:
            self.window_start = now
        if self.window_end is None:
            self.window_end = now
        self._aborted = True

    def in_window(self, stamp: int) -> bool:
        """Whether a byte that arrived at `stamp` arrived inside the window, as far as it is known by now.

        The window opens and closes with the end of a request. Only the one at its close belongs to it: with both, n
        sendings would count n endings in n - 1 cycles.
        """
        if self.window_start is None or stamp <= self.window_start:
            return False
        return self.window_end is None or stamp <= self.window_end

    def inside_window(self, stamps: NDArray[np.int64]) -> NDArray[np.bool_]:
        """`in_window` of many stamps at once."""
        if self.window_start is None:
            return np.zeros(stamps.size, dtype=bool)
        inside = stamps > self.window_start
        return inside if self.window_end is None else inside & (stamps <= self.window_end)

    def _open(self, now: int) -> bool:
        limits = self._limits
        if limits.deadline_ns is not None and now >= limits.deadline_ns:
            self.time_limited = True
            self.abort(now)
            return False
        warm = self._warmup_ended >= limits.warmup_requests and now - self._started >= limits.warmup_seconds * NS
        if warm:
            self.window_start = now
        return warm

    def _measured(self, now: int) -> Ticket | None:
        """The next measured ticket, closing the window with the last one or when time is up."""
        limits = self._limits
        close = self._closing_time()
        if close is not None and now >= close:
            self.time_limited = limits.deadline_ns is not None and close == limits.deadline_ns
            self.window_end = close
            return None
        ticket = Ticket(Role.MEASURED, self._measured_sent)
        self._measured_sent += 1
        if self._measured_sent == limits.measured:
            self.window_end = now
        return ticket

    def _closing_time(self) -> int | None:
        limits, start = self._limits, self.window_start
        times = [limits.deadline_ns] if limits.deadline_ns is not None else []
        if limits.window_seconds is not None and start is not None:
            times.append(start + int(limits.window_seconds * NS))
        return min(times, default=None)

    def _spare(self, role: Role) -> Ticket:
        ticket = Ticket(role, self._spare_sent)
        self._spare_sent += 1
        if role is Role.WARMUP:
            self.warmup_sent += 1
        else:
            self.filler_sent += 1
        return ticket
