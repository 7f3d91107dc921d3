"""A queue of keys: each once, never in two hands, later where told so, later still after failures."""

import asyncio
import heapq
from collections.abc import Callable

FIRST_BACKOFF_SECONDS = 1.0
LONGEST_BACKOFF_SECONDS = 60.0


class KeyedQueue:
    """Keys to work on. A key that is added while it is worked on comes again afterwards."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._ready: dict[str, None] = {}
        """Keys whose time has come, in the order they came."""
        self._later: list[tuple[float, str]] = []
        self._due: dict[str, float] = {}
        """The earliest time of each key in `_later`; entries of the heap that differ are stale."""
        self._at_work: set[str] = set()
        self._again: set[str] = set()
        self._failures: dict[str, int] = {}
        self._changed = asyncio.Event()

    def __len__(self) -> int:
        return len(self._ready)

    def add(self, key: str, after: float = 0.0) -> None:
        """Work on `key`, now or in `after` seconds; the earliest wish counts."""
        if after > 0:
            due = self._clock() + after
            if due < self._due.get(key, float("inf")):
                self._due[key] = due
                heapq.heappush(self._later, (due, key))
                self._changed.set()
            return
        self._due.pop(key, None)
        if key in self._at_work:
            self._again.add(key)
        else:
            self._ready[key] = None
            self._changed.set()

    async def take(self, wait: float) -> str | None:
        """The next key; None when none came within `wait` seconds. Call `done` or `failed` with it."""
        end = self._clock() + wait
        while True:
            self._promote()
            if self._ready:
                key = next(iter(self._ready))
                del self._ready[key]
                self._at_work.add(key)
                return key
            now = self._clock()
            if now >= end:
                return None
            nearest = min([end, *([self._later[0][0]] if self._later else [])])
            self._changed.clear()
            try:
                async with asyncio.timeout(max(0.001, nearest - now)):
                    await self._changed.wait()
            except TimeoutError:
                continue

    def done(self, key: str, after: float | None = None) -> None:
        """`key` is done with, and comes again `after` so many seconds."""
        self._failures.pop(key, None)
        self._release(key)
        if after is not None:
            self.add(key, after)

    def failed(self, key: str) -> float:
        """`key` could not be worked on: it comes again, each time later. Gives the seconds."""
        count = self._failures.get(key, 0)
        self._failures[key] = count + 1
        wait = min(LONGEST_BACKOFF_SECONDS, FIRST_BACKOFF_SECONDS * 2.0**count)
        self._release(key)
        self.add(key, wait)
        return wait

    def forget(self, key: str) -> None:
        """Nothing is known of `key` any more."""
        self._failures.pop(key, None)
        self._due.pop(key, None)
        self._ready.pop(key, None)
        self._again.discard(key)

    def _release(self, key: str) -> None:
        self._at_work.discard(key)
        if key in self._again:
            self._again.discard(key)
            self.add(key)

    def _promote(self) -> None:
        now = self._clock()
        while self._later and self._later[0][0] <= now:
            due, key = heapq.heappop(self._later)
            if self._due.get(key) == due:
                self.add(key)
