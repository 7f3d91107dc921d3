"""The launch at hand: what has to be made, what is waited for, how it ended. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from perbench.api.status import Phase
from perbench.failures import Blame, Failure
from perbench.objects.progress import BenchProgress, BenchState
from perbench.objects.results import LaunchEnd, ModelObject
from perbench.plan import Plan, StageKey, TelemetryPod
from perbench.schedule import Launch
from perbench_operator import children as make
from perbench_operator.decide.benches import BenchTurn, bench_turn
from perbench_operator.decide.pods import SUSPENDED_WHILE_IT_RAN, PodsState, Step, pods_state
from perbench_operator.decide.settled import Run
from perbench_operator.decide.situation import Action, Create, Delete, RecordEnd, Situation, Story
from perbench_operator.decide.teardown import may_keep, teardown
from perbench_operator.names import Role, attempt_role, launch_digest, launch_object, model_object
from perbench_operator.observed import LOST_SECONDS, Job, Pod
from perbench_operator.serving import Served, pinned, ran_on

SERVER_GRACE_SECONDS = 5.0
"""A server that crashes closes its connections before the kubelet tells: the bench pod may know it first."""
HOLDERS_SHOWN = 3
"""Benchmarks that are named where one waits for them."""


@dataclass(frozen=True)
class Turn:
    """What the launch at hand comes to in this look at it."""

    phase: Phase
    message: str
    actions: tuple[Action, ...] = ()
    end: LaunchEnd | None = None
    story: tuple[Story, ...] = ()
    wake_after: float | None = None


def take_turn(situation: Situation, run: Run, launch: Launch) -> Turn:
    """Look at the launch and say what it needs."""
    if situation.refusal is not None:
        return _ended(situation, run, launch, situation.refusal.failure)
    if others := _still_there(situation, run, launch):
        return Turn(
            Phase.STARTING_MODEL, f"{launch.model}: waiting for the pods of {others[0]} to end", wake_after=10.0
        )
    served = run.served[launch.model]
    return _with_bench(situation, run, launch, None) if served is None else _of_model(situation, run, launch, served)


def _of_model(situation: Situation, run: Run, launch: Launch, served: Served) -> Turn:
    """A launch of a model that is ours to start."""
    job = situation.children.job(launch_object(run.identity, launch, Role.MODEL))
    if job is None or job.deleting:
        return _without_job(situation, run, launch, served, job)
    if job.suspended is not None and situation.children.benches(job.launch):  # its pods, which ran, may be gone already
        return _ended(situation, run, launch, _infrastructure("Preempted", SUSPENDED_WHILE_IT_RAN))
    state = pods_state(
        job, situation.children.pods_of(job), served.replicas, run.deadlines, situation.now,
        answered=_has_answered(situation, run, launch),
    )  # fmt: skip
    if state.failure is not None:
        return _ended(situation, run, launch, state.failure)
    if not state.running:
        return Turn(Phase.STARTING_MODEL, f"{launch.model}: {state.message}", wake_after=state.wake_after)
    return _with_bench(situation, run, launch, state)


def _has_answered(situation: Situation, run: Run, launch: Launch) -> bool:
    """Whether a load has begun since the model was started: words of bench pods that are not there are of before."""
    progress = situation.children.progress.get(model_object(run.identity, launch.model, Role.PROGRESS))
    if progress is None or progress.round != launch.round:
        return False
    begun = progress.first_request_at is not None or progress.state is BenchState.MEASURING
    return begun and any(
        job.attempt == progress.attempt for job in situation.children.benches(launch_digest(run.identity, launch))
    )


def _still_there(situation: Situation, run: Run, launch: Launch) -> list[str]:
    """Models of other launches of this benchmark whose pods hold their places yet; those kept on purpose left out.

    One that is lost with its node holds nothing that the next could have, as no pod gets onto that node.
    """
    own = launch_digest(run.identity, launch)
    kept = _kept(situation, run)
    pods = [pod for pod in situation.children.models(situation.now) if pod.launch != own and pod.launch not in kept]
    return sorted({pod.model or pod.name for pod in pods})


def _kept(situation: Situation, run: Run) -> frozenset[str]:
    failed = [
        Launch(model, end.round, end.order)
        for model, record in situation.records.items()
        for end in record.ends.values()
        if end.failure is not None
    ]
    return frozenset(launch_digest(run.identity, each) for each in failed if may_keep(situation, run, each))


def _without_job(situation: Situation, run: Run, launch: Launch, served: Served, job: Job | None) -> Turn:
    """The model's Job is not there: it is to be made, or it went away in the middle."""
    if is_measured(situation, run, launch):
        return _ended(situation, run, launch, None)
    own = launch_digest(run.identity, launch)
    former = [pod for pod in situation.children.pods if pod.role == Role.MODEL and pod.launch == own and not pod.over]
    if lost := next((pod for pod in former if pod.is_lost(situation.now)), None):
        return _ended(situation, run, launch, _lost(lost))
    if job is not None or former:
        return Turn(Phase.STARTING_MODEL, f"{launch.model}: waiting for its former pods to go", wake_after=2.0)
    benches = situation.children.benches(own)
    if any(not bench.finished and not bench.deleting for bench in benches):
        message = "somebody deleted the model's Job while it was measured"
        return _ended(situation, run, launch, _infrastructure("ModelDeleted", message))
    if not situation.may_start:
        return Turn(Phase.QUEUED, f"{launch.model}: as many models run as the operator allows{_of(situation.holders)}")
    served = _pinned(situation, served)
    manifests = (
        *_shared(situation, run, launch),
        *make.model_objects(run.identity, launch, served, run.platform, run.execution),
    )
    story = Story(
        "ModelStarting", f"{launch.model}: {served.runtime.name.value}, {served.image}{_of_rounds(run, launch)}"
    )
    return Turn(
        Phase.STARTING_MODEL, f"{launch.model}: starting", tuple(map(Create, manifests)), story=(story,), wake_after=5.0
    )


