"""The Pareto front: models that no other model beats on every axis at once."""

from collections.abc import Sequence

from perbench.per.comparison import compare
from perbench.per.measured import Measured


def pareto(rows: Sequence[Measured]) -> tuple[bool, ...]:
    """Per row, whether it is on the front over the axes all compared models have (at most four).

    A model is off the front when another is at least as good on every axis and better on one; equal models are both
    on it. A model that lacks a figure is not compared and not on it. ValueError where a model is given twice.
    """
    comparison = compare(rows)
    if not comparison.axes:
        return (False,) * len(rows)
    figures = comparison.figures() * comparison.signs()
    front = {
        row.model
        for row, own in zip(comparison.compared, figures, strict=True)
        if not ((figures >= own).all(axis=1) & (figures > own).any(axis=1)).any()
    }
    return tuple(row.model in front for row in rows)
