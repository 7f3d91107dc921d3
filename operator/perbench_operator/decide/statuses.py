"""The status in every situation: the figures come from `perbench.evaluation`, what is going on from here. Pure."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from pydantic import JsonValue

from perbench.api.defaults import Resolved
from perbench.api.status import (
    REQUEST_LIMIT,
    WARNINGS_LIMIT,
    Condition,
    ConditionStatus,
    ConditionType,
    ModelPhase,
    ModelStatus,
    Phase,
    ProgressStatus,
    RefusedRun,
    RunStatus,
    Status,
    StatusWarning,
)
from perbench.evaluation import Evaluation
from perbench.evaluation import status as evaluated
from perbench.failures import Blame, Failure, shorten
from perbench.schedule import Launch
from perbench_operator.decide import regression
from perbench_operator.decide.active_time import with_active_time
from perbench_operator.decide.conditions import make_condition, outcome_of
from perbench_operator.decide.launches import Turn
from perbench_operator.decide.settled import Run
from perbench_operator.decide.situation import Situation
from perbench_operator.names import Role, model_object
from perbench_operator.serving import Refused

MESSAGE_LIMIT = 1024
UNDECIDED = "NotFinished"
OF_EVERY_RUN = tuple(kind for kind in ConditionType if kind not in {ConditionType.REGRESSED, ConditionType.ANNOTATED})
NO_NEW_FIGURES = frozenset({"ResultsMissing", "NotComputed"})
"""Warnings that say why an edit of `per` changed no figure."""
AT_HAND = frozenset({ModelPhase.STARTING, ModelPhase.MEASURING})
"""Of the model whose turn it is."""


def not_begun(situation: Situation, wanted: str) -> Status:
    """Suspended before anything was begun. What a run before came to stays, as with one that is refused."""
    before = situation.benchmark.status
    if before is not None and before.completion_time is not None:
        what = "execution.suspend is true: the run that is asked for has not begun, the figures are of the one before"
        unknown = make_condition(situation, ConditionType.ACCEPTED, ConditionStatus.UNKNOWN, "Suspended", what)
        return _beside_an_ended_one(situation, before, wanted, unknown, Phase.SUSPENDED)
    status = ConditionStatus.UNKNOWN
    conditions = _all(situation, status, "Suspended", "execution.suspend is true: nothing has been started")
    return Status(
        observed_generation=situation.benchmark.generation,
        phase=Phase.SUSPENDED,
        conditions=conditions,
        progress=ProgressStatus(completed=0, total=0, message="execution.suspend is true"),
    )


def refused(situation: Situation, run_id: str | None, why: Refused) -> Status:
    """The benchmark cannot be carried out as written: the run `run_id` (None: the spec cannot be read) does not begin.

    No run is on. What an ended one came to stays to be read, and to be gone back to.
    """
    message = shorten(str(why), MESSAGE_LIMIT)
    no = {
        kind: make_condition(situation, kind, ConditionStatus.FALSE, why.reason, message)
        for kind in (ConditionType.ACCEPTED, ConditionType.SUCCEEDED)
    }
    before = situation.benchmark.status
    if before is not None and before.completion_time is not None:
        return _beside_an_ended_one(situation, before, run_id, no[ConditionType.ACCEPTED], outcome_of(before))
    unknown = _all(situation, ConditionStatus.UNKNOWN, "NotAccepted", "the benchmark was not accepted")
    return Status(
        observed_generation=situation.benchmark.generation,
        refused=_asked(situation, run_id),
        phase=Phase.FAILED,
        conditions=tuple(no.get(condition.type, condition) for condition in unknown),
        failure=Failure(blame=Blame.INFRASTRUCTURE, reason=why.reason, message=message),
    )


def _beside_an_ended_one(
    situation: Situation, before: Status, run_id: str | None, accepted: Condition, phase: Phase | None
) -> Status:
    """A run that does not begin, where there has been another one."""
    conditions = _with_accepted(before.conditions, accepted)
    pending = regression.is_pending(before)
    return before.model_copy(
        update={
            "observed_generation": situation.benchmark.generation,
            "refused": _asked(situation, run_id),
            "phase": phase,
            "conditions": regression.of_another_spec(situation, conditions) if pending else conditions,
        }
    )


def _asked(situation: Situation, run_id: str | None) -> RefusedRun:
    request = situation.benchmark.request
    return RefusedRun(id=run_id, request=None if request is None else request[:REQUEST_LIMIT])


def broken_off(situation: Situation, failure: Failure) -> Status:
    """A run that was on cannot go on, and no model is to blame: it has ended. What was measured stays."""
    before = situation.benchmark.status or Status()
    said = {
        ConditionType.LOAD_FINISHED: (failure.reason, "the run was broken off"),
        ConditionType.SUCCEEDED: (failure.reason, failure.message),
    }
    conditions = tuple(
        make_condition(situation, condition.type, ConditionStatus.FALSE, *said[condition.type])
        if condition.type in said
        else condition
        for condition in before.conditions
    )
    return before.model_copy(
        update={
            "observed_generation": situation.benchmark.generation,
            "phase": Phase.FAILED,
            "completion_time": situation.now.replace(microsecond=0),
            "conditions": regression.without_figures(situation, conditions),
            "models": tuple(map(_not_any_more, before.models)),
            "failure": failure,
        }
    )


def begun(situation: Situation, run_id: str, resolved: Resolved, version: str) -> Status:
    """A new run, before its first object is made."""
    benchmark = situation.benchmark
    accepted = _accepted(situation)
    unknown = _all(situation, ConditionStatus.UNKNOWN, UNDECIDED, "the run has just begun")
    models = benchmark.spec.models if benchmark.spec else ()
    return Status(
        observed_generation=benchmark.generation,
        run=RunStatus(id=run_id, request=benchmark.request, version=version, resolved=resolved),
        phase=Phase.PENDING,
        start_time=situation.now,
        conditions=regression.while_on(situation, (accepted, *unknown[1:])),
        progress=ProgressStatus(completed=0, total=_total(situation, resolved), message="starting"),
        models=tuple(ModelStatus(name=model.name, phase=ModelPhase.PENDING) for model in models),
    )


def under_way(situation: Situation, run: Run, evaluation: Evaluation | None, turn: Turn, launch: Launch) -> Status:
    """A run that is on: the figures there are, and what is going on."""
    base = _of_evaluation(situation, run, evaluation)
    if base is None:
        base = situation.benchmark.status or Status()
    phase = {
        Phase.STARTING_MODEL: ModelPhase.STARTING,
        Phase.MEASURING: ModelPhase.MEASURING,
    }.get(turn.phase)
    recorded = _recorded(situation)
    failures = failures_of(situation)

    def in_its_phase(model: ModelStatus) -> ModelStatus:
        if model.name in failures:
            return model.model_copy(update={"phase": ModelPhase.FAILED})
        return model.model_copy(update={"phase": phase}) if phase and model.name == launch.model else _not_yet(model)

    models = tuple(map(in_its_phase, base.models))
    message = turn.message if phase is None else _numbered(recorded, _total(situation, run.resolved), turn.message)
    return base.model_copy(
        update={
            "run": with_active_time(situation, base.run, turn),
            "observed_generation": situation.benchmark.generation,
            "phase": turn.phase,
            "completion_time": None,
            "conditions": regression.while_on(situation, _still_open(situation, base.conditions, turn)),
            "progress": ProgressStatus(
                completed=recorded, total=_total(situation, run.resolved), message=shorten(message, 256)
            ),
            "models": _with_places(situation, run, models),
            "best": None,
            "compared_models": None,
            "failure": next(iter(failures.values()), None),
        }
    )


def finished(situation: Situation, run: Run, evaluation: Evaluation) -> Status:
    """The run is over."""
    base = _of_evaluation(situation, run, evaluation)
    if base is None:
        raise ValueError("a run that is over has been evaluated")
    total = _total(situation, run.resolved)
    recorded = evaluation.completed_stages
    message = f"{recorded} of {total} stages" if recorded < total else "done"
    return base.model_copy(
        update={
            "observed_generation": situation.benchmark.generation,
            "conditions": regression.at_the_end(situation, base.conditions),
            "progress": ProgressStatus(completed=recorded, total=total, message=message),
            "models": _with_places(situation, run, base.models),
        }
    )


def failures_of(situation: Situation) -> dict[str, Failure]:
    """Why models failed, by model, as far as it is written down."""
    found: dict[str, Failure] = {}
    for model in situation.benchmark.spec.models if situation.benchmark.spec else ():
        record = situation.records.get(model.name)
        ends = sorted(record.ends.items()) if record else ()
        failure = next((end.failure for _, end in ends if end.failure), None)
        if failure is not None:
            found[model.name] = failure
    return found


def without_results(situation: Situation, status: Status) -> Status:
    """Figures were to be computed anew, and not all that takes is there: they stay, with a warning."""
    recorded = _recorded(situation)
    if status.progress is not None and 0 < recorded >= status.progress.completed:
        reason, why = "NotComputed", "the run was broken off before everything was measured"
    else:
        reason, why = "ResultsMissing", "the run's result objects are gone"
    message = f"{why}, so its figures stay as they were: ask for a new run (perbench.dev/run)"
    former = tuple(warning for warning in status.warnings if warning.reason not in NO_NEW_FIGURES)
    conditions = _with_accepted(status.conditions, _accepted(situation))
    return status.model_copy(
        update={
            "observed_generation": situation.benchmark.generation,
            "refused": None,
            "phase": outcome_of(status),
            "conditions": regression.without_figures(situation, conditions),
            "baseline": None,
            "warnings": (*former[: WARNINGS_LIMIT - 1], StatusWarning(reason=reason, message=message)),
        }
    )


def same(before: Status, after: Status) -> bool:
    """Whether nothing has changed but times of conditions and phase, or, while a run is on, what Grafana knows."""
    return _comparable(before) == _comparable(after)


def with_times(before: Status | None, after: Status, now: datetime) -> Status:
    """Phase and conditions with the time of their last change: that of the former status where it said the same."""
    former = {condition.type: condition for condition in before.conditions} if before else {}

    def timed(condition: Condition) -> Condition:
        old = former.get(condition.type)
        same = old is not None and old.status is condition.status
        moment = old.last_transition_time if old is not None and same else now.replace(microsecond=0)
        return condition.model_copy(update={"last_transition_time": moment})

    return after.model_copy(
        update={"phase_start_time": _phase_start(before, after, now), "conditions": tuple(map(timed, after.conditions))}
    )


def _phase_start(before: Status | None, after: Status, now: datetime) -> datetime:
    """A new run begins its phase anew, even where the one before it ended in the same. One that has ended comes back to
    the phase it ended in, where what waited beside it does so no more."""
    if before is not None and before.phase_start_time is not None and _stands(before) == _stands(after):
        return before.phase_start_time
    moment = now.replace(microsecond=0)
    waited = before is not None and before.phase is Phase.SUSPENDED and before.completion_time is not None
    return min(moment, after.completion_time) if waited and after.completion_time is not None else moment


def _stands(status: Status) -> tuple[str | None, Phase | None, tuple[str, ...]]:
    """What a phase is about: the run, and the models at hand."""
    about = status.run or status.refused
    at_hand = tuple(model.name for model in status.models if model.phase in AT_HAND)
    return (about.id if about else None, status.phase, at_hand)


def _comparable(status: Status) -> dict[str, JsonValue]:
    data = status.model_dump(mode="json", exclude_none=True, exclude={"phase_start_time"})
    kept = [
        each for each in data.get("conditions", ()) if status.completion_time or each["type"] != ConditionType.ANNOTATED
    ]
    data["conditions"] = [{key: value for key, value in each.items() if key != "last_transition_time"} for each in kept]
    return data


def _of_evaluation(situation: Situation, run: Run, evaluation: Evaluation | None) -> Status | None:
    if evaluation is None:
        return None
    benchmark = situation.benchmark
    named = benchmark.status.run if benchmark.status else None
    status = evaluated(
        evaluation,
        request=named.request if named else None,
        generation=benchmark.generation,
        results_name=model_object(run.identity, run.models[0], Role.RESULTS),
    )
    update = {
        "version": run.platform.version,
        "resumed_time": named.resumed_time if named else None,
        "active_seconds": named.active_seconds if named else None,
    }
    return status.model_copy(update={"run": status.run.model_copy(update=update) if status.run else None})


def _recorded(situation: Situation) -> int:
    """Stages that are stored."""
    return sum(len(stages) for record in situation.records.values() for stages in record.stages.values())


def _total(situation: Situation, resolved: Resolved) -> int:
    spec = situation.benchmark.spec
    if spec is None:
        return 0
    each = resolved.repeats + (resolved.unloaded_requests is not None)
    return len(spec.models) * len(spec.tasks) * resolved.rounds * each


def _not_yet(model: ModelStatus) -> ModelStatus:
    """A model whose turn it is not: between its rounds it waits."""
    return model.model_copy(update={"phase": ModelPhase.PENDING}) if model.phase in AT_HAND else model


def _not_any_more(model: ModelStatus) -> ModelStatus:
    """A model of a run that was broken off: what was not through has failed with it."""
    through = model.phase is ModelPhase.SUCCEEDED
    return model if through else model.model_copy(update={"phase": ModelPhase.FAILED})


def _with_places(situation: Situation, run: Run, models: Sequence[ModelStatus]) -> tuple[ModelStatus, ...]:
    """Where each model ran, and on what: of its last launch that got so far."""
    found = []
    for model in models:
        record = situation.records.get(model.name)
        ends = sorted(record.ends.values(), key=lambda end: end.round) if record else []
        placed = next((end for end in reversed(ends) if end.node is not None), ends[-1] if ends else None)
        served = run.served.get(model.name)
        update: Mapping[str, object] = {"image": served.image if served else None}
        if placed is not None:
            update = {
                **update, "node": placed.node, "accelerator": placed.accelerator, "image_digest": placed.image_digest,
            }  # fmt: skip
        found.append(model.model_copy(update=update))
    return tuple(found)


def _still_open(situation: Situation, conditions: Sequence[Condition], turn: Turn) -> tuple[Condition, ...]:
    """Of a run that is on: the last word is not spoken, whatever the figures say already."""
    kinds = {ConditionType.LOAD_FINISHED, ConditionType.SUCCEEDED}
    unknown = ConditionStatus.UNKNOWN
    reason = turn.phase.value if turn.phase in {Phase.QUEUED, Phase.SUSPENDED} else UNDECIDED
    return tuple(
        make_condition(situation, condition.type, unknown, reason, shorten(turn.message, MESSAGE_LIMIT))
        if condition.type is ConditionType.SUCCEEDED
        else make_condition(situation, condition.type, unknown, UNDECIDED, condition.message)
        if condition.type in kinds
        else condition.model_copy(update={"observed_generation": situation.benchmark.generation})
        for condition in conditions
    )


def _numbered(recorded: int, total: int, message: str) -> str:
    return f"{recorded}/{total}: {message}"


def _accepted(situation: Situation) -> Condition:
    return make_condition(
        situation, ConditionType.ACCEPTED, ConditionStatus.TRUE, "Accepted", "the benchmark was accepted"
    )


def _with_accepted(conditions: Sequence[Condition], accepted: Condition) -> tuple[Condition, ...]:
    """The conditions of an ended run, with another word on what was asked since."""
    return tuple(accepted if condition.type is ConditionType.ACCEPTED else condition for condition in conditions)


def _all(situation: Situation, status: ConditionStatus, reason: str, message: str) -> tuple[Condition, ...]:
    return tuple(make_condition(situation, kind, status, reason, message) for kind in OF_EVERY_RUN)
