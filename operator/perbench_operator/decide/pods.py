"""What the pods of a Job tell: what they wait for, that they run, or why they never will. Pure."""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import Enum, auto

from perbench.api.execution import Deadlines
from perbench.failures import MESSAGE_LIMIT, Blame, Failure, shorten
from perbench_operator.observed import Ended, Job, Pod

IMAGE_PATIENCE_SECONDS = 60.0
IMAGE_PATIENCE_TIMES = 3
"""A registry that fails once is asked again by the kubelet: it may go on failing for so long, and so often. A pull that
failed may be under way again for many minutes, so time alone tells nothing."""
START_PATIENCE_SECONDS = 60.0
"""So long a container's start may go on failing."""
SECRET_PATIENCE_SECONDS = 15.0
"""A Secret or ConfigMap that is missing may be about to be made."""
MOUNT_PATIENCE_SECONDS = 60.0
"""The same of one that is mounted as a volume: the kubelet tries that at longer and longer intervals."""
REFUSED_PATIENCE_SECONDS = 10.0
"""The Job controller tries again when its pods are refused."""
LOST_PATIENCE_SECONDS = 60.0
"""A Job that lacks a pod has lost it, or the pod has not been made or heard of yet."""
SUSPENDED_WHILE_IT_RAN = (
    "its Job was suspended while it ran, by whoever admits Jobs here (Kueue …): its pods are taken away"
)
HEARSAY_SECONDS = 60.0
"""The end of a Job may be heard of before that of its pods; well within this they are listed anew."""
CALM_SECONDS = 10.0
"""Pods usually start within this."""
PROBE_SLACK_SECONDS = 20.0
"""A start-up probe gives up around its deadline, and the kubelet kills the container then."""

PULL_REASONS = frozenset({"ImagePullBackOff", "ErrImagePull", "RegistryUnavailable", "SignatureValidationFailed"})
PULL_NEVER = frozenset({"InvalidImageName", "ErrImageNeverPull", "ImageInspectError"})
CONFIG_REASONS = frozenset({"CreateContainerConfigError"})
NOT_THERE = re.compile(r'(configmap|secret) "[^"]*" not found|non-existent (config|secret) key')
"""Of a volume that cannot be mounted: what stands in for no attachment that takes its time."""
CREATE_REASONS = frozenset({"CreateContainerError", "RunContainerError", "CrashLoopBackOff"})

GATED = ("gated repo", "awaiting a review", "access to model", "401 client error", "cannot access gated")
NOT_FOUND = ("repository not found", "404 client error", "is not a valid model identifier", "revision not found")
TAKEN_AWAY = {
    "PreemptionByScheduler": "Preempted", "DeletionByTaintManager": "Drained", "EvictionByEvictionAPI": "Drained",
    "TerminationByKubelet": "Evicted", "DeletionByPodGC": "NodeLost", "Evicted": "Evicted", "NodeLost": "NodeLost",
    "Preempting": "Preempted", "NodeShutdown": "Drained", "Terminated": "Drained",
}  # fmt: skip
"""Reasons of DisruptionTarget, and of pods that failed as a whole, and what we call them."""
KILLED = 128


class Step(Enum):
    """How far the pods of a Job are."""

    CREATING = auto()
    SCHEDULING = auto()
    PULLING = auto()
    STARTING = auto()
    READY = auto()
    """All are ready, or have been: readiness that is lost for a moment takes nothing back."""
    FAILED = auto()


@dataclass(frozen=True)
class PodsState:
    """The pods of one Job, taken together."""

    step: Step
    message: str = ""
    """What is waited for, for people."""
    failure: Failure | None = None
    started: datetime | None = None
    """Since when all run."""
    ready: datetime | None = None
    """Since when all are ready. None: they are not, or not at the moment."""
    wake_after: float | None = None
    """When a deadline passes, in seconds."""
    over: bool = False
    """Its Job has ended: so have its pods, which is only not heard of yet."""

    @property
    def running(self) -> bool:
        """Whether all of them run."""
        return self.step in {Step.STARTING, Step.READY}


