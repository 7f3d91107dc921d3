"""What work costs, from what an hour of a unit costs. Pure; the currency is that of the price.

Figures are per unit (accelerator, server or endpoint: measurement.md 2), and so is the price. Costs join models whose
units are unlike, which PER ranks apart.
"""

import math
from dataclasses import dataclass

from perbench.per.measured import Measured
from perbench.per.uncertainty import FigureIntervals
from perbench.statistics.intervals import Interval

SECONDS_PER_HOUR = 3600.0
MILLION = 1e6


@dataclass(frozen=True, slots=True)
class Cost:
    """Of one model on one task, with 95 % intervals. None: not measured, nothing was produced, or no interval."""

    per_million_tokens: float | None
    per_million_tokens_interval: Interval | None
    per_correct_answer: float | None
    """Price of the time in which one item is answered and right; of a partial score, of a whole point."""
    per_correct_answer_interval: Interval | None


def cost(
    measured: Measured, unit_hour_price: float, *, counts_tokens: bool, intervals: FigureIntervals | None = None
) -> Cost:
    """Costs of a model; `unit_hour_price` of one unit for one hour.

    `counts_tokens`: throughput is tokens per second (generation), not items (classification). The price has no error:
    the intervals are those of speed and accuracy. ValueError for a price that is negative or not finite.
    """
    if not (math.isfinite(unit_hour_price) and unit_hour_price >= 0):
        raise ValueError(f"a price per hour is a number from 0 upwards, not {unit_hour_price}")
    known = intervals or FigureIntervals()
    per_second = unit_hour_price / SECONDS_PER_HOUR
    correct = (
        None
        if measured.items_per_second is None or measured.accuracy is None
        else measured.items_per_second * measured.accuracy
    )
    return Cost(
        per_million_tokens=_per(per_second * MILLION, measured.throughput if counts_tokens else None),
        per_million_tokens_interval=_between(per_second * MILLION, known.throughput if counts_tokens else None),
        per_correct_answer=_per(per_second, correct),
        per_correct_answer_interval=_between(per_second, known.correct_items_per_second),
    )


def _per(price: float, rate: float | None) -> float | None:
    """A rate of 0 has no cost: no money buys what is not produced."""
    return price / rate if rate else None


def _between(price: float, rate: Interval | None) -> Interval | None:
    """Cost falls as the rate rises, so the ends change places. A rate that may be 0 leaves the cost without an end."""
    return Interval(price / rate.high, price / rate.low) if rate is not None and rate.low > 0 else None
