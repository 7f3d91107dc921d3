"""Which request is sent next: warm-up, measured, filler, nothing (measurement.md §1).

Pure: told what happened and when, it answers. The window opens with the first measured request and closes when the
last measured one is *sent*; the load goes on with filler until the last measured one has *ended*, because a load that
drains has less in flight, and its tail would be measured at another load.
"""

from dataclasses import dataclass
from enum import StrEnum
from statistics import median

from typing_extensions import override

from perbench.plan import ArrivalPlan
from perbench_bench.engine.arrivals import EndlessArrivals, schedule_ns

NS = 1_000_000_000
TYPICAL_OF = 21
"""Requests over which a typical duration is taken."""


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
    """Ended before the window opens."""
    warmup_seconds: float
    measured: int
    window_seconds: float | None = None
    """The window is closed at this length even when not all measured requests were sent (`--duration`)."""
    deadline_ns: int | None = None
    """Nothing measured is sent after this (the stage's time limit)."""
    warmup_durations: float = 0.0
    """Open loop: so many median request durations pass before the window opens."""


class Feed:
    """What both loops have in common: counts, the window, when it is over."""

    def __init__(self, limits: Limits, started: int) -> None:
        self.limits = limits
        self.started = started
        self.measured_sent = 0
        self.measured_ended = 0
        """Measured requests that have ended, well or badly."""
        self.warmup_sent = 0
        self.warmup_ended = 0
        self.warmup_durations: list[int] = []
        """Of the first requests: under a load that is too much those that follow take ever longer."""
        self.filler_sent = 0
        self.filler_ended = 0
        self.window_start: int | None = None
        self.window_end: int | None = None
        self.time_limited = False
        self.overdue = 0
        """Requests that were due in a window that was closed by time, and had not left."""
        self._aborted = False
        self._spare_sent = 0

    @property
    def finished(self) -> bool:
        """Whether nothing more is sent: the load was aborted, or the last measured request has ended."""
        return self._aborted or (self.window_end is not None and self.measured_ended == self.measured_sent)

    @property
    def under_way(self) -> int:
        """Requests that have begun, connecting included, and not ended."""
        return (
            self.warmup_sent + self.measured_sent + self.filler_sent
            - self.warmup_ended - self.measured_ended - self.filler_ended
        )  # fmt: skip

    @property
    def window_ns(self) -> int:
        """Length of the window; 0: it was never open."""
        return (self.window_end or 0) - (self.window_start or 0)

    def ended(self, ticket: Ticket, duration_ns: int) -> None:
        """A request has ended, however, so long after it was sent."""
        if ticket.role is Role.MEASURED:
            self.measured_ended += 1
        elif ticket.role is Role.FILLER:
            self.filler_ended += 1
        else:
            self.warmup_ended += 1
            if duration_ns > 0 and len(self.warmup_durations) < TYPICAL_OF:  # 0: it was never sent
                self.warmup_durations.append(duration_ns)

    def abort(self, now: int) -> None:
        """Send nothing any more; what is under way may end."""
        if self.window_start is None:
            self.window_start = now
        if self.window_end is None:
            self.window_end = now
        self._aborted = True

    def in_window(self, stamp: int) -> bool:
        """Whether a byte that arrived at `stamp` arrived inside the window, as far as it is known by now.

        The window of a closed loop opens and closes with the end of a request. Only the one at its close belongs to
        it: with both, n sendings would count n endings in n - 1 cycles.
        """
        if self.window_start is None or stamp <= self.window_start:
            return False
        return self.window_end is None or stamp <= self.window_end

    def overlap(self, start: int, end: int) -> int:
        """How much of the time from `start` to `end` lies inside the window, in ns."""
        if self.window_start is None:
            return 0
        return max(0, (end if self.window_end is None else min(end, self.window_end)) - max(start, self.window_start))

    def gives_up_warming(self, now: int) -> bool:
        """Whether the deadline has come within the warm-up; the load is then aborted."""
        late = self.limits.deadline_ns is not None and now >= self.limits.deadline_ns
        if late:
            self.time_limited = True
            self.abort(now)
        return late

    def is_warm(self, now: int) -> bool:
        """Whether the warm-up has lasted long enough. Past the deadline it never does: the load is aborted."""
        limits = self.limits
        if self.gives_up_warming(now):
            return False
        return self.warmup_ended >= limits.warmup_requests and now - self.started >= limits.warmup_seconds * NS

    def measured(self, now: int) -> Ticket | None:
        """The next measured ticket, closing the window with the last one; None when time is up."""
        limits = self.limits
        close = self.closing_time()
        if close is not None and now >= close:
            self.time_limited = limits.deadline_ns is not None and close == limits.deadline_ns
            self.window_end = close
            return None
        ticket = Ticket(Role.MEASURED, self.measured_sent)
        self.measured_sent += 1
        if self.measured_sent == limits.measured:
            self.window_end = now
        return ticket

    def spare(self, role: Role) -> Ticket:
        """A ticket for a request that is not measured."""
        ticket = Ticket(role, self._spare_sent)
        self._spare_sent += 1
        if role is Role.WARMUP:
            self.warmup_sent += 1
        else:
            self.filler_sent += 1
        return ticket

    def closing_time(self) -> int | None:
        """When the window is closed, or the warm-up given up, whatever was sent by then."""
        limits, start = self.limits, self.window_start
        times = [limits.deadline_ns] if limits.deadline_ns is not None else []
        if limits.window_seconds is not None and start is not None:
            times.append(start + int(limits.window_seconds * NS))
        return min(times, default=None)


