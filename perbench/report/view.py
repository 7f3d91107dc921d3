"""What the page shows, as data: texts ready to be read, bars as shares of their scale. The template places them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from perbench.evaluation.sentence import headline, remarks, why_no_score
from perbench.evaluation.values import Cell, Evaluation, Exclusion, Figures, Row, Spread, TaskEvaluation
from perbench.per.words import ABSENT, published_cell, reference_cell, why_absent, why_left_out
from perbench.report.document import DASH
from perbench.report.figures import AxisView, axes, percent, significant, spread
from perbench.report.notices import Notice, notices
from perbench.results import Outcome, TaskKind

EXCLUSION_LABELS: Mapping[Exclusion, str] = {
    Exclusion.MODEL_FAILED: "failed",
    Exclusion.NOT_FINISHED: "not finished",
    Exclusion.MEASUREMENT_INVALID: "not valid",
    Exclusion.TOO_MANY_ERRORS: "too many errors",
    Exclusion.TOO_FEW_SAMPLES: "too few samples",
    Exclusion.OUTPUT_LENGTH_MISSED: "outputs of another length",
}

VERDICTS: Mapping[int | None, str] = {
    0: "Succeeded",
    3: "Not valid",
    4: "Not succeeded",
    None: "Not finished",
}
"""Of the run, by the exit code of `perbench run`."""


@dataclass(frozen=True)
class Bar:
    """A bar from 0 to `width`, a range over rounds, and a mark; all in percent of the scale."""

    width: float
    low: float | None = None
    high: float | None = None
    mark: float | None = None


@dataclass(frozen=True)
class ScoreLine:
    """A model's PER on a task."""

    model: str
    place: str
    best: bool
    label: str
    """What it is besides: reference, failed, not valid."""
    reference: str
    reference_bar: Bar | None
    spread: str
    published: str
    published_bar: Bar | None
    published_zero: bool
    reason: str
    pareto: bool


@dataclass(frozen=True)
class AxisLine:
    """A model's figure on an axis."""

    model: str
    best: bool
    excluded: bool
    text: str
    bar: Bar | None
    spread: str


@dataclass(frozen=True)
class AxisPanel:
    """One axis of a task."""

    title: str
    unit: str
    better: str
    lines: tuple[AxisLine, ...]


@dataclass(frozen=True)
class RoundLine:
    """How a model's throughput moved from round to round: positions in percent of the strip, 50 = its mean."""

    model: str
    dots: tuple[tuple[str, float], ...]
    text: str


@dataclass(frozen=True)
class TaskView:
    """One task's section."""

    name: str
    facts: str
    reference: str
    scores: tuple[ScoreLine, ...]
    panels: tuple[AxisPanel, ...]
    absent: str
    """Why nobody has a Published PER; empty where somebody has one."""
    notes: tuple[str, ...]
    rounds: tuple[RoundLine, ...]
    rounds_scale: str
    details: tuple[tuple[str, tuple[str, ...]], ...]


DETAILS = (
    "Items/s",
    "Correct items/s",
    "Output tokens, mean",
    "Stopped by length",
    "TTFT p50, ms",
    "TTFT p95, ms",
    "Between tokens p50, ms",
    "Requests",
    "Failed",
    "Answers that changed",
)
"""Columns of the figures behind the axes."""


def verdict_label(evaluation: Evaluation) -> str:
    """One or two words for the run."""
    return VERDICTS[evaluation.verdict.exit_code]


def summary(evaluation: Evaluation) -> tuple[str, tuple[str, ...]]:
    """The sentence and its remarks."""
    return headline(evaluation), remarks(evaluation)


def page_notices(evaluation: Evaluation) -> tuple[Notice, ...]:
    """Warnings, those that invalidate first."""
    return tuple(sorted(notices(evaluation), key=lambda notice: not notice.invalidates))


def task_view(task: TaskEvaluation, evaluation: Evaluation) -> TaskView:
    """The section of a task. Rows stand in the order of their Reference PER, those without one last."""
    place = {model: index for index, model in enumerate(task.order, start=1)}
    rows = sorted(task.rows, key=lambda row: place.get(row.cell.model, len(place) + 1))
    settings = evaluation.results.resolved
    facts = [
        task.record.kind.value.lower(),
        f"{task.record.items} items",
        f"{settings.concurrency} requests at a time",
        f"{settings.rounds} round{'s' if settings.rounds != 1 else ''}",
        *([f"{settings.repeats} repeats in each"] if settings.repeats != 1 else []),
    ]
    units = " or ".join(sorted({row.unit for row in task.rows}))
    limit, rounds = _rounds(rows)
    absent = _absent(rows)
    return TaskView(
        name=task.record.name,
        facts=", ".join(facts),
        reference=task.reference_model,
        scores=_scores(rows, place, task.reference_model, absent),
        absent=absent,
        panels=tuple(_panel(view, rows, place) for view in axes(task.record.kind, units)),
        notes=(*task.notes, *(f"{_sentence(why_left_out(entry))}." for entry in task.left_out)),
        rounds=rounds,
        rounds_scale=f"±{limit:.1f} %",
        details=tuple((row.cell.model, _details(row.cell)) for row in rows if row.cell.stages),
    )


def _absent(rows: Sequence[Row]) -> str:
    """The one reason for which no compared model has a Published PER; empty where there are several, or a PER."""
    scores = [row.scores.published for row in rows if row.scores.published]
    reasons = {why_absent(score) for score in scores}
    return reasons.pop() if len(reasons) == 1 and all(score.value is None for score in scores) else ""


