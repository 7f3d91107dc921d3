"""From results to what they mean."""

from collections.abc import Mapping, Sequence

from perbench.evaluation import cells, scores, warnings
from perbench.evaluation.kept import NOTHING_KEPT, Kept, kept_of
from perbench.evaluation.kinship import Kinship, kinships_of
from perbench.evaluation.replicates import basis_of, replicates_by_model
from perbench.evaluation.scores import TaskScores
from perbench.evaluation.settings import Settings, settings_of
from perbench.evaluation.values import Cell, Evaluation, ModelEvaluation, TaskEvaluation
from perbench.evaluation.verdict import is_settled, judge
from perbench.per import Best, ReferenceScores, best
from perbench.plan import Validity
from perbench.results import ModelRecord, Results, TaskRecord
from perbench.statistics.means import geometric_mean


def evaluate(results: Results, settings: Settings | None = None, before: Evaluation | None = None) -> Evaluation:
    """Everything that follows from the results. Also for a run that is not at its end: it then has no PER.

    `settings` in place of those of the results' own spec score the same figures anew. `before`: an evaluation of less
    of the same run, of which is taken what would come out the same; the answer is the same without it. Equal arguments,
    equal answer: draws are seeded. UsageError where the spec in the results has settings that nobody can use.
    """
    settings = settings or settings_of(results)
    if before is not None and before.settings == settings and before.results == results:
        return before
    rounds = results.resolved.rounds
    kinships = kinships_of(results)
    kept = kept_of(before, results, settings) if before is not None else NOTHING_KEPT
    by_task = [_cells_of(results, task, settings, kept) for task in results.tasks]
    every_cell = [cell for row in by_task for cell in row]
    finished = all(is_settled(model, every_cell, rounds) for model in results.models)
    tasks = tuple(
        _scored(results, record, row, kinships, settings, kept)
        if finished and row
        else _task(record, row, None, kinships, settings.reference)
        for record, row in zip(results.tasks, by_task, strict=True)
    )
    rankings = {task.record.name: task.reference_scores for task in tasks if task.reference_scores is not None}
    return Evaluation(
        results=results,
        settings=settings,
        tasks=tasks,
        models=tuple(_model(model, tasks) for model in results.models),
        best=_best(rankings, kinships),
        compared_models=len({cell.model for cell in every_cell if cell.excluded is None}) if finished else 0,
        warnings=(
            *warnings.gather(tasks, kinships, settings, results.resolved),
            *warnings.moved(results),
            *warnings.remarks(results.models),
        ),
        verdict=judge(results, every_cell, rounds),
        completed_stages=sum(cell.stages for cell in every_cell),
        planned_stages=sum(cell.planned_stages for cell in every_cell),
    )


def _cells_of(results: Results, task: TaskRecord, settings: Settings, kept: Kept) -> tuple[Cell, ...]:
    resolved = results.resolved
    planned = resolved.rounds * (resolved.repeats + (resolved.unloaded_requests is not None))
    basis = basis_of(results)
    limit = Validity.of(resolved.validity).error_percent
    measured = [
        kept.cells.get((task.name, model.name))
        or cells.measure(model, task, planned, settings.bases(model), basis, limit)
        for model in results.models
    ]
    return scores.without_missed_lengths(measured, task)


def _scored(
    results: Results,
    record: TaskRecord,
    row: Sequence[Cell],
    kinships: Mapping[str, Kinship],
    settings: Settings,
    kept: Kept,
) -> TaskEvaluation:
    if record.name in kept.tasks:
        return kept.tasks[record.name]
    known = {cell.model: cell.rounds for cell in row}
    replicates = replicates_by_model(results, record, settings, known)
    answer = scores.score_task(row, kinships, settings, replicates)
    return _task(record, row, answer, kinships, settings.reference)


def _task(
    record: TaskRecord,
    row: Sequence[Cell],
    answer: TaskScores | None,
    kinships: Mapping[str, Kinship],
    reference_model: str,
) -> TaskEvaluation:
    return TaskEvaluation(
        record=record,
        rows=answer.rows if answer else scores.unscored(row, kinships),
        reference_model=reference_model,
        order=answer.assessment.reference.ranking if answer else (),
        left_out=answer.assessment.published.left_out if answer else (),
        few=bool(answer and answer.assessment.published.warnings),
        notes=(*warnings.length_notes(row), *(warnings.even_notes(answer.rows) if answer else ())),
        uncertainty=answer.assessment.uncertainty if answer else None,
        reference_scores=answer.assessment.reference if answer else None,
        flips=answer.flips if answer else None,
    )


def _best(rankings: Mapping[str, ReferenceScores], kinships: Mapping[str, Kinship]) -> Best | None:
    """The best over all tasks. None where models are ranked apart: no order joins them."""
    return best(rankings) if len(set(kinships.values())) <= 1 else None


def _model(model: ModelRecord, tasks: Sequence[TaskEvaluation]) -> ModelEvaluation:
    ranked = [task for task in tasks if task.order]
    own = [score.value if (score := task.row(model.name).scores.reference) else None for task in ranked]
    known = [value for value in own if value is not None]
    ready = [launch.ready_seconds for launch in model.launches if launch.ready_seconds is not None]
    return ModelEvaluation(
        name=model.name,
        failure=model.failure,
        launches=len(model.launches),
        ready_seconds=max(ready, default=None),
        tasks_won=sum(_wins(task, model.name) for task in ranked),
        reference_per=geometric_mean(known) if len(known) == len(ranked) else None,
    )


def _wins(task: TaskEvaluation, model: str) -> bool:
    """Whether its Reference PER equals that of the first in order: equal models both win."""
    values = {row.cell.model: row.scores.reference.value for row in task.rows if row.scores.reference}
    return model in task.order and values[model] == values[task.order[0]]