def _lost(pod: Pod) -> Failure:
    """The Service of a launch has the addresses of all its pods, so no other can be started beside it."""
    what = f"its former pod on node {pod.node or '?'} was to end, and the node has not told of it"
    return _infrastructure(
        "NodeLost", f"{what} {LOST_SECONDS:g} s after that was due: it goes by the model's name still"
    )


def _of(holders: Sequence[str]) -> str:
    """`, of team/a, team/b and 3 more`."""
    more = f" and {len(holders) - HOLDERS_SHOWN} more" if len(holders) > HOLDERS_SHOWN else ""
    return f", of {', '.join(holders[:HOLDERS_SHOWN])}{more}" if holders else ""


def _with_bench(situation: Situation, run: Run, launch: Launch, state: PodsState | None) -> Turn:
    """The model runs (None: it is an endpoint): its bench pod is made, listened to, made again."""
    identity, digest = run.identity, launch_digest(run.identity, launch)
    object_name = model_object(identity, launch.model, Role.PROGRESS)
    progress = situation.children.progress.get(object_name)
    retries = run.execution.retries or 0
    turn = bench_turn(situation.children, digest, launch.round, object_name, retries, run.deadlines, situation.now)
    if turn.final is not None:
        return _final(situation, run, launch, state, turn.final)
    if turn.failure is not None:
        return _ended(situation, run, launch, turn.failure)
    wake_after = _sooner(turn.wake_after, state.wake_after if state else None)
    if turn.create is not None and state is not None and state.over:
        message = f"{launch.model}: waiting to hear how its server ended"
        return Turn(Phase.STARTING_MODEL, message, wake_after=wake_after)
    if turn.create is not None:
        return _new_bench(situation, run, launch, state, turn)
    newest = situation.children.benches(digest)[-1]
    current = progress is not None and (progress.round, progress.attempt) == (launch.round, newest.attempt)
    recorded = progress.recorded if progress and current else 0
    measuring = progress is not None and current and progress.state is BenchState.MEASURING
    ready = state is None or state.step is Step.READY
    phase = Phase.MEASURING if measuring else Phase.STARTING_MODEL
    message = turn.message or (stage_words(run, recorded) if measuring else _before_load(ready=ready))
    if turn.hung is None:
        return Turn(phase, f"{launch.model}: {message}", wake_after=wake_after)
    end, told = (
        Delete("Pod", turn.hung.name, turn.hung.uid),
        Story("BenchHung", f"{launch.model}: {message}", warning=True),
    )
    return Turn(phase, f"{launch.model}: {message}", (end,), story=(told,), wake_after=wake_after)


