"""How long the load generator itself kept bytes waiting (measurement.md §4): loop iterations and waits for a core."""

import asyncio
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol as Interface

BACK_TO_BACK_NS = 100_000
"""Parsing that ended less than this before a read delayed that read: the loop did not sleep in between."""

HEARTBEAT_SECONDS = 0.005


class Delayed(Interface):
    """Something that reads and wants to know how late it did."""

    def read_delayed(self, delay_ns: int) -> None:
        """A chunk read by this waited about `delay_ns` in the loop."""


class LoopMonitor:
    """Times the loop iterations that read. A chunk waits, on average, half of the iteration that read it."""

    __slots__ = ("_busy_since", "_call_soon", "_clock", "_last_work_end", "_opened", "_readers")

    def __init__(self, loop: asyncio.AbstractEventLoop, clock: Callable[[], int]) -> None:
        self._call_soon = loop.call_soon
        self._clock = clock
        self._opened = 0
        self._busy_since = 0
        self._last_work_end = 0
        self._readers: list[Delayed] = []

    def reading(self, reader: Delayed, now: int) -> None:
        """Called by each data_received: the first one of an iteration posts its end."""
        if not self._readers:
            contiguous = now - self._last_work_end < BACK_TO_BACK_NS
            self._opened = self._busy_since if contiguous else now
            self._call_soon(self._close)
        self._readers.append(reader)

    def worked(self, since: int) -> None:
        """Other work of ours on the loop, from `since` to now: bytes that came meanwhile waited for it."""
        if since - self._last_work_end >= BACK_TO_BACK_NS:
            self._busy_since = since
        self._last_work_end = self._clock()

    def _close(self) -> None:
        half = (self._clock() - self._opened) // 2
        readers, self._readers = self._readers, []
        for reader in readers:
            reader.read_delayed(half)


@dataclass(frozen=True, slots=True)
class SchedulerStamp:
    """Cumulative figures of one thread: waits for a core (ns) and the time slices they were spread over."""

    wait_ns: int
    slices: int

    def mean_wait_ms(self, since: "SchedulerStamp") -> float | None:
        """Mean wait per wake-up since an earlier stamp, in ms; None when nothing was counted."""
        slices = self.slices - since.slices
        return (self.wait_ns - since.wait_ns) / slices / 1e6 if slices > 0 else None


def read_scheduler(path: Path = Path("/proc/thread-self/schedstat")) -> SchedulerStamp | None:
    """This thread's figures (Documentation/scheduler/sched-stats.rst); None where the kernel keeps none."""
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

    def stop(self) -> float | None:
        """End; mean lateness in ms, None when it never beat."""
        if self._handle:
            self._handle.cancel()
            self._handle = None
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
        self._start = read_scheduler()
        self._heartbeat = None if self._start else Heartbeat(loop, clock)
        self._idle_ms = 0.0

    async def prepare(self) -> None:
        """Learn the heartbeat's lateness while nothing is sent; costs nothing where the kernel counts."""
        if self._heartbeat:
            self._heartbeat.start()
            await asyncio.sleep(0.25)
            self._idle_ms = self._heartbeat.stop() or 0.0

    def start(self) -> None:
        """Begin a stretch."""
        self._start = read_scheduler()
        if self._heartbeat:
            self._heartbeat.start()

    def stop(self) -> float | None:
        """End it; ms."""
        if self._heartbeat:
            late = self._heartbeat.stop()
            return None if late is None else max(0.0, late - self._idle_ms)
        now = read_scheduler()
        return now.mean_wait_ms(self._start) if now and self._start else None
