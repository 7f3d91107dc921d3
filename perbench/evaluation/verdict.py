"""How a run ended: conditions, the one failure, the exit code. Pure.

Precedence of what is blamed: a model that failed, then an invalid measurement, then errors, then missing samples.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from perbench.api.status import ConditionStatus, ConditionType, Phase
from perbench.evaluation.cells import is_complete
from perbench.evaluation.values import Cell, Condition, Exclusion, Verdict
from perbench.evaluation.warnings import finding_text
from perbench.failures import RUN_STOPPED, Blame, Failure, shorten
from perbench.results import ModelRecord, Outcome, Results

SUCCEEDED_EXIT, INVALID_EXIT, FAILED_EXIT = 0, 3, 4
NAME_LENGTH = 40
"""Characters of a model's name in a failure; names of a spec are never longer, those of a damaged file may be."""
LOAD_GENERATOR_SATURATED = "LoadGeneratorSaturated"
UNLIKE_ACCELERATORS = "UnlikeAccelerators"
SHARED_ACCELERATOR = "SharedAccelerator"
CONCERN_ALL_MODELS = frozenset({UNLIKE_ACCELERATORS, SHARED_ACCELERATOR})
"""Reasons of `MeasurementValid` for which no figure of the run can be trusted, not only those of a model on a task."""
SHARED_SUFFIX = "-SHARED"
SHARED_RESOURCE = ".shared"
"""What GPU feature discovery adds to a product that is shared by time slicing or MPS; and the device plugin,
where it is told to, to its resource (`nvidia.com/gpu.shared`, `nvidia.com/mig-1g.10gb.shared`)."""

TRUE, FALSE, UNKNOWN = ConditionStatus.TRUE, ConditionStatus.FALSE, ConditionStatus.UNKNOWN


@dataclass(frozen=True)
class _Outcome:
    """What stands in the way of success."""

    reason: str
    message: str
    failure: Failure
    exit_code: int


def judge(results: Results, cells: Sequence[Cell], planned_launches: int) -> Verdict:
    """The verdict on results with these cells; `planned_launches` per model."""
    finished = all(is_settled(model, cells, planned_launches) for model in results.models)
    problem = _problem(results, cells) if finished else None
    conditions = (
        Condition(ConditionType.ACCEPTED, TRUE, "Accepted", "the benchmark was accepted"),
        _models_ready(results, finished),
        _load_finished(results, cells, finished),
        _measurement_valid(results, cells, finished),
        _succeeded(results, finished, problem),
    )
    if not finished:
        return Verdict(_phase(results, cells), conditions, failure=results.stopped, exit_code=None)
    phase = Phase.FAILED if problem else Phase.SUCCEEDED
    return Verdict(
        phase, conditions, problem.failure if problem else None, problem.exit_code if problem else SUCCEEDED_EXIT
    )


def is_settled(model: ModelRecord, cells: Sequence[Cell], planned_launches: int) -> bool:
    """Whether nothing more is to come from a model: it failed, or all its stages are recorded."""
    if model.failure is not None:
        return True
    own = [cell for cell in cells if cell.model == model.name]
    return len(model.launches) >= planned_launches and all(is_complete(cell) for cell in own)


def _phase(results: Results, cells: Sequence[Cell]) -> Phase:
    if results.stopped:
        return Phase.FAILED
    return Phase.MEASURING if any(cell.stages for cell in cells) else Phase.STARTING_MODEL


def _models_ready(results: Results, finished: bool) -> Condition:
    kind = ConditionType.MODELS_READY
    never = [model for model in results.models if model.failure and _not_ready(model)]
    if never:
        failure = never[0].failure
        reason = failure.reason if failure else "ModelFailed"
        return Condition(kind, FALSE, reason, f"{_names(never)} did not become ready in every round")
    if finished:
        return Condition(kind, TRUE, "AllModelsReady", "every model became ready in every round")
    return Condition(kind, UNKNOWN, "NotFinished", "not all models have been started yet")


def _not_ready(model: ModelRecord) -> bool:
    """An endpoint has no moment of readiness: one that answered a whole stage was ready."""
    return any(launch.failure and launch.ready_seconds is None and not launch.stages for launch in model.launches)


def _load_finished(results: Results, cells: Sequence[Cell], finished: bool) -> Condition:
    kind = ConditionType.LOAD_FINISHED
    done, planned = sum(cell.stages for cell in cells), sum(cell.planned_stages for cell in cells)
    counted = f"{done} of {planned} stages are recorded"
    if not finished:
        return Condition(kind, UNKNOWN, _why_unfinished(results), counted)
    if not cells:
        return Condition(kind, FALSE, "StagesMissing", "no stage is recorded")
    if done < planned:
        return Condition(kind, FALSE, "StagesMissing", counted)
    return Condition(kind, TRUE, "AllStagesRecorded", counted)


def _why_unfinished(results: Results) -> str:
    if results.stopped:
        return results.stopped.reason
    return "Interrupted" if results.interrupted else "NotFinished"


def _measurement_valid(results: Results, cells: Sequence[Cell], finished: bool) -> Condition:
    kind = ConditionType.MEASUREMENT_VALID
    if unlike := _hardware(results):
        return Condition(kind, FALSE, *unlike)
    worst = _first_invalid(cells)
    if worst is not None:
        cell, text = worst
        return Condition(kind, FALSE, cell.findings[0].finding.code, f"{cell.model} on {cell.task}: {text}")
    if not finished:
        return Condition(kind, UNKNOWN, "NotFinished", "no recorded stage is invalid so far")
    if not any(cell.stages for cell in cells):
        return Condition(kind, UNKNOWN, "NothingMeasured", "no stage was recorded")
    return Condition(kind, TRUE, "AllStagesValid", "every recorded stage is valid")


