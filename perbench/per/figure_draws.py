"""Draws of the figures of all models of one task: what else could have been measured.

Performance figures: measured figure x exp(error), the error of a mean of replicates on the log scale
(`perbench.statistics.scatter`). Accuracy: paired bootstrap over items (`perbench.statistics.bootstrap`). Each model
draws from a stream of its own, named after it, so that neither the order of the models nor a further model changes it.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from perbench.per.measured import Axis, Measured
from perbench.per.replicates import FloatArray, Replicates
from perbench.statistics.bootstrap import paired_means
from perbench.statistics.scatter import Scatter, mean_errors, scatter, shared_stretch

BoolArray = NDArray[np.bool_]

DRAWS = 4000
SEED = 42
ACCURACY = Axis.ACCURACY.value


@dataclass(frozen=True)
class Chance:
    """Where draws come from: the same value, the same draws."""

    task: str = ""
    """Tasks draw apart from each other."""
    seed: int = SEED
    draws: int = DRAWS

    def stream(self, *names: str) -> np.random.Generator:
        """A stream of its own for each tuple of names."""
        digest = hashlib.sha256(json.dumps([self.seed, self.task, *names]).encode()).digest()
        return np.random.default_rng(int.from_bytes(digest))


@dataclass(frozen=True)
class FigureDraws:
    """Draws of R rows (models)."""

    figures: Mapping[str, FloatArray]
    """By attribute of `Measured`: shape (draws, R)."""
    drawn: BoolArray
    """Shape (R,). False: a figure is 0 or lacks in a replicate, and the performance figures stand as measured."""
    standard_errors: Mapping[str, float]
    """Pooled over the models. Performance: of the logarithm. Accuracy: of what the items do not explain."""
    unequal: tuple[str, ...]
    """Figures whose variances differ between models: each model has its own."""
    even_scores: BoolArray
    """Shape (R,). True: all items have the same score, so that the bootstrap sees no error of accuracy."""


def draw_figures(
    rows: Sequence[Measured], replicates: Sequence[Replicates], names: tuple[str, ...], chance: Chance
) -> FigureDraws:
    """Draw the figures `names` (all measured for all `rows`; `replicates` in the same order, each n >= 3, for
    accuracy alone n >= 1).

    ValueError where accuracy is among them and the items are of a single source.
    """
    performance = tuple(name for name in names if name != ACCURACY)
    logs = [own.logarithms(performance) for own in replicates]
    drawn = np.array([own is not None for own in logs], dtype=np.bool_)
    groups = [own for own in logs if own is not None]
    measured = {name: np.array([getattr(row, name) for row in rows], dtype=np.float64) for name in names}
    figures = {name: np.tile(own, (chance.draws, 1)) for name, own in measured.items()}
    errors: dict[str, float] = {}
    unequal: tuple[str, ...] = ()
    if groups and performance:
        spread = scatter(groups)
        factors = np.exp(
            _errors(spread, [row.model for row, is_drawn in zip(rows, drawn, strict=True) if is_drawn], chance)
        )
        for column, name in enumerate(performance):
            figures[name][:, drawn] *= factors[:, :, column]
        errors = dict(zip(performance, spread.standard_errors.tolist(), strict=True))
        unequal = tuple(name for name, differ in zip(performance, spread.unequal, strict=True) if differ)
    even = np.zeros(len(rows), dtype=np.bool_)
    if ACCURACY in names:
        accuracy = _accuracies(replicates, chance)
        figures[ACCURACY] = accuracy
        errors[ACCURACY] = _unexplained(accuracy)
        even = np.array([_is_even(own) for own in replicates])
    return FigureDraws(figures, drawn, errors, unequal, even)


def _errors(spread: Scatter, models: Sequence[str], chance: Chance) -> FloatArray:
    """Errors on the log scale, shape (draws, models, columns)."""
    stretch = shared_stretch(spread, chance.stream("variance"), chance.draws)
    return np.stack(
        [mean_errors(spread, group, stretch, chance.stream("model", model)) for group, model in enumerate(models)],
        axis=1,
    )


def _accuracies(replicates: Sequence[Replicates], chance: Chance) -> FloatArray:
    parts = [own.score_sums() for own in replicates]
    sums, counts = (np.stack([part[which] for part in parts], axis=1) for which in (0, 1))
    sources = replicates[0].sources
    clusters = np.arange(len(sums)) if sources is None else sources
    return paired_means(sums, counts, clusters, chance.stream("items"), chance.draws)


def _unexplained(accuracy: FloatArray) -> float:
    """Pooled standard error of accuracies without what moves all models alike: hard items are hard for all.

    The range between models is not widened by it, so it does not count where the range is judged.
    """
    models = accuracy.shape[1]
    if models < 2:
        return 0.0
    apart = accuracy - accuracy.mean(axis=1, keepdims=True)
    return float(np.sqrt(apart.var(axis=0).sum() / (models - 1)))


def _is_even(replicates: Replicates) -> bool:
    known = replicates.scores[~np.isnan(replicates.scores)]
    return bool(known.size and (known == known[0]).all())
