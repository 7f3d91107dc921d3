"""The status document of a run: what `kubectl get` and `status.yaml` show."""

import math
from collections.abc import Sequence

from perbench.api.status import (
    LARGEST_DECIMAL,
    WARNINGS_LIMIT,
    Best,
    Condition,
    ModelPhase,
    ModelStatus,
    Phase,
    ProgressStatus,
    Ranking,
    ResultsRef,
    RunStatus,
    Status,
    StatusWarning,
    TaskStatus,
    decimal_text,
)
from perbench.evaluation.cells import is_complete
from perbench.evaluation.values import Evaluation, Row, TaskEvaluation, Warned
from perbench.results import ModelRecord, TaskKind
from perbench.statistics.intervals import Interval

MEBIBYTE = 1024 * 1024
WARNING_LIMIT = 384
CONDITION_MESSAGE_LIMIT = 1024
PROGRESS_MESSAGE_LIMIT = 256


def status(
    evaluation: Evaluation,
    *,
    request: str | None = None,
    generation: int | None = None,
    results_name: str | None = None,
    message: str | None = None,
) -> Status:
    """The status of a run.

    `request`: value of the annotation that asked for the run. `generation`: of the spec measured, where there is one.
    `results_name`: where all figures are. `message`: what is going on now, for people.
    """
    results, verdict = evaluation.results, evaluation.verdict
    version = results.provenance.get("perbench")
    phase = verdict.phase if any(model.launches for model in results.models) else Phase.PENDING
    return Status(
        observed_generation=generation,
        run=RunStatus(
            id=results.run_id,
            request=request,
            version=version if isinstance(version, str) else None,
            resolved=results.resolved,
        ),
        phase=phase,
        start_time=results.start_time,
        completion_time=results.completion_time,
        conditions=_conditions(evaluation, generation),
        progress=ProgressStatus(
            completed=evaluation.completed_stages,
            total=evaluation.planned_stages,
            message=message[:PROGRESS_MESSAGE_LIMIT] if message else None,
        ),
        compared_models=evaluation.compared_models if verdict.exit_code is not None else None,
        best=_best(evaluation),
        models=tuple(_model(evaluation, model) for model in results.models),
        ranking=tuple(_ranking(task) for task in evaluation.tasks if task.order),
        warnings=_warnings(evaluation.warnings),
        failure=verdict.failure,
        results_ref=ResultsRef(name=results_name) if results_name else None,
    )


def throughput_unit(row: Row) -> str:
    """`tokens/s per server` and the like."""
    counted = "items" if row.cell.kind is TaskKind.CLASSIFICATION else "tokens"
    return f"{counted}/s per {row.unit}"


def _conditions(evaluation: Evaluation, generation: int | None) -> tuple[Condition, ...]:
    changed = evaluation.results.completion_time or evaluation.results.start_time
    return tuple(
        Condition(
            type=condition.type,
            status=condition.status,
            observed_generation=generation,
            last_transition_time=changed,
            reason=condition.reason,
            message=condition.message[:CONDITION_MESSAGE_LIMIT],
        )
        for condition in evaluation.verdict.conditions
    )


def _best(evaluation: Evaluation) -> Best | None:
    best = evaluation.best
    if best is None:
        return None
    return Best(model=best.model, tasks_won=best.tasks_won, tasks=best.tasks, reference_per=_text(best.reference_per))


def _model(evaluation: Evaluation, model: ModelRecord) -> ModelStatus:
    rows = [task.row(model.name) for task in evaluation.tasks]
    revision = model.source.get("revision")
    ready = next(entry.ready_seconds for entry in evaluation.models if entry.name == model.name)
    return ModelStatus(
        name=model.name,
        phase=_phase(model, rows),
        runtime=model.runtime,
        revision=revision if isinstance(revision, str) else None,
        ready_seconds=None if ready is None else math.ceil(ready),
        tasks=tuple(_task(row) for row in rows if row.cell.stages),
    )


def _phase(model: ModelRecord, rows: Sequence[Row]) -> ModelPhase:
    if model.failure is not None:
        return ModelPhase.FAILED
    if not model.launches:
        return ModelPhase.PENDING
    if rows and all(is_complete(row.cell) for row in rows):
        return ModelPhase.SUCCEEDED
    return ModelPhase.MEASURING if any(row.cell.stages for row in rows) else ModelPhase.STARTING


def _task(row: Row) -> TaskStatus:
    cell, figures, scores = row.cell, row.cell.figures, row.scores
    memory, known = figures.memory_bytes, row.scores.uncertainty
    low, high = _ends(known.per if known else None)
    reference_low, reference_high = _ends(known.reference_per if known else None)
    return TaskStatus(
        name=cell.task,
        accuracy=_text(figures.accuracy),
        throughput=_text(figures.throughput),
        throughput_unit=throughput_unit(row),
        latency_milliseconds=_text(figures.latency_ms),
        memory_mebibytes=_text(None if memory is None else memory / MEBIBYTE),
        per=_text(scores.published.value if scores.published else None),
        per_low=low,
        per_high=high,
        reference_per=_text(scores.reference.value if scores.reference else None),
        reference_per_low=reference_low,
        reference_per_high=reference_high,
        pareto_optimal=scores.pareto,
        error_percent=_text(cell.error_percent),
        valid=cell.valid,
        ttft_p95_milliseconds=_text(cell.ttft.value(95)),
        client_error_milliseconds=_text(cell.client_error_ms),
    )


def _ranking(task: TaskEvaluation) -> Ranking:
    first = task.row(task.order[0]).scores.uncertainty
    likely = first.probability_best if first else None
    return Ranking(task=task.record.name, order=task.order, probability_best=_text(likely))


def _ends(interval: Interval | None) -> tuple[str | None, str | None]:
    return (_text(interval.low), _text(interval.high)) if interval else (None, None)


def _warnings(warnings: Sequence[Warned]) -> tuple[StatusWarning, ...]:
    shown = warnings if len(warnings) <= WARNINGS_LIMIT else warnings[: WARNINGS_LIMIT - 1]
    found = [
        StatusWarning(reason=entry.code, message=_cut(entry.message), model=entry.model, task=entry.task)
        for entry in shown
    ]
    if len(shown) < len(warnings):
        rest = len(warnings) - len(shown)
        found.append(StatusWarning(reason="MoreWarnings", message=f"{rest} more: see the report or the results"))
    return tuple(found)


def _cut(message: str) -> str:
    """Names of many models may make it longer than the status takes."""
    return message if len(message) <= WARNING_LIMIT else f"{message[: WARNING_LIMIT - 2]} …"


def _text(value: float | None) -> str | None:
    """None also for what no status can hold: only a damaged file has such figures."""
    return None if value is None or not abs(value) < LARGEST_DECIMAL else decimal_text(value)
