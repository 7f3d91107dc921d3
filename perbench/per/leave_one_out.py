"""How much the published order depends on who is compared: each model removed once, the order of the rest compared."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np

from perbench.per.comparison import Comparison, FloatArray, compare, geometric_mean
from perbench.per.measured import Axis, Measured
from perbench.per.published_scale import min_max, resolved


@dataclass(frozen=True, slots=True)
class Removal:
    """What changes among the others when one model is not compared."""

    removed: str
    flipped: tuple[tuple[str, str], ...]
    """Pairs (was ahead, was behind) whose order is reversed; pairs that become or were equal do not count."""


@dataclass(frozen=True, slots=True)
class Stability:
    """One removal per compared model."""

    removals: tuple[Removal, ...]

    @property
    def flips(self) -> int:
        """Reversed pairs, summed over all removals."""
        return sum(len(removal.flipped) for removal in self.removals)


def stability(rows: Sequence[Measured], within_noise: Collection[Axis] = ()) -> Stability:
    """Leave-one-out stability of the published order on one task. ValueError where a model is given twice.

    The axes are those of the full comparison, less those `within_noise`, as in `published`; what is unresolved is
    decided anew without the model.
    """
    comparison = compare(rows)
    figures, signs = scale_figures(comparison, within_noise)
    names = [row.model for row in comparison.compared]
    before = published_values(figures, signs)
    removals = []
    for index, name in enumerate(names):
        others = np.delete(np.arange(len(names)), index)
        after = published_values(figures[others], signs)
        ahead = before[others, None] > before[None, others]
        pairs = np.argwhere(ahead & (after[:, None] < after[None, :]))
        removals.append(Removal(name, tuple((names[others[i]], names[others[j]]) for i, j in pairs)))
    return Stability(tuple(removals))


def scale_figures(comparison: Comparison, within_noise: Collection[Axis]) -> tuple[FloatArray, FloatArray]:
    """Figures (models, axes) and signs (axes,) of the axes that are not within the noise."""
    kept = [index for index, axis in enumerate(comparison.axes) if axis not in within_noise]
    return comparison.figures()[:, kept], comparison.signs()[kept]


def published_values(figures: FloatArray, signs: FloatArray) -> FloatArray:
    """Published values of figures (models, axes) without the rule on few models; all 1 where no axis is resolved."""
    if not figures.size:
        return np.ones(len(figures))
    low, high = figures.min(axis=0), figures.max(axis=0)
    kept = resolved(low, high)
    if not kept.any():
        return np.ones(len(figures))
    return geometric_mean(min_max(figures, low, high, signs)[:, kept])
