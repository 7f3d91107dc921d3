"""The uncertainty of PER as values, computed by `perbench.per.assessment`. Meaning: docs/statistics.md."""

from dataclasses import dataclass

from perbench.per.comparison import Weights
from perbench.per.measured import Reason
from perbench.per.published_scale import Bounds, PublishedScores
from perbench.per.reference_scale import ReferenceScores
from perbench.per.replicates import Basis
from perbench.statistics.intervals import Interval


@dataclass(frozen=True)
class Settings:
    """`spec.per`. None: the first model; no fixed ends; all axes alike; no floor."""

    reference: str | None = None
    bounds: Bounds | None = None
    weights: Weights | None = None
    quality_floor: float | None = None


@dataclass(frozen=True)
class FigureIntervals:
    """95 % intervals of the figures, in their units. None: not measured, or not drawn."""

    accuracy: Interval | None = None
    throughput: Interval | None = None
    memory: Interval | None = None
    latency: Interval | None = None
    items_per_second: Interval | None = None
    seconds_per_item: Interval | None = None
    correct_items_per_second: Interval | None = None
    """Items per second x accuracy: what the cost of a correct answer is made of."""


@dataclass(frozen=True)
class ModelUncertainty:
    """One model of the task. All None: nothing can be said, for `reason`."""

    model: str
    per: Interval | None = None
    """Of the Published PER. None also where that is 0 or absent."""
    per_above_zero: float | None = None
    """Share of draws in which a Published PER of 0 is more than that. None: it is not 0."""
    reference_per: Interval | None = None
    """Of the Reference PER; of the reference model itself from 1 to 1. None also where that is 0 or absent."""
    probability_best: float | None = None
    """Share of draws in which its Reference PER is the highest. Equal ones share a draw. None for all where a model
    that could be best cannot be drawn."""
    probability_ranked: float | None = None
    """Share of draws in which its accuracy reaches the quality floor. None: no floor."""
    figures: FigureIntervals = FigureIntervals()
    reason: Reason | None = None
    """Why intervals are missing: TooFewReplicates, TooFewItems; MissingFigure or ZeroFigure of its own; ReferenceZero,
    where the reference model's accuracy is 0 in so many draws that its ratio has no upper end."""
    even_scores: bool = False
    """All its items have the same score: the error of its accuracy is not 0, and not known."""


@dataclass(frozen=True)
class TaskUncertainty:
    """One task."""

    models: tuple[ModelUncertainty, ...]
    """One per row, in the order given."""
    replicates: int
    """The fewest of any compared model."""
    basis: Basis | None
    """What a replicate is. None: nothing was compared."""
    unequal: tuple[str, ...] = ()
    """Figures whose variances differ between models (Levene's p < 0.01): there each model has its own, not a pooled
    one, and its interval is wider."""
    reason: Reason | None = None
    """Why no model has an interval."""
    nobody_ranked: float | None = None
    """Share of draws in which no model's accuracy reaches the quality floor: what the probabilities of being the best
    lack of 1. None: no floor, or nothing was drawn."""

    def of(self, model: str) -> ModelUncertainty:
        """One model's. KeyError where it was not given."""
        return {entry.model: entry for entry in self.models}[model]


@dataclass(frozen=True)
class Assessment:
    """One task on both scales, with its uncertainty. All three have one entry per row, in the order given."""

    published: PublishedScores
    reference: ReferenceScores
    uncertainty: TaskUncertainty
