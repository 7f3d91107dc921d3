"""Both scales, the front and the stability of every task of a table, and how far its own PER agrees."""

import difflib
from dataclasses import dataclass

from perbench.failures import UsageError
from perbench.per.front import pareto
from perbench.per.leave_one_out import Stability, stability
from perbench.per.published_scale import PublishedScores, published
from perbench.per.reference_scale import Best, ReferenceScores, best, reference
from perbench.per.table import Table, TableRow

TOLERANCE = 0.015
"""A table's own PER agrees when it is within this of ours: the study rounds its figures before it prints them."""

_ROUNDING = 1e-9  # 0.515 - 0.5 is a little more than 0.015 in floats


@dataclass(frozen=True, slots=True)
class TaskScores:
    """One task of a table; `rows`, the scores and `pareto` have one order."""

    task: str
    rows: tuple[TableRow, ...]
    published: PublishedScores
    reference: ReferenceScores
    pareto: tuple[bool, ...]
    stability: Stability

    def mismatches(self) -> tuple[bool | None, ...]:
        """Per row, whether the table's own PER differs by more than the tolerance. None: one of the two is absent."""
        return tuple(
            None
            if row.published is None or score.value is None
            else abs(row.published - score.value) > TOLERANCE + _ROUNDING
            for row, score in zip(self.rows, self.published.scores, strict=True)
        )


def score_table(
    table: Table, reference_model: str | None = None, quality_floor: float | None = None
) -> tuple[TaskScores, ...]:
    """Scores per task, in the order of the table; the reference defaults to the first model of each task.

    UsageError for a reference model that no task has, for a floor outside 0 to 1, and for a floor beside accuracies
    above 1.
    """
    _check_reference(table, reference_model)
    _check_floor(table, quality_floor)
    scored = []
    for task, rows in table.tasks().items():
        measured = [row.measured for row in rows]
        scored.append(
            TaskScores(
                task=task,
                rows=rows,
                published=published(measured),
                reference=reference(measured, reference_model, quality_floor),
                pareto=pareto(measured),
                stability=stability(measured),
            )
        )
    return tuple(scored)


def best_of(scored: tuple[TaskScores, ...]) -> Best | None:
    """The best model over all tasks of a table, on the reference scale."""
    return best({task.task: task.reference for task in scored})


def _check_reference(table: Table, model: str | None) -> None:
    models = list(dict.fromkeys(row.measured.model for row in table.rows))
    if model is None or model in models:
        return
    near = difflib.get_close_matches(model, models, n=1)
    hint = f"did you mean {near[0]!r}?" if near else f"its models are {', '.join(models)[:200]}"
    raise UsageError(f"{table.name}: has no model {model!r} for --reference; {hint}")


def _check_floor(table: Table, floor: float | None) -> None:
    if floor is None:
        return
    if not 0 <= floor <= 1:
        raise UsageError(f"--quality-floor {floor} is not within 0 to 1; it is compared with accuracies as shares")
    for row in table.rows:
        accuracy = row.measured.accuracy
        if accuracy is not None and accuracy > 1:
            raise UsageError(
                f"{table.name}:{row.line}: accuracy {accuracy:g} is above 1; --quality-floor needs shares of 0 to 1"
            )
