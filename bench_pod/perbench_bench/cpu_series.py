"""Processor time of a model's server over a window, out of readings of a counter that only rises. Pure.

The window of a stage opens and closes between two readings, and the load is the same before, within and after it: what
the server used until a moment between two readings lies on the line between them.
"""

from array import array
from bisect import bisect_left
from dataclasses import dataclass

from perbench.resources import ResourceUse

LONGEST_GAP_SECONDS = 5.0
"""Between the readings around an end of the window. Readings come once a second or faster; beyond this the line between
two of them says too little."""


class CpuUnknownError(Exception):
    """The processor time cannot be given; says why."""


class CpuLostError(CpuUnknownError):
    """A part of what was counted is no longer counted: there is no total any more."""


@dataclass(frozen=True)
class Ages:
    """A window by how long ago it opened and closed, in seconds: two machines need no common clock."""

    opened: float
    closed: float

    def later(self, seconds: float) -> "Ages":
        """The same window, so many seconds later."""
        return Ages(self.opened + seconds, self.closed + seconds)


class CpuSeries:
    """The readings of one window. They take 16 bytes each: a stage of a day has under 3 MB."""

    def __init__(self, source: str) -> None:
        self.source = source
        self._stamps = array("d")
        self._seconds = array("d")
        self._lost: str | None = None
        self._refused: dict[int, str] = {}
        """Why readings failed, by how many there were before."""

    @property
    def used(self) -> float | None:
        """Seconds since the first reading. None: there is none, or what was read is no longer a total."""
        return self._seconds[-1] - self._seconds[0] if self._seconds and self._lost is None else None

    def add(self, stamp: float, seconds: float) -> None:
        """A reading: seconds of processor time in all at this moment of a steady clock. Later readings come later."""
        if self._seconds and seconds < self._seconds[-1]:
            self.lost(f"it fell from {self._seconds[-1]:.2f} s to {seconds:.2f} s: a part is no longer counted")
            return
        self._stamps.append(stamp)
        self._seconds.append(seconds)

    def refused(self, reason: str) -> None:
        """A reading failed. That alone is no harm: those around it may say enough."""
        self._refused[len(self._stamps)] = reason

    def lost(self, reason: str) -> None:
        """What is read is no total any more: nothing is known of the whole window. The first reason counts."""
        self._lost = self._lost or reason

    def between(self, opened: float, closed: float) -> float:
        """Seconds of processor time from `opened` to `closed`, moments of the same clock. Raises CpuUnknownError."""
        if self._lost is not None:
            raise CpuUnknownError(self._lost)
        return self._until(closed, "close") - self._until(opened, "opening")

    def _until(self, stamp: float, end: str) -> float:
        after = bisect_left(self._stamps, stamp)
        if after == len(self._stamps) or (after == 0 and self._stamps[0] > stamp):
            raise CpuUnknownError(self._refused.get(after) or f"no reading at the window's {end}")
        if self._stamps[after] == stamp:
            return self._seconds[after]
        before, width = after - 1, self._stamps[after] - self._stamps[after - 1]
        if width > LONGEST_GAP_SECONDS:
            why = self._refused.get(after) or f"{width:.0f} s passed between two readings"
            raise CpuUnknownError(f"no reading near the window's {end}: {why}")
        share = (stamp - self._stamps[before]) / width
        return self._seconds[before] + share * (self._seconds[after] - self._seconds[before])


def use_of(series: CpuSeries, opened: float, closed: float) -> ResourceUse:
    """What a series shows of a window."""
    try:
        return ResourceUse(cpu_seconds=series.between(opened, closed), cpu_source=series.source)
    except CpuUnknownError as error:
        return unknown_use(str(error), series.source)


def unknown_use(reason: str, source: str) -> ResourceUse:
    """The record where processor time was asked for and is not known."""
    return ResourceUse(cpu_source=source, cpu_reason=reason)
