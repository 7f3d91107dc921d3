"""What PER is computed from: the figures of one model on one task; and the codes for what could not be computed.

Codes are data (enums), so that status, page and terminal can each put them in their own words.
"""

import math
from dataclasses import dataclass, fields
from enum import StrEnum

SMALLEST, LARGEST = 1e-30, 1e30
"""Magnitudes a figure may have, besides 0. Beyond them it is a slip of the pen, and ratios would leave the floats."""


class Axis(StrEnum):
    """One of the four components of PER. The values are the attribute names of `Measured`."""

    ACCURACY = "accuracy"
    THROUGHPUT = "throughput"
    MEMORY = "memory"
    LATENCY = "latency"

    @property
    def higher_is_better(self) -> bool:
        """True for accuracy and throughput, False for memory and latency."""
        return self in {Axis.ACCURACY, Axis.THROUGHPUT}


class Reason(StrEnum):
    """Why a score or an axis is absent. Stable names: they appear in results."""

    TOO_FEW_MODELS = "TooFewModels"
    """Fewer than four models compared, and no fixed bounds."""
    MISSING_FIGURE = "MissingFigure"
    """The model lacks a figure that others have: it left the comparison."""
    NO_AXIS_LEFT = "NoAxisLeft"
    """Every axis was left out: nothing tells the models apart."""
    UNRESOLVED = "Unresolved"
    """An axis whose range is less than 2 % of its maximum."""
    WITHIN_NOISE = "WithinNoise"
    """An axis whose range is less than four pooled standard errors."""
    ZERO_WEIGHT = "ZeroWeight"
    """An axis that was given the weight 0."""
    NOT_MEASURED = "NotMeasured"
    """An axis nobody has a figure for, or memory, where one model has none."""
    REFERENCE_FAILED = "ReferenceFailed"
    """The reference model has no figures on this task."""
    REFERENCE_ZERO = "ReferenceZero"
    """A figure of the reference model is 0: no ratio to it exists."""
    ZERO_FIGURE = "ZeroFigure"
    """Memory or latency of 0: the ratio to the reference has no bound."""
    BELOW_QUALITY_FLOOR = "BelowQualityFloor"
    """Accuracy under the floor: not ranked."""
    TOO_FEW_REPLICATES = "TooFewReplicates"
    """Fewer than three launches, or repeats within one launch: no interval."""
    TOO_FEW_ITEMS = "TooFewItems"
    """A single item, or items on a single source: the error of accuracy is unknown, so there is no interval."""


@dataclass(frozen=True, slots=True)
class Measured:
    """One model on one task. None is "not measured", never 0.

    Raises ValueError for a figure that is negative, NaN, infinite or outside 1e-30 to 1e30.
    """

    model: str
    accuracy: float | None
    """Higher is better; 0 to 1 where a quality floor is to be applied."""
    throughput: float | None
    """Tokens per second (generation) or items per second (classification), per unit."""
    memory: float | None
    """Any unit, the same for all models."""
    latency: float | None
    """Any unit, the same for all models: time per token (generation) or per item (classification)."""
    items_per_second: float | None = None
    """Per unit. The reference scale prefers it to `throughput`."""
    seconds_per_item: float | None = None
    """Mean. The reference scale prefers it to `latency`."""

    def __post_init__(self) -> None:
        if not self.model:
            raise ValueError("a model needs a name")
        for field in fields(self)[1:]:
            figure = getattr(self, field.name)
            if figure is not None and not is_figure(figure):
                raise ValueError(
                    f"{self.model}: {field.name} is {figure!r}, not 0 and not within {SMALLEST} to {LARGEST}"
                )

    def missing(self) -> tuple[Axis, ...]:
        """The axes without a figure."""
        return tuple(axis for axis in Axis if getattr(self, axis.value) is None)


def is_figure(number: float) -> bool:
    """Whether `number` can be a measured figure: 0, or finite, positive and of a plausible magnitude."""
    return math.isfinite(number) and (number == 0 or SMALLEST <= number <= LARGEST)


@dataclass(frozen=True, slots=True)
class Score:
    """One model's value on a scale, or why it has none."""

    model: str
    value: float | None
    reason: Reason | None = None
    """Set exactly where `value` is None."""
    axes: tuple[Axis, ...] = ()
    """Published 0: the axes on which it is worst. Reference 0: the axes on which it has 0.
    MissingFigure, ReferenceZero, ZeroFigure: the axes concerned. Otherwise empty."""


@dataclass(frozen=True, slots=True)
class LeftOut:
    """An axis that took no part, for any model."""

    axis: Axis
    reason: Reason
    models: tuple[str, ...] = ()
    """NotMeasured because of some models: which. Empty: none of them has a figure."""
