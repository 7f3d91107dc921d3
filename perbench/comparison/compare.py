"""From two results to what became of each model on each task."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace

from perbench.api.status import ConditionType
from perbench.comparison.provenance import differences, remarks
from perbench.comparison.ratios import Pair, ratios
from perbench.comparison.values import (
    NOT_IN_RESULTS,
    TOLERANCE_PERCENT,
    ModelComparison,
    ResultsComparison,
    Side,
    Uncompared,
    Untrusted,
)
from perbench.evaluation import Evaluation, evaluate, settings_of
from perbench.evaluation.replicates import basis_of, measured_items, replicates
from perbench.evaluation.scores import measured
from perbench.evaluation.values import Exclusion, Row
from perbench.evaluation.verdict import CONCERN_ALL_MODELS
from perbench.per.figure_draws import Chance
from perbench.per.replicates import Basis
from perbench.per.uncertainty import Settings
from perbench.results import ModelRecord, Results, TaskRecord


def compare_results(
    baseline: Results,
    candidate: Results,
    *,
    tolerance_percent: float = TOLERANCE_PERCENT,
    settings: Settings | None = None,
) -> ResultsComparison:
    """Compare what both results have; `baseline` is what `candidate` is judged by.

    `settings`: the reference model and the weights of Reference PER in both, by default those of the baseline.
    ValueError for a tolerance outside 0 to 100 %; UsageError where the spec in a result has settings nobody can use.
    """
    if not 0 <= tolerance_percent < 100:
        raise ValueError(f"a tolerance of {tolerance_percent} % is not within 0 to 100 %")
    # One meaning of the axes for both: that of the baseline.
    first = settings_of(baseline)
    given = settings or Settings(weights=first.weights or None)
    used = replace(given, reference=given.reference or first.reference)
    second = replace(settings_of(candidate), latency_basis=first.latency_basis, memory_basis=first.memory_basis)
    evaluations = evaluate(baseline, first), evaluate(candidate, second)
    compared = _compared_models(evaluations)
    sides = tuple(zip(Side, evaluations, strict=True))
    found = ResultsComparison(
        differences(baseline, candidate, compared),
        remarks(baseline, candidate, compared),
        tolerance_percent=tolerance_percent,
        unfinished=tuple(side for side, own in sides if own.verdict.exit_code is None),
        untrusted=tuple(found for side, own in sides for found in _untrusted(side, own)),
    )
    return found if found.refused else _compared(found, evaluations, used)


def _untrusted(side: Side, evaluation: Evaluation) -> Iterator[Untrusted]:
    for condition in evaluation.verdict.conditions:
        if condition.type is ConditionType.MEASUREMENT_VALID and condition.reason in CONCERN_ALL_MODELS:
            yield Untrusted(side, condition.reason, condition.message)


def _compared_models(evaluations: tuple[Evaluation, Evaluation]) -> frozenset[str]:
    """The models that have figures worth comparing in both, on any task."""
    tasks = [entry.record.name for entry in evaluations[0].tasks]
    return frozenset(name for task in tasks for name in _in_both(*(_rows(own, task) for own in evaluations)))


def _in_both(first: Mapping[str, Row], second: Mapping[str, Row]) -> list[str]:
    """The models that have figures worth comparing on a task in both."""
    return [name for name in first if not _why_not(first[name]) and not _why_not(second.get(name))]


def _compared(
    found: ResultsComparison, evaluations: tuple[Evaluation, Evaluation], used: Settings
) -> ResultsComparison:
    """`found`, with what the two have in common and what they have not."""
    baseline, candidate = (own.results for own in evaluations)
    models: list[ModelComparison] = []
    uncompared: list[Uncompared] = []
    for task in {task.name: task for task in (*baseline.tasks, *candidate.tasks)}.values():
        rows = _rows(evaluations[0], task.name), _rows(evaluations[1], task.name)
        uncompared += _uncompared(task.name, *rows, _failed(baseline), _failed(candidate))
        pairs = _pairs(task, baseline, candidate, *rows)
        found_ratios = ratios(pairs, used, found.tolerance_percent / 100, Chance(task.name))
        models += [ModelComparison(task.name, pair.model, found_ratios[pair.model]) for pair in pairs]
    bases = {basis_of(baseline), basis_of(candidate)}
    return replace(
        found,
        models=tuple(models),
        uncompared=tuple(uncompared),
        basis=(Basis.REPEATS if Basis.REPEATS in bases else Basis.LAUNCHES) if models else None,
        reference=used.reference,
    )


def _rows(evaluation: Evaluation, task: str) -> dict[str, Row]:
    """The lines of a task by model; none where the run has no such task."""
    return {row.cell.model: row for entry in evaluation.tasks if entry.record.name == task for row in entry.rows}


def _failed(results: Results) -> frozenset[str]:
    """The models of a run that failed before one of them was asked anything: it says nothing of its tasks. Else none:
    what is no task of a run was not asked for."""
    return frozenset() if results.tasks else frozenset(model.name for model in results.models if model.failure)


def _uncompared(
    task: str, first: Mapping[str, Row], second: Mapping[str, Row], *failed: Collection[str]
) -> list[Uncompared]:
    sides = tuple(zip((first, second), failed, strict=True))
    entries = [
        Uncompared(task, name, *(_why_not(rows.get(name), failed=name in own) for rows, own in sides))
        for name in dict.fromkeys((*first, *second))
    ]
    return [entry for entry in entries if entry.baseline or entry.candidate]


def _why_not(row: Row | None, *, failed: bool = False) -> str | None:
    """Why a cell has no figures worth comparing. None: it has."""
    if row is None:
        return Exclusion.MODEL_FAILED.value if failed else NOT_IN_RESULTS
    return None if row.cell.excluded is None else row.cell.excluded.value


def _pairs(
    task: TaskRecord, baseline: Results, candidate: Results, first: Mapping[str, Row], second: Mapping[str, Row]
) -> list[Pair]:
    names = _in_both(first, second)
    records = [_records(results, names) for results in (baseline, candidate)]
    items = measured_items(task, (*records[0].values(), *records[1].values()))
    bases = basis_of(baseline), basis_of(candidate)
    reading = settings_of(baseline)
    return [
        Pair(
            model=name,
            baseline=measured(first[name].cell),
            candidate=measured(second[name].cell),
            replicates=(
                replicates(task, records[0][name], bases[0], items, reading.bases(records[0][name])),
                replicates(task, records[1][name], bases[1], items, reading.bases(records[1][name])),
            ),
            ranked=not first[name].apart and not second[name].apart,
        )
        for name in names
    ]


def _records(results: Results, names: list[str]) -> dict[str, ModelRecord]:
    return {model.name: model for model in results.models if model.name in names}
