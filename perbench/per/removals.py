"""What leaving out one model does to the published values of the others: the weakness of min-max, in figures."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from perbench.per.comparison import FloatArray, compare
from perbench.per.leave_one_out import Stability, published_values, scale_figures
from perbench.per.measured import Axis, Measured
from perbench.per.published_scale import FEWEST_MODELS


@dataclass(frozen=True, slots=True)
class Change:
    """A model's published value with all models, and with one of the others left out."""

    model: str
    before: float
    after: float


@dataclass(frozen=True, slots=True)
class Effect:
    """One model left out."""

    removed: str
    flips: int
    """Pairs of the others whose order is reversed."""
    first: str
    """Who is first of the others, with the model left out."""
    displaced: str | None
    """Who was first of the others before, where that is somebody else."""
    largest: Change
    """The other model whose value changes most."""


@dataclass(frozen=True, slots=True)
class Removals:
    """All removals of one model."""

    effects: tuple[Effect, ...]
    """In the order given. Empty below five models: with one left out, too few are left for values."""
    spans: Mapping[str, tuple[float, float]]
    """By model: the lowest and highest value it has, over all models and over each removal of another."""


def removals(rows: Sequence[Measured], stability: Stability, within_noise: Collection[Axis] = ()) -> Removals:
    """Leave out each compared model of one task; `stability` is that of the same rows and axes `within_noise`."""
    comparison = compare(rows)
    names = [row.model for row in comparison.compared]
    if len(names) <= FEWEST_MODELS:
        return Removals((), {})
    figures, signs = scale_figures(comparison, within_noise)
    before = published_values(figures, signs)
    low, high = before.copy(), before.copy()
    effects = []
    for index, removal in enumerate(stability.removals):
        others = np.delete(np.arange(len(names)), index)
        after = published_values(figures[others], signs)
        low[others], high[others] = np.minimum(low[others], after), np.maximum(high[others], after)
        left = [names[other] for other in others]
        effects.append(_effect(removal.removed, len(removal.flipped), left, before[others], after))
    spans = {name: (float(least), float(most)) for name, least, most in zip(names, low, high, strict=True)}
    return Removals(tuple(effects), spans)


def _effect(removed: str, flips: int, others: Sequence[str], before: FloatArray, after: FloatArray) -> Effect:
    """Of the values of `others` with all models, and without `removed`. The first of equals is first."""
    was, now, most = (int(np.argmax(values)) for values in (before, after, np.abs(after - before)))
    return Effect(
        removed=removed,
        flips=flips,
        first=others[now],
        displaced=others[was] if was != now else None,
        largest=Change(others[most], float(before[most]), float(after[most])),
    )
