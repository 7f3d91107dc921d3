"""What the page of a table of figures shows, as data: texts ready to be read, bars as shares of their scale."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from perbench.per import Axis
from perbench.per.measured import Measured, Score
from perbench.per.removals import Change, Effect, Removals
from perbench.per.table import TableRow
from perbench.per.table_scores import TaskScores
from perbench.per.words import ABSENT, number, published_cell, reference_cell, why_absent, why_left_out
from perbench.report.bars import Bar
from perbench.report.document import DASH
from perbench.report.figures import share, significant
from perbench.report.plot import NARROW, WIDE, Plot, Point, plot
from perbench.report.table_words import first_of

ARROW = "\N{RIGHTWARDS ARROW}"

MOST_EFFECTS = 6
"""Removals a task shows: those that change most."""
KIND_UNITS: Mapping[str | None, tuple[str, str]] = {
    "generation": ("tokens/s per unit", "ms per token"),
    "synthetic": ("tokens/s per unit", "ms per token"),
    "classification": ("items/s per unit", "ms per item"),
    None: ("", "ms"),
}
"""Units of throughput and latency by the kind of a task."""


@dataclass(frozen=True)
class Cell:
    """A figure of one model on one axis."""

    text: str
    worst: bool
    best: bool


@dataclass(frozen=True)
class Line:
    """A model on a task."""

    model: str
    place: str
    best: bool
    front: bool
    is_reference: bool
    reference: str
    reference_bar: Bar | None
    published: str
    published_bar: Bar | None
    published_zero: bool
    span: str
    """Lowest and highest Published PER over removals of another model."""
    table_value: str
    """The table's own PER, where the formula does not give it."""
    why: str
    cells: tuple[Cell, ...]


@dataclass(frozen=True)
class EffectLine:
    """One model left out."""

    removed: str
    flips: str
    first: str
    moved: bool
    change: str


@dataclass(frozen=True)
class TaskView:
    """One task's section."""

    name: str
    facts: str
    reference: str
    columns: tuple[tuple[str, str], ...]
    """Title and unit of each axis."""
    lines: tuple[Line, ...]
    plots: tuple[tuple[str, Plot], ...]
    """Class and drawing, one for wide and one for narrow screens. Empty where there is nothing to draw."""
    drawn: str
    """What the drawing shows, in words."""
    effects: tuple[EffectLine, ...]
    quiet: int
    """Removals that are not listed."""
    more: bool
    """Whether some of those reverse a pair or move the first place."""
    absent: str
    notes: tuple[str, ...]


@dataclass(frozen=True)
class Summary:
    """One task in one line."""

    name: str
    published: str
    reference: str
    zeros: str
    flips: str
    front: str


@dataclass(frozen=True)
class Mismatch:
    """A cell whose own PER is not what the formula gives."""

    task: str
    model: str
    table: str
    formula: str
    difference: str


def summaries(scored: Sequence[TaskScores], removed: Mapping[str, Removals]) -> tuple[Summary, ...]:
    """All tasks, in the order of the table."""
    return tuple(
        Summary(
            name=task.task,
            published=first_of(task.published.scores) or ABSENT,
            reference=task.reference.ranking[0] if task.reference.ranking else ABSENT,
            zeros=_zeros(task.published.scores),
            flips=str(task.stability.flips) if removed[task.task].effects else ABSENT,
            front=f"{sum(task.pareto)} of {len(task.rows)}",
        )
        for task in scored
    )


def _zeros(scores: Sequence[Score]) -> str:
    values = [score.value for score in scores if score.value is not None]
    return f"{values.count(0)} of {len(values)}" if values else ABSENT


def mismatches(scored: Sequence[TaskScores]) -> tuple[Mismatch, ...]:
    """Every cell that differs, in the order of the table."""
    return tuple(
        Mismatch(
            task=task.task,
            model=row.measured.model,
            table=f"{row.published:g}",
            formula=f"{score.value:.3f}",
            difference=f"{row.published - score.value:+.3f}",
        )
        for task in scored
        for row, score, differs in zip(task.rows, task.published.scores, task.mismatches(), strict=True)
        if differs and row.published is not None and score.value is not None
    )


