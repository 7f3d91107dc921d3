"""From figures to positions on a line, and the round numbers that mark it."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

LOG_FROM = 4.0
"""Highest over lowest from which ratios stand on a logarithmic scale, and ticks at 1, 2 and 5 mark one."""
MARGIN = 0.06
"""Of the line, left free at each end."""
MOST_TICKS = 5


@dataclass(frozen=True)
class Tick:
    """A round number on a line: where, in percent, and what stands there."""

    at: float
    text: str


@dataclass(frozen=True)
class Scale:
    """A line from `low` to `high`."""

    low: float
    high: float
    logarithmic: bool = False

    def position(self, value: float) -> float:
        """Percent of the line, from 0 to 100; what lies outside stands at the end."""
        inside = min(max(value, self.low), self.high)
        low, high, at = (math.log(v) if self.logarithmic else v for v in (self.low, self.high, inside))
        return round(100 * (at - low) / (high - low), 2)

    def ticks(self, most: int = MOST_TICKS) -> tuple[Tick, ...]:
        """Round numbers within the line, one more than `most` at most."""
        if self.logarithmic and self.high / self.low >= LOG_FROM:
            values = _decades(self.low, self.high, most)
        else:
            values = round_steps(self.low, self.high, most)
        return tuple(Tick(self.position(value), tick_text(value)) for value in values)


def scale_of(values: Iterable[float], *, logarithmic: bool | None = None) -> Scale:
    """A line that holds all values with a margin. None: logarithmic where they are > 0 and span `LOG_FROM` or more."""
    known = list(values)
    low, high = (min(known), max(known)) if known else (0.0, 1.0)
    by_logs = low > 0 and high / low >= LOG_FROM if logarithmic is None else logarithmic
    if by_logs:
        away = max(MARGIN * math.log(high / low), 0.02)
        return Scale(low * math.exp(-away), high * math.exp(away), logarithmic=True)
    away = MARGIN * (high - low) or 0.1 * abs(high) or 1.0
    return Scale(low - away if low - away >= 0 or low < 0 else 0.0, high + away)


def round_steps(low: float, high: float, most: int) -> list[float]:
    """Round numbers from `low` to `high`, at most `most` steps of 1, 2 or 5 times a power of ten."""
    rough = (high - low) / most
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough)
    return [float(f"{index * step:.12g}") for index in range(math.ceil(low / step), math.floor(high / step) + 1)]


def _decades(low: float, high: float, most: int) -> list[float]:
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    for digits in ((1, 2, 5), (1, 3), (1,)):
        found = _between([digit * 10.0**power for power in powers for digit in digits], low, high)
        if len(found) <= most:
            return found
    return found[:: math.ceil(len(found) / most)]


def _between(values: Sequence[float], low: float, high: float) -> list[float]:
    return [value for value in values if low <= value <= high]


def tick_text(value: float) -> str:
    """`0.5`, `20`, `1,000`."""
    return f"{value:g}" if abs(value) < 1000 else f"{value:,.0f}"
