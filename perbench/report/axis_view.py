"""The four axes of a task side by side, and what the work costs: bars from 0, with 95 % intervals."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from perbench.evaluation.settings import Settings
from perbench.evaluation.values import Row
from perbench.report.bars import Bar
from perbench.report.document import DASH
from perbench.report.figures import THOUSAND, AxisView, axes, significant
from perbench.results import TaskKind
from perbench.statistics.intervals import Interval

Valued = tuple[float | None, Interval | None]
"""A figure and its interval, in the unit of the panel."""


@dataclass(frozen=True)
class AxisLine:
    """A model's figure on an axis."""

    model: str
    best: bool
    excluded: bool
    text: str
    bar: Bar | None
    interval: str


@dataclass(frozen=True)
class AxisPanel:
    """One axis of a task."""

    title: str
    unit: str
    better: str
    lines: tuple[AxisLine, ...]


def axis_panels(
    kind: TaskKind, rows: Sequence[Row], place: Mapping[str, int], settings: Settings
) -> tuple[AxisPanel, ...]:
    """The four axes."""
    units = " or ".join(sorted({row.unit for row in rows}))
    return tuple(
        _panel(_title(view, settings), view.unit, view.better, rows, place, partial(_valued, view), view.text)
        for view in axes(kind, units)
    )


def cost_panels(rows: Sequence[Row], place: Mapping[str, int]) -> tuple[AxisPanel, ...]:
    """What the work costs, for the models whose unit has a price; none where nobody's has."""
    priced = [row for row in rows if row.cost is not None]
    if not priced:
        return ()
    titles = ("A million output tokens", "A thousand right answers")
    panels = [
        _panel(title, "$", "lower is better", priced, place, which, significant)
        for title, which in zip(titles, (_token_cost, _answer_cost), strict=True)
    ]
    return tuple(panel for panel in panels if any(line.bar for line in panel.lines))


def _token_cost(row: Row) -> Valued:
    return (row.cost.per_million_tokens, row.cost.per_million_tokens_interval) if row.cost else (None, None)


def _answer_cost(row: Row) -> Valued:
    if row.cost is None or row.cost.per_correct_answer is None:
        return (None, None)
    interval = row.cost.per_correct_answer_interval
    return (
        THOUSAND * row.cost.per_correct_answer,
        Interval(THOUSAND * interval.low, THOUSAND * interval.high) if interval else None,
    )


def _title(view: AxisView, settings: Settings) -> str:
    """The axis, and what it is made of where that is not the default."""
    return ", ".join(part for part in (view.title, view.basis(settings).lower()) if part)


def _valued(view: AxisView, row: Row) -> Valued:
    known = row.scores.uncertainty
    return view.value(row.cell.figures), view.interval(known.figures) if known else None


def _panel(
    title: str, unit: str, better: str, rows: Sequence[Row], place: Mapping[str, int],
    valued: Callable[[Row], Valued], text: Callable[[float | None], str],
) -> AxisPanel:  # fmt: skip
    found = [(row, *valued(row)) for row in rows]
    top = max([end for _, value, interval in found for end in (value or 0.0, interval.high if interval else 0.0)])
    lines = []
    for row, value, interval in found:
        between = f"{text(interval.low)}{DASH}{text(interval.high)}" if interval else ""
        lines.append(
            AxisLine(
                model=row.cell.model,
                best=place.get(row.cell.model) == 1,
                excluded=row.cell.excluded is not None,
                text=text(value),
                bar=_bar(value, interval, top),
                interval="" if interval and text(interval.low) == text(interval.high) else between,
            )
        )
    return AxisPanel(title, unit, better, tuple(lines))


def _bar(value: float | None, interval: Interval | None, top: float) -> Bar | None:
    if value is None or top <= 0:
        return None
    low, high = (_percent(interval.low, top), _percent(interval.high, top)) if interval else (None, None)
    return Bar(_percent(value, top), low, high)


def _percent(value: float, top: float) -> float:
    return round(min(max(100 * value / top, 0.0), 100.0), 2)
