"""A log-linear histogram that is filled while a load runs: values are kept as they come and counted many at once."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from perbench.results import Histogram
from perbench.statistics.histogram import BINS, bin_of, edges, from_counts

if TYPE_CHECKING:
    from numpy.typing import NDArray

BATCH = 4096
"""Values counted at once: one by one numpy costs more than the count."""


@dataclass(frozen=True, slots=True)
class Counted:
    """Observations by bin, never changed."""

    per_bin: "NDArray[np.int64]"
    sum_ms: float
    max_ms: float | None

    def with_values(self, values_ms: Sequence[float], weights: Sequence[int]) -> "Counted":
        """These and more."""
        if not values_ms:
            return self
        values, times = np.array(values_ms), np.array(weights, dtype=np.int64)
        per_bin = self.per_bin.copy()
        np.add.at(per_bin, bin_of(values), times)
        return Counted(
            per_bin, self.sum_ms + float((values * times).sum()), max(self.max_ms or 0.0, float(values.max()))
        )


@dataclass(slots=True)
class _Held:
    """What is counted, and values yet to be. It is replaced as a whole, so that other threads see no half of it."""

    counted: Counted
    values: list[float] = field(default_factory=list)
    weights: list[int] = field(default_factory=list)
    """Grows after `values`: there is a value to each."""


class TimeHistogram:
    """Counts per bin, with the exact sum and maximum, in milliseconds. One thread fills it, others may take it."""

    def __init__(self) -> None:
        self._held = _Held(Counted(np.zeros(BINS, dtype=np.int64), 0.0, None))

    def add(self, values_ms: Sequence[float], weights: Sequence[int] | None = None) -> None:
        """Add values, each `weights` times (default once; at least once)."""
        held = self._held
        held.values.extend(values_ms)
        held.weights.extend([1] * len(values_ms) if weights is None else weights)
        if len(held.values) >= BATCH:
            self._count()

    def taken(self) -> Counted:
        """All that is in it now. From any thread: nothing here is changed."""
        held = self._held
        weights = held.weights.copy()
        return held.counted.with_values(held.values[: len(weights)], weights)

    def quantile(self, share: float) -> float | None:
        """The middle of the bin that holds this share of the values, in ms; None of nothing."""
        per_bin = self._count().per_bin
        total = int(per_bin.sum())
        if not total:
            return None
        position = int(np.searchsorted(np.cumsum(per_bin), share * total))
        return self.middles([position])[0]

    @staticmethod
    def middles(bins: Sequence[int]) -> list[float]:
        """The middle of each bin, in ms."""
        bounds = edges(bins)
        return [float(middle) for middle in (bounds.low + bounds.high) / 2]

    def document(self) -> Histogram:
        """As it is stored."""
        counted = self._count()
        return from_counts(counted.per_bin, counted.sum_ms, counted.max_ms)

    def _count(self) -> Counted:
        counted = self._held.counted.with_values(self._held.values, self._held.weights)
        self._held = _Held(counted)
        return counted
