"""Paired bootstrap: what the choice of items leaves open about mean scores of models that answered the same items."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]

FEWEST_CLUSTERS = 2
"""With a single one nothing is known of the scatter between them."""

CHUNK = 1_000_000
"""Draws x clusters held in memory at once."""


def paired_means(
    sums: FloatArray, counts: FloatArray, clusters: NDArray[np.int64], generator: np.random.Generator, draws: int
) -> FloatArray:
    """Draws of the mean score of each model, shape (draws, models).

    `sums`, `counts`: sum and number of the scores of each item, shape (items, models). `clusters`: per item a number
    from 0; items of one cluster (questions on one text) are drawn together. Every draw takes the same items for all
    models: that is the pairing. Of k clusters k - 1 are drawn, with replacement, so that the variance of a mean is
    s^2/k; k of k would make it smaller by a factor (k - 1)/k.

    Raises ValueError for fewer than two clusters: their scatter is unknown.
    """
    total, size = _by_cluster(sums, clusters), _by_cluster(counts, clusters)
    number = len(total)
    if number < FEWEST_CLUSTERS:
        raise ValueError(f"{number} clusters of items tell nothing about the scatter between them")
    alike = bool((size == size[0]).all())
    columns = total if alike else np.concatenate([total, size], axis=1)
    drawn = np.concatenate([times @ columns for times in _resamples(number, generator, draws)])
    means: FloatArray
    if alike:
        means = drawn / (size[0] * (number - 1))
        return means
    totals, sizes = np.split(drawn, 2, axis=1)
    # A draw without a single scored item of a model says nothing about it: the mean stays as measured.
    unchanged = np.broadcast_to(sums.sum(axis=0) / counts.sum(axis=0), totals.shape).copy()
    means = np.divide(totals, sizes, out=unchanged, where=sizes > 0)
    return means


def _by_cluster(values: FloatArray, clusters: NDArray[np.int64]) -> FloatArray:
    summed = np.zeros((int(clusters.max(initial=-1)) + 1, values.shape[1]))
    np.add.at(summed, clusters, values)
    return summed


def _resamples(number: int, generator: np.random.Generator, draws: int) -> Iterator[FloatArray]:
    """How often each cluster is in each draw, in chunks of shape (some draws, number)."""
    at_once = max(1, CHUNK // number)
    for start in range(0, draws, at_once):
        rows = min(at_once, draws - start)
        chosen = generator.integers(0, number, (rows, number - 1), dtype=np.int64)
        chosen += np.arange(rows)[:, None] * number
        yield np.bincount(chosen.ravel(), minlength=rows * number).reshape(rows, number).astype(np.float64)