def _scores(rows: Sequence[Row], place: Mapping[str, int], reference_model: str, absent: str) -> tuple[ScoreLine, ...]:
    values = [row.scores.reference.value or 0.0 for row in rows if row.scores.reference]
    highs = [row.scores.reference_spread.high for row in rows if row.scores.reference_spread]
    top = max([1.0, *values, *highs])
    lines = [_score(row, place, reference_model, top) for row in rows]
    # What is said once under the table is not said again in each line.
    return tuple(replace(line, reason="") if absent and line.reference_bar else line for line in lines)


def _score(row: Row, place: Mapping[str, int], reference_model: str, top: float) -> ScoreLine:
    model, scores = row.cell.model, row.scores
    on_reference = scores.reference.value if scores.reference else None
    on_published = scores.published.value if scores.published else None
    is_reference = model == reference_model
    labels = [
        *(["reference"] if is_reference else []),
        *([EXCLUSION_LABELS[row.cell.excluded]] if row.cell.excluded else []),
        *(["ranked apart"] if row.apart else []),
    ]
    return ScoreLine(
        model=model,
        place=str(place.get(model, "")),
        best=place.get(model) == 1,
        label=", ".join(labels),
        reference=reference_cell(scores.reference) if scores.reference else ABSENT,
        reference_bar=_bar(on_reference, top, scores.reference_spread, mark=1.0),
        spread="" if is_reference else spread(scores.reference_spread, DASH),
        published=published_cell(scores.published) if scores.published else ABSENT,
        published_bar=_bar(on_published, 1.0),
        published_zero=on_published == 0,
        reason=why_no_score(row),
        pareto=bool(scores.pareto),
    )


def _panel(view: AxisView, rows: Sequence[Row], place: Mapping[str, int]) -> AxisPanel:
    everything = [view.value(figures) for row in rows for figures in _all_figures(row.cell)]
    top = max([value for value in everything if value is not None], default=0.0)
    return AxisPanel(
        title=view.title,
        unit=view.unit,
        better=view.better,
        lines=tuple(
            AxisLine(
                model=row.cell.model,
                best=place.get(row.cell.model) == 1,
                excluded=row.cell.excluded is not None,
                text=view.text(view.value(row.cell.figures)),
                bar=_ranged(view, row.cell, top),
                spread=_range_text(view, row.cell),
            )
            for row in rows
        ),
    )


def _all_figures(cell: Cell) -> list[Figures]:
    return [cell.figures, *(entry.figures for entry in cell.rounds)]


def _of_rounds(view: AxisView, cell: Cell) -> list[float]:
    values = [view.value(entry.figures) for entry in cell.rounds]
    known = [value for value in values if value is not None]
    return known if len(known) > 1 else []


def _ranged(view: AxisView, cell: Cell, top: float) -> Bar | None:
    value, over = view.value(cell.figures), _of_rounds(view, cell)
    if value is None or top <= 0:
        return None
    low, high = (_percent(min(over), top), _percent(max(over), top)) if over else (None, None)
    return Bar(_percent(value, top), low, high)


def _range_text(view: AxisView, cell: Cell) -> str:
    over = _of_rounds(view, cell)
    if not over:
        return ""
    low, high = view.text(min(over)), view.text(max(over))
    return "" if low == high else f"{low}{DASH}{high}"


def _bar(value: float | None, top: float, over: Spread | None = None, mark: float | None = None) -> Bar | None:
    if value is None:
        return None
    low, high = (_percent(over.low, top), _percent(over.high, top)) if over else (None, None)
    return Bar(_percent(value, top), low, high, None if mark is None else _percent(mark, top))


def _percent(value: float, top: float) -> float:
    return round(min(max(100 * value / top, 0.0), 100.0), 2)


def _rounds(rows: Sequence[Row]) -> tuple[float, tuple[RoundLine, ...]]:
    """Throughput of each round against the model's own mean, and how far the strip reaches to each side, in percent."""
    moved: list[tuple[str, list[tuple[int, float]]]] = []
    for row in rows:
        known = [(r.round, r.figures.throughput) for r in row.cell.rounds if r.figures.throughput is not None]
        mean = sum(value for _, value in known) / len(known) if known else 0.0
        if len(known) > 1 and mean > 0:
            moved.append((row.cell.model, [(number, 100 * (value / mean - 1)) for number, value in known]))
    limit = max([1.0, *(abs(away) for _, entries in moved for _, away in entries)])
    return limit, tuple(
        RoundLine(
            model=model,
            dots=tuple((str(number + 1), round(50 + 46 * away / limit, 2)) for number, away in entries),
            text=", ".join(f"{away:+.1f} %" for _, away in entries),
        )
        for model, entries in moved
    )


def _details(cell: Cell) -> tuple[str, ...]:
    figures = cell.figures
    kinds = ", ".join(f"{count} {kind.value}" for kind, count in cell.outcomes.items() if kind is not Outcome.SUCCESS)
    stopped = None if cell.stopped_by_length is None else 100 * cell.stopped_by_length
    return (
        significant(figures.items_per_second),
        significant(figures.correct_items_per_second),
        significant(cell.mean_output_tokens),
        percent(stopped),
        _percentile(cell, 50),
        _percentile(cell, 95),
        significant(None if cell.kind is TaskKind.CLASSIFICATION else cell.itl_p50_ms),
        f"{cell.requests:,}",
        f"{percent(cell.error_percent)}{f' ({kinds})' if kinds else ''}",
        percent(cell.flip_percent),
    )


def _percentile(cell: Cell, wanted: int) -> str:
    found = cell.ttft.percentiles[wanted]
    if found.unbounded:
        return "unbounded"
    return significant(found.value) if found.value is not None else f"withheld (n = {cell.ttft.n})"


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]
