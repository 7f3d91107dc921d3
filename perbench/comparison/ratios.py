"""Ratios of the figures of two runs on one task, with their intervals.

The replicates of both runs are drawn together: scatter pooled over the models of both, accuracy item by item.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from perbench.comparison.even import accuracies
from perbench.comparison.values import Figure, Ratio, Verdict
from perbench.per.comparison import Comparison, compare, shares
from perbench.per.figure_draws import ACCURACY, Chance, FigureDraws, draw_figures
from perbench.per.measured import Axis, Measured
from perbench.per.reference_scale import figure_names, log_goodness, per_item_axes, reference
from perbench.per.replicates import FEWEST_REPLICATES, FloatArray, Replicates
from perbench.per.uncertainty import Settings
from perbench.statistics.bootstrap import FEWEST_CLUSTERS
from perbench.statistics.intervals import Interval, percentile_intervals

BASELINE, CANDIDATE = "baseline", "candidate"


@dataclass(frozen=True, eq=False)
class Pair:
    """One model on one task in both runs."""

    model: str
    baseline: Measured
    candidate: Measured
    replicates: tuple[Replicates, Replicates]
    """Baseline, candidate. The rows of the scores of all pairs are the same items."""
    ranked: bool = True
    """Whether both runs rank it with the reference model; else it has no ratio of Reference PER."""

    def figures(self, axis: Axis) -> tuple[float | None, float | None]:
        """Baseline, candidate."""
        return getattr(self.baseline, axis.value), getattr(self.candidate, axis.value)

    def enough(self, axis: Axis) -> bool:
        """Whether there are replicates, and for accuracy items, for an interval."""
        return all(
            own.n >= FEWEST_REPLICATES and (axis is not Axis.ACCURACY or own.clusters >= FEWEST_CLUSTERS)
            for own in self.replicates
        )


def ratios(pairs: Sequence[Pair], settings: Settings, tolerance: float, chance: Chance) -> dict[str, tuple[Ratio, ...]]:
    """By model: the four axes, less those that nobody has in either run, and Reference PER. `tolerance`: 0.05 for 5 %.

    Of `settings`, the reference (a model's name) and the weights count; ends and floor have no part in these values.
    """
    found: dict[str, list[Ratio]] = {pair.model: [] for pair in pairs}
    for axis in Axis:
        if all(figure is None for pair in pairs for figure in pair.figures(axis)):
            continue
        for pair, quotients in zip(pairs, _axis_quotients(pairs, axis, chance), strict=True):
            ratio = _ratio(Figure(axis.value), pair.figures(axis), quotients, tolerance, enough=pair.enough(axis))
            found[pair.model].append(ratio)
    for model, ratio in _reference_ratios([pair for pair in pairs if pair.ranked], settings, tolerance, chance).items():
        found[model].append(ratio)
    return {model: tuple(own) for model, own in found.items()}


def verdict(interval: Interval, *, higher_is_better: bool, tolerance: float) -> Verdict:
    """What an interval of candidate / baseline says: to which side it excludes 1 by more than the tolerance, if any."""
    if interval.low > 1 + tolerance:
        return Verdict.IMPROVED if higher_is_better else Verdict.REGRESSED
    if interval.high < 1 - tolerance:
        return Verdict.REGRESSED if higher_is_better else Verdict.IMPROVED
    return Verdict.NO_DIFFERENCE


def _axis_quotients(pairs: Sequence[Pair], axis: Axis, chance: Chance) -> list[FloatArray | None]:
    """Draws of candidate / baseline of each pair, shape (draws,). A model has its own whatever the others lack."""
    able = [number for number, pair in enumerate(pairs) if pair.enough(axis) and None not in pair.figures(axis)]
    quotients: list[FloatArray | None] = [None] * len(pairs)
    if not able:
        return quotients
    rows, replicates = _joined([pairs[number] for number in able])
    draws, by_name = _draws(rows, replicates, (axis.value,), chance)
    figures = by_name[axis.value]
    for first, number in enumerate(able):
        second = first + len(able)
        if draws.drawn[first] and draws.drawn[second]:
            with np.errstate(divide="ignore", invalid="ignore"):
                quotients[number] = _upper(figures[:, second] / figures[:, first])
    return quotients


def _reference_ratios(pairs: Sequence[Pair], settings: Settings, tolerance: float, chance: Chance) -> dict[str, Ratio]:
    """Both values on the axes that both runs have: else the two would not mean the same."""
    rows, replicates = _joined(_without_lost_axes(pairs))
    comparison = compare(rows, settings.weights)
    points = {
        score.model: score.value
        for side in (BASELINE, CANDIDATE)
        for score in reference(rows, _named(side, settings.reference), weights=settings.weights).scores
        if score.model.startswith(side)
    }
    enough = bool(comparison.axes) and all(pair.enough(axis) for pair in pairs for axis in comparison.axes)
    goodness = _goodness(comparison, replicates, settings, chance) if enough else {}
    found = {}
    for pair in pairs:
        first, second = (_named(side, pair.model) for side in (BASELINE, CANDIDATE))
        quotients = _quotients_of_ratios(goodness, pair.model, settings.reference) if goodness else None
        own = _ratio(Figure.REFERENCE_PER, (points[first], points[second]), quotients, tolerance, enough=enough)
        found[pair.model] = replace(own, axes=comparison.axes)
    return found


def _without_lost_axes(pairs: Sequence[Pair]) -> list[Pair]:
    """An axis that no model has in one of the runs is left out of both; else all would lack a figure in that run."""
    lost: dict[str, Any] = {
        axis.value: None
        for axis in Axis
        if any(
            all(figure is None for figure in side) for side in zip(*(pair.figures(axis) for pair in pairs), strict=True)
        )
    }
    return [
        replace(pair, baseline=replace(pair.baseline, **lost), candidate=replace(pair.candidate, **lost))
        for pair in pairs
    ]


def _goodness(
    comparison: Comparison, replicates: Sequence[Replicates], settings: Settings, chance: Chance
) -> dict[str, FloatArray]:
    """Logarithms of the means that Reference PER is the ratio of, by row's name; rows that cannot be drawn left out."""
    kept = [row.model for row in comparison.compared]
    names = figure_names(comparison.axes, per_item_axes(comparison))
    own = [entry for entry in replicates if entry.model in kept]
    draws, by_name = _draws(comparison.compared, own, names, chance)
    figures = np.stack([by_name[name] for name in names], axis=-1)
    goodness = log_goodness(figures, comparison.signs(), shares(settings.weights, comparison.axes))
    return {model: goodness[:, column] for column, model in enumerate(kept) if draws.drawn[column]}


def _draws(
    rows: Sequence[Measured], replicates: Sequence[Replicates], names: tuple[str, ...], chance: Chance
) -> tuple[FigureDraws, dict[str, FloatArray]]:
    """The draws, and by name the figures, with an error of accuracy also where all items have the same score."""
    draws = draw_figures(rows, replicates, names, chance)
    figures = dict(draws.figures)
    if ACCURACY in figures:
        figures[ACCURACY] = accuracies(draws, replicates, chance)
    return draws, figures


def _quotients_of_ratios(goodness: dict[str, FloatArray], model: str, yardstick: str | None) -> FloatArray | None:
    names = [_named(side, name) for side in (CANDIDATE, BASELINE) for name in (model, yardstick)]
    if any(name not in goodness for name in names):
        return None
    if model == yardstick:
        return np.ones(len(goodness[names[0]]))
    now, now_base, then, then_base = (goodness[name] for name in names)
    with np.errstate(invalid="ignore", over="ignore"):  # accuracy 0 is -inf, and -inf less -inf has no value
        return _upper(np.exp((now - now_base) - (then - then_base)))


def _ratio(
    figure: Figure,
    values: tuple[float | None, float | None],
    quotients: FloatArray | None,
    tolerance: float,
    *,
    enough: bool,
) -> Ratio:
    first, second = values
    if first is None or second is None or first == 0 or (second == 0 and not figure.higher_is_better):
        return Ratio(figure, first, second, None, None, Verdict.NO_RATIO)
    point = second / first
    if not enough:
        return Ratio(figure, first, second, point, None, Verdict.TOO_FEW_REPEATS)
    interval = None if quotients is None else percentile_intervals(quotients[:, None])[0].holding(point)
    if interval is None or np.isinf(interval.high):
        return Ratio(figure, first, second, point, None, Verdict.NO_RATIO)
    judged = verdict(interval, higher_is_better=figure.higher_is_better, tolerance=tolerance)
    return Ratio(figure, first, second, point, interval, judged)


def _upper(quotients: FloatArray) -> FloatArray:
    """0 / 0 says nothing: it counts as without an upper end, like x / 0."""
    bounded: FloatArray = np.where(np.isnan(quotients), np.inf, quotients)
    return bounded


def _joined(pairs: Sequence[Pair]) -> tuple[list[Measured], list[Replicates]]:
    """All baselines, then all candidates, under names that tell them apart."""
    measured = [(BASELINE, pair.model, pair.baseline) for pair in pairs]
    measured += [(CANDIDATE, pair.model, pair.candidate) for pair in pairs]
    own = [pair.replicates[which] for which in (0, 1) for pair in pairs]
    return (
        [replace(row, model=_named(side, model)) for side, model, row in measured],
        [replace(entry, model=_named(side, model)) for (side, model, _), entry in zip(measured, own, strict=True)],
    )


def _named(side: str, model: str | None) -> str:
    return f"{side}/{model or ''}"
