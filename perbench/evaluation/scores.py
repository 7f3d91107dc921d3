"""PER of the cells of one task: the one place that turns figures into `perbench.per` and its answers into rows.

Only cells without a flaw are compared. A model that failed leaves the comparison (design of the status), and so does a
cell that is invalid, has too many errors or too few samples: min-max takes its ends from the compared models, so one
figure that cannot be trusted would move the scores of all others. Its figures are kept and shown.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from perbench.evaluation.kinship import Kinship
from perbench.evaluation.settings import Settings
from perbench.evaluation.values import Cell, Exclusion, Figures, Row, Scores
from perbench.per import (
    Assessment,
    Axis,
    Chance,
    Cost,
    FigureIntervals,
    LeftOut,
    Measured,
    Reason,
    Replicates,
    Weights,
    assess,
    cost,
    pareto,
    reference,
    stability,
)
from perbench.per.measured import is_figure
from perbench.results import TaskKind, TaskRecord

LENGTH_TOLERANCE = 1.10
"""Synthetic loads whose mean output lengths differ by more are not ranked together (measurement.md §1)."""


@dataclass(frozen=True)
class TaskScores:
    """One task scored: its rows, and the answer of `perbench.per` for the models ranked with the reference."""

    rows: tuple[Row, ...]
    assessment: Assessment
    flips: int | None
    """Leave-one-out stability: pairs that change places. None: no Published PER, or fixed ends."""


def score_task(
    cells: Sequence[Cell],
    kinships: Mapping[str, Kinship],
    settings: Settings,
    replicates: Mapping[str, Replicates] | None = None,
) -> TaskScores:
    """Score the cells of one task; `kinships` and `replicates` by model. Models unlike the reference are ranked among
    themselves.

    A group without the reference model takes its own first model as its reference. Without replicates there are no
    intervals.
    """
    home = kinships.get(settings.reference, kinships[cells[0].model])
    groups: dict[Kinship, list[Cell]] = {home: []}
    for cell in cells:
        groups.setdefault(kinships[cell.model], []).append(cell)
    scored: dict[str, Row] = {}
    answers: list[Assessment] = []
    for kinship, members in groups.items():
        yardstick = settings.reference if kinship == home else members[0].model
        compared = [cell for cell in members if cell.excluded is None]
        answers.append(_assessed(compared, yardstick, settings, replicates or {}))
        scores = _scores(compared, answers[-1], settings.weights)
        price = settings.prices.get(kinship[0])
        for cell in members:
            own = scores.get(cell.model)
            money = None if own is None or price is None else _cost(cell, price, own)
            scored[cell.model] = Row(cell, own or Scores(), kinship[0], apart=kinship != home, cost=money)
    ranked = [cell for cell in groups[home] if cell.excluded is None]
    return TaskScores(tuple(scored[cell.model] for cell in cells), answers[0], _flips(ranked, answers[0], settings))


def unscored(cells: Sequence[Cell], kinships: Mapping[str, Kinship]) -> tuple[Row, ...]:
    """Rows of a run that is not at its end: figures without PER."""
    return tuple(Row(cell, Scores(), kinships[cell.model][0]) for cell in cells)


def measured(cell: Cell, figures: Figures | None = None) -> Measured:
    """A cell as `perbench.per` takes it; `figures` of a part of its stages in place of all.

    A synthetic load has no items: there the Reference scale uses tokens per second and the time per token.
    """
    own = figures or cell.figures
    return Measured(
        model=cell.model,
        accuracy=_plausible(own.accuracy),
        throughput=_plausible(own.throughput),
        memory=_plausible(own.memory_bytes),
        latency=_plausible(own.latency_ms),
        items_per_second=_plausible(own.items_per_second),
        seconds_per_item=None if cell.kind is TaskKind.SYNTHETIC else _plausible(own.seconds_per_item),
    )


def without_missed_lengths(cells: Sequence[Cell], record: TaskRecord) -> tuple[Cell, ...]:
    """On a synthetic task, exclude models whose outputs were not as long as asked, where others' were.

    Tokens per second of short outputs and of long ones are not the same work.
    """
    lengths = {
        cell.model: cell.mean_output_tokens for cell in cells if cell.excluded is None and cell.mean_output_tokens
    }
    if record.kind is not TaskKind.SYNTHETIC or not lengths:
        return tuple(cells)
    if max(lengths.values()) <= LENGTH_TOLERANCE * min(lengths.values()):
        return tuple(cells)
    missed = {
        model
        for model, length in lengths.items()
        if max(length / record.max_tokens, record.max_tokens / length) > LENGTH_TOLERANCE
    }
    return tuple(
        replace(cell, excluded=Exclusion.OUTPUT_LENGTH_MISSED) if cell.model in missed else cell for cell in cells
    )


def _assessed(
    compared: Sequence[Cell], yardstick: str, settings: Settings, replicates: Mapping[str, Replicates]
) -> Assessment:
    rows = [measured(cell) for cell in compared]
    if not rows:
        return assess(rows, {})
    task, kind = compared[0].task, compared[0].kind
    return assess(rows, replicates, settings.scale(kind, yardstick), Chance(task=task))


def _scores(compared: Sequence[Cell], assessment: Assessment, weights: Weights) -> dict[str, Scores]:
    by_round = _by_round(compared, assessment.reference.reference, weights)
    front = pareto([measured(cell) for cell in compared])
    return {
        cell.model: Scores(
            published=assessment.published.of(cell.model),
            reference=assessment.reference.of(cell.model),
            uncertainty=assessment.uncertainty.of(cell.model),
            reference_by_round=by_round.get(cell.model, {}),
            pareto=optimal,
        )
        for cell, optimal in zip(compared, front, strict=True)
    }


def _cost(cell: Cell, price: float, scores: Scores) -> Cost:
    intervals = scores.uncertainty.figures if scores.uncertainty else FigureIntervals()
    by_tokens = cell.kind is not TaskKind.CLASSIFICATION
    return cost(measured(cell), price, counts_tokens=by_tokens, intervals=intervals)


def _flips(compared: Sequence[Cell], assessment: Assessment, settings: Settings) -> int | None:
    """Bounds fix the ends that a removal would move, and weights are not known to `stability`."""
    scored = any(score.value is not None for score in assessment.published.scores)
    if not scored or settings.bounds is not None or settings.weights:
        return None
    return stability([measured(cell) for cell in compared], noisy_axes(assessment.published.left_out)).flips


def noisy_axes(left_out: Sequence[LeftOut]) -> tuple[Axis, ...]:
    """The axes that the Published scale left out as noise."""
    return tuple(entry.axis for entry in left_out if entry.reason is Reason.WITHIN_NOISE)


def _by_round(compared: Sequence[Cell], yardstick: str | None, weights: Weights) -> dict[str, dict[int, float]]:
    """Reference PER of each round alone, by model."""
    by_model: dict[str, dict[int, float]] = {}
    numbers = sorted({entry.round for cell in compared for entry in cell.rounds})
    for number in numbers:
        rows = [measured(cell, entry.figures) for cell in compared for entry in cell.rounds if entry.round == number]
        for score in reference(rows, yardstick, weights=weights).scores:
            if score.value is not None:
                by_model.setdefault(score.model, {})[number] = score.value
    return by_model


def _plausible(figure: float | None) -> float | None:
    """None for a figure of a magnitude that only a damaged file can hold."""
    return figure if figure is not None and is_figure(figure) else None
