"""How long the load generator itself kept bytes waiting (measurement.md §4): iterations, stalls, waits for a core."""

import asyncio
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol as Interface

from perbench_bench.engine.timer import fine_timer

BACK_TO_BACK_NS = 100_000
"""Parsing that ended less than this before a read delayed that read: the loop did not sleep in between."""

HEARTBEAT_SECONDS = 0.005

BEAT_NS = 2_000_000
STALL_NS = 400_000
"""A beat that is later than this was kept back by something: timers of an idle loop are late by a tenth of it."""
GOLDEN_RATIO = 0.6180339887498949


class Delayed(Interface):
    """Something that reads and wants to know how late it did."""

    def read_delayed(self, delay_ns: int) -> None:
        """A chunk read by this waited about `delay_ns` in the loop."""


class LoopMonitor:
    """Times the loop iterations that read, and the stalls before them. A chunk waits half of its iteration on average.

    With a beat, a read that ends a stall (the process was stopped, throttled or pushed off its core, or something else
    held the loop) is known to have waited some part of it; which part is drawn evenly, so that the spread of the delays
    is right as well as their mean.
    """

    __slots__ = ("_beat", "_busy_since", "_call_soon", "_clock", "_last_work_end", "_opened", "_part", "_readers")

    def __init__(self, loop: asyncio.AbstractEventLoop, clock: Callable[[], int], beat: "Beat | None" = None) -> None:
        self._call_soon = loop.call_soon
        self._clock = clock
        self._beat = beat
        self._opened = 0
        self._busy_since = 0
        self._last_work_end = 0
        self._part = 0.0
        self._readers: list[tuple[Delayed, int]] = []

    def reading(self, reader: Delayed, now: int) -> None:
        """Called by each data_received: the first one of an iteration posts its end."""
        if not self._readers:
            contiguous = now - self._last_work_end < BACK_TO_BACK_NS
            self._opened = self._busy_since if contiguous else now
            self._call_soon(self._close)
        self._readers.append((reader, now))

    def worked(self, since: int) -> None:
        """Other work of ours on the loop, from `since` to now: bytes that came meanwhile waited for it."""
        if since - self._last_work_end >= BACK_TO_BACK_NS:
            self._busy_since = since
        self._last_work_end = self._clock()

    def _close(self) -> None:
        half = (self._clock() - self._opened) // 2
        readers, self._readers = self._readers, []
        beat = self._beat
        for reader, stamp in readers:
            stalled = beat.stalled_before(stamp) if beat else 0
            reader.read_delayed(max(half, self._some_of(stalled)) if stalled else half)

    def _some_of(self, stalled: int) -> int:
        """An even share of a stall: successive multiples of the golden ratio fill 0 to 1 evenly (Weyl)."""
        self._part = (self._part + GOLDEN_RATIO) % 1.0
        return int(stalled * self._part)


