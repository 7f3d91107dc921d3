"""Shapes that templates draw, in percent of their width."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Bar:
    """A bar from 0 to `width`, an interval or range on it, and a mark; all in percent of the scale."""

    width: float
    low: float | None = None
    high: float | None = None
    mark: float | None = None


@dataclass(frozen=True)
class Strip:
    """A point with its interval on a scale that need not begin at 0; all in percent of the scale."""

    at: float
    low: float | None = None
    high: float | None = None
