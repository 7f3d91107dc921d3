"""PER as the study defines it (arXiv:2603.21389): min-max components, their geometric mean.

Differences from the study: below four models there is no value without fixed bounds, and an axis whose range is within
the noise is left out (docs/per.md says why). Neither touches the study's own table.
"""

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from perbench.per.comparison import BoolArray, FloatArray, Weights, compare, geometric_mean, shares
from perbench.per.measured import Axis, LeftOut, Measured, Reason, Score

FEWEST_MODELS = 4
"""In the study's table every score is 0 in 78 % of all pairs of models, in 35 % of all triples, in 5 % of all fours."""

UNRESOLVED_RANGE = 0.02
"""An axis whose range is less than this share of its maximum is left out: min-max would make its noise a full axis."""

Bounds = Mapping[Axis, tuple[float, float]]
"""Fixed ends (low, high) of axes, in the units of the figures. Figures beyond an end count as at that end."""


@dataclass(frozen=True, slots=True)
class PublishedScores:
    """One score per row, in the order given; the axes that took part and those left out."""

    scores: tuple[Score, ...]
    axes: tuple[Axis, ...]
    left_out: tuple[LeftOut, ...]
    warnings: tuple[Reason, ...]

    def of(self, model: str) -> Score:
        """The score of one model. KeyError where it was not given."""
        return {score.model: score for score in self.scores}[model]


def published(
    rows: Sequence[Measured],
    bounds: Bounds | None = None,
    weights: Weights | None = None,
    within_noise: Collection[Axis] = (),
) -> PublishedScores:
    """Published PER of each model on one task.

    With `bounds` on every axis that takes part, any number of models is enough and no axis is unresolved.
    `within_noise`: axes whose range is less than four standard errors (`perbench.per.uncertainty`). ValueError for
    bounds that are not low < high, weights that are no weights, or a model given twice.
    """
    comparison = compare(rows, weights)
    ends = scale_ends(comparison.figures(), comparison.axes, bounds)
    low, high = ends.low, ends.high
    wide = resolved(low, high)
    noisy = np.array([axis in within_noise for axis in comparison.axes], dtype=np.bool_)
    kept = ends.fixed | (wide & ~noisy)
    axes = tuple(axis for axis, keep in zip(comparison.axes, kept, strict=True) if keep)
    few = len(comparison.compared) < FEWEST_MODELS and not (axes and ends.fixed.all())
    if few or not axes:
        reason = Reason.TOO_FEW_MODELS if few else Reason.NO_AXIS_LEFT
        scores = [Score(row.model, None, reason) for row in comparison.compared]
    else:
        components = min_max(comparison.figures(), low, high, comparison.signs())[:, kept]
        values = geometric_mean(components, shares(weights, axes))
        scores = [
            Score(
                row.model, float(value), axes=tuple(axis for axis, part in zip(axes, parts, strict=True) if part == 0)
            )
            for row, parts, value in zip(comparison.compared, components, values, strict=True)
        ]
    return PublishedScores(
        scores=comparison.in_order(rows, scores),
        axes=axes,
        left_out=(*comparison.left_out, *_unresolved(comparison.axes, wide, kept)),
        warnings=(Reason.TOO_FEW_MODELS,) if few else (),
    )


def _unresolved(axes: Sequence[Axis], wide: BoolArray, kept: BoolArray) -> list[LeftOut]:
    return [
        LeftOut(axis, Reason.WITHIN_NOISE if is_wide else Reason.UNRESOLVED)
        for axis, is_wide, keep in zip(axes, wide, kept, strict=True)
        if not keep
    ]


def resolved(low: FloatArray, high: FloatArray) -> BoolArray:
    """Which axes have a range that means something: not 0, and at least 2 % of the maximum."""
    keep: BoolArray = (high > low) & (high - low >= UNRESOLVED_RANGE * high)
    return keep


def min_max(figures: FloatArray, low: FloatArray, high: FloatArray, signs: FloatArray) -> FloatArray:
    """Components in 0 to 1, shape of `figures`: 1 at the better end of each axis. An axis without range gives 1."""
    spread = np.where(high > low, high - low, 1.0)
    inside = np.clip(figures, low, high)
    components: FloatArray = np.where(signs > 0, inside - low, high - inside) / spread
    return np.where(high > low, components, 1.0)


@dataclass(frozen=True)
class Ends:
    """The ends of each axis: of the figures given, or fixed. Shapes (..., axes); `fixed` (axes,)."""

    low: FloatArray
    high: FloatArray
    fixed: BoolArray


def scale_ends(figures: FloatArray, axes: Sequence[Axis], bounds: Bounds | None) -> Ends:
    """Ends over the models of `figures`, shape (..., models, axes). ValueError for bounds that are not low < high."""
    fixed_ends = bounds or {}
    for axis, (low, high) in fixed_ends.items():
        if not low < high or not math.isfinite(high - low):
            raise ValueError(f"bounds of {axis}: {low} is not below {high}, or one of them is infinite")
    fixed = np.array([axis in fixed_ends for axis in axes], dtype=np.bool_)
    empty = np.zeros((*figures.shape[:-2], len(axes)))
    lows = figures.min(axis=-2) if figures.size else empty
    highs = figures.max(axis=-2) if figures.size else empty.copy()
    for column, axis in enumerate(axes):
        if axis in fixed_ends:
            lows[..., column], highs[..., column] = fixed_ends[axis]
    return Ends(lows, highs, fixed)
