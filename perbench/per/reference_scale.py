"""PER as perbench ranks by it: the geometric mean of ratios to one fixed model (Fleming & Wallace 1986).

A model's value depends on its own figures and those of the reference, not on who else is compared: a ratio needs no
range. That is why the 2 % rule of the published scale has no place here: it asks about the range of the set.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from perbench.per.comparison import Comparison, FloatArray, Weights, compare, geometric_mean, shares, stack
from perbench.per.measured import Axis, LeftOut, Measured, Reason, Score


@dataclass(frozen=True, slots=True)
class ReferenceScores:
    """One score per row, in the order given. The reference model has 1 by definition."""

    scores: tuple[Score, ...]
    reference: str | None
    """None only where there are no rows."""
    axes: tuple[Axis, ...]
    left_out: tuple[LeftOut, ...]
    by_items: tuple[Axis, ...]
    """Of throughput and latency: those taken per item (items/s, mean seconds per item)."""
    quality_floor: float | None
    """The floor that was asked for."""
    warnings: tuple[Reason, ...]

    def of(self, model: str) -> Score:
        """The score of one model. KeyError where it was not given."""
        return {score.model: score for score in self.scores}[model]

    @property
    def ranking(self) -> tuple[str, ...]:
        """Models with a value, best first; equal ones in the order given."""
        ranked = [(score.value, score.model) for score in self.scores if score.value is not None]
        return tuple(model for _, model in sorted(ranked, key=lambda pair: -pair[0]))


def reference(
    rows: Sequence[Measured],
    reference: str | None = None,
    quality_floor: float | None = None,
    weights: Weights | None = None,
) -> ReferenceScores:
    """Reference PER of each model on one task; `reference` defaults to the first row's model.

    A reference model that is not among `rows`, or lacks a figure, has failed: nobody has a value. The reference may
    itself be under `quality_floor` (0 to 1): it stays the yardstick and is not ranked. A task without accuracy has no
    floor. ValueError for a floor outside 0 to 1 or beside accuracies above 1, weights that are no weights, or a model
    given twice.
    """
    comparison = compare(rows, weights)
    _check_floor(comparison, quality_floor)
    name = reference if reference is not None else (rows[0].model if rows else None)
    by_items = per_item_axes(comparison)
    names = figure_names(comparison.axes, by_items)
    figures = stack([[getattr(row, name) for name in names] for row in comparison.compared], len(names))
    yardstick = next((i for i, row in enumerate(comparison.compared) if row.model == name), None)
    warnings: tuple[Reason, ...] = ()
    if not comparison.axes:
        scores = [Score(row.model, None, Reason.NO_AXIS_LEFT) for row in comparison.compared]
    elif yardstick is None:
        scores = [Score(row.model, None, Reason.REFERENCE_FAILED) for row in comparison.compared]
        warnings = (Reason.REFERENCE_FAILED,) if rows else ()
    elif zeros := _zeros(figures[yardstick], comparison.axes):
        scores = [Score(row.model, None, Reason.REFERENCE_ZERO, zeros) for row in comparison.compared]
        warnings = (Reason.REFERENCE_ZERO,)
    else:
        scores = _scores(comparison, figures, yardstick, quality_floor, shares(weights, comparison.axes))
    return ReferenceScores(
        scores=comparison.in_order(rows, scores),
        reference=name,
        axes=comparison.axes,
        left_out=comparison.left_out,
        by_items=by_items,
        quality_floor=quality_floor,
        warnings=warnings,
    )


def log_goodness(figures: FloatArray, signs: FloatArray, exponents: FloatArray | None) -> FloatArray:
    """Weighted mean over the last axis of log(figure), of -log where lower is better. -inf where accuracy is 0.

    The Reference PER of a model is exp of its own less that of the reference model. Without meaning where memory or
    latency is 0.
    """
    # log(0) = -inf is meant: accuracy 0 gives a score of exactly 0. Beside a memory of 0 it is inf - inf.
    with np.errstate(divide="ignore", invalid="ignore"):
        logs = signs * np.log(figures)
        goodness: FloatArray = logs.mean(axis=-1) if exponents is None else (logs * exponents).sum(axis=-1)
    return goodness


def _scores(
    comparison: Comparison,
    figures: FloatArray,
    yardstick: int,
    quality_floor: float | None,
    exponents: FloatArray | None,
) -> list[Score]:
    goodness = log_goodness(figures, comparison.signs(), exponents)
    scores = []
    for row, own, mine in zip(comparison.compared, figures, goodness, strict=True):
        zeros = _zeros(own, comparison.axes)
        unbounded = tuple(axis for axis in zeros if not axis.higher_is_better)
        if quality_floor is not None and row.accuracy is not None and row.accuracy < quality_floor:
            scores.append(Score(row.model, None, Reason.BELOW_QUALITY_FLOOR))
        elif unbounded:
            scores.append(Score(row.model, None, Reason.ZERO_FIGURE, unbounded))
        else:
            scores.append(Score(row.model, float(np.exp(mine - goodness[yardstick])), axes=zeros))
    return scores


PER_ITEM: Mapping[Axis, str] = {Axis.THROUGHPUT: "items_per_second", Axis.LATENCY: "seconds_per_item"}
"""Attributes of `Measured` that this scale prefers on these axes."""


def per_item_axes(comparison: Comparison) -> tuple[Axis, ...]:
    """The axes taken per item: where all compared models have that."""
    return tuple(
        axis
        for axis, name in PER_ITEM.items()
        if axis in comparison.axes and all(getattr(row, name) is not None for row in comparison.compared)
    )


def figure_names(axes: Sequence[Axis], by_items: Sequence[Axis]) -> tuple[str, ...]:
    """The attribute of `Measured` that stands for each axis."""
    return tuple(PER_ITEM[axis] if axis in by_items else axis.value for axis in axes)


def _zeros(figures: FloatArray, axes: Sequence[Axis]) -> tuple[Axis, ...]:
    return tuple(axis for axis, figure in zip(axes, figures, strict=True) if figure == 0)


def _check_floor(comparison: Comparison, quality_floor: float | None) -> None:
    if quality_floor is None:
        return
    if not 0 <= quality_floor <= 1:
        raise ValueError(f"quality floor {quality_floor} is not within 0 to 1")
    for row in comparison.compared:
        if row.accuracy is not None and row.accuracy > 1:
            raise ValueError(f"{row.model}: a quality floor needs accuracy as a share of 0 to 1, not {row.accuracy}")


@dataclass(frozen=True, slots=True)
class Best:
    """The one model recommended over all tasks."""

    model: str
    tasks_won: int
    tasks: int
    """Tasks on which any model has a Reference PER."""
    reference_per: float
    """Geometric mean of its Reference PER over those tasks."""
    passed_over: tuple[str, ...] = ()
    """Models that won more tasks, and are not ranked on every task."""


def best(scores: Mapping[str, ReferenceScores]) -> Best | None:
    """The model that wins most tasks (keys of `scores`), ties by the geometric mean over tasks, then by order of rows.

    Models of equal value both win a task. Only a model ranked on every task that ranks any can be best: one that failed
    a task, or its quality floor, is no answer for the whole. None where there is no such model.
    """
    ranked = [
        {score.model: score.value for score in task.scores if score.value is not None} for task in scores.values()
    ]
    tasks = [values for values in ranked if values]
    models = list(dict.fromkeys(model for values in tasks for model in values))
    won = {model: sum(values.get(model) == max(values.values()) for values in tasks) for model in models}
    means = {
        model: float(geometric_mean(np.array([values[model] for values in tasks])))
        for model in models
        if all(model in values for values in tasks)
    }
    if not means:
        return None
    first = max(means, key=lambda model: (won[model], means[model]))  # max keeps the first of equals
    passed_over = tuple(model for model in models if won[model] > won[first])
    return Best(first, won[first], len(tasks), means[first], passed_over)
