"""Ctrl-C, SIGTERM and SIGHUP during a run: one way out, at places where nothing is half done."""

import contextlib
import signal
from collections.abc import Callable, Iterator
from types import FrameType, TracebackType
from typing import Any, Self

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interrupted(BaseException):
    """The user, or the system, wants the run to stop. Not an Exception: only the run itself may catch it."""


class Interruption:
    """While entered, a signal raises `Interrupted` in the main thread, once; inside `deferred` it waits for the end.

    Once raised, further signals change nothing: stopping takes seconds and must not be cut short, or processes stay.
    """

    def __init__(self) -> None:
        self.requested = False
        self._raised = False
        self._depth = 0
        self._before: dict[signal.Signals, Callable[[int, FrameType | None], Any] | int | None] = {}

    def __enter__(self) -> Self:
        for number in SIGNALS:
            # A command started with nohup has SIGHUP ignored, and it stays so.
            if signal.getsignal(number) is not signal.SIG_IGN:
                self._before[number] = signal.signal(number, self._receive)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _receive(self, number: int, frame: FrameType | None) -> None:
        del number, frame
        self.requested = True
        self._raise_now()

    def _raise_now(self) -> None:
        if self.requested and not self._raised and self._depth == 0:
            self._raised = True
            raise Interrupted

    @contextlib.contextmanager
    def deferred(self) -> Iterator[None]:
        """Let a signal wait until the end of this block: for a write, or a start whose handle must not get lost."""
        self._depth += 1
        try:
            yield
        finally:
            self._depth -= 1
        self._raise_now()
