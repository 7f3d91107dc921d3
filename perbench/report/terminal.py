"""The end of `perbench run`: a table per task, the sentence, what must be known. Plain text, at most 80 columns."""

import io
import textwrap

from rich.console import Console
from rich.table import Table
from rich.text import Text

from perbench.evaluation.sentence import headline, remarks, why_no_score
from perbench.evaluation.values import Evaluation, Row, TaskEvaluation
from perbench.failures import shorten
from perbench.per.words import ABSENT, ends, likelihood, nobody_ranked, published_cell, reference_cell
from perbench.report.figures import THOUSAND, axes, bases, load_text, money
from perbench.report.notices import notices
from perbench.report.use_view import UseView, use_view

WIDTH = 80
NAME_LENGTH = 24
"""Characters of a model's name in the table; a longer one is folded."""
TEXT_LENGTH = 400


def table(evaluation: Evaluation) -> str:
    """Figures and PER of each task, the sentence, warnings. Lines end in a newline and are at most 80 long."""
    out = io.StringIO()
    console = Console(file=out, width=WIDTH, color_system=None, highlight=False, markup=False, emoji=False)
    for task in evaluation.tasks:
        console.print(Text(_heading(task, evaluation)))
        console.print(_figures(task))
        if any(row.scores.reference for row in task.rows):
            console.print()
            console.print(_scores(task))
            if task.uncertainty and (said := nobody_ranked(task.uncertainty.nobody_ranked)):
                console.print(Text(said))
        if (used := use_view(task.rows)) is not None and used.lines:
            console.print()
            console.print(_used(used))
        if any(row.cost for row in task.rows):
            console.print()
            console.print(_costs(task))
        for note in task.notes:
            console.print(Text(_clean(note)))
        console.print()
    lines = [line.rstrip() for line in out.getvalue().splitlines()]
    return "".join(f"{line}\n" for line in (*lines, *_words(evaluation)))


def _heading(task: TaskEvaluation, evaluation: Evaluation) -> str:
    settings = evaluation.results.resolved
    rounds = f"{settings.rounds} round{'s' if settings.rounds != 1 else ''}"
    repeats = f" of {settings.repeats} repeats" if settings.repeats != 1 else ""
    kind = task.record.kind.value.lower()
    put = f"{task.record.items} items, {load_text(settings)}, {rounds}{repeats}"
    return _clean("; ".join((f"{task.record.name} ({kind}): {put}", *bases(evaluation.settings))))


def _figures(task: TaskEvaluation) -> Table:
    units = sorted({row.unit for row in task.rows})
    views = axes(task.record.kind, " or ".join(units))
    grid = _grid()
    grid.add_column("MODEL", overflow="fold", min_width=12, max_width=NAME_LENGTH)
    for header in ("ACCURACY", views[1].unit.split(" ")[0].upper(), views[2].unit.upper(), "MEMORY MIB", "VALID"):
        grid.add_column(header, justify="right", no_wrap=True)
    for row in task.rows:
        cells = [view.text(view.value(row.cell.figures)) for view in views]
        valid = {True: "yes", False: "no", None: ABSENT}[row.cell.valid]
        grid.add_row(Text(_clean(row.cell.model)), *cells, valid)
    return grid


def _scores(task: TaskEvaluation) -> Table:
    grid = _grid()
    grid.add_column("#", justify="right", no_wrap=True)
    grid.add_column("MODEL", overflow="fold", min_width=12, max_width=NAME_LENGTH)
    grid.add_column("REFERENCE", justify="right")
    others = [row.scores.uncertainty for row in task.rows if row.cell.model != task.reference_model]
    uncertain = any(known is not None and known.reference_per is not None for known in others)
    if uncertain:
        grid.add_column("95 %", no_wrap=True)
        grid.add_column("BEST", justify="right", no_wrap=True)
    grid.add_column("PER", overflow="fold")
    rank = {model: place for place, model in enumerate(task.order, start=1)}
    for row in sorted(task.rows, key=lambda row: rank.get(row.cell.model, len(rank) + 1)):
        place = str(rank.get(row.cell.model, ""))
        value, *between, published = _score_cells(row, task)
        cells = [value, *(between if uncertain else ()), published]
        grid.add_row(place, Text(_clean(row.cell.model)), *map(Text, cells))
    return grid


def _score_cells(row: Row, task: TaskEvaluation) -> tuple[str, str, str, str]:
    """Reference PER, its interval, how likely it is the best, Published PER.

    Why there is no value is a code: the warning says more.
    """
    on_reference, on_published, known = row.scores.reference, row.scores.published, row.scores.uncertainty
    if on_reference is None or on_published is None:
        return (ABSENT, "", "", f"{ABSENT} ({why_no_score(row)})")
    per = known.per if known else None
    published = f"{published_cell(on_published)}{f' ({ends(per)})' if per else ''}"
    reasons = dict.fromkeys(str(score.reason) for score in (on_reference, on_published) if score.reason)
    interval = known.reference_per if known else None
    likely = known.probability_best if known and row.cell.model in task.order and len(task.order) > 1 else None
    return (
        reference_cell(on_reference),
        "reference" if row.cell.model == task.reference_model else ends(interval) if interval else "",
        "" if likely is None else likelihood(likely).replace(" ", ""),
        f"{published} ({', '.join(reasons)})" if reasons else published,
    )


def _costs(task: TaskEvaluation) -> Table:
    grid = _grid()
    grid.add_column("MODEL", overflow="fold", min_width=12, max_width=NAME_LENGTH)
    by_tokens = any(row.cost and row.cost.per_million_tokens is not None for row in task.rows)
    if by_tokens:
        grid.add_column("$ PER MILLION TOKENS")
    by_answers = any(row.cost and row.cost.per_correct_answer is not None for row in task.rows)
    if by_answers:
        grid.add_column("$ PER 1,000 RIGHT ANSWERS")
    for row in task.rows:
        if row.cost is not None:
            tokens = money(row.cost.per_million_tokens, row.cost.per_million_tokens_interval)
            answers = money(row.cost.per_correct_answer, row.cost.per_correct_answer_interval, THOUSAND)
            given = [*([tokens] if by_tokens else []), *([answers] if by_answers else [])]
            grid.add_row(Text(_clean(row.cell.model)), *given)
    return grid


def _used(used: UseView) -> Table:
    grid = _grid()
    grid.add_column("MODEL", overflow="fold", min_width=12, max_width=NAME_LENGTH)
    for column in used.columns:
        grid.add_column(column.short, justify="right")
    for model, cells in used.lines:
        grid.add_row(Text(_clean(model)), *cells)
    return grid


def _grid() -> Table:
    return Table(box=None, padding=(0, 2, 0, 0), pad_edge=False)


def _words(evaluation: Evaluation) -> list[str]:
    lines = _wrap(headline(evaluation))
    for remark in remarks(evaluation):
        lines += _wrap(remark)
    failure = evaluation.verdict.failure
    if failure is not None:
        lines += _wrap(f"Not succeeded ({failure.blame.value}: {failure.reason}): {failure.message}")
    for notice in notices(evaluation):
        if failure is None or notice.code != failure.reason or notice.message not in failure.message:
            about = f" ({notice.about})" if notice.about else ""
            lines += _wrap(f"{notice.code}{about}: {notice.message}", indent="  ")
    return lines


def _wrap(text: str, indent: str = "") -> list[str]:
    return textwrap.wrap(_clean(text), WIDTH, subsequent_indent=indent)


def _clean(text: str) -> str:
    """Names and messages may come from anywhere: no control characters reach the terminal."""
    return " ".join(shorten(text, TEXT_LENGTH).split())
