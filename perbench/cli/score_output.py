"""What `perbench score` prints: JSON for programs, tables of at most 80 columns for people. Functions of values."""

import io
import json
from collections.abc import Collection, Iterator, Sequence

from rich.console import Console
from rich.table import Table as Grid

from perbench.per import Stability, words
from perbench.per.measured import Axis, Measured, Score
from perbench.per.removals import removals
from perbench.per.table import Table
from perbench.per.table_scores import TOLERANCE, TaskScores, best_of

WIDTH = 80
Entry = dict[str, float | None]


def to_json(table: Table, scored: Sequence[TaskScores]) -> str:
    """One object per row, in the order of tasks and rows. Absent values are null; why stands in `notes`."""
    entries = []
    for task in scored:
        steady = stability_entries([row.measured for row in task.rows], task.stability)
        for row, per, reference, optimal, mismatch in zip(
            task.rows, task.published.scores, task.reference.scores, task.pareto, task.mismatches(), strict=True
        ):
            entry: dict[str, str | float | bool | Entry | None] = {
                "task": task.task,
                "model": row.measured.model,
                "per": per.value,
                "reference_per": reference.value,
                "pareto_optimal": optimal,
                "stability": None if task.published.warnings else steady.get(row.measured.model),
            }
            if table.has_published:
                entry |= {"published": row.published, "mismatch": mismatch}
            entries.append(entry)
    return json.dumps(entries, indent=2, allow_nan=False) + "\n"


def stability_entries(
    rows: Sequence[Measured], stability: Stability, within_noise: Collection[Axis] = ()
) -> dict[str, Entry]:
    """By compared model: what removals of one model do to the Published order, and to its own value.

    `flips`: reversed pairs over all removals, the same for all models of a task. `flips_without`: those that leaving
    out this model reverses. `per_low`, `per_high`: ends of its own PER over removals of others, null with four models.
    """
    spans = removals(rows, stability, within_noise).spans
    nothing = (None, None)
    return {
        removal.removed: {
            "flips": stability.flips,
            "flips_without": len(removal.flipped),
            "per_low": spans.get(removal.removed, nothing)[0],
            "per_high": spans.get(removal.removed, nothing)[1],
        }
        for removal in stability.removals
    }


def to_text(table: Table, scored: Sequence[TaskScores]) -> str:
    """Tables per task, best on the reference scale first; then the best model, notes and mismatches."""
    out = io.StringIO()
    console = Console(file=out, width=WIDTH, color_system=None, highlight=False, markup=False, emoji=False)
    for task in scored:
        console.print(_heading(task))
        console.print(_grid(table, task))
        if task.stability.flips and not task.published.warnings:
            console.print(_stability_line(task))
        console.print()
    console.print(_best_line(scored))
    for line in [*notes(table, scored), *_mismatch_lines(table, scored)]:
        console.print(line)
    return "".join(f"{line.rstrip()}\n" for line in out.getvalue().splitlines())


def notes(table: Table, scored: Sequence[TaskScores]) -> list[str]:
    """What is absent and why, one line each; columns that were not used."""
    lines = [line for task in scored for line in _task_notes(task)]
    if table.unused_columns:
        lines.append(f"columns not used: {', '.join(table.unused_columns)}")
    return lines


def _task_notes(task: TaskScores) -> Iterator[str]:
    for left_out in dict.fromkeys((*task.published.left_out, *task.reference.left_out)):
        yield f"{task.task}: {words.why_left_out(left_out)}"
    for scale, scores in (("PER", task.published.scores), ("Reference PER", task.reference.scores)):
        for example, models in _absent(scores):
            who = "all models" if len(models) == len(scores) and len(models) > 1 else ", ".join(models)
            yield f"{task.task}: no {scale} for {who}: {words.why_absent(example)} ({example.reason})"


def _absent(scores: Sequence[Score]) -> Iterator[tuple[Score, list[str]]]:
    """Scores without a value, grouped by their reason: an example and the models."""
    groups: dict[tuple[object, ...], list[Score]] = {}
    for score in scores:
        if score.reason is not None:
            groups.setdefault((score.reason, score.axes), []).append(score)
    for group in groups.values():
        yield group[0], [score.model for score in group]


def _heading(task: TaskScores) -> str:
    kind = task.rows[0].kind
    words_of_kind = f" ({kind})" if kind else ""
    models = "1 model" if len(task.rows) == 1 else f"{len(task.rows)} models"
    return f"{task.task}{words_of_kind}: {models}, reference {task.reference.reference}"


def _stability_line(task: TaskScores) -> str:
    pairs = "1 pair changes" if task.stability.flips == 1 else f"{task.stability.flips} pairs change"
    return f"Over all removals of one model, {pairs} places on PER."


def _grid(table: Table, task: TaskScores) -> Grid:
    grid = Grid(box=None, padding=(0, 2, 0, 0), pad_edge=False)
    grid.add_column("#", justify="right")
    grid.add_column("MODEL", overflow="fold", min_width=12)
    grid.add_column("REFERENCE", justify="right", no_wrap=False)
    grid.add_column("PARETO", no_wrap=True)
    if table.has_published:
        grid.add_column("TABLE", justify="right", no_wrap=True)
    grid.add_column("PER", overflow="fold")
    rank = {model: str(place) for place, model in enumerate(task.reference.ranking, start=1)}
    order = sorted(range(len(task.rows)), key=lambda i: int(rank.get(task.rows[i].measured.model, len(rank) + 1)))
    for i in order:
        row = task.rows[i]
        cells = [
            rank.get(row.measured.model, ""),
            row.measured.model,
            words.reference_cell(task.reference.scores[i]),
            "yes" if task.pareto[i] else "",
            words.published_cell(task.published.scores[i]),
        ]
        if table.has_published:
            cells.insert(4, words.ABSENT if row.published is None else f"{row.published:g}")
        grid.add_row(*cells)
    return grid


def _best_line(scored: Sequence[TaskScores]) -> str:
    best = best_of(tuple(scored))
    if best is None:
        return "No best model: none is ranked on every task."
    tasks = "task" if best.tasks == 1 else "tasks"
    line = (
        f"Best: {best.model}, first in {best.tasks_won} of {best.tasks} {tasks} on the reference scale"
        f" (geometric mean {words.number(best.reference_per)})."
    )
    if best.passed_over:
        line += f" First in more, but not ranked on every task: {', '.join(best.passed_over)}."
    floor = scored[0].reference.quality_floor
    return line if floor is not None else f"{line} Without --quality-floor, small models are favoured."


def _mismatch_lines(table: Table, scored: Sequence[TaskScores]) -> list[str]:
    if not table.has_published:
        return []
    judged = [mismatch for task in scored for mismatch in task.mismatches() if mismatch is not None]
    if not judged:
        return ["The table's own PER could not be compared: no cell has both values."]
    if not any(judged):
        return [f"Of {len(judged)} cells all agree with the table's own PER within {TOLERANCE}."]
    cells = "1 cell differs" if len(judged) == 1 else f"{sum(judged)} of {len(judged)} cells differ"
    lines = [f"{cells} from the table's own PER by more than {TOLERANCE}:"]
    for task in scored:
        for row, score, mismatch in zip(task.rows, task.published.scores, task.mismatches(), strict=True):
            if mismatch and score.value is not None:
                lines.append(f"  {task.task} / {row.measured.model}: {score.value:.3f} (table: {row.published:g})")
    return lines
