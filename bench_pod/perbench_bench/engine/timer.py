"""A timer finer than the event loop's: libuv's timers are whole milliseconds, a schedule of arrivals is not.

On Linux a timerfd (timerfd_create(2)) watched by the loop: the kernel wakes us within microseconds of the stamp.
Elsewhere the loop's own timer up to its last millisecond, then turn after turn of the loop.
"""

import asyncio
import ctypes
import os
import sys
import time
from collections.abc import Callable
from typing import Protocol as Interface

_CLOCK_MONOTONIC = 1
_TFD_NONBLOCK = os.O_NONBLOCK
_TFD_CLOEXEC = getattr(os, "O_CLOEXEC", 0)
_TFD_TIMER_ABSTIME = 1
_NS = 1_000_000_000
COARSE_SECONDS = 0.002
"""Left to whole turns of the loop where there is no timerfd: twice the resolution of its timers."""


class Timer(Interface):
    """Calls back once for each time it is armed."""

    def arm(self, when_ns: int) -> None:
        """Call back at this stamp of `time.perf_counter_ns`, at once when it is past. Replaces an earlier stamp."""

    def close(self) -> None:
        """Never call back again."""


def fine_timer(loop: asyncio.AbstractEventLoop, callback: Callable[[], object]) -> Timer:
    """The finest timer of this system. `perf_counter_ns` is CLOCK_MONOTONIC on Linux, which a timerfd counts in."""
    return KernelTimer(loop, callback) if sys.platform == "linux" else TurningTimer(loop, callback)


class _Timespec(ctypes.Structure):
    _fields_ = (("seconds", ctypes.c_long), ("nanoseconds", ctypes.c_long))


class _TimerSpec(ctypes.Structure):
    _fields_ = (("interval", _Timespec), ("value", _Timespec))


class KernelTimer:
    """A timerfd. Through libc: Python has it from 3.13 on only."""

    def __init__(self, loop: asyncio.AbstractEventLoop, callback: Callable[[], object]) -> None:
        libc = ctypes.CDLL(None, use_errno=True)
        self._loop = loop
        self._callback = callback
        self._settime = libc.timerfd_settime
        self._spec = _TimerSpec()
        self._spec_address = ctypes.byref(self._spec)
        self._fd = libc.timerfd_create(_CLOCK_MONOTONIC, _TFD_NONBLOCK | _TFD_CLOEXEC)
        if self._fd < 0:
            number = ctypes.get_errno()
            raise OSError(number, f"timerfd_create: {os.strerror(number)}")
        loop.add_reader(self._fd, self._fired)

    def arm(self, when_ns: int) -> None:
        """As `Timer.arm`."""
        value = self._spec.value
        value.seconds, value.nanoseconds = divmod(max(when_ns, 1), _NS)  # all zero would disarm it
        self._settime(self._fd, _TFD_TIMER_ABSTIME, self._spec_address, None)

    def close(self) -> None:
        """As `Timer.close`."""
        if self._fd >= 0:
            self._loop.remove_reader(self._fd)
            os.close(self._fd)
            self._fd = -1

    def _fired(self) -> None:
        try:
            os.read(self._fd, 8)
        except BlockingIOError:  # armed again between the wake-up and this read
            return
        self._callback()


class TurningTimer:
    """The loop's timer for all but the last milliseconds, which are waited out turn by turn."""

    def __init__(self, loop: asyncio.AbstractEventLoop, callback: Callable[[], object]) -> None:
        self._loop = loop
        self._callback = callback
        self._when = 0
        self._handle: asyncio.Handle | None = None

    def arm(self, when_ns: int) -> None:
        """As `Timer.arm`."""
        self.close()
        self._when = when_ns
        self._wait()

    def close(self) -> None:
        """As `Timer.close`."""
        if self._handle:
            self._handle.cancel()
            self._handle = None

    def _wait(self) -> None:
        left = (self._when - time.perf_counter_ns()) / _NS
        if left <= 0:
            self._handle = self._loop.call_soon(self._callback)
        elif left <= COARSE_SECONDS:
            self._handle = self._loop.call_soon(self._wait)
        else:
            self._handle = self._loop.call_later(left - COARSE_SECONDS, self._wait)