class Beat:
    """A timer that is due every two milliseconds: how long the loop was kept from everything. Linux only: elsewhere no
    timer is fine enough, and only the mean wait is known (`RunQueue`).

    Sockets that became ready during a stall are read in the turn of the loop that ends it, in which the beat is late.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, clock: Callable[[], int]) -> None:
        self._clock = clock
        self._call_soon = loop.call_soon
        self._timer = fine_timer(loop, self._fired)
        self._due = 0
        self._missed = 0
        """When the beat was due that came late in this turn of the loop; 0: none did."""

    def start(self) -> None:
        """Begin."""
        self._next(self._clock())

    def close(self) -> None:
        """End."""
        self._timer.close()

    def stalled_before(self, stamp: int) -> int:
        """How long the loop had been stalled when it read something at `stamp`, in ns; 0: it had not."""
        due = self._missed or self._due  # the beat of this turn may be still to come
        late = stamp - due
        # It began at some time since the beat before.
        return late + BEAT_NS // 2 if due and late > STALL_NS else 0

    def _fired(self) -> None:
        now = self._clock()
        if now - self._due > STALL_NS:
            self._missed = self._due
            self._call_soon(self._call_soon, self._forget)  # after what was read in this turn has been told
        self._next(now)

    def _forget(self) -> None:
        self._missed = 0

    def _next(self, now: int) -> None:
        self._due = now + BEAT_NS
        self._timer.arm(self._due)


@dataclass(frozen=True, slots=True)
class SchedulerStamp:
    """Cumulative figures of one thread: waits for a core (ns) and the time slices they were spread over."""

    wait_ns: int
    slices: int

    def mean_wait_ms(self, since: "SchedulerStamp") -> float | None:
        """Mean wait per wake-up since an earlier stamp, in ms; None when nothing was counted."""
        slices = self.slices - since.slices
        return (self.wait_ns - since.wait_ns) / slices / 1e6 if slices > 0 else None


def read_scheduler(path: Path) -> SchedulerStamp | None:
    """A thread's figures out of its `schedstat` (Documentation/scheduler/sched-stats.rst); None where the kernel keeps
    none."""
    try:
        _, wait, slices = path.read_text().split()
    except (OSError, ValueError):
        return None
    return SchedulerStamp(int(wait), int(slices))


class Heartbeat:
    """Mean lateness of a 5 ms timer: the stand-in for the wait for a core where the kernel does not count it."""

    def __init__(self, loop: asyncio.AbstractEventLoop, clock: Callable[[], int]) -> None:
        self._loop = loop
        self._clock = clock
        self._handle: asyncio.TimerHandle | None = None
        self._due = 0
        self._late_ns = 0
        self._beats = 0

    def start(self) -> None:
        """Begin counting from zero."""
        self.stop()
        self._late_ns = self._beats = 0
        self._schedule()

    def stop(self) -> None:
        """End."""
        if self._handle:
            self._handle.cancel()
            self._handle = None

    def mean_late_ms(self) -> float | None:
        """Mean lateness since the start; None when it never beat."""
        return self._late_ns / self._beats / 1e6 if self._beats else None

    def _schedule(self) -> None:
        self._due = self._clock() + int(HEARTBEAT_SECONDS * 1e9)
        self._handle = self._loop.call_later(HEARTBEAT_SECONDS, self._beat)

    def _beat(self) -> None:
        self._late_ns += max(0, self._clock() - self._due)
        self._beats += 1
        self._schedule()


class RunQueue:
    """Mean wait for a core per wake-up over a stretch: from the kernel, else from a heartbeat over its idle value."""

    def __init__(self, loop: asyncio.AbstractEventLoop, clock: Callable[[], int] = time.perf_counter_ns) -> None:
        if threading.current_thread() is not threading.main_thread():
            raise RuntimeError("the run queue is read of the thread that runs the loop: the main thread")
        self._path = Path(f"/proc/self/task/{threading.get_native_id()}/schedstat")
        self._start = read_scheduler(self._path)
        self._heartbeat = None if self._start else Heartbeat(loop, clock)
        self._idle_ms = 0.0

    async def prepare(self) -> None:
        """Learn the heartbeat's lateness while nothing is sent; costs nothing where the kernel counts."""
        if self._heartbeat:
            self._heartbeat.start()
            await asyncio.sleep(0.25)
            self._heartbeat.stop()
            self._idle_ms = self._heartbeat.mean_late_ms() or 0.0

    def start(self) -> None:
        """Begin a stretch."""
        self._start = read_scheduler(self._path)
        if self._heartbeat:
            self._heartbeat.start()

    def so_far(self) -> float | None:
        """The mean since the stretch began, in ms. From any thread."""
        if self._heartbeat:
            late = self._heartbeat.mean_late_ms()
            return None if late is None else max(0.0, late - self._idle_ms)
        now = read_scheduler(self._path)
        return now.mean_wait_ms(self._start) if now and self._start else None

    def stop(self) -> float | None:
        """End it; ms."""
        found = self.so_far()
        if self._heartbeat:
            self._heartbeat.stop()
        return found
