"""Delays as a script gives them: always the same, exponential, or listed. Pure."""

import math
from enum import StrEnum
from random import Random
from typing import Annotated

from pydantic import BeforeValidator, Field

from perbench.base import Document

NS_PER_MS = 1_000_000
LONGEST_MS = 3_600_000.0
FORMS = "a number, exponential:MEAN, or numbers with commas between them"


class Distribution(StrEnum):
    """How one delay follows from the last."""

    CONSTANT = "constant"
    EXPONENTIAL = "exponential"
    LISTED = "listed"


class DelayScript(Document):
    """Where delays come from, in ms."""

    distribution: Distribution
    values: tuple[Annotated[float, Field(ge=0, le=LONGEST_MS)], ...] = Field(min_length=1, max_length=100_000)
    """The constant, the mean, or the list: taken in turn, from its beginning when it is over."""

    @property
    def mean_ms(self) -> float:
        """Mean over many."""
        return math.fsum(self.values) / len(self.values)

    def nanoseconds(self, turn: int, random: Random) -> int:
        """The delay of this turn (0, 1, …)."""
        if self.distribution is Distribution.EXPONENTIAL:
            return round(random.expovariate(1.0) * self.values[0] * NS_PER_MS)
        return round(self.values[turn % len(self.values)] * NS_PER_MS)


def constant(milliseconds: float) -> DelayScript:
    """Always the same."""
    return DelayScript(distribution=Distribution.CONSTANT, values=(milliseconds,))


def spread_around(milliseconds: float, steps: int = 41) -> DelayScript:
    """From 40 % less to 40 % more, shuffled, with this mean: answers that do not march in step, as real ones do not."""
    values = [milliseconds * (0.6 + 0.8 * step / (steps - 1)) for step in range(steps)]
    Random(steps).shuffle(values)
    return DelayScript(distribution=Distribution.LISTED, values=tuple(values))


def _read(value: object) -> object:
    """A delay as it is written in a file or on a command line: 20, exponential:20, "5,10,20" or [5, 10, 20]."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return constant(value)
    if isinstance(value, list):
        return {"distribution": Distribution.LISTED, "values": value}
    if not isinstance(value, str):
        return value
    name, colon, mean = value.partition(":")
    parts = mean if colon else value
    try:
        numbers = [float(part) for part in parts.split(",")]
    except ValueError:
        raise ValueError(f"{value!r} is no delay: write {FORMS}, in ms") from None
    if colon and (name.strip() != Distribution.EXPONENTIAL or len(numbers) != 1):
        raise ValueError(f"{value!r} is no delay: write {FORMS}, in ms")
    if colon:
        return {"distribution": Distribution.EXPONENTIAL, "values": numbers}
    return {"distribution": Distribution.LISTED if len(numbers) > 1 else Distribution.CONSTANT, "values": numbers}


Delay = Annotated[DelayScript, BeforeValidator(_read)]
"""Reads every way a delay may be written."""
