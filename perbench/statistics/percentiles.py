"""Percentiles by measurement.md §1: none without ten observations beyond it, failures count as +infinity.

A percentile is an observation, not an interpolation: the smallest value with at least that share of all observations
at or below it (nearest rank). So it either is a time that a request took, or it is a failed request and has no value.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

OBSERVATIONS_BEYOND = 10
"""A percentile with fewer observations above it says more about chance than about the server."""

PERCENTS = (50, 90, 95, 99)
"""Percentiles that summaries carry."""


@dataclass(frozen=True)
class Percentile:
    """A percentile of observations. `value` None: withheld for want of observations or, with `unbounded`, a failure."""

    value: float | None
    unbounded: bool = False


@dataclass(frozen=True)
class Summary:
    """Observations of one kind in the unit they came in. Mean and maximum are over successes."""

    n: int
    """Successes and failures together: what the percentiles are taken over."""
    failed: int
    mean: float | None
    max: float | None
    percentiles: dict[int, Percentile]

    @property
    def unbounded(self) -> tuple[str, ...]:
        """Names (p95, p99) of the percentiles that landed on a failed request."""
        return tuple(f"p{percent}" for percent, found in self.percentiles.items() if found.unbounded)

    def value(self, percent: int) -> float | None:
        """The percentile, None where it is withheld or unbounded."""
        return self.percentiles[percent].value


def beyond(n: int, percent: int) -> int:
    """How many of `n` observations lie above the nearest-rank percentile."""
    return n * (100 - percent) // 100


def observations_needed(percent: int) -> int:
    """The number of observations from which a percentile is given: 20 for p50, 200 for p95, 1,000 for p99."""
    if not 0 < percent < 100:
        raise ValueError(f"a percentile lies between 0 and 100, not at {percent}")
    return math.ceil(OBSERVATIONS_BEYOND * 100 / (100 - percent))


def percentile(successes: Sequence[float] | NDArray[np.float64], percent: int, failed: int = 0) -> Percentile:
    """One percentile over the values of successes plus `failed` observations at +infinity."""
    return _of_sorted(np.sort(np.asarray(successes, dtype=np.float64)), percent, failed)


def summarise(successes: Sequence[float] | NDArray[np.float64], failed: int = 0) -> Summary:
    """Mean, maximum and percentiles of one kind of observation. Values must be finite."""
    values = np.sort(np.asarray(successes, dtype=np.float64))
    if values.size and not np.isfinite(values).all():
        raise ValueError("observations of successes must be finite; failures are counted, not passed as values")
    return Summary(
        n=values.size + failed,
        failed=failed,
        mean=float(values.mean()) if values.size else None,
        max=float(values[-1]) if values.size else None,
        percentiles={percent: _of_sorted(values, percent, failed) for percent in PERCENTS},
    )


def _of_sorted(values: NDArray[np.float64], percent: int, failed: int) -> Percentile:
    n = values.size + failed
    if beyond(n, percent) < OBSERVATIONS_BEYOND:
        return Percentile(None)
    rank = n - beyond(n, percent)
    if rank > values.size:
        return Percentile(None, unbounded=True)
    return Percentile(float(values[rank - 1]))