class ClosedFeed(Feed):
    """The order of requests of a closed loop: asked whenever a slot is free."""

    def next(self, now: int) -> Ticket | None:
        """The request a slot that is free at `now` (ns) sends; None: the slot is done."""
        if self.window_start is None:
            if not self.is_warm(now):
                return None if self.finished else self.spare(Role.WARMUP)
            self.window_start = now
        if self.window_end is None and (ticket := self.measured(now)):
            return ticket
        return None if self.finished else self.spare(Role.FILLER)


class OpenFeed(Feed):
    """The order of requests of an open loop: each leaves when it is due, however many are under way."""

    def __init__(self, limits: Limits, plan: ArrivalPlan, seed: int, started: int) -> None:
        super().__init__(limits, started)
        self._plan = plan
        self._seed = seed
        self._offsets: list[int] = schedule_ns(plan, limits.measured, seed).tolist()
        self._spare_arrivals = EndlessArrivals(plan, (seed, 1), started)
        self.due: int = started
        """When the next request is to leave."""
        if self.is_warm(started):
            self._open(started)
        else:
            self.due = self._spare_arrivals.pop()

    @override
    def is_warm(self, now: int) -> bool:
        """As for every feed, and some median durations have passed: the requests under way are then no longer few."""
        if not super().is_warm(now):
            return False
        least = self.limits.warmup_durations
        durations = self.warmup_durations
        return not least or (bool(durations) and now - self.started >= least * median(durations))

    @property
    def next_event(self) -> int:
        """When something is to be done: a request leaves, or time is up."""
        close = self.closing_time() if self.window_end is None else None
        return self.due if close is None else min(self.due, close)

    def expire(self, now: int) -> None:
        """End what time ends by `now`."""
        close = self.closing_time()
        if close is None or now < close or self.window_end is not None:
            return
        if self.window_start is None:
            self.gives_up_warming(now)
            return
        start, sent = self.window_start, self.measured_sent
        self.measured(now)
        self.overdue = sum(start + offset <= close for offset in self._offsets[sent:])
        self._fill(now)

    def take(self, now: int) -> Ticket | None:
        """The request that is due by `now`; None: nothing leaves, as the window opens, or all is over."""
        if self.window_start is None:
            if self.is_warm(self.due):
                self._open(self.due)
                return None
            return None if self.finished else self._spare(Role.WARMUP)
        if self.window_end is None:
            ticket = self.measured(now)  # time is not up: what it ends has been ended (`expire`)
            if self.window_end is None:
                self.due = self.window_start + self._offsets[self.measured_sent]
            else:
                self._fill(self.due)
            if ticket:
                return ticket
        return None if self.finished else self._spare(Role.FILLER)

    def _open(self, now: int) -> None:
        """The schedule of the measured requests was drawn before; it begins here."""
        self.window_start = now
        self.due = now + self._offsets[0]

    def _fill(self, after: int) -> None:
        self._spare_arrivals = EndlessArrivals(self._plan, (self._seed, 2), after)
        self.due = self._spare_arrivals.pop()

    def _spare(self, role: Role) -> Ticket:
        self.due = self._spare_arrivals.pop()
        return self.spare(role)
