"""The progress object, written from a thread of its own: the load's event loop never waits for the API.

What is said in between is written at most once in five seconds; a change of state at once. Writes carry the attempt: an
object in which a later one has written is left alone.
"""

import threading
import time
from collections.abc import Callable

from perbench.failures import Blame, Failure, RunError
from perbench.objects.progress import BenchProgress, read_progress
from perbench_bench.config_maps import KEEP_TRYING_SECONDS, UNAVAILABLE, ConfigMaps, ConflictError
from perbench_bench.ending import internal_error

EVERY_SECONDS = 5.0


class SupersededError(RunError):
    """A later attempt measures this model: this one must stop, and say nothing more."""

    def __init__(self, attempt: int) -> None:
        message = f"attempt {attempt} has taken over: nothing of this one is written any more"
        super().__init__(Failure(blame=Blame.INFRASTRUCTURE, reason="Superseded", message=message))


class ProgressObject:
    """The object itself; every call blocks."""

    def __init__(self, maps: ConfigMaps, name: str) -> None:
        self._maps = maps
        self._name = name
        self._version: str | None = None

    def write(self, progress: BenchProgress) -> None:
        """Replace the document. Raises SupersededError, RunError."""
        data = dict(progress.data())
        while True:
            if self._version is None:
                self._version = self.check(progress)
            try:
                self._version = self._maps.patch(self._name, {"data": data}, self._version).version
            except ConflictError:
                self._version = None
            else:
                return

    def check(self, progress: BenchProgress) -> str:
        """The object's version, unless a later attempt has written there. Raises SupersededError, RunError."""
        found = self._maps.read(self._name)
        stored = read_progress(found.data)
        if stored is not None and progress.older_than(stored):
            raise SupersededError(stored.attempt)
        return found.version


class ProgressWriter:
    """Writes what was said last, in a thread. `stopped` is called in that thread when no more can be written.

    What is urgent is tried for `patience` seconds while the API is away: a load need not end for want of words.
    """

    def __init__(
        self,
        write: Callable[[BenchProgress], None],
        stopped: Callable[[RunError], None],
        every: float = EVERY_SECONDS,
        patience: float = KEEP_TRYING_SECONDS,
    ) -> None:
        self._write = write
        self._stopped = stopped
        self._every = every
        self._patience = patience
        self._wake = threading.Condition()
        self._pending: BenchProgress | None = None
        self._urgent = False
        self._writing = False
        self._failed: RunError | None = None
        threading.Thread(target=self._work, name="progress", daemon=True).start()

    def say(self, progress: BenchProgress, *, urgent: bool = False) -> None:
        """Have it written: now if urgent, else when five seconds have passed since the last. Does not wait."""
        with self._wake:
            self._pending = progress
            self._urgent = self._urgent or urgent
            self._wake.notify_all()

    def settle(self, seconds: float | None = None) -> None:
        """Wait until everything urgent that was said is written. Raises RunError: it cannot be; TimeoutError."""
        with self._wake:
            if not self._wake.wait_for(self._is_settled, seconds):
                raise TimeoutError
            if self._failed is not None:
                raise self._failed

    def _is_settled(self) -> bool:
        return self._failed is not None or not (self._writing or self._urgent)

    def _work(self) -> None:
        latest = -self._every
        away: float | None = None  # since when the API has not answered
        while True:
            with self._wake:
                self._wake.wait_for(lambda: self._pending is not None)
                self._wake.wait_for(lambda: self._urgent, max(0.0, latest + self._every - time.monotonic()))
                progress, urgent = self._pending, self._urgent
                self._pending, self._urgent, self._writing = None, False, True
            began = time.monotonic()
            failed = self._written(progress)
            latest = time.monotonic()
            away = (away or began) if failed is not None and failed.failure.reason == UNAVAILABLE else None
            if away is not None and not (urgent and latest - away > self._patience):
                self._again(progress, urgent=urgent)
                continue
            with self._wake:
                self._writing, self._failed = False, failed
                self._wake.notify_all()
            if failed is not None:
                self._stopped(failed)
                return

    def _again(self, progress: BenchProgress | None, *, urgent: bool) -> None:
        """The API is away: what was urgent stays to be written, unless more has been said. A word in between is lost,
        and the next one says more."""
        with self._wake:
            self._writing = False
            if urgent:
                self._pending, self._urgent = self._pending or progress, True
            self._wake.notify_all()

    def _written(self, progress: BenchProgress | None) -> RunError | None:
        """Why it was not written."""
        if progress is None:
            return None
        try:
            self._write(progress)
        except RunError as error:
            return error
        except Exception as error:  # noqa: BLE001 - the thread must not end unheard: everybody would wait for it
            return RunError(internal_error(error))
        return None
