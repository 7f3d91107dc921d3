"""PER with what chance leaves open: both scales, their 95 % intervals, and how likely each model is the best.

Draws of the figures (`perbench.per.figure_draws`) go through both scales. What that means, what is decided for
degenerate cases, and how often the intervals hold the truth: docs/statistics.md.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import fields

import numpy as np

from perbench.per.comparison import Comparison, compare
from perbench.per.figure_draws import ACCURACY, Chance, FigureDraws, draw_figures
from perbench.per.measured import Axis, Measured, Reason
from perbench.per.published_scale import PublishedScores, published
from perbench.per.reference_scale import ReferenceScores, reference
from perbench.per.replicates import FEWEST_REPLICATES, PERFORMANCE, Basis, FloatArray, Replicates
from perbench.per.score_draws import ScoreDraws, figure_draws_of, push
from perbench.per.uncertainty import Assessment, FigureIntervals, ModelUncertainty, Settings, TaskUncertainty
from perbench.statistics.bootstrap import FEWEST_CLUSTERS
from perbench.statistics.intervals import Interval, percentile_intervals

NOISE_ERRORS = 4.0
"""An axis whose range is less than this many pooled standard errors is left out of the Published scale: min-max would
make a full axis of its noise."""

DEFAULTS = Settings()


def assess(
    rows: Sequence[Measured],
    replicates: Mapping[str, Replicates],
    settings: Settings = DEFAULTS,
    chance: Chance | None = None,
) -> Assessment:
    """Score one task on both scales, with intervals where the replicates (by model) allow them.

    ValueError for settings that `published` or `reference` refuse, or a model given twice.
    """
    comparison = compare(rows, settings.weights)
    own = [replicates[row.model] for row in comparison.compared if row.model in replicates]
    fewest = min((entry.n for entry in own), default=0) if len(own) == len(comparison.compared) else 0
    reason = _why_none(comparison, own, fewest)
    source = chance or Chance()
    draws = draw_figures(comparison.compared, own, _names(comparison), source) if reason is None else None
    # The error of accuracy comes from the items: a single replicate tells it.
    known = draws or (_accuracy_alone(comparison, own, source) if fewest else None)
    noise = within_noise(comparison, known) if known is not None else ()
    on_published = published(rows, settings.bounds, settings.weights, noise)
    on_reference = reference(rows, settings.reference, settings.quality_floor, settings.weights)
    scores = push(draws, comparison, on_published, on_reference, settings) if draws is not None else None
    found = {score.model: ModelUncertainty(score.model, reason=Reason.MISSING_FIGURE) for score in comparison.out}
    if draws is not None and scores is not None:
        scales = (on_published, on_reference)
        found |= {entry.model: _model(column, entry, draws, scores, scales) for column, entry in enumerate(own)}
    bases = {entry.basis for entry in own}
    uncertainty = TaskUncertainty(
        models=tuple(found.get(row.model, ModelUncertainty(row.model, reason=reason)) for row in rows),
        replicates=fewest,
        basis=Basis.REPEATS if Basis.REPEATS in bases else next(iter(bases), None),
        unequal=draws.unequal if draws is not None else (),
        reason=reason,
        nobody_ranked=scores.nobody if scores is not None else None,
    )
    return Assessment(on_published, on_reference, uncertainty)


def within_noise(comparison: Comparison, draws: FigureDraws) -> tuple[Axis, ...]:
    """Axes whose range over the compared models is less than four pooled standard errors."""
    noisy = []
    for axis, column in zip(comparison.axes, comparison.figures().T, strict=True):
        low, high = float(column.min()), float(column.max())
        error = draws.standard_errors.get(axis.value, 0.0)
        # Errors of performance figures are those of logarithms.
        logarithmic = math.log(high / low) if low > 0 else math.inf
        if (high - low if axis is Axis.ACCURACY else logarithmic) < NOISE_ERRORS * error:
            noisy.append(axis)
    return tuple(noisy)


def _names(comparison: Comparison) -> tuple[str, ...]:
    """What is drawn: every figure that all compared models have."""
    return tuple(
        name for name in (ACCURACY, *PERFORMANCE) if all(getattr(row, name) is not None for row in comparison.compared)
    )


def _accuracy_alone(comparison: Comparison, replicates: Sequence[Replicates], chance: Chance) -> FigureDraws | None:
    """Draws of accuracy, and of nothing else. None: it is no figure of all, or its items tell no error."""
    if Axis.ACCURACY not in comparison.axes or _has_too_few_items(comparison, replicates):
        return None
    return draw_figures(comparison.compared, replicates, (ACCURACY,), chance)


def _why_none(comparison: Comparison, replicates: Sequence[Replicates], fewest: int) -> Reason | None:
    """Why there is no interval for anyone; None: there is."""
    if fewest < FEWEST_REPLICATES:
        return Reason.TOO_FEW_REPLICATES
    return Reason.TOO_FEW_ITEMS if _has_too_few_items(comparison, replicates) else None


def _has_too_few_items(comparison: Comparison, replicates: Sequence[Replicates]) -> bool:
    return ACCURACY in _names(comparison) and min(own.clusters for own in replicates) < FEWEST_CLUSTERS


def _model(
    column: int,
    replicates: Replicates,
    draws: FigureDraws,
    scores: ScoreDraws,
    measured: tuple[PublishedScores, ReferenceScores],
) -> ModelUncertainty:
    """What the draws say of one compared model."""
    model = replicates.model
    best = None if scores.best is None else float(scores.best[column])
    ranked = None if scores.ranked is None else float(scores.ranked[column])
    if not draws.drawn[column]:
        return ModelUncertainty(
            model, probability_best=best, probability_ranked=ranked, reason=_why_not_drawn(replicates, draws)
        )
    on_published, on_reference = (scale.of(model).value for scale in measured)
    per = _interval(scores.published, column, on_published)
    reference_per = _interval(scores.reference, column, on_reference)
    unbounded = reference_per is not None and math.isinf(reference_per.high)
    return ModelUncertainty(
        model=model,
        per=per,
        per_above_zero=_above_zero(scores.published, column, on_published),
        reference_per=None if unbounded else reference_per,
        probability_best=best,
        probability_ranked=ranked,
        figures=FigureIntervals(
            **{
                field.name: _interval_of(figure_draws_of(draws, field.name), column)
                for field in fields(FigureIntervals)
            }
        ),
        reason=Reason.REFERENCE_ZERO if unbounded else None,
        even_scores=bool(draws.even_scores[column]),
    )


def _interval(draws: FloatArray | None, column: int, value: float | None) -> Interval | None:
    """Of a score that is neither absent nor 0, and always with the score in it."""
    if not value:
        return None
    found = _interval_of(draws, column)
    return None if found is None else found.holding(value)


def _interval_of(draws: FloatArray | None, column: int) -> Interval | None:
    return None if draws is None else percentile_intervals(draws[:, [column]])[0]


def _above_zero(draws: FloatArray | None, column: int, value: float | None) -> float | None:
    return float((draws[:, column] > 0).mean()) if draws is not None and value == 0 else None


def _why_not_drawn(replicates: Replicates, draws: FigureDraws) -> Reason:
    figures = [getattr(replicates, name) for name in draws.figures if name != ACCURACY]
    return Reason.ZERO_FIGURE if all(bool(np.isfinite(own).all()) for own in figures) else Reason.MISSING_FIGURE
