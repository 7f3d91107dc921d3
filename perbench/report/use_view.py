"""What the servers of a task used, as the columns of a table: only those in which somebody has a figure."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from perbench.evaluation.use import Use
from perbench.evaluation.values import Row
from perbench.report.figures import percent, significant

KILO = 1000.0


@dataclass(frozen=True)
class UseColumn:
    """One figure."""

    title: str
    short: str
    """As the terminal has it."""
    text: Callable[[Use], str]
    known: Callable[[Use], bool]


@dataclass(frozen=True)
class UseView:
    """The table, and why figures are missing in it."""

    columns: tuple[UseColumn, ...]
    lines: tuple[tuple[str, tuple[str, ...]], ...]
    """Model and cells."""
    reasons: tuple[str, ...]


def _column(
    title: str, short: str, of: Callable[[Use], float | None], text: Callable[[float | None], str]
) -> UseColumn:
    return UseColumn(title, short, lambda used: text(of(used)), lambda used: of(used) is not None)


COLUMNS = (
    _column("Cores at work", "CORES", lambda used: used.cores, significant),
    _column(
        "CPU seconds per million output tokens", "CPU S/M TOKENS",
        lambda used: used.cpu_seconds_per_million_tokens, significant,
    ),
    _column(
        "Accelerators at work", "ACCELERATORS",
        lambda used: _times(100, used.accelerator_utilization), percent,
    ),
    _column("Accelerators, watts", "WATTS", lambda used: used.watts, significant),
    _column(
        "Accelerators, kJ per million output tokens", "KJ/M TOKENS",
        lambda used: _times(1 / KILO, used.energy_joules_per_million_tokens), significant,
    ),
)  # fmt: skip


def use_view(rows: Sequence[Row]) -> UseView | None:
    """None: nothing was measured of anybody, and nobody was asked in vain."""
    asked = [row.cell for row in rows if row.cell.use.asked]
    if not asked:
        return None
    columns = tuple(column for column in COLUMNS if any(column.known(cell.use) for cell in asked))
    return UseView(
        columns=columns,
        lines=tuple((cell.model, tuple(column.text(cell.use) for column in columns)) for cell in asked if columns),
        reasons=tuple(f"{cell.model}: {reason}." for cell in asked for reason in cell.use.reasons),
    )


def _times(factor: float, value: float | None) -> float | None:
    return None if value is None else factor * value
