"""Draws of figures pushed through both scales, all draws at once."""

from dataclasses import dataclass

import numpy as np

from perbench.per.comparison import Comparison, geometric_mean, shares
from perbench.per.figure_draws import ACCURACY, BoolArray, FigureDraws
from perbench.per.measured import Axis
from perbench.per.published_scale import PublishedScores, min_max, scale_ends
from perbench.per.reference_scale import ReferenceScores, figure_names, log_goodness
from perbench.per.replicates import FloatArray
from perbench.per.uncertainty import Settings


@dataclass(frozen=True)
class ScoreDraws:
    """Draws of the scores of the compared models."""

    published: FloatArray | None
    """Shape (draws, models), 0 to 1. None: there are no Published values."""
    reference: FloatArray | None
    """Shape (draws, models); infinite in draws where the reference model has an accuracy of 0. None: there are no
    Reference values."""
    best: FloatArray | None
    """Share of draws won, shape (models,). Their sum is less than 1 where in some draws nobody reaches the floor. None:
    no Reference values, or a model that could win cannot be drawn."""
    ranked: FloatArray | None
    """Share of draws in which a model reaches the quality floor, shape (models,). None: no floor, or no accuracy."""
    nobody: float | None
    """Share of draws in which no model does. None: as for `ranked`."""


def push(
    draws: FigureDraws,
    comparison: Comparison,
    on_published: PublishedScores,
    on_reference: ReferenceScores,
    settings: Settings,
) -> ScoreDraws:
    """Score every draw on the axes, and with the settings, that the measured figures are scored with."""
    reaches = _reaching_floor(draws, comparison, settings.quality_floor)
    ranked = None if reaches is None else reaches.mean(axis=0)
    nobody = None if reaches is None else float((~reaches.any(axis=1)).mean())
    goodness = _goodness(draws, comparison, on_reference, settings)
    if goodness is None:
        return ScoreDraws(_published(draws, comparison, on_published, settings), None, None, ranked, nobody)
    unknown = (np.isfinite(goodness).any(axis=0) & ~draws.drawn).any()
    yardstick = [row.model for row in comparison.compared].index(str(on_reference.reference))
    return ScoreDraws(
        published=_published(draws, comparison, on_published, settings),
        reference=_ratios(goodness, yardstick),
        best=None if unknown else _shares_won(goodness, reaches),
        ranked=ranked,
        nobody=nobody,
    )


def _published(
    draws: FigureDraws, comparison: Comparison, scores: PublishedScores, settings: Settings
) -> FloatArray | None:
    if all(score.value is None for score in scores.scores):
        return None
    figures = np.stack([draws.figures[axis.value] for axis in scores.axes], axis=-1)
    ends = scale_ends(figures, scores.axes, settings.bounds)
    signs = comparison.signs()[[comparison.axes.index(axis) for axis in scores.axes]]
    components = min_max(figures, ends.low[:, None, :], ends.high[:, None, :], signs)
    return geometric_mean(components, shares(settings.weights, scores.axes))


def _goodness(
    draws: FigureDraws, comparison: Comparison, scores: ReferenceScores, settings: Settings
) -> FloatArray | None:
    """Logarithms, shape (draws, models); NaN for a model that has no ratio. None where the scale has no values."""
    if scores.warnings or not comparison.axes or not comparison.compared:
        return None
    names = figure_names(comparison.axes, scores.by_items)
    figures = np.stack([draws.figures[name] for name in names], axis=-1)
    goodness = log_goodness(figures, comparison.signs(), shares(settings.weights, comparison.axes))
    unbounded = [column for column, axis in enumerate(comparison.axes) if not axis.higher_is_better]
    goodness[(figures[:, :, unbounded] == 0).any(axis=-1)] = np.nan
    return goodness


def _ratios(goodness: FloatArray, yardstick: int) -> FloatArray:
    base = goodness[:, [yardstick]]
    with np.errstate(invalid="ignore", over="ignore"):  # -inf - -inf is settled in the next line
        ratios: FloatArray = np.exp(goodness - base)
    ratios[np.isneginf(base[:, 0])] = np.inf
    ratios[:, yardstick] = 1.0
    return ratios


def _shares_won(goodness: FloatArray, reaches: BoolArray | None) -> FloatArray:
    """Equal winners of a draw share it. The order needs no reference: a ratio to it changes no order."""
    able = ~np.isnan(goodness) if reaches is None else ~np.isnan(goodness) & reaches
    candidates = np.where(able, goodness, -np.inf)
    winners = able & (candidates == candidates.max(axis=1, keepdims=True))
    number = winners.sum(axis=1, keepdims=True)
    won: FloatArray = (winners / np.maximum(number, 1)).mean(axis=0)
    return won


def _reaching_floor(draws: FigureDraws, comparison: Comparison, floor: float | None) -> BoolArray | None:
    """Shape (draws, models). A model without accuracy has no floor."""
    measured = [row.accuracy for row in comparison.compared]
    if floor is None or all(accuracy is None for accuracy in measured):
        return None
    if ACCURACY in draws.figures:
        return np.asarray(draws.figures[ACCURACY] >= floor, dtype=np.bool_)
    return np.array([[accuracy is None or accuracy >= floor for accuracy in measured]], dtype=np.bool_)


def figure_draws_of(draws: FigureDraws, name: str) -> FloatArray | None:
    """Draws of a figure, or of correct items per second; None where it was not drawn."""
    if name == "correct_items_per_second":
        items, accuracy = draws.figures.get("items_per_second"), draws.figures.get(Axis.ACCURACY.value)
        return None if items is None or accuracy is None else items * accuracy
    return draws.figures.get(name)
