"""Slots and a line before them: first come, first served, perhaps a limit to the line (M/M/c and its kin). Pure."""

from collections import deque
from enum import Enum, auto
from typing import Generic, TypeVar

T = TypeVar("T")


class Admission(Enum):
    """What becomes of a request that comes."""

    STARTS = auto()
    WAITS = auto()
    REFUSED = auto()


class SlotQueue(Generic[T]):
    """`slots` servers (None: as many as come) and the line of those who wait, at most `limit` (None: all)."""

    def __init__(self, slots: int | None, limit: int | None = None) -> None:
        self._slots = slots
        self._limit = limit
        self._line: deque[T] = deque()
        self.running = 0

    @property
    def waiting(self) -> int:
        """How many are in the line."""
        return len(self._line)

    def arrive(self, item: T) -> Admission:
        """One more; who starts holds a slot until `leave`."""
        if self._slots is None or self.running < self._slots:
            self.running += 1
            return Admission.STARTS
        if self._limit is not None and len(self._line) >= self._limit:
            return Admission.REFUSED
        self._line.append(item)
        return Admission.WAITS

    def leave(self) -> T | None:
        """One that held a slot has ended; the one that takes it over, if one waits."""
        if self._line:
            return self._line.popleft()
        self.running -= 1
        return None

    def withdraw(self, item: T) -> None:
        """One that waits has given up."""
        self._line.remove(item)


def erlang_c(slots: int, busy: float) -> float:
    """Share of the requests that wait in M/M/c (Erlang 1917); `busy` = rate · mean service time < slots."""
    if not 0 <= busy < slots:
        raise ValueError(f"{busy:g} busy slots of {slots}: the queue has no steady state")
    blocking = 1.0  # Erlang B, by its recursion over the number of slots
    for number in range(1, slots + 1):
        blocking = busy * blocking / (number + busy * blocking)
    return blocking / (1 - busy / slots * (1 - blocking))


def mean_wait(slots: int, rate: float, service: float) -> float:
    """Mean wait for a slot in M/M/c, in the unit of `service` (mean; `rate` is per that unit)."""
    busy = rate * service
    return erlang_c(slots, busy) * service / (slots - busy)
