"""A limit on processor time for code that a user's pattern can keep busy for ever."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class CpuLimitReached(Exception):  # noqa: N818 - it says what happened; callers turn it into their own error
    """The time is up."""


@contextmanager
def cpu_limit(seconds: float) -> Iterator[None]:
    """Raise `CpuLimitReached` in the block after `seconds` of processor time of this process.

    Works by SIGVTALRM, which the regular expression engine lets through, and only in the main thread; in another
    thread the block runs without a limit.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    previous = signal.signal(signal.SIGVTALRM, _stop)
    try:
        try:
            signal.setitimer(signal.ITIMER_VIRTUAL, seconds)
            yield
        finally:
            signal.setitimer(signal.ITIMER_VIRTUAL, 0)
    finally:
        signal.signal(signal.SIGVTALRM, previous)


def _stop(_signal: int, _frame: FrameType | None) -> None:
    raise CpuLimitReached
