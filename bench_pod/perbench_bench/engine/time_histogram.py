"""A log-linear histogram that is filled while a load runs: values are kept as they come and counted many at once."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from perbench.results import Histogram
from perbench.statistics.histogram import BINS, bin_of, edges, from_counts

if TYPE_CHECKING:
    from numpy.typing import NDArray

BATCH = 4096
"""Values counted at once: one by one numpy costs more than the count."""


class TimeHistogram:
    """Counts per bin, with the exact sum and maximum, in milliseconds."""

    def __init__(self) -> None:
        self._counts: NDArray[np.int64] = np.zeros(BINS, dtype=np.int64)
        self._sum = 0.0
        self._max: float | None = None
        self._values: list[float] = []
        self._weights: list[int] = []

    def add(self, values_ms: Sequence[float], weights: Sequence[int] | None = None) -> None:
        """Add values, each `weights` times (default once; at least once)."""
        self._values.extend(values_ms)
        self._weights.extend([1] * len(values_ms) if weights is None else weights)
        if len(self._values) >= BATCH:
            self._count()

    def quantile(self, share: float) -> float | None:
        """The middle of the bin that holds this share of the values, in ms; None of nothing."""
        self._count()
        total = int(self._counts.sum())
        if not total:
            return None
        position = int(np.searchsorted(np.cumsum(self._counts), share * total))
        return self.middles([position])[0]

    @staticmethod
    def middles(bins: Sequence[int]) -> list[float]:
        """The middle of each bin, in ms."""
        bounds = edges(bins)
        return [float(middle) for middle in (bounds.low + bounds.high) / 2]

    def document(self) -> Histogram:
        """As it is stored."""
        self._count()
        return from_counts(self._counts, self._sum, self._max)

    def _count(self) -> None:
        if not self._values:
            return
        values, weights = np.array(self._values), np.array(self._weights, dtype=np.int64)
        self._values.clear()
        self._weights.clear()
        np.add.at(self._counts, bin_of(values), weights)
        self._sum += float((values * weights).sum())
        self._max = max(self._max or 0.0, float(values.max()))