def pods_state(
    job: Job, pods: Sequence[Pod], count: int, deadlines: Deadlines, now: datetime, *, answered: bool = False
) -> PodsState:
    """The state of a Job that is to have `count` pods. `answered`: all of them have been ready, as a load has begun."""
    if job.suspended is not None and not job.finished:
        return _suspended(job.suspended, pods, deadlines, now)
    by_cause = sorted(pods, key=_likeness_of_a_cause)
    failure = next((found for pod in by_cause if (found := _pod_failure(pod, deadlines, now, answered=answered))), None)
    if failure is not None:
        return PodsState(Step.FAILED, failure=failure)
    if job.refused is not None and len(pods) < count:
        return _not_allowed(job, job.refused, now)
    if job.finished and (len(pods) < count or _since(job.ended or job.created, now) >= HEARSAY_SECONDS):
        return PodsState(Step.FAILED, failure=_infrastructure("PodLost", "its pod has gone, and nobody says why"))
    if len(pods) < count:
        return _creating(job, len(pods), count, deadlines, now)
    state = _waiting_for(pods, deadlines, now, answered=answered)
    return replace(state, wake_after=1.0, over=True) if job.finished else state


def _likeness_of_a_cause(pod: Pod) -> tuple[bool, bool, float, str]:
    """Sorts pods by whose end is rather the cause of the others': when one of a Job fails, its controller deletes the
    rest. So first those that nobody deleted, or that a disruption took; of those the first that ended."""
    consequence = pod.deleting and pod.disruption is None
    return consequence, pod.ended is None, pod.ended_at.timestamp() if pod.ended_at else math.inf, pod.name


def _not_allowed(job: Job, words: str, now: datetime) -> PodsState:
    if _since(job.begun or job.created, now) >= REFUSED_PATIENCE_SECONDS:  # begun: anew after a suspension
        return PodsState(Step.FAILED, failure=_refused(words))
    return PodsState(Step.CREATING, f"its pod is refused: {words}", wake_after=2.0)


def _suspended(since: datetime, pods: Sequence[Pod], deadlines: Deadlines, now: datetime) -> PodsState:
    """Somebody else decides when pods may be made, and may take them away again."""
    if any(pod.started for pod in pods):
        return PodsState(Step.FAILED, failure=_infrastructure("Preempted", SUSPENDED_WHILE_IT_RAN))
    left = (deadlines.scheduling_seconds or 0) - _since(since, now)
    if left <= 0:
        limit = f"within {deadlines.scheduling_seconds} s (execution.deadlines.schedulingSeconds)"
        message = f"its Job is suspended, and was not let go {limit} by whoever admits Jobs here (Kueue …)"
        return PodsState(Step.FAILED, failure=_infrastructure("JobSuspended", message))
    words = "its Job is suspended: waiting for whoever admits Jobs here (Kueue …)"
    return PodsState(Step.CREATING, words, wake_after=left)


def _not_begun(job: Job, deadlines: Deadlines, now: datetime) -> PodsState:
    """Nothing shows that the Job's controller has seen it: it may be away for a while, or have much to do."""
    waited = _since(job.created, now)
    left = (deadlines.scheduling_seconds or 0) - waited
    if left <= 0:
        limit = f"within {deadlines.scheduling_seconds} s (execution.deadlines.schedulingSeconds)"
        message = f"the cluster's Job controller has not begun with its Job {limit}"
        return PodsState(Step.FAILED, failure=_infrastructure("JobNotBegun", message))
    words = "waiting for the cluster's Job controller"
    return _calm(PodsState(Step.CREATING, words, wake_after=min(left, 5.0)), waited)


def _creating(job: Job, made: int, count: int, deadlines: Deadlines, now: datetime) -> PodsState:
    if job.begun is None and not made:
        return _not_begun(job, deadlines, now)
    waited = _since(job.begun or job.created, now)
    if waited >= LOST_PATIENCE_SECONDS:
        message = f"{made} of its {count} pods are there, and nobody says why"
        return PodsState(Step.FAILED, failure=_infrastructure("PodLost", message))
    return _calm(PodsState(Step.CREATING, "waiting for its pods", wake_after=5.0), waited)


