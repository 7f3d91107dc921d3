"""Upper ends of the histograms' buckets, in seconds, and how observations are put into them.

`histogram_quantile` draws a straight line through the bucket that a quantile falls into: where figures are read, ends
are at most a factor of two apart. A value counts in the first bucket whose end it does not pass.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from perbench.statistics.histogram import BINS, edges
from perbench_bench.engine.time_histogram import Counted

Bounds = tuple[float, ...]

TIME_TO_FIRST_TOKEN: Bounds = (
    0.005, 0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 5.0, 7.5, 10.0, 20.0,
    30.0, 60.0, 120.0, 300.0, 600.0,
)  # fmt: skip
"""From a small model's prefill to a queue as long as the time limit of a request (600 s). Dense from 50 ms to 10 s,
where limits on it are set."""
INTER_TOKEN_LATENCY: Bounds = (
    0.001, 0.002, 0.003, 0.005, 0.0075, 0.01, 0.015, 0.02, 0.03, 0.04, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.5, 0.75, 1.0,
    2.0, 5.0,
)  # fmt: skip
"""From small models on accelerators (2 ms) to large ones on processors (0.5 s), and the stalls of a prefill between
tokens. Dense from 5 to 200 ms: reading speed is about 100 ms a token."""
REQUEST_DURATION: Bounds = (
    0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 5.0, 7.5, 10.0, 15.0, 20.0, 30.0, 45.0, 60.0, 90.0, 120.0,
    180.0, 300.0, 600.0,
)  # fmt: skip
"""From a word to the time limit of a request."""
CLIENT_ERROR: Bounds = (
    0.00005, 0.0001, 0.0002, 0.0003, 0.0005, 0.00075, 0.001, 0.0015, 0.002, 0.003, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5,
)  # fmt: skip
"""Around the limits of the verdict, which are ends of buckets: 0.5 ms for the median, 3 ms for the tail."""


@dataclass(frozen=True, slots=True)
class Spread:
    """Observations by bucket, never changed."""

    per_bucket: NDArray[np.int64]
    """Not cumulative; one more than there are ends."""
    sum_seconds: float

    @property
    def count(self) -> int:
        """All observations."""
        return int(self.per_bucket.sum())

    def __add__(self, other: "Spread") -> "Spread":
        return Spread(self.per_bucket + other.per_bucket, self.sum_seconds + other.sum_seconds)


def nothing(bounds: Bounds) -> Spread:
    """No observations."""
    return Spread(np.zeros(len(bounds) + 1, dtype=np.int64), 0.0)


def spread(values_ms: NDArray[np.float64], bounds: Bounds) -> Spread:
    """Observations in milliseconds."""
    seconds = values_ms / 1e3
    places = np.searchsorted(np.asarray(bounds), seconds, side="left")
    return Spread(np.bincount(places, minlength=len(bounds) + 1), float(seconds.sum()))


def spread_of_bins(counted: Counted, places: NDArray[np.int64], buckets: int) -> Spread:
    """Observations that were counted in fine bins; `places`: the bucket of each bin (`buckets_of_bins`)."""
    per_bucket = np.bincount(places, weights=counted.per_bin, minlength=buckets).astype(np.int64)
    return Spread(per_bucket, counted.sum_ms / 1e3)


def buckets_of_bins(bounds: Sequence[float]) -> NDArray[np.int64]:
    """The bucket of each fine bin. Bins are 0.8 % wide: one that an end cuts through counts as beyond it, so that no
    bucket shows more below its end than there was. The last bin has no end."""
    ends = edges(np.arange(BINS)).high / 1e3
    ends[-1] = np.inf
    return np.searchsorted(np.asarray(bounds), ends, side="left")
