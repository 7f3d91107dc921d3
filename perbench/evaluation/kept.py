"""What of a former evaluation of a run holds still: a new stage changes one cell of many. Pure.

Parts are told apart by what they are made from, which the former evaluation has: its results. Records that were kept in
between are compared at no cost, for they are the very same.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from perbench.evaluation.kinship import kinships_of
from perbench.evaluation.settings import Settings
from perbench.evaluation.values import Cell, Evaluation, Exclusion, TaskEvaluation
from perbench.results import ModelRecord, Results


@dataclass(frozen=True)
class Kept:
    """Parts that would come out the same if they were computed again."""

    cells: Mapping[tuple[str, str], Cell] = field(default_factory=dict)
    """By task and model; before cells of one task are held against each other."""
    tasks: Mapping[str, TaskEvaluation] = field(default_factory=dict)
    """By name: those with PER."""


NOTHING_KEPT = Kept()


def kept_of(before: Evaluation, results: Results, settings: Settings) -> Kept:
    """The parts of `before` that hold for these results and settings."""
    if before.settings != settings or before.results.resolved != results.resolved:
        return NOTHING_KEPT
    former = {model.name: model for model in before.results.models}
    asked = {task.name: task for task in results.tasks}
    tasks = [task for task in before.tasks if asked.get(task.record.name) == task.record]
    cells = {
        (task.record.name, model.name): _alone(task.row(model.name).cell)
        for model in results.models
        for task in tasks
        if model.name in former and _same(former[model.name], model, task.record.name)
    }
    # Of the same models in the same order, ranked with the same others.
    alike = list(kinships_of(before.results).items()) == list(kinships_of(results).items())
    scored = {
        task.record.name: task
        for task in tasks
        if alike and task.reference_scores is not None and all((task.record.name, name) in cells for name in former)
    }
    return Kept(cells, scored)


def _same(former: ModelRecord, model: ModelRecord, task: str) -> bool:
    """Whether everything that a cell is made from is as it was."""
    return (
        former.failure == model.failure
        and (former.units, former.source) == (model.units, model.source)
        and former.stages(task) == model.stages(task)
        and former.unloaded_stages(task) == model.unloaded_stages(task)
    )


def _alone(cell: Cell) -> Cell:
    """The cell as it was before it was held against others of its task."""
    return replace(cell, excluded=None) if cell.excluded is Exclusion.OUTPUT_LENGTH_MISSED else cell
