"""Accuracy: the mean score over all measured items (measurement.md §7)."""

from collections.abc import Iterable

SCORED_SHARE = 0.99
"""Under this share of items scored there is no accuracy."""


def accuracy(scores: Iterable[float | None], items: int) -> float | None:
    """The mean of the scores there are (0 to 1), out of `items` that were to be scored. None: too few of them are."""
    known = [score for score in scores if score is not None]
    return sum(known) / len(known) if known and len(known) >= SCORED_SHARE * items else None
