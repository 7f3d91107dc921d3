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
    moved = [(row.cell.model, ratios) for row in rows if len(ratios := _ratios(row)) > 1]
    if not moved:
        return None
    numbers = sorted({number for row in rows for number in (entry.round for entry in row.cell.rounds)})
    together = _together([ratios for _, ratios in moved], numbers)
    if together:
        moved = [(EVERYBODY, together), *moved]
    reach = max([LEAST_REACH, *(abs(_percent(ratio)) for _, ratios in moved for ratio in ratios.values())])
    return RoundsView(
        counted="Round" if launches > 1 else "Repeat",
        numbers=tuple(str(number + 1) for number in numbers),
        reach=f"±{reach:.1f} %",
        drift=tuple(
            DriftLine(
                model=model,
                everybody=ratios is together,
                dots=tuple(Strip(round(50 + 46 * _percent(ratio) / reach, 2)) for ratio in ratios.values()),
                text=", ".join(f"{_percent(ratio):+.1f} %" for ratio in ratios.values()),
            )
            for model, ratios in moved
        ),
        values=_values(kind, rows, numbers),
    )


def _ratios(row: Row) -> dict[int, float]:
    """Throughput of each round over the mean of all; a round too small beside the mean for a number is left out."""
    known = {entry.round: value for entry in row.cell.rounds if (value := entry.figures.throughput)}
    mean = sum(known.values()) / len(known) if known else 0.0
    return {number: ratio for number, value in known.items() if mean > 0 and (ratio := value / mean) > 0}


def _together(moved: Sequence[dict[int, float]], numbers: Sequence[int]) -> dict[int, float]:
    """The same of the geometric mean over the models that have every round; nothing of fewer than two models."""
    whole = [ratios for ratios in moved if len(ratios) == len(numbers)]
    if len(whole) < 2:
        return {}
    means = {n: math.exp(math.fsum(math.log(ratios[n]) for ratios in whole) / len(whole)) for n in numbers}
    middle = sum(means.values()) / len(means)
    return {number: value / middle for number, value in means.items()}


def _percent(ratio: float) -> float:
    return 100 * (ratio - 1)


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
