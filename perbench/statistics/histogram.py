"""Log-linear histograms of times: 128 equal bins between each power of two of a microsecond and the next.

Memory does not depend on how many values go in, and any value of a bin is within 1/128 (0.8 %) of any other.
Bin 0 holds what is below 1 µs; the last bin ends at 2^32 µs (71.6 minutes) and holds what is longer.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from perbench.results import Histogram
from perbench.statistics.percentiles import OBSERVATIONS_BEYOND, Percentile, beyond

BINS_PER_OCTAVE = 128
OCTAVES = 32
"""1 µs · 2^32 = 71.6 minutes, so that one hour is inside."""
BINS = 1 + BINS_PER_OCTAVE * OCTAVES
MICROSECONDS = 1000.0
"""Per millisecond."""


@dataclass(frozen=True)
class Bounds:
    """Lower (inclusive) and upper (exclusive) ends of bins, in milliseconds."""

    low: NDArray[np.float64]
    high: NDArray[np.float64]


def bin_of(values_ms: ArrayLike) -> NDArray[np.int64]:
    """The bin of each value in milliseconds, from 0 to BINS - 1. Raises ValueError for a negative value or NaN."""
    microseconds = np.asarray(values_ms, dtype=np.float64) * MICROSECONDS
    if not bool(np.all(microseconds >= 0)):
        raise ValueError("times in a histogram are numbers from 0 upwards")
    # frexp gives value = mantissa · 2^exponent with mantissa in [0.5, 1): exact, where a logarithm would round.
    mantissa, exponent = np.frexp(np.minimum(microseconds, 2.0**OCTAVES))
    within = np.floor((2.0 * mantissa - 1.0) * BINS_PER_OCTAVE).astype(np.int64)
    bins = 1 + (exponent.astype(np.int64) - 1) * BINS_PER_OCTAVE + within
    return np.clip(np.where(microseconds < 1.0, 0, bins), 0, BINS - 1)


def edges(bins: ArrayLike) -> Bounds:
    """The ends of each bin in milliseconds. Raises ValueError for a number that is no bin."""
    numbers = np.asarray(bins, dtype=np.int64)
    _refuse_unknown(numbers)
    return Bounds(low=_lower_end(numbers), high=_lower_end(numbers + 1))


def histogram(values_ms: ArrayLike, weights: ArrayLike = 1) -> Histogram:
    """A histogram of values in milliseconds; `weights`: how many observations each value stands for (ints)."""
    values = np.atleast_1d(np.asarray(values_ms, dtype=np.float64))
    counts = np.broadcast_to(np.asarray(weights, dtype=np.int64), values.shape)
    per_bin = np.bincount(bin_of(values), weights=counts, minlength=BINS).astype(np.int64)
    used = values[counts > 0]
    return from_counts(per_bin, float((values * counts).sum()), float(used.max()) if used.size else None)


def from_counts(per_bin: NDArray[np.int64], total_ms: float, maximum_ms: float | None) -> Histogram:
    """The document of a full array of counts (length BINS), the sum of all values and the largest, in milliseconds."""
    filled = np.flatnonzero(per_bin)
    return Histogram(
        bins=tuple(filled.tolist()),
        counts=tuple(per_bin[filled].tolist()),
        total=int(per_bin.sum()),
        sum=total_ms,
        max=maximum_ms,
    )


def merge(parts: Iterable[Histogram]) -> Histogram:
    """One histogram of all observations. Raises ValueError for a number that is no bin."""
    per_bin = np.zeros(BINS, dtype=np.int64)
    total_ms, maxima = 0.0, []
    for part in parts:
        _refuse_unknown(np.asarray(part.bins, dtype=np.int64))
        np.add.at(per_bin, np.asarray(part.bins, dtype=np.int64), np.asarray(part.counts, dtype=np.int64))
        total_ms += part.sum
        maxima.extend([part.max] if part.max is not None else [])
    return from_counts(per_bin, total_ms, max(maxima, default=None))


def mean(source: Histogram) -> float | None:
    """Mean in milliseconds, from the exact sum."""
    return source.sum / source.total if source.total else None


def percentile(source: Histogram, percent: int) -> Percentile:
    """A percentile in milliseconds (the middle of its bin, within 0.4 %), withheld as in `percentiles`."""
    if beyond(source.total, percent) < OBSERVATIONS_BEYOND:
        return Percentile(None)
    rank = source.total - beyond(source.total, percent)
    position = int(np.searchsorted(np.cumsum(source.counts), rank))
    found = edges(source.bins[position])
    middle = float((found.low + found.high) / 2)
    return Percentile(middle if source.max is None else min(middle, source.max))


def _refuse_unknown(numbers: NDArray[np.int64]) -> None:
    if not bool(np.all((numbers >= 0) & (numbers < BINS))):
        raise ValueError(f"bins are numbered from 0 to {BINS - 1}")


def _lower_end(numbers: NDArray[np.int64]) -> NDArray[np.float64]:
    octave, within = np.divmod(numbers - 1, BINS_PER_OCTAVE)
    microseconds = np.ldexp(1.0 + within / BINS_PER_OCTAVE, octave)
    return np.where(numbers == 0, 0.0, microseconds) / MICROSECONDS
