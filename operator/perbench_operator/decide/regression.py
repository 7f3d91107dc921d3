"""The condition `Regressed`: which run a benchmark is compared with, and what came of it. Pure.

Comparing is a step after the end of a run: a baseline that cannot be read for now delays no end. Of a run that has
ended and was not compared yet the condition says so, which is all that is remembered of it.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pydantic import JsonValue

from perbench.api.baseline import LISTED, BaselineRef, BaselineStatus, ComparedFigure, RegressedFigure
from perbench.api.decimals import as_float
from perbench.api.resource import RUN_ANNOTATION
from perbench.api.status import Condition, ConditionStatus, ConditionType, Status, decimal_text
from perbench.comparison import Figure, Judgement, Worse, compare_results, judge_regression
from perbench.comparison.values import TOLERANCE_PERCENT
from perbench.evaluation import settings_of
from perbench.failures import Blame, Failure, UsageError, printable
from perbench.objects.run import results_of_run
from perbench.results import Results
from perbench_operator.decide.conditions import find_condition, make_condition
from perbench_operator.decide.situation import Baseline, NoBaseline, Situation
from perbench_operator.names import OUTCOME, RUN, Outcome

MESSAGE_LIMIT = 1024
NOT_FINISHED = "NotFinished"
NOT_COMPARED = "NotCompared"
TO_COME = frozenset({NOT_FINISHED, NOT_COMPARED})
"""Reasons why it is not told that pass by themselves."""
FIRST_RUN = "NoBaselineRun"
LARGEST_RATIO = 999_900_000_000_000.0
"""What the status can hold."""
INCOMPLETE = "not all that the run was to measure is there: nothing is compared"
FIGURES: Mapping[Figure, ComparedFigure] = {
    Figure.ACCURACY: ComparedFigure.ACCURACY,
    Figure.THROUGHPUT: ComparedFigure.THROUGHPUT,
    Figure.MEMORY: ComparedFigure.MEMORY,
    Figure.LATENCY: ComparedFigure.LATENCY,
    Figure.REFERENCE_PER: ComparedFigure.REFERENCE_PER,
}
WORDS: Mapping[bool | None, ConditionStatus] = {
    True: ConditionStatus.TRUE,
    False: ConditionStatus.FALSE,
    None: ConditionStatus.UNKNOWN,
}

Body = Mapping[str, Any]


def is_pending(status: Status | None) -> bool:
    """Whether a run has ended and is yet to be compared."""
    condition = find_condition(status, ConditionType.REGRESSED)
    return condition is not None and condition.reason == NOT_COMPARED


def while_on(situation: Situation, conditions: Sequence[Condition]) -> tuple[Condition, ...]:
    """The conditions of a run that is on."""
    open_word = Judgement(None, NOT_FINISHED, "the run is compared with its baseline when it has ended")
    return _with(situation, conditions, open_word)


def at_the_end(situation: Situation, conditions: Sequence[Condition]) -> tuple[Condition, ...]:
    """The conditions of a run that has ended, before it is compared."""
    return _with(situation, conditions, Judgement(None, NOT_COMPARED, "the run has ended, and is compared next"))


def without_figures(situation: Situation, conditions: Sequence[Condition]) -> tuple[Condition, ...]:
    """The conditions of a run that has ended and whose figures are not all there."""
    return _with(situation, conditions, Judgement(None, "RunIncomplete", INCOMPLETE))


def of_another_spec(situation: Situation, conditions: Sequence[Condition]) -> tuple[Condition, ...]:
    """The conditions of a run that has ended, and whose spec was changed before it was compared: its figures cannot be
    read by another one's."""
    changed = Judgement(None, "SpecChanged", "the spec was changed before the run was compared: ask for another run")
    return _with(situation, conditions, changed)


def judged(situation: Situation, status: Status, results: Results) -> Status:
    """The status of an ended run, compared with the baseline that was found. `results`: those of the run."""
    spec, baseline = situation.benchmark.spec, situation.baseline
    if spec is None or spec.baseline_ref is None or baseline is None:
        return status.model_copy(update={"conditions": at_the_end(situation, status.conditions), "baseline": None})
    judgement = _judgement(spec.baseline_ref, baseline, results)
    return status.model_copy(
        update={
            "conditions": _with(situation, status.conditions, judgement),
            "baseline": _told(baseline, judgement) if isinstance(baseline, Baseline) else None,
        }
    )


def chosen_run(
    reference: BaselineRef, own_run: str | None, compared: str | None, benchmark: Body, snapshots: Iterable[Body]
) -> str | NoBaseline:
    """The id of the run that a reference means: without `runID` the latest that succeeded, else the latest that went to
    its end; one that was broken off has figures of nothing.

    `own_run`: the run that is judged, where the reference is to its own benchmark. `compared`: the run that it was
    compared with before, which an edit does not change. `benchmark`: the one that is named; `snapshots`: metadata of
    what its runs have left.
    """
    name, status = reference.name, benchmark.get("status") or {}
    run = status.get("run") or {}
    under_way = run.get("id") if status.get("startTime") and not status.get("completionTime") else None
    kept = {str(body["metadata"]["labels"][RUN]): body["metadata"] for body in snapshots}
    if reference.run_id is not None:
        return _given_run(reference.run_id, name, own_run, under_way, kept)
    outcomes = {run: outcome for run, metadata in kept.items() if (outcome := metadata["labels"].get(OUTCOME))}
    ended = outcomes.keys() - {own_run, under_way}
    if not ended:
        before = " before this one" if own_run else ""
        return NoBaseline(FIRST_RUN, f"{name} has no run that has ended{before} and of which anything is kept")
    if compared in ended:
        return compared
    return max(ended, key=lambda run: (outcomes[run] == Outcome.SUCCEEDED, str(kept[run]["creationTimestamp"]), run))


