"""Which run it is: to be begun, under way, ended, refused. Pure."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from perbench.api.defaults import Resolved
from perbench.api.execution import OnModelFailure
from perbench.api.identity import run_id
from perbench.api.resource import BenchmarkSpec, to_data
from perbench.api.status import Phase, Status
from perbench.evaluation import Evaluation, evaluate
from perbench.failures import MESSAGE_LIMIT, Blame, Failure, shorten
from perbench.objects.assembled import assembled
from perbench.objects.results import LaunchEnd, ModelObject
from perbench.objects.run import RunRecord, kept_spec
from perbench.planning import keys_of
from perbench.results import Results
from perbench.schedule import Launch, schedule
from perbench_operator import children as make
from perbench_operator.decide import annotated, regression, statuses, stories
from perbench_operator.decide.active_time import active_seconds
from perbench_operator.decide.begin import begin, may_mend
from perbench_operator.decide.launches import Turn, ended_launches, is_measured, take_turn
from perbench_operator.decide.settled import Run
from perbench_operator.decide.situation import (
    Action,
    Benchmark,
    Create,
    Decision,
    Manifest,
    Prune,
    RecordEnd,
    Seal,
    Situation,
    identity_of,
)
from perbench_operator.decide.teardown import everything, leftovers, teardown
from perbench_operator.names import Outcome, RunIdentity
from perbench_operator.serving import Refused, Served, serve


def decide(situation: Situation) -> Decision:
    """What to do next about a benchmark."""
    benchmark = situation.benchmark
    if benchmark.deleting or benchmark.unreadable:
        return Decision()  # what it owns goes with it; what is not understood is not begun anew
    decision = _decide(situation)
    status = annotated.noted(situation, decision.status)
    if status is None:
        return decision
    before = benchmark.status
    if before is not None and statuses.same(before, status):
        return Decision(decision.actions, None, decision.story, decision.wake_after)
    told = (*decision.story, *stories.between(before, status, statuses.failures_of(situation)))
    return Decision(decision.actions, statuses.with_times(before, status, situation.now), told, decision.wake_after)


def _decide(situation: Situation) -> Decision:
    benchmark = situation.benchmark
    if is_active(benchmark.status):
        return _carry_on(situation)
    if benchmark.spec is None:
        return Decision(status=statuses.refused(situation, None, Refused("InvalidSpec", benchmark.mistake)))
    wanted, status = run_id(benchmark.uid, benchmark.spec, benchmark.request), benchmark.status
    if status is not None and _awaits_comparison(benchmark):  # also where another run is asked for already
        return _recompute(situation, status)
    known = status is not None and status.observed_generation == benchmark.generation
    if status is None or status.run is None or status.run.id != wanted:
        return Decision() if known and _is_refused(status, wanted) else begin(situation, benchmark.spec, wanted)
    settled = known and status.refused is None
    return Decision() if settled else _recompute(situation, status)


def _awaits_comparison(benchmark: Benchmark) -> bool:
    """Whether the run has ended and is yet to be compared with its baseline, and the spec is still its own."""
    status, spec = benchmark.status, benchmark.spec
    if status is None or status.run is None or spec is None or not regression.is_pending(status):
        return False
    return status.run.id == run_id(benchmark.uid, spec, status.run.request)


def _is_refused(status: Status | None, wanted: str) -> bool:
    """Whether this run was refused, for a reason that only an edit takes away."""
    return status is not None and status.refused is not None and status.refused.id == wanted and not may_mend(status)


def is_active(status: Status | None) -> bool:
    """Whether a run has begun and not ended."""
    return status is not None and status.start_time is not None and status.completion_time is None


def needs_records(benchmark: Benchmark) -> bool:
    """Whether the results objects of the run are needed to decide: while it is on, to compare it with its baseline, and
    to compute its figures anew."""
    status, spec = benchmark.status, benchmark.spec
    if status is None or status.run is None or status.start_time is None:
        return False
    if is_active(status):
        return True
    if _awaits_comparison(benchmark):
        return True
    changed = status.observed_generation != benchmark.generation or status.refused is not None
    return changed and spec is not None and status.run.id == run_id(benchmark.uid, spec, benchmark.request)


def needs_baseline(benchmark: Benchmark) -> bool:
    """Whether the run that `spec.baselineRef` means is needed to decide: after the end, where figures are computed."""
    spec, ended = benchmark.spec, not is_active(benchmark.status)
    return spec is not None and spec.baseline_ref is not None and ended and needs_records(benchmark)


def _carry_on(situation: Situation) -> Decision:
    run = _run_of(situation)
    if isinstance(run, Decision):
        return run
    results = results_of(situation, run, None)
    launches = schedule(run.models, run.resolved.rounds)
    left = _unsettled(launches, situation, results)
    current = left[0] if left else None
    left_behind = leftovers(situation, run, current)
    if current is None:
        return _finish(situation, run, results, left_behind)
    if left_behind:
        return Decision(left_behind, wake_after=1.0)
    return _with_current(situation, run, results, left)


def _with_current(situation: Situation, run: Run, results: Results, left: Sequence[Launch]) -> Decision:
    """The first of the launches that are `left` is at hand."""
    current = left[0]
    if run.execution.suspend:
        actions = teardown(situation, run, current, lingering=True)
        turn = Turn(Phase.SUSPENDED, "execution.suspend is true")
        return Decision(actions, statuses.under_way(situation, run, _evaluate(situation, results), turn, current))
    if situation.refused_again or (situation.refusal and situation.refusal.model != current.model):
        return _break_off(situation, teardown(situation, run, current, lingering=True))
    if not is_measured(situation, run, current) and (failure := _stops_everything(situation, run, results)):
        return _give_up(situation, run, left, failure)
    turn = take_turn(situation, run, current)
    if turn.end is not None:  # figures and words come with the next look, which finds it written down
        return Decision(turn.actions, None, turn.story, turn.wake_after)
    status = statuses.under_way(situation, run, _evaluate(situation, results), turn, current)
    return Decision(turn.actions, status, turn.story, turn.wake_after)


def _run_of(situation: Situation) -> "Run | Decision":
    """The run that the status is about; a decision where that needs something first."""
    benchmark, status = situation.benchmark, situation.benchmark.status
    if status is None or status.run is None or status.run.resolved is None or benchmark.spec is None:
        return _unfit(situation, Refused("InvalidSpec", benchmark.mistake or "the run's status cannot be read"))
    identity = identity_of(benchmark, status.run.id)
    if situation.snapshot is None and situation.refusal is not None:
        return _break_off(situation, ())
    if situation.snapshot is None:
        return Decision((Create(_snapshot(situation, identity, benchmark.spec, status.run.resolved)),), wake_after=0.0)
    served: dict[str, Served | None] = {}
    for model in benchmark.spec.models:
        try:
            served[model.name] = serve(benchmark.spec, model, situation.snapshot)
        except Refused as refused:
            return _unfit(situation, refused)
    names = tuple(model.name for model in status.models)
    keys = keys_of(benchmark.spec.tasks, status.run.resolved)
    models = names if set(names) == set(served) else tuple(served)
    return Run(identity, benchmark.spec, status.run.resolved, situation.snapshot, served, keys, models)


def _snapshot(situation: Situation, run: RunIdentity, spec: BenchmarkSpec, resolved: Resolved) -> Manifest:
    """What is kept of the platform and of what is asked, as both are now."""
    status, platform = situation.benchmark.status, situation.platform
    started = status.start_time if status and status.start_time else situation.now
    record = RunRecord(
        name=run.name, run_id=run.run_id, spec=kept_spec(spec), resolved=resolved, start_time=started,
        provenance=platform.provenance,
    )  # fmt: skip
    return make.snapshot_object(run, platform, record)


def _unfit(situation: Situation, why: Refused) -> Decision:
    """This operator cannot carry out the run as it is written. One that is on ends, with all that it has in the
    cluster: which launch that is of cannot be told. What was measured stays, also of one that has ended."""
    status = situation.benchmark.status
    if not is_active(status):
        return Decision(status=statuses.refused(situation, status.run.id if status and status.run else None, why))
    failure = Failure(blame=Blame.INFRASTRUCTURE, reason=why.reason, message=shorten(str(why), MESSAGE_LIMIT))
    return Decision(everything(situation), statuses.broken_off(situation, failure))


def _break_off(situation: Situation, actions: tuple[Action, ...]) -> Decision:
    """The API does not take what the whole run needs: it ends."""
    if situation.refusal is None:
        raise ValueError("nothing was refused")
    return Decision(actions, statuses.broken_off(situation, situation.refusal.failure))


def results_of(situation: Situation, run: Run, completion: datetime | None) -> Results:
    """What has been measured so far, as `results.json` would have it."""
    status = situation.benchmark.status
    if status is None or status.start_time is None:
        raise ValueError("the run has not begun")
    return assembled(
        name=situation.benchmark.name,
        run_id=run.identity.run_id,
        spec=to_data(run.spec),
        resolved=run.resolved,
        start_time=status.start_time,
        completion_time=completion,
        provenance=run.platform.provenance,
        objects={model: _stored(situation, run, model) for model in run.models},
    )


def _stored(situation: Situation, run: Run, model: str) -> ModelObject:
    """What is stored of a model; of one whose turn has not come nothing may be."""
    stored = situation.records.get(model, ModelObject())
    return stored if stored.model is not None else replace(stored, model=run.record(model))


def results_now(situation: Situation) -> Results | None:
    """What has been measured so far, where a decision needs to know what it comes to."""
    benchmark = situation.benchmark
    if benchmark.deleting or situation.snapshot is None or benchmark.status is None or not needs_records(benchmark):
        return None
    run = _run_of(situation)
    results = None if isinstance(run, Decision) else results_of(situation, run, benchmark.status.completion_time)
    return results if results is not None and _says_something(results) else None


def _evaluate(situation: Situation, results: Results) -> Evaluation | None:
    """None: no bench pod has said yet what the tasks are."""
    return evaluate(results, before=situation.evaluation) if _says_something(results) else None


def _says_something(results: Results) -> bool:
    return bool(results.tasks) or all(model.failure for model in results.models)


def _unsettled(launches: Sequence[Launch], situation: Situation, results: Results) -> tuple[Launch, ...]:
    """Launches that are not over, in their order. A model that has failed is not started again."""
    over = ended_launches(situation.records)
    failed = {model.name for model in results.models if model.failure is not None}
    return tuple(
        launch for launch in launches if (launch.model, launch.round) not in over and launch.model not in failed
    )


def _stops_everything(situation: Situation, run: Run, results: Results) -> Failure | None:
    """Why the rest of the run is not carried out."""
    limit = run.deadlines.total_seconds or 0
    if active_seconds(situation) > limit:
        message = f"the run took longer than {limit} s (execution.deadlines.totalSeconds)"
        return Failure(blame=Blame.INFRASTRUCTURE, reason="TotalDeadline", message=message)
    first = next((model.failure for model in results.models if model.failure is not None), None)
    if first is None or run.execution.on_model_failure is not OnModelFailure.STOP:
        return None
    message = f"not measured: {first.model} failed ({first.reason}), and execution.onModelFailure is Stop"
    return Failure(blame=first.blame, reason="RunStopped", message=message)


def _give_up(situation: Situation, run: Run, left: Sequence[Launch], failure: Failure) -> Decision:
    """Every model that is not through has failed with this."""
    actions: list[Action] = list(teardown(situation, run, left[0], lingering=True))
    for model in dict.fromkeys(launch.model for launch in left):
        launch = next(launch for launch in left if launch.model == model)
        end = LaunchEnd(round=launch.round, order=launch.order, failure=failure.model_copy(update={"model": model}))
        actions += [Create(make.results_object(run.identity, run.record(model))), RecordEnd(model, end)]
    return Decision(tuple(actions), wake_after=0.0)


def _finish(situation: Situation, run: Run, results: Results, left: tuple[Action, ...]) -> Decision:
    """Nothing is left to measure: PER, the last word, and the objects closed."""
    ended = results.model_copy(update={"completion_time": situation.now})
    evaluation = evaluate(ended, before=situation.evaluation)
    if evaluation.verdict.exit_code is None:  # stages that had been there cannot be read any more
        message = "stages were recorded and cannot be read: somebody changed or deleted results objects"
        lost = Failure(blame=Blame.MEASUREMENT, reason="StagesMissing", message=message)
        return Decision(left, statuses.broken_off(situation, lost))
    status = statuses.finished(situation, run, evaluation)
    # Former runs go once this one is compared: it may be with the last of them, which stays then.
    tidy = () if regression.is_pending(status) else (_prune(run),)
    outcome = Outcome.SUCCEEDED if status.phase is Phase.SUCCEEDED else Outcome.FAILED
    return Decision((*left, Seal(run.models, outcome), *tidy), status)


def _prune(run: Run) -> Prune:
    return Prune(run.execution.history_limit or 0)


def _recompute(situation: Situation, status: Status) -> Decision:
    """An ended run that is to be compared, or whose `per`, `capacity`, `baselineRef` or `execution` was edited: its
    figures anew; nothing is measured."""
    run = _run_of(situation)
    if isinstance(run, Decision):
        return run
    results = results_of(situation, run, status.completion_time)
    evaluation = evaluate(results, before=situation.evaluation)
    if evaluation.verdict.exit_code is None:
        after = statuses.without_results(situation, status)
    else:
        after = regression.judged(situation, statuses.finished(situation, run, evaluation), results)
    # Also where it was not to be compared: the limit may have been lowered.
    return Decision(() if regression.is_pending(after) else (_prune(run),), after)
