"""How figures moved from launch to launch, or repeat to repeat: each model's drift, and the drift they share."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from perbench.evaluation.values import Row
from perbench.per.words import ABSENT, number
from perbench.report.bars import Strip
from perbench.report.figures import axes
from perbench.results import TaskKind

EVERYBODY = "All together"
LEAST_REACH = 1.0
"""Percent that a strip reaches to each side at least, so that calm machines look calm."""


@dataclass(frozen=True)
class DriftLine:
    """Throughput of each round against the model's own mean: positions in percent of the strip, 50 is the mean."""

    model: str
    everybody: bool
    dots: tuple[Strip, ...]
    text: str


@dataclass(frozen=True)
class ValueBlock:
    """One figure of every model, round by round."""

    title: str
    lines: tuple[tuple[str, tuple[str, ...]], ...]


@dataclass(frozen=True)
class RoundsView:
    """Rounds of a task, or repeats where every model was started once."""

    counted: str
    """`Round` or `Repeat`."""
    numbers: tuple[str, ...]
    reach: str
    drift: tuple[DriftLine, ...]
    values: tuple[ValueBlock, ...]


def rounds_view(kind: TaskKind, rows: Sequence[Row], launches: int) -> RoundsView | None:
    """None where no model has two rounds."""
    moved = [(row.cell.model, away) for row in rows if len(away := _away(row)) > 1]
    if not moved:
        return None
    numbers = sorted({number for row in rows for number in (entry.round for entry in row.cell.rounds)})
    if together := _together([away for _, away in moved], numbers):
        moved = [(EVERYBODY, together), *moved]
    reach = max([LEAST_REACH, *(abs(value) for _, away in moved for value in away.values())])
    return RoundsView(
        counted="Round" if launches > 1 else "Repeat",
        numbers=tuple(str(number + 1) for number in numbers),
        reach=f"±{reach:.1f} %",
        drift=tuple(
            DriftLine(
                model=model,
                everybody=away is together,
                dots=tuple(Strip(round(50 + 46 * value / reach, 2)) for value in away.values()),
                text=", ".join(f"{value:+.1f} %" for value in away.values()),
            )
            for model, away in moved
        ),
        values=_values(kind, rows, numbers),
    )


def _away(row: Row) -> dict[int, float]:
    """Percent by which the throughput of each round is away from the mean of all."""
    known = {entry.round: value for entry in row.cell.rounds if (value := entry.figures.throughput)}
    mean = sum(known.values()) / len(known) if known else 0.0
    return {number: 100 * (value / mean - 1) for number, value in known.items()}


def _together(moved: Sequence[dict[int, float]], numbers: Sequence[int]) -> dict[int, float]:
    """The same of the geometric mean over the models that have every round; nothing of fewer than two models."""
    whole = [away for away in moved if len(away) == len(numbers)]
    if len(whole) < 2:
        return {}
    means = {n: math.exp(math.fsum(math.log1p(away[n] / 100) for away in whole) / len(whole)) for n in numbers}
    middle = sum(means.values()) / len(means)
    return {number: 100 * (value / middle - 1) for number, value in means.items()}


def _values(kind: TaskKind, rows: Sequence[Row], numbers: Sequence[int]) -> tuple[ValueBlock, ...]:
    units = " or ".join(sorted({row.unit for row in rows}))
    blocks = []
    if any(row.scores.reference_by_round for row in rows):
        scored = [(row.cell.model, row.scores.reference_by_round) for row in rows]
        lines = [(model, tuple(number(own[n]) if n in own else ABSENT for n in numbers)) for model, own in scored]
        blocks.append(ValueBlock("Reference PER", tuple(lines)))
    for view in axes(kind, units):
        of_rounds = [(row.cell.model, {entry.round: entry.figures for entry in row.cell.rounds}) for row in rows]
        texts = [
            (model, tuple(view.text(view.value(own[n])) if n in own else ABSENT for n in numbers))
            for model, own in of_rounds
        ]
        if any(text != ABSENT for _, line in texts for text in line):
            blocks.append(ValueBlock(", ".join(part for part in (view.title, view.unit) if part), tuple(texts)))
    return tuple(blocks)
