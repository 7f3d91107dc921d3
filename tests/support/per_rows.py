"""Rows for PER: literal ones, random ones, and the study's table."""

from pathlib import Path

from hypothesis import strategies as st

from perbench.per import Measured
from perbench.per.table import read_table

STUDY = Path(__file__).parents[1] / "golden" / "per" / "per_published.csv"


def row(
    model: str,
    accuracy: float | None = 0.5,
    throughput: float | None = 100.0,
    memory: float | None = 1000.0,
    latency: float | None = 10.0,
) -> Measured:
    return Measured(model, accuracy, throughput, memory, latency)


SMALL = row("small", 0.4, 400, 1000, 5)
MIDDLE = row("middle", 0.6, 200, 2000, 8)
LARGE = row("large", 0.8, 100, 4000, 20)
HUGE = row("huge", 0.9, 40, 9000, 60)
FOUR = (SMALL, MIDDLE, LARGE, HUGE)


def study() -> dict[str, tuple[Measured, ...]]:
    """The study's rows by task."""
    return {task: tuple(row.measured for row in rows) for task, rows in read_table(STUDY).tasks().items()}


_shares = st.floats(0, 1).map(lambda x: round(x, 6))
_figures = st.floats(0.01, 10_000).map(lambda x: round(x, 4))


def rows(
    least: int = 4, most: int = 8, accuracies: st.SearchStrategy[float] = _shares
) -> st.SearchStrategy[tuple[Measured, ...]]:
    """Complete rows of differently named models."""
    figures = st.tuples(accuracies, _figures, _figures, _figures)
    return st.lists(figures, min_size=least, max_size=most).map(
        lambda entries: tuple(row(f"m{i}", *entry) for i, entry in enumerate(entries))
    )


positive_shares = st.floats(0.001, 1).map(lambda x: round(x, 6))