def task_view(task: TaskScores, removed: Removals) -> TaskView:
    """The section of a task. Rows stand in the order of their Reference PER, those without one last."""
    rank = {model: place for place, model in enumerate(task.reference.ranking, start=1)}
    order = sorted(range(len(task.rows)), key=lambda i: rank.get(task.rows[i].measured.model, len(rank) + 1))
    kind = task.rows[0].kind
    throughput, latency = KIND_UNITS[kind]
    reasons = {why_absent(score) for score in task.published.scores}
    absent = reasons.pop() if len(reasons) == 1 and not any(s.value is not None for s in task.published.scores) else ""
    lines = tuple(_line(task, index, rank, removed, quiet=bool(absent)) for index in order)
    points = [_point(task.rows[i], str(rank.get(task.rows[i].measured.model, "")), task.pareto[i]) for i in order]
    telling = [effect for effect in removed.effects if effect.flips or effect.displaced]
    effects = _effects(telling)
    return TaskView(
        name=task.task,
        facts=", ".join(part for part in (kind, _models(len(task.rows))) if part),
        reference=task.reference.reference or ABSENT,
        columns=(("Accuracy", ""), ("Throughput", throughput), ("Latency", latency), ("Memory", "MB")),
        lines=lines,
        plots=_plots([point for point in points if point is not None], throughput),
        drawn=_drawn(task),
        effects=effects,
        quiet=len(removed.effects) - len(effects),
        more=len(telling) > len(effects),
        absent=absent,
        notes=tuple(
            f"{text[:1].upper()}{text[1:]}."
            for text in dict.fromkeys(map(why_left_out, (*task.published.left_out, *task.reference.left_out)))
        ),
    )


def _models(count: int) -> str:
    return "1 model" if count == 1 else f"{count} models"


def _line(task: TaskScores, index: int, rank: Mapping[str, int], removed: Removals, *, quiet: bool) -> Line:
    row, published, reference = task.rows[index], task.published.scores[index], task.reference.scores[index]
    model = row.measured.model
    top = max([1.0, *(score.value for score in task.reference.scores if score.value is not None)])
    span = removed.spans.get(model)
    return Line(
        model=model,
        place=str(rank.get(model, "")),
        best=rank.get(model) == 1,
        front=task.pareto[index],
        is_reference=model == task.reference.reference,
        reference=reference_cell(reference),
        reference_bar=_bar(reference, top, mark=100 / top),
        published=published_cell(published),
        published_bar=_bar(published, 1.0, span),
        published_zero=published.value == 0,
        span=_span(span),
        table_value=f"{row.published:g}" if task.mismatches()[index] and row.published is not None else "",
        why="; ".join(dict.fromkeys(filter(None, (why_absent(reference), "" if quiet else why_absent(published))))),
        cells=tuple(
            _cell(axis, row.measured, task.rows) for axis in (Axis.ACCURACY, Axis.THROUGHPUT, Axis.LATENCY, Axis.MEMORY)
        ),
    )


def _bar(score: Score, top: float, span: tuple[float, float] | None = None, mark: float | None = None) -> Bar | None:
    if score.value is None:
        return None
    low, high = (round(100 * end / top, 2) for end in span) if span and span[0] != span[1] else (None, None)
    return Bar(round(100 * score.value / top, 2), low, high, None if mark is None else round(mark, 2))


def _span(span: tuple[float, float] | None) -> str:
    if span is None or number(span[0]) == number(span[1]):
        return ""
    return f"{number(span[0])}{DASH}{number(span[1])}"


def _cell(axis: Axis, own: Measured, rows: Sequence[TableRow]) -> Cell:
    figure: float | None = getattr(own, axis.value)
    known = [value for row in rows if (value := getattr(row.measured, axis.value)) is not None]
    low, high = (min(known), max(known)) if known else (0.0, 0.0)
    best, worst = (high, low) if axis.higher_is_better else (low, high)
    return Cell(
        text=share(figure) if axis is Axis.ACCURACY else significant(figure),
        worst=figure == worst and low != high,
        best=figure == best and low != high,
    )


def _point(row: TableRow, place: str, front: bool) -> Point | None:
    own = row.measured
    if own.accuracy is None or own.throughput is None:
        return None
    return Point(own.model, place, own.throughput, own.accuracy, own.memory, front)


def _plots(points: Sequence[Point], unit: str) -> tuple[tuple[str, Plot], ...]:
    title = f"throughput, {unit}" if unit else "throughput"
    wide = plot(points, title, WIDE)
    narrow = plot(points, title, NARROW, named=False)
    return (("wide", wide), ("narrow", narrow)) if wide and narrow else ()


def _drawn(task: TaskScores) -> str:
    front = [row.measured.model for row, on_front in zip(task.rows, task.pareto, strict=True) if on_front]
    return f"Accuracy against throughput on {task.task}. On the Pareto front over all axes: {', '.join(front)}."


def _effects(telling: Sequence[Effect]) -> tuple[EffectLine, ...]:
    """Those that reverse most first; in the order given where they reverse as many."""
    return tuple(
        EffectLine(
            removed=effect.removed,
            flips=str(effect.flips),
            first=f"{effect.first}, before {effect.displaced}" if effect.displaced else effect.first,
            moved=effect.displaced is not None,
            change=_change(effect.largest),
        )
        for effect in sorted(telling, key=lambda effect: -effect.flips)[:MOST_EFFECTS]
    )


def _change(change: Change) -> str:
    return f"{change.model}: {number(change.before)} {ARROW} {number(change.after)}"