def _sooner(one: float | None, other: float | None) -> float | None:
    return min((each for each in (one, other) if each is not None), default=None)


def _new_bench(situation: Situation, run: Run, launch: Launch, state: PodsState | None, turn: BenchTurn) -> Turn:
    """The plan is made with each of them, in place of the one before: it names the model's pods and their exporters,
    which are others after a suspension, or where a queue has admitted the model again."""
    served, attempt, first = run.served[launch.model], turn.create or 0, turn.lost == ""
    shared = _shared(situation, run, launch) if served is None and first else ()
    plan = _plan(situation, run, launch)
    own = (make.plan_object(run.identity, launch, plan), *_pod_metrics_access(situation, run, launch, plan))
    job = make.bench_job(run.identity, launch, attempt, run.spec, served, run.platform)
    lost = Story("BenchRestarted", f"{launch.model}: bench pod lost ({turn.lost}); attempt {attempt}", warning=True)
    begun = Story("BenchStarted", f"{launch.model}: bench pod {attempt_role(attempt)}{_of_rounds(run, launch)}")
    return Turn(
        Phase.STARTING_MODEL,
        f"{launch.model}: {turn.message}",
        (*map(Create, shared), *(Create(each, renew=True) for each in own), Create(job)),
        story=(begun if first else lost,),
        wake_after=state.wake_after if state else 10.0,
    )


def _final(situation: Situation, run: Run, launch: Launch, state: PodsState | None, said: BenchProgress) -> Turn:
    if said.state is BenchState.FINISHED:
        return _ended(situation, run, launch, None)
    failure = said.failure or _infrastructure("BenchLost", "the bench pod failed and did not say why")
    waited = (situation.now - said.updated_at).total_seconds()
    if failure.blame is Blame.TARGET and state is not None and 0 <= waited < SERVER_GRACE_SECONDS:
        return Turn(Phase.MEASURING, f"{launch.model}: {failure.reason}", wake_after=1.0)
    return _ended(situation, run, launch, failure)


def _ended(situation: Situation, run: Run, launch: Launch, failure: Failure | None) -> Turn:
    """The launch is over: that is written down first, then its model is taken down.

    Where every stage is recorded it came to a good end, whatever befell its pods before we looked.
    """
    failure = None if is_measured(situation, run, launch) else failure or _missing(situation, run, launch)
    named = failure.model_copy(update={"model": launch.model}) if failure else None
    end = _end_of(situation, run, launch, named)
    keep = named is not None and may_keep(situation, run, launch)
    clear = teardown(situation, run, launch, model=not keep)
    there = launch.model in situation.records
    create = () if there else (Create(make.results_object(run.identity, run.record(launch.model))),)
    return Turn(
        Phase.MEASURING,
        f"{launch.model}: {named.reason if named else 'measured'}",
        (*create, RecordEnd(launch.model, end), *clear),
        end=end,
        wake_after=0.0,
    )


def is_measured(situation: Situation, run: Run, launch: Launch) -> bool:
    """Whether every stage of a launch is recorded."""
    return not _lacking(situation, run, launch)


def _lacking(situation: Situation, run: Run, launch: Launch) -> Sequence[StageKey]:
    record = situation.records.get(launch.model)
    return [key for key in run.keys if record is None or key not in record.recorded(launch.round)]


def _missing(situation: Situation, run: Run, launch: Launch) -> Failure:
    """Stages that the bench pod had recorded and that cannot be read now."""
    what = f"{len(_lacking(situation, run, launch))} of {len(run.keys)} stages were recorded and cannot be read"
    message = f"{what}: somebody changed the results object"
    return Failure(blame=Blame.MEASUREMENT, reason="StagesMissing", message=message)


def _end_of(situation: Situation, run: Run, launch: Launch, failure: Failure | None) -> LaunchEnd:
    served = run.served[launch.model]
    pods = _pods_of_model(situation, run, launch)
    first = pods[0] if pods else None
    started = min((pod.started for pod in pods if pod.started), default=None)
    ready = _ready_at(situation, run, launch, pods) if started else None
    return LaunchEnd(
        round=launch.round,
        order=launch.order,
        ready_seconds=max(0.0, (ready - started).total_seconds()) if ready and started else None,
        failure=failure,
        node=first.node if first else None,
        accelerator=_accelerator(situation, served, pods),
        image=served.image if served else None,
        image_digest=first.image_digest if first else None,
    )


