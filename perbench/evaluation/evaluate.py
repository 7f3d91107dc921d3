"""From results to what they mean."""

from collections.abc import Mapping, Sequence

from pydantic import JsonValue

from perbench.api.defaults import Resolved
from perbench.evaluation import cells, scores, warnings
from perbench.evaluation.replicates import basis_of, replicates_by_model
from perbench.evaluation.scores import Kinship, TaskScores
from perbench.evaluation.settings import Settings, settings_of
from perbench.evaluation.values import Cell, Evaluation, ModelEvaluation, TaskEvaluation
from perbench.evaluation.verdict import is_settled, judge
from perbench.per import Best, ReferenceScores, best
from perbench.plan import Validity
from perbench.results import ModelRecord, Results, TaskRecord
from perbench.statistics.means import geometric_mean

ENDPOINT_PROMPTS = {"TGI": "Completion", "OpenAI": "Completion", "OpenAIChat": "Chat"}
"""What an endpoint's protocol does to prompts, whatever `load.api` says."""


def evaluate(results: Results, settings: Settings | None = None) -> Evaluation:
    """Everything that follows from the results. Also for a run that is not at its end: it then has no PER.

    `settings` in place of those of the results' own spec score the same figures anew. Equal arguments, equal answer:
    draws are seeded. UsageError where the spec in the results has settings that nobody can use.
    """
    settings = settings or settings_of(results)
    rounds = results.resolved.rounds
    kinships = {model.name: _kinship(model, results.spec, results.resolved) for model in results.models}
    by_task = [_cells_of(results, task, settings) for task in results.tasks]
    every_cell = [cell for row in by_task for cell in row]
    finished = all(is_settled(model, every_cell, rounds) for model in results.models)
    scored = [
        scores.score_task(row, kinships, settings, replicates_by_model(results, record, settings))
        if finished and row
        else None
        for record, row in zip(results.tasks, by_task, strict=True)
    ]
    tasks = tuple(
        _task(record, row, answer, kinships, settings.reference)
        for record, row, answer in zip(results.tasks, by_task, scored, strict=True)
    )
    rankings = {
        task.record.name: answer.assessment.reference for task, answer in zip(tasks, scored, strict=True) if answer
    }
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


def _cells_of(results: Results, task: TaskRecord, settings: Settings) -> tuple[Cell, ...]:
    resolved = results.resolved
    planned = resolved.rounds * (resolved.repeats + (resolved.unloaded_requests is not None))
    basis = basis_of(results)
    limit = Validity.of(resolved.validity).error_percent
    measured = [cells.measure(model, task, planned, settings.bases(model), basis, limit) for model in results.models]
    return scores.without_missed_lengths(measured, task)


def _kinship(model: ModelRecord, spec: Mapping[str, JsonValue], resolved: Resolved) -> Kinship:
    """Unit of throughput and kind of prompt: an endpoint's protocol decides how its prompts arrive."""
    entries = spec.get("models")
    entry = next(
        (entry for entry in entries if isinstance(entry, dict) and entry.get("name") == model.name)
        if isinstance(entries, list)
        else iter(()),
        None,
    )
    endpoint = entry.get("endpoint") if entry else None
    protocol = endpoint.get("protocol") if isinstance(endpoint, dict) else None
    prompts = ENDPOINT_PROMPTS.get(protocol) if isinstance(protocol, str) else None
    return (model.throughput_unit, prompts or resolved.api.value)


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
