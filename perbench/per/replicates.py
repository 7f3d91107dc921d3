"""What was measured more than once: the figures of one model on one task, replicate by replicate."""

from dataclasses import dataclass, field
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]

PERFORMANCE = ("throughput", "memory", "latency", "items_per_second", "seconds_per_item")
"""Attributes that `Measured` and `Replicates` share, besides accuracy."""

FEWEST_REPLICATES = 3
"""With fewer there is no interval: two values hardly say how far a third may lie from them."""


class Basis(StrEnum):
    """What one replicate is, and so what an interval holds."""

    LAUNCHES = "Launches"
    """A launch of the model (a round): the interval holds what changes from launch to launch."""
    REPEATS = "Repeats"
    """A repeat within one launch: "within one launch", what a restart changes is not in it."""


@dataclass(frozen=True, eq=False)
class Replicates:
    """One model on one task, n replicates. Performance figures have shape (n,); NaN is "not measured".

    Units are those of `Measured`. ValueError for arrays that do not fit each other.
    """

    model: str
    throughput: FloatArray
    memory: FloatArray
    latency: FloatArray
    items_per_second: FloatArray
    seconds_per_item: FloatArray
    scores: FloatArray = field(default_factory=lambda: np.zeros((0, 0)))
    """Score of each item in each replicate, shape (items, n); NaN: not scored. (0, n): a task without accuracy.
    The rows of all models of a task are the same items: accuracy is compared item by item."""
    sources: NDArray[np.int64] | None = None
    """Per item a number from 0: items with one number (questions on one paragraph) were not chosen independently.
    None: each item has a source of its own."""
    basis: Basis = Basis.LAUNCHES

    def __post_init__(self) -> None:
        n = self.throughput.size
        for name in PERFORMANCE:
            if getattr(self, name).shape != (n,):
                raise ValueError(f"{self.model}: {name} has shape {getattr(self, name).shape}, throughput ({n},)")
        if self.scores.ndim != 2 or (self.scores.shape[0] and self.scores.shape[1] != n):
            raise ValueError(f"{self.model}: scores have shape {self.scores.shape}, not (items, {n})")
        if self.sources is not None and self.sources.shape != (len(self.scores),):
            raise ValueError(f"{self.model}: {len(self.scores)} items have sources of shape {self.sources.shape}")

    @property
    def n(self) -> int:
        """How many replicates."""
        return int(self.throughput.size)

    @property
    def clusters(self) -> int:
        """How many items, or sources of items, were chosen independently."""
        return len(self.scores) if self.sources is None else len(np.unique(self.sources))

    def logarithms(self, names: tuple[str, ...]) -> FloatArray | None:
        """Natural logarithms of these figures, shape (n, names). None where one of them is 0 or not measured."""
        figures = np.stack([getattr(self, name) for name in names], axis=1) if names else np.zeros((self.n, 0))
        return np.log(figures) if bool(((figures > 0) & np.isfinite(figures)).all()) else None

    def score_sums(self) -> tuple[FloatArray, FloatArray]:
        """Sum and number of the scores of each item over the replicates, shapes (items,)."""
        known = ~np.isnan(self.scores)
        return np.where(known, self.scores, 0.0).sum(axis=1), known.sum(axis=1).astype(np.float64)