def _given_run(
    wanted: str, name: str, own_run: str | None, under_way: str | None, kept: Mapping[str, object]
) -> str | NoBaseline:
    """The run that a reference names, if it can be compared with."""
    if wanted == own_run:
        return NoBaseline("BaselineIsThisRun", f"baselineRef.runID {wanted} is the run that is to be judged")
    if wanted not in kept:
        return NoBaseline("BaselineGone", f"nothing is kept of run {wanted} of {name}")
    if wanted == under_way:
        return NoBaseline("BaselineUnfinished", f"run {wanted} of {name} is under way")
    return wanted


def named_runs(name: str, namespace: str, benchmarks: Iterable[Body]) -> frozenset[str]:
    """Runs of a benchmark that benchmarks of its namespace name as their baseline, or were last compared with."""
    given = list(benchmarks)
    return pinned_runs(name, namespace, given) | _runs("status", "baseline", name, namespace, given)


def pinned_runs(name: str, namespace: str, benchmarks: Iterable[Body]) -> frozenset[str]:
    """Runs of a benchmark that benchmarks of its namespace name as their baseline."""
    return _runs("spec", "baselineRef", name, namespace, benchmarks)


def is_baseline(run_id: str) -> Failure:
    """Why a run that there has been is not measured anew under the same id."""
    message = (
        f"a run of this very spec, {run_id}, is kept because a baselineRef names it, and measuring it anew would"
        f" replace it: give the annotation {RUN_ANNOTATION} another value for a new run beside it"
    )
    return Failure(blame=Blame.INFRASTRUCTURE, reason="RunIsBaseline", message=message)


def _runs(part: str, field: str, name: str, namespace: str, benchmarks: Iterable[Body]) -> frozenset[str]:
    found = [(body.get(part) or {}).get(field) for body in benchmarks if body["metadata"]["namespace"] == namespace]
    named = [each for each in found if isinstance(each, dict) and each.get("name") == name]
    return frozenset(str(each["runID"]) for each in named if each.get("runID"))


def _judgement(reference: BaselineRef, baseline: Baseline | NoBaseline, results: Results) -> Judgement:
    if isinstance(baseline, NoBaseline):
        return Judgement(None, baseline.reason, baseline.message)
    tolerance = reference.tolerance_percent
    try:
        former = results_of_run(baseline.record, baseline.objects, _per(results, baseline.record.models))
        found = compare_results(
            former, results, tolerance_percent=TOLERANCE_PERCENT if tolerance is None else as_float(tolerance)
        )
    except (ValueError, UsageError) as error:
        return Judgement(None, "BaselineUnreadable", f"{_called(baseline)} cannot be read: {error}")
    return judge_regression(found, _called(baseline))


def _per(results: Results, models: Sequence[str]) -> dict[str, JsonValue]:
    """How the figures of both runs are read: as those of the one that is judged, whose `per` an edit may change. A
    reference model that the baseline lacks is no reference there."""
    per = results.spec.get("per")
    read = dict(per) if isinstance(per, dict) else {}
    read.pop("reference", None)
    reference = settings_of(results).reference
    return {**read, "reference": reference} if reference in models else read


def _called(baseline: Baseline) -> str:
    return f"run {baseline.record.run_id} of {baseline.record.name}"


def _told(baseline: Baseline, judgement: Judgement) -> BaselineStatus:
    return BaselineStatus(
        name=baseline.record.name,
        run_id=baseline.record.run_id,
        regressed_figures=None if judgement.worse is None else len(judgement.regressed),
        regressed=tuple(figure for entry in judgement.regressed if (figure := _figure(entry)))[:LISTED],
    )


def _figure(entry: Worse) -> RegressedFigure | None:
    """None: without interval, which nothing that is worse is."""
    ratio = entry.ratio
    if ratio.ratio is None or ratio.interval is None:
        return None
    return RegressedFigure(
        model=entry.model,
        task=entry.task,
        figure=FIGURES[ratio.figure],
        ratio=_text(ratio.ratio),
        low=_text(ratio.interval.low),
        high=_text(ratio.interval.high),
    )


def _text(ratio: float) -> str:
    return decimal_text(min(ratio, LARGEST_RATIO))


def _line(message: str) -> str:
    """What servers and nodes said is in it; the beginning says what it is about."""
    text = printable(message)
    return text if len(text) <= MESSAGE_LIMIT else f"{text[: MESSAGE_LIMIT - 2]} …"


def _with(situation: Situation, conditions: Sequence[Condition], judgement: Judgement) -> tuple[Condition, ...]:
    """The other conditions; and `Regressed`, where the benchmark has a baseline."""
    others = tuple(condition for condition in conditions if condition.type is not ConditionType.REGRESSED)
    benchmark = situation.benchmark
    if benchmark.spec is None or benchmark.spec.baseline_ref is None:
        return others
    says, message = WORDS[judgement.worse], _line(judgement.message)
    return (*others, make_condition(situation, ConditionType.REGRESSED, says, judgement.reason, message))
