"""What the page of a run shows, as data: texts to be read, shapes as shares of their scale. Templates place them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from perbench.evaluation.sentence import headline, remarks
from perbench.evaluation.values import Cell, Evaluation, Row, TaskEvaluation
from perbench.per import FigureIntervals, Reason
from perbench.per.words import why_left_out
from perbench.report.axis_view import AxisPanel, axis_panels, cost_panels
from perbench.report.figures import MEBIBYTE, axes, load_text, percent, significant
from perbench.report.latency_view import LatencyPanel, client_note, latency_panels
from perbench.report.notices import Notice, notices
from perbench.report.plot import NARROW, Frame, Plot, Point, plot
from perbench.report.rounds_view import RoundsView, rounds_view
from perbench.report.score_view import ScoreView, score_view
from perbench.report.use_view import UseView, use_view
from perbench.results import Outcome, TaskKind
from perbench.statistics.intervals import Interval

VERDICTS: Mapping[int | None, str] = {
    0: "Succeeded",
    3: "Not valid",
    4: "Not succeeded",
    None: "Not finished",
}
"""Of the run, by the exit code of `perbench run`."""

FLAT = Frame(1040, 360)
"""Of the drawing of a run, which has fewer models than a table of figures may have."""


@dataclass(frozen=True)
class TaskView:
    """One task's section."""

    name: str
    facts: str
    scores: ScoreView
    panels: tuple[AxisPanel, ...]
    costs: tuple[AxisPanel, ...]
    """Empty where nothing has a price."""
    notes: tuple[str, ...]
    plots: tuple[tuple[str, Plot], ...]
    """(`wide` or `narrow`, drawing); empty where there is nothing to draw."""
    drawn: str
    """What the drawing shows, in words."""
    latencies: tuple[LatencyPanel, ...]
    client: str
    """What the load generator added to them."""
    rounds: RoundsView | None
    use: UseView | None
    """None: nothing is known of what the servers used."""
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
    resolved, kind = evaluation.results.resolved, task.record.kind
    models = {model.name: model for model in evaluation.results.models}
    return TaskView(
        name=task.record.name,
        facts=_facts(task, evaluation),
        scores=score_view(task, rows, resolved.rounds, resolved.repeats),
        panels=axis_panels(kind, rows, place, evaluation.settings),
        costs=cost_panels(rows, place),
        notes=_notes(task),
        plots=_plots(kind, rows, place),
        drawn=_drawn(task),
        latencies=latency_panels(task.record, rows, models, place),
        client=client_note(rows),
        rounds=rounds_view(kind, rows, resolved.rounds),
        use=use_view(rows),
        details=tuple((row.cell.model, _details(row.cell)) for row in rows if row.cell.requests),
    )


def _facts(task: TaskEvaluation, evaluation: Evaluation) -> str:
    settings = evaluation.results.resolved
    parts = [
        task.record.kind.value.lower(),
        f"{task.record.items} items",
        load_text(settings),
        *([f"and {settings.unloaded_requests} one at a time"] if settings.unloaded_requests else []),
        f"{settings.rounds} round{'s' if settings.rounds != 1 else ''}",
        *([f"{settings.repeats} repeats in each"] if settings.repeats != 1 else []),
    ]
    return ", ".join(parts)


def _notes(task: TaskEvaluation) -> tuple[str, ...]:
    # Where nobody has a Published PER, only what is measured for nobody concerns the other scale too.
    told = [entry for entry in task.left_out if not task.few or entry.reason is Reason.NOT_MEASURED]
    left_out = [f"{_sentence(why_left_out(entry))}." for entry in told]
    if task.flips is None:
        return (*task.notes, *left_out)
    pairs = f"{task.flips} pair{'s' if task.flips != 1 else ''}" if task.flips else "no pair"
    stable = f"Leaving out one model at a time reverses {pairs} of the others on the Published scale."
    return (*task.notes, *left_out, stable)


def _plots(kind: TaskKind, rows: Sequence[Row], place: Mapping[str, int]) -> tuple[tuple[str, Plot], ...]:
    # Models ranked apart have another unit of throughput, or other prompts: one scale would compare them.
    together = [row for row in rows if not row.apart]
    points = [point for row in together if (point := _point(row, place)) is not None]
    title = f"throughput, {axes(kind, ' or '.join(sorted({row.unit for row in together})))[1].unit}"
    wide, narrow = plot(points, title, FLAT), plot(points, title, NARROW, named=False)
    return (("wide", wide), ("narrow", narrow)) if wide and narrow else ()


def _point(row: Row, place: Mapping[str, int]) -> Point | None:
    figures, model = row.cell.figures, row.cell.model
    # Without a front, before the end of a run, every circle would say that another beats it.
    if row.scores.pareto is None or figures.accuracy is None or figures.throughput is None:
        return None
    memory = None if figures.memory_bytes is None else figures.memory_bytes / MEBIBYTE
    known = row.scores.uncertainty.figures if row.scores.uncertainty else FigureIntervals()
    return Point(
        name=model,
        place=str(place.get(model, "")),
        x=figures.throughput,
        y=figures.accuracy,
        size=memory,
        front=bool(row.scores.pareto),
        x_ends=_both(known.throughput),
        y_ends=_both(known.accuracy),
    )


def _both(interval: Interval | None) -> tuple[float, float] | None:
    return (interval.low, interval.high) if interval else None


def _drawn(task: TaskEvaluation) -> str:
    front = [row.cell.model for row in task.rows if row.scores.pareto and not row.apart]
    return f"Accuracy against throughput on {task.record.name}. On the Pareto front over all axes: {', '.join(front)}."


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
        significant(cell.itl_p50_ms),
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