def _waiting_for(pods: Sequence[Pod], deadlines: Deadlines, now: datetime, *, answered: bool) -> PodsState:
    homeless = [pod for pod in pods if pod.scheduled is None]
    if homeless:
        return _scheduling(homeless[0], deadlines, now)
    idle = [pod for pod in pods if pod.started is None]
    if idle:
        return _pulling(idle[0], deadlines, now)
    started = max(pod.started for pod in pods if pod.started)
    if all(pod.ready for pod in pods):
        return PodsState(Step.READY, started=started, ready=max(pod.ready for pod in pods if pod.ready))
    if answered or all(pod.has_been_ready for pod in pods):  # it passes, or the load finds out that it does not
        return PodsState(Step.READY, started=started)
    left = (deadlines.ready_seconds or 0) - _since(started, now)
    if left + PROBE_SLACK_SECONDS <= 0:
        return PodsState(Step.FAILED, failure=_never_ready(deadlines), started=started)
    return PodsState(
        Step.STARTING, "waiting for the server to answer", started=started, wake_after=left + PROBE_SLACK_SECONDS
    )


def _scheduling(pod: Pod, deadlines: Deadlines, now: datetime) -> PodsState:
    words = pod.unscheduled or "the scheduler has not said anything yet"
    waited = _since(pod.created, now)
    left = (deadlines.scheduling_seconds or 0) - waited
    if left <= 0:
        message = f"no node within {deadlines.scheduling_seconds} s (execution.deadlines.schedulingSeconds): {words}"
        return PodsState(Step.FAILED, failure=_infrastructure("Unschedulable", message))
    state = PodsState(Step.SCHEDULING, f"waiting for a node: {words}", wake_after=left)
    return state if pod.unscheduled else _calm(state, waited)


def _pulling(pod: Pod, deadlines: Deadlines, now: datetime) -> PodsState:
    left = (deadlines.image_seconds or 0) - _since(pod.scheduled, now)
    what = f"{pod.waiting[0]}: {pod.waiting[1]}" if pod.waiting else "its image is pulled, its volumes are mounted"
    if left <= 0:
        message = f"not started within {deadlines.image_seconds} s (execution.deadlines.imageSeconds): {what}"
        return PodsState(Step.FAILED, failure=_infrastructure("ImageTimeout", message))
    state = PodsState(Step.PULLING, f"starting: {what}", wake_after=min(left, 5.0 if pod.waiting else left))
    return state if pod.waiting else _calm(state, _since(pod.created, now))


def _calm(state: PodsState, waited: float) -> PodsState:
    """What takes a moment every time is not worth words, and a write of the status, before it takes longer."""
    if waited >= CALM_SECONDS:
        return state
    return replace(state, message="starting", wake_after=min(state.wake_after or CALM_SECONDS, CALM_SECONDS - waited))


def _pod_failure(pod: Pod, deadlines: Deadlines, now: datetime, *, answered: bool) -> Failure | None:
    if pod.disruption is not None and (pod.deleting or pod.ended is not None):
        reason, words = pod.disruption
        name = TAKEN_AWAY.get(reason, "Disrupted")
        return _infrastructure(name, f"its pod was taken away from node {pod.node or '?'}: {reason}: {words}")
    if pod.ended is not None:
        return _ended(pod, pod.ended, deadlines, answered=answered)
    if pod.deleting:
        return _infrastructure("PodDeleted", "somebody deleted its pod")
    return _blocked(pod, now)


