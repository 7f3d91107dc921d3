"""Intervals from draws."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

CONFIDENCE = 0.95
"""Of every interval that perbench gives."""


@dataclass(frozen=True, slots=True)
class Interval:
    """Both ends belong to it. ValueError unless low <= high."""

    low: float
    high: float

    def __post_init__(self) -> None:
        if not self.low <= self.high:
            raise ValueError(f"an interval from {self.low} to {self.high}")

    def holding(self, value: float) -> "Interval":
        """The interval, stretched to `value` where that lies outside."""
        return Interval(min(self.low, value), max(self.high, value))


def percentile_intervals(draws: NDArray[np.float64]) -> tuple[Interval, ...]:
    """The middle 95 % of each column; shape (draws, columns), at least 40 draws, no NaN.

    Both ends are draws, not interpolated, so that infinite draws stay what they are.
    """
    count = len(draws)
    outside = round(count * (1 - CONFIDENCE) / 2)
    if outside < 1:
        raise ValueError(f"{count} draws are too few for an interval")
    ordered = np.sort(draws, axis=0)
    return tuple(
        Interval(float(low), float(high))
        for low, high in zip(ordered[outside - 1], ordered[count - outside], strict=True)
    )