def _succeeded(results: Results, finished: bool, problem: _Outcome | None) -> Condition:
    kind = ConditionType.SUCCEEDED
    if not finished:
        message = f"{results.stopped.message}; it can be continued" if results.stopped else "the run is not at its end"
        return Condition(kind, UNKNOWN, _why_unfinished(results), shorten(message))
    if problem is not None:
        return Condition(kind, FALSE, problem.reason, problem.message)
    return Condition(kind, TRUE, "Succeeded", "all stages ran, with enough samples, few errors and a valid measurement")


def _problem(results: Results, cells: Sequence[Cell]) -> _Outcome | None:
    return (
        _failed_models(results) or _unlike_accelerators(results) or _invalid(cells) or _errors(cells) or _samples(cells)
    )


def _failed_models(results: Results) -> _Outcome | None:
    failed = [model for model in results.models if model.failure is not None]
    failed.sort(key=lambda model: model.failure is not None and model.failure.reason == RUN_STOPPED)
    failure = failed[0].failure if failed else None
    if failure is None:
        return None
    everyone = len(failed) == len(results.models)
    message = shorten(f"{_names(failed)} failed: {failure.reason}: {failure.message}")
    reason = "AllModelsFailed" if everyone else "SomeModelsFailed"
    named = failure if failure.model else failure.model_copy(update={"model": failed[0].name[:NAME_LENGTH]})
    return _Outcome(reason, message, named, FAILED_EXIT)


def _unlike_accelerators(results: Results) -> _Outcome | None:
    """Models that are compared ran on unlike accelerators, or on one that others may have used meanwhile."""
    found = _hardware(results)
    if found is None:
        return None
    reason, text = found
    failure = Failure(blame=Blame.MEASUREMENT, reason=reason, message=shorten(text))
    return _Outcome("MeasurementInvalid", failure.message, failure, INVALID_EXIT)


def _hardware(results: Results) -> tuple[str, str] | None:
    """What is wrong with the accelerators of the models that did not fail: reason and words."""
    products: dict[str, str] = {}
    for model in results.models:
        for launch in model.launches:
            if model.failure is None and launch.accelerator_product:
                products.setdefault(launch.accelerator_product, model.name)
    for product, name in products.items():
        if ", " in product:
            return UNLIKE_ACCELERATORS, f"the replicas of {name} ran on {product}: give serving.accelerator.product"
        if _is_shared(product):
            text = f"{name} ran on {product}, which others may use at the same time: ask for a resource of its own"
            return SHARED_ACCELERATOR, text
    if len(products) > 1:
        where = ", ".join(f"{name} on {product}" for product, name in products.items())
        what_to_do = "give all the same serving.accelerator, with product"
        return UNLIKE_ACCELERATORS, f"not on the same hardware: {where}: {what_to_do}"
    return None


def _is_shared(product: str) -> bool:
    """By the product's name, or that of its resource, which stands in parentheses or alone."""
    name, _, resource = product.partition(" (")
    return name.endswith(SHARED_SUFFIX) or (resource.removesuffix(")") or name).endswith(SHARED_RESOURCE)


def _invalid(cells: Sequence[Cell]) -> _Outcome | None:
    worst = _first_invalid(cells)
    if worst is None:
        return None
    cell, text = worst
    code = cell.findings[0].finding.code
    blame = Blame.LOAD_GENERATOR if code == LOAD_GENERATOR_SATURATED else Blame.MEASUREMENT
    failure = _failure(blame, code, cell, text)
    return _Outcome("MeasurementInvalid", failure.message, failure, INVALID_EXIT)


def _first_invalid(cells: Sequence[Cell]) -> tuple[Cell, str] | None:
    cell = next((cell for cell in cells if cell.valid is False), None)
    return (cell, finding_text(cell.findings[0], cell.stages)) if cell else None


def _errors(cells: Sequence[Cell]) -> _Outcome | None:
    cell = next((cell for cell in cells if cell.excluded is Exclusion.TOO_MANY_ERRORS), None)
    if cell is None:
        return None
    kinds = ", ".join(f"{count} {kind}" for kind, count in cell.outcomes.items() if kind is not Outcome.SUCCESS)
    text = f"{cell.failed_requests} of {cell.requests} requests failed ({kinds}), more than {cell.error_limit:g} %"
    failure = _failure(Blame.TARGET, "TooManyErrors", cell, text)
    return _Outcome(failure.reason, failure.message, failure, FAILED_EXIT)


def _samples(cells: Sequence[Cell]) -> _Outcome | None:
    cell = next((cell for cell in cells if cell.excluded is Exclusion.TOO_FEW_SAMPLES), None)
    if cell is None:
        return None
    text = f"{cell.requests} of {cell.planned_items} items were sent and {cell.scored} scored"
    failure = _failure(Blame.MEASUREMENT, "TooFewSamples", cell, text)
    return _Outcome(failure.reason, failure.message, failure, INVALID_EXIT)


def _failure(blame: Blame, reason: str, cell: Cell, text: str) -> Failure:
    message = shorten(f"{cell.model} on {cell.task}: {text}")
    return Failure(blame=blame, reason=reason, message=message, model=cell.model[:NAME_LENGTH])


def _names(models: Sequence[ModelRecord]) -> str:
    names = [model.name for model in models]
    return ", ".join(names[:4]) + (f" and {len(names) - 4} more" if len(names) > 4 else "")
