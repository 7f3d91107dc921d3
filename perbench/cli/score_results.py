"""What `perbench score RESULTS.json --json` prints: the list that a table gives, with intervals. Function of values."""

import json

from perbench.cli.score_output import Entry, stability_entries
from perbench.evaluation import Evaluation
from perbench.evaluation.scores import measured, noisy_axes
from perbench.evaluation.values import Row, TaskEvaluation
from perbench.per import stability
from perbench.per.uncertainty import ModelUncertainty
from perbench.statistics.intervals import Interval


def to_json(evaluation: Evaluation) -> str:
    """One object per model and task, in the order of tasks and models. Absent values are null."""
    entries = []
    for task in evaluation.tasks:
        rows = [measured(row.cell) for row in task.rows if row.cell.excluded is None and not row.apart]
        noise = noisy_axes(task.left_out)
        steady = {} if task.flips is None else stability_entries(rows, stability(rows, noise), noise)
        entries += [_entry(task, row, steady.get(row.cell.model)) for row in task.rows]
    return json.dumps(entries, indent=2, allow_nan=False) + "\n"


def _entry(task: TaskEvaluation, row: Row, steady: Entry | None) -> dict[str, str | float | bool | Entry | None]:
    scores = row.scores
    known = scores.uncertainty or ModelUncertainty(row.cell.model)
    return {
        "task": task.record.name,
        "model": row.cell.model,
        "per": scores.published.value if scores.published else None,
        **_ends("per", known.per),
        "reference_per": scores.reference.value if scores.reference else None,
        **_ends("reference_per", known.reference_per),
        "probability_best": known.probability_best,
        "pareto_optimal": scores.pareto,
        "stability": steady,
    }


def _ends(name: str, interval: Interval | None) -> Entry:
    return {f"{name}_low": interval.low if interval else None, f"{name}_high": interval.high if interval else None}
