"""How replicates scatter about their group's mean, and draws of the error that this leaves on the mean.

One replicate is one value of several columns (throughput, latency, memory). Columns of one replicate belong together: a
slow launch is slow in throughput and in latency. So the error is drawn for all columns at once, from their covariance.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from perbench.statistics.variance_tests import levene

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]

UNEQUAL = 0.01
"""Levene's p below which a column's variances are not pooled over groups."""


@dataclass(frozen=True)
class Scatter:
    """Scatter of G groups in K columns."""

    deviations: FloatArray
    """Standard deviation of one replicate, shape (G, K): pooled over groups; in `unequal` columns the group's own."""
    unequal: BoolArray
    """Columns whose variances differ between groups, shape (K,)."""
    root: FloatArray
    """Symmetric square root of the correlations, pooled over groups, shape (K, K)."""
    sizes: NDArray[np.int64]
    """Replicates per group, shape (G,)."""

    @property
    def degrees(self) -> int:
        """Degrees of freedom of the pooled deviations."""
        return int((self.sizes - 1).sum())

    @property
    def standard_errors(self) -> FloatArray:
        """Of a group's mean, per column: root mean square over the groups, shape (K,)."""
        errors: FloatArray = np.sqrt((self.deviations**2 / self.sizes[:, None]).mean(axis=0))
        return errors


def scatter(groups: Sequence[FloatArray]) -> Scatter:
    """Scatter of groups of shape (replicates, K); at least one group, each with two replicates or more."""
    residuals = [_residuals(group) for group in groups]
    sizes = np.array([len(group) for group in groups])
    columns = groups[0].shape[1]
    own = np.array([np.sqrt((group**2).sum(axis=0) / (len(group) - 1)) for group in residuals])
    pooled = np.sqrt(sum((group**2).sum(axis=0) for group in residuals) / (sizes - 1).sum())
    unequal = np.array([_unequal([group[:, column] for group in groups]) for column in range(columns)], dtype=np.bool_)
    deviations = np.where(unequal, own, np.broadcast_to(pooled, own.shape))
    scaled = [_divided(group, scale) for group, scale in zip(residuals, deviations, strict=True)]
    return Scatter(deviations, unequal, _root(np.concatenate(scaled)), sizes)


def shared_stretch(of: Scatter, generator: np.random.Generator, draws: int) -> FloatArray:
    """sqrt(df / chi-squared(df)), shape (draws,): what makes normal draws Student's t.

    One for all groups and columns of a draw, because they share one estimate of the variance. So every contrast of
    groups and columns, the logarithm of a ratio of PER among them, is Student's t exactly.
    """
    return _stretch(of.degrees, generator, draws)


def mean_errors(of: Scatter, group: int, stretch: FloatArray, generator: np.random.Generator) -> FloatArray:
    """Draws of the error of one group's mean, s * t(df) / sqrt(n), shape (draws, K)."""
    draws, columns = len(stretch), len(of.root)
    normal = generator.standard_normal((draws, columns)) @ of.root
    stretches = np.broadcast_to(stretch[:, None], normal.shape)
    if of.unequal.any():
        own = _stretch(int(of.sizes[group]) - 1, generator, draws)
        stretches = np.where(of.unequal, own[:, None], stretches)
    errors: FloatArray = normal * stretches * (of.deviations[group] / np.sqrt(of.sizes[group]))
    return errors


def _stretch(degrees: int, generator: np.random.Generator, draws: int) -> FloatArray:
    stretch: FloatArray = np.sqrt(degrees / generator.chisquare(degrees, draws))
    return stretch


def _residuals(group: FloatArray) -> FloatArray:
    shifted = group - group[0]  # equal values then leave exactly 0, not the rounding of their mean
    residuals: FloatArray = shifted - shifted.mean(axis=0)
    return residuals


def _unequal(groups: Sequence[FloatArray]) -> bool:
    p = levene(groups)
    return p is not None and p < UNEQUAL


def _divided(values: FloatArray, scales: FloatArray) -> FloatArray:
    return np.divide(values, scales, out=np.zeros_like(values), where=scales > 0)


def _root(scaled: FloatArray) -> FloatArray:
    """Symmetric root of the correlations of columns; unlike a Cholesky factor it does not depend on their order."""
    products = scaled.T @ scaled
    norms = np.sqrt(np.diag(products))
    correlations = _divided(_divided(products, norms[:, None] * np.ones_like(products)), norms * np.ones_like(products))
    np.fill_diagonal(correlations, 1.0)
    values, vectors = np.linalg.eigh(correlations)
    root: FloatArray = (vectors * np.sqrt(np.clip(values, 0, None))) @ vectors.T
    return root
