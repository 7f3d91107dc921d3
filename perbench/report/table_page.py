"""The page of a table of ready figures: PER on both scales, with the weaknesses of the Published one visible."""

import shlex
from collections.abc import Sequence
from pathlib import PurePath

from perbench import __version__
from perbench.per.removals import removals
from perbench.per.table import Table
from perbench.per.table_scores import TaskScores
from perbench.report import table_view, table_words
from perbench.report.document import document


def render_table(table: Table, scored: Sequence[TaskScores], options: Sequence[str] = ()) -> str:
    """The report of a scored table as HTML; `options`: flags of `perbench score` that led to these scores."""
    removed = {task.task: removals([row.measured for row in task.rows], task.stability) for task in scored}
    name = PurePath(table.name).name
    values = {
        "name": name,
        "mismatched": table_words.mismatched(scored),
        "has_published": table.has_published,
        "sentence": table_words.headline(scored),
        "remarks": table_words.remarks(table, scored, removed),
        "summaries": table_view.summaries(scored, removed),
        "mismatches": table_view.mismatches(scored),
        "tasks": [table_view.task_view(task, removed[task.task]) for task in scored],
        "rows": len(table.rows),
        "floor": scored[0].reference.quality_floor,
        "unused": table.unused_columns,
        "command": shlex.join(["perbench", "score", name, *options, "--report", "report.html"]),
        "version": __version__,
    }
    return document("table.html", values)