def _ready_at(situation: Situation, run: Run, launch: Launch, pods: Sequence[Pod]) -> datetime | None:
    """When all replicas were ready; when the load began, where pods do not say it any more, or say when they were ready
    again."""
    moments = [max(pod.ready for pod in pods if pod.ready)] if all(pod.ready for pod in pods) else []
    progress = situation.children.progress.get(model_object(run.identity, launch.model, Role.PROGRESS))
    if progress is not None and progress.first_request_at is not None and _has_answered(situation, run, launch):
        moments.append(progress.first_request_at)
    return min(moments, default=None)


def _accelerator(situation: Situation, served: Served | None, pods: Sequence[Pod]) -> str | None:
    """Number and product; where replicas had unlike ones, all of them."""
    wanted = served.serving.accelerator if served else None
    if wanted is None:
        return None
    found = sorted({product for pod in pods if (product := situation.products.get(pod.node or ""))})
    return ran_on(wanted, found)


def _pods_of_model(situation: Situation, run: Run, launch: Launch) -> Sequence[Pod]:
    name = launch_object(run.identity, launch, Role.MODEL)
    job = situation.children.job(name)
    return situation.children.pods_of(job) if job else [pod for pod in situation.children.pods if pod.job == name]


def _shared(situation: Situation, run: Run, launch: Launch) -> tuple[dict[str, object], ...]:
    """What a launch needs besides its model: the identity of its bench pods, who reaches those of the run, the model's
    progress object, and the results objects of all models, so that whoever reads them knows how each is served before
    its turn has come."""
    identity = run.identity
    missing = [model for model in run.models if model == launch.model or model not in situation.records]
    return (
        *make.access_objects(identity, launch.model),
        *make.bench_policy(identity, run.platform.network),
        make.progress_object(identity, launch.model),
        *(make.results_object(identity, run.record(model)) for model in missing),
    )


def _pinned(situation: Situation, served: Served) -> Served:
    stored = situation.records.get(served.model.name)
    return pinned(served, stored.first_commit if stored else None)


def _plan(situation: Situation, run: Run, launch: Launch) -> Plan:
    served = run.served[launch.model]
    pods = [_telemetry_pod(situation, pod) for pod in _pods_of_model(situation, run, launch) if pod.running]
    pinned_ = _pinned(situation, served) if served else None
    return make.launch_plan(run.identity, launch, run.spec, run.resolved, pinned_, run.platform, pods)


def _pod_metrics_access(situation: Situation, run: Run, launch: Launch, plan: Plan) -> tuple[dict[str, object], ...]:
    """Not where the operator has lost the right since the run began: it cannot hand it out, and the bench pod then says
    why it has no figure."""
    asked = plan.memory.pod_metrics if plan.memory else None
    if asked is None or not situation.platform.telemetry.pod_metrics:
        return ()
    return make.pod_metrics_access(run.identity, launch, asked)


def _telemetry_pod(situation: Situation, pod: Pod) -> TelemetryPod:
    exporter = situation.exporters.get(pod.node or "")
    if exporter is None:
        return TelemetryPod(name=pod.name)
    if exporter.address is None:
        return TelemetryPod(name=pod.name, exporter_reason=exporter.reason)
    return TelemetryPod(name=pod.name, exporter=exporter.address)


def stage_words(run: Run, recorded: int) -> str:
    """`gsm8k, repeat 2 of 3`: the stage after those that are recorded."""
    if recorded >= len(run.keys):
        return "the last stage is recorded"
    task, repeat = run.keys[recorded]
    return f"{task}, one at a time" if repeat is None else f"{task}, repeat {repeat + 1} of {run.resolved.repeats}"


def _before_load(*, ready: bool) -> str:
    return "the load is about to begin" if ready else "waiting for the server to answer"


def _of_rounds(run: Run, launch: Launch) -> str:
    rounds = run.resolved.rounds
    return f", round {launch.round + 1} of {rounds}" if rounds > 1 else ""


def _infrastructure(reason: str, message: str) -> Failure:
    return Failure(blame=Blame.INFRASTRUCTURE, reason=reason, message=message)


def ended_launches(records: Mapping[str, ModelObject]) -> set[tuple[str, int]]:
    """Model and round of every launch that is over."""
    return {(model, number) for model, record in records.items() for number in record.ends}
