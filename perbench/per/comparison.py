"""Which models are compared, and on which axes. The same rule serves both scales and the Pareto front.

- Accuracy, throughput, latency: a model that lacks a figure which another model has leaves the comparison
  (MissingFigure). Leaving the axis out for all would let a model that failed the task decide how the others are judged.
- Memory: missing for one compared model, the axis is left out for all: a missing source says something about the
  machine, not about the model.
- An axis that no model has (accuracy of a synthetic task) is left out, and so is one of weight 0.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from perbench.per.measured import Axis, LeftOut, Measured, Reason, Score

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]

Weights = Mapping[Axis, float]
"""Exponents of the axes, relative to each other; an axis that is not named has 1. 0 leaves the axis out."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """The compared models, in the order given, and the axes they all have."""

    compared: tuple[Measured, ...]
    axes: tuple[Axis, ...]
    left_out: tuple[LeftOut, ...]
    out: tuple[Score, ...]
    """Models that left the comparison: MissingFigure, with the axes."""

    def figures(self) -> FloatArray:
        """Figures as they are, shape (compared models, axes)."""
        return stack([[getattr(row, axis.value) for axis in self.axes] for row in self.compared], len(self.axes))

    def signs(self) -> FloatArray:
        """+1 for axes where higher is better, else -1, shape (axes,)."""
        return np.array([1.0 if axis.higher_is_better else -1.0 for axis in self.axes])

    def in_order(self, rows: Sequence[Measured], scores: Sequence[Score]) -> tuple[Score, ...]:
        """`scores` of the compared models and those that left, one per row of `rows`."""
        by_model = {score.model: score for score in (*scores, *self.out)}
        return tuple(by_model[row.model] for row in rows)


def stack(rows: Sequence[Sequence[float]], width: int) -> FloatArray:
    """A matrix of `width` columns, also without rows."""
    return np.array(rows, dtype=np.float64).reshape(len(rows), width)


def compare(rows: Sequence[Measured], weights: Weights | None = None) -> Comparison:
    """Decide who is compared on what. ValueError where a model appears twice, or weights are no weights."""
    names = [row.model for row in rows]
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f"model {name!r} appears more than once")
    weighted = _weighted(weights or {})
    unmeasured = [axis for axis in weighted if all(getattr(row, axis.value) is None for row in rows)]
    required = [axis for axis in weighted if axis is not Axis.MEMORY and axis not in unmeasured]
    compared, out = [], []
    for row in rows:
        lacks = tuple(axis for axis in row.missing() if axis in weighted)
        if len(lacks) == len(weighted) or any(axis in required for axis in lacks):
            others_have = tuple(axis for axis in lacks if axis not in unmeasured)
            out.append(Score(row.model, None, Reason.MISSING_FIGURE, others_have or lacks))
        else:
            compared.append(row)
    without_memory = tuple(row.model for row in compared if row.memory is None)
    left_out = [LeftOut(axis, Reason.ZERO_WEIGHT) for axis in Axis if axis not in weighted]
    left_out += [LeftOut(axis, Reason.NOT_MEASURED) for axis in unmeasured]
    if without_memory and Axis.MEMORY in weighted and Axis.MEMORY not in unmeasured:
        everyone = len(without_memory) == len(compared)
        left_out.append(LeftOut(Axis.MEMORY, Reason.NOT_MEASURED, () if everyone else without_memory))
    absent = {entry.axis for entry in left_out}
    axes = tuple(axis for axis in Axis if axis not in absent)
    return Comparison(tuple(compared), axes, tuple(left_out), tuple(out))


def shares(weights: Weights | None, axes: Sequence[Axis]) -> FloatArray | None:
    """The exponents of these axes, which add up to 1. None: all alike, the plain geometric mean."""
    given = [(weights or {}).get(axis, 1.0) for axis in axes]
    if len(set(given)) <= 1:
        return None
    return np.array(given) / sum(given)


def _weighted(weights: Weights) -> tuple[Axis, ...]:
    """The axes whose weight is not 0."""
    for axis, weight in weights.items():
        if not (math.isfinite(weight) and weight >= 0):
            raise ValueError(f"weight of {axis}: {weight} is not a number from 0 upwards")
    weighted = tuple(axis for axis in Axis if weights.get(axis, 1.0) > 0)
    if not weighted:
        raise ValueError("all weights are 0: no axis would be left")
    return weighted


def geometric_mean(components: FloatArray, exponents: FloatArray | None = None) -> FloatArray:
    """Over the last axis, through logarithms: a product of small components must not underflow to a false 0.

    `exponents`: positive, one per component, adding up to 1. None: all alike.
    """
    with np.errstate(divide="ignore"):  # log(0) = -inf is meant: its mean gives exactly 0
        logs = np.log(components)
    means: FloatArray = np.exp(logs.mean(axis=-1) if exponents is None else (logs * exponents).sum(axis=-1))
    return means