def _blocked(pod: Pod, now: datetime) -> Failure | None:
    """A container that does not start, for a reason that does not pass by waiting. Patience counts from the first
    failure; where that is not known, imageSeconds ends it."""
    if pod.waiting is None or pod.started is not None:
        return None
    reason, words = pod.waiting
    failed_for, times = (_since(pod.failing.since, now), pod.failing.times) if pod.failing else (0.0, 0)
    given_up = failed_for >= IMAGE_PATIENCE_SECONDS and times >= IMAGE_PATIENCE_TIMES
    if reason in PULL_NEVER or (reason in PULL_REASONS and given_up):
        return _infrastructure("ImagePullFailed", f"{reason}: {words}")
    if reason in CONFIG_REASONS and failed_for >= SECRET_PATIENCE_SECONDS:
        missing = "SecretMissing" if "secret" in words.lower() else "ConfigMissing"
        return _infrastructure(missing, words)
    if reason == "FailedMount" and failed_for >= MOUNT_PATIENCE_SECONDS and (found := NOT_THERE.search(words)):
        return _infrastructure("SecretMissing" if "secret" in found[0] else "ConfigMissing", words)
    if reason in CREATE_REASONS and failed_for >= START_PATIENCE_SECONDS:
        return _infrastructure("ContainerNotStarted", f"{reason}: {words}")
    return None


def _ended(pod: Pod, ended: Ended, deadlines: Deadlines, *, answered: bool) -> Failure:
    """The server exited before its measurement was over: whatever its exit code, that is its failure."""
    if ended.beside:
        said = f": {ended.tail}" if ended.tail else ""
        message = f"container {ended.beside} beside the server exited with {ended.exit_code} {ended.reason}{said}"
        return _infrastructure("ContainerFailed", message)
    if ended.reason == "OOMKilled":
        message = f"the kernel ended it for want of memory: raise serving.resources.limits.memory; {ended.tail}"
        return _target("OutOfMemory", message, ended.exit_code)
    words = ended.tail.lower()
    if any(mark in words for mark in NOT_FOUND):  # first: without a token the hub answers 401 for those, too
        return _target("ModelNotFound", f"the hub does not have the model: {ended.tail}", ended.exit_code)
    if any(mark in words for mark in GATED):
        message = f"the hub refuses the model: accept its terms, and give huggingFaceTokenSecretKeyRef; {ended.tail}"
        return _target("GatedModel", message, ended.exit_code)
    was_ready = answered or pod.has_been_ready
    if not was_ready and ended.exit_code > KILLED and _probed_to_death(pod, deadlines):
        return _never_ready(deadlines, ended)
    said = f": {ended.tail}" if ended.tail else "; its log is empty"
    return _target("ServerExited", f"the model's server exited with {ended.exit_code}{said}", ended.exit_code)


def _probed_to_death(pod: Pod, deadlines: Deadlines) -> bool:
    """Whether the kubelet ended it because its start-up probe had failed for too long."""
    if pod.started is None or pod.ended_at is None:
        return False
    return (pod.ended_at - pod.started) >= timedelta(seconds=(deadlines.ready_seconds or 0) - PROBE_SLACK_SECONDS)


def _never_ready(deadlines: Deadlines, ended: Ended | None = None) -> Failure:
    said = f"; its last words: {ended.tail}" if ended and ended.tail else ""
    message = f"it did not answer within {deadlines.ready_seconds} s (execution.deadlines.readySeconds){said}"
    return _target("NotReady", message, ended.exit_code if ended else None)


def _refused(words: str) -> Failure:
    quota = "exceeded quota" in words or "must specify limits" in words or "must specify requests" in words
    return _infrastructure("QuotaExceeded" if quota else "PodRefused", words)


def _target(reason: str, message: str, exit_code: int | None) -> Failure:
    return Failure(blame=Blame.TARGET, reason=reason, message=shorten(message, MESSAGE_LIMIT), exit_code=exit_code)


def _infrastructure(reason: str, message: str) -> Failure:
    return Failure(blame=Blame.INFRASTRUCTURE, reason=reason, message=shorten(message, MESSAGE_LIMIT))


def _since(moment: datetime | None, now: datetime) -> float:
    """Seconds from a moment to now; 0 where it is not known."""
    return max(0.0, (now - moment).total_seconds()) if moment else 0.0
