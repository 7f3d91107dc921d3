"""What is seen of a run's children: small values cut out of the API's objects, as much as decisions need. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Self

from perbench.failures import shorten
from perbench.objects.progress import BenchProgress, read_progress
from perbench_operator.names import ATTEMPT, BENCH_CONTAINER, LAUNCH, MODEL, MODEL_CONTAINER, ROLE, RUN, UID, Role

Body = Mapping[str, Any]
"""An object as the API gives it."""

LOST_SECONDS = 300.0
"""The kubelet ends a pod within its grace period, which deletionTimestamp has in it: one that has not ended so long
after it is on a node that does not answer, and nobody can say when that will."""
TAIL = 800
"""Characters of a container's last words that are kept."""


@dataclass(frozen=True, slots=True)
class Ended:
    """How a container ended."""

    exit_code: int
    reason: str
    """`OOMKilled`, `Error`, `Completed` …"""
    tail: str
    """Its last words: its termination message, or the end of its log."""
    beside: str = ""
    """The name of the container, where it is not the main one."""


@dataclass(frozen=True, slots=True)
class Failing:
    """What the events of a pod tell of the start of its containers."""

    since: datetime
    """When it failed first."""
    times: int


@dataclass(frozen=True, slots=True)
class Pod:
    """A pod of a model or of a bench Job."""

    name: str
    job: str
    """The name of the Job it belongs to."""
    run_id: str
    role: str
    launch: str
    """The ten digits of its launch."""
    model: str = ""
    job_uid: str = ""
    """Of the Job itself: a later one may have the same name."""
    uid: str = ""
    node: str | None = None
    created: datetime | None = None
    scheduled: datetime | None = None
    """When it got a node."""
    unscheduled: str | None = None
    """Why the scheduler has found none, in its own words."""
    started: datetime | None = None
    """When the main container started."""
    ready: datetime | None = None
    """Since when the pod is ready. None: it is not."""
    unready: datetime | None = None
    """Since when the pod is not ready. None: it is, or nobody has said."""
    waiting: tuple[str, str] | None = None
    """Reason and message of the main container, or of the init container before it, that does not start."""
    failing: Failing | None = None
    """How often what it waits for has failed. None: nothing is known of it."""
    ended: Ended | None = None
    """How the main container ended."""
    ended_at: datetime | None = None
    disruption: tuple[str, str] | None = None
    """Why the pod is taken away: reason and message of DisruptionTarget, or of the pod itself (`Evicted`)."""
    leaves: datetime | None = None
    """It was deleted, and is to have ended by then. None: it was not."""
    over: bool = False
    """All its containers have ended."""
    heard: datetime | None = None
    """When the operator heard last that the main container runs, or does not, by its own clock. Nodes have others."""
    image_digest: str | None = None

    @property
    def running(self) -> bool:
        """Whether the main container runs."""
        return self.started is not None and self.ended is None

    @property
    def deleting(self) -> bool:
        """Whether it is on its way out."""
        return self.leaves is not None

    def is_lost(self, now: datetime) -> bool:
        """Whether its end has been due for so long that its node will not tell of it: it may run there still."""
        return not self.over and self.leaves is not None and (now - self.leaves).total_seconds() >= LOST_SECONDS

    @property
    def has_been_ready(self) -> bool:
        """Whether it is ready, or was at any time.

        A pod is not ready from before its containers start, and the time of that stays: a later one tells of a change.
        """
        if self.ready is not None:
            return True
        return self.started is not None and self.unready is not None and self.unready > self.started


@dataclass(frozen=True, slots=True)
class Job:
    """A Job of a model or a bench attempt."""

    name: str
    uid: str
    run_id: str
    role: str
    launch: str
    model: str
    attempt: int | None
    created: datetime | None
    pods: int = 1
    """How many it is to have."""
    finished: bool = False
    """It is complete or has failed."""
    ended: datetime | None = None
    """When it was."""
    deleting: bool = False
    begun: datetime | None = None
    """When its controller set about it, the last time. None: it has not yet, or the Job is suspended."""
    suspended: datetime | None = None
    """Since when somebody (Kueue, say) keeps its pods from being made. None: nobody does."""
    refused: str | None = None
    """Why its pods cannot be created, in the API's words."""


@dataclass(frozen=True, slots=True)
class Exporter:
    """The exporter of accelerators on one node, or why there is none."""

    address: str | None = None
    reason: str | None = None


@dataclass(frozen=True)
class Children:
    """What is there of one benchmark, over all its runs."""

    jobs: tuple[Job, ...] = ()
    pods: tuple[Pod, ...] = ()
    progress: Mapping[str, BenchProgress] = field(default_factory=dict)
    """By the name of its ConfigMap."""
    heard: Mapping[str, datetime] = field(default_factory=dict)
    """By the same: when the operator heard of it last, by its own clock."""

    def pods_of(self, job: Job) -> tuple[Pod, ...]:
        """The pods of a Job."""
        return tuple(pod for pod in self.pods if pod.job == job.name and pod.job_uid in {job.uid, ""})

    def job(self, name: str) -> Job | None:
        """The Job of this name."""
        return next((job for job in self.jobs if job.name == name), None)

    def benches(self, launch: str) -> tuple[Job, ...]:
        """The bench Jobs of a launch, by attempt."""
        found = [job for job in self.jobs if job.role == Role.BENCH and job.launch == launch]
        return tuple(sorted(found, key=lambda job: job.attempt or 0))

    def models(self, now: datetime) -> tuple[Pod, ...]:
        """Pods of models that still hold what they were given."""
        return tuple(pod for pod in self.pods if pod.role == Role.MODEL and not (pod.over or pod.is_lost(now)))

    @classmethod
    def of(
        cls,
        jobs: Iterable[Job],
        pods: Iterable[Pod],
        progress: Mapping[str, BenchProgress],
        heard: Mapping[str, datetime] | None = None,
    ) -> Self:
        """In a stable order."""
        ordered = tuple(sorted(jobs, key=lambda job: job.name)), tuple(sorted(pods, key=lambda pod: pod.name))
        return cls(*ordered, progress, heard or {})


def uid_of(body: Body) -> str | None:
    """The uid of the benchmark that an object belongs to."""
    return (body["metadata"].get("labels") or {}).get(UID)


def read_job(body: Body) -> Job:
    """A Job."""
    metadata, spec, status = body["metadata"], body.get("spec") or {}, body.get("status") or {}
    labels, notes = metadata.get("labels") or {}, metadata.get("annotations") or {}
    true = {c["type"]: c for c in status.get("conditions") or () if c["status"] == "True"}
    ends = [true[kind] for kind in ("Complete", "Failed") if kind in true]
    since = true.get("Suspended", {}).get("lastTransitionTime") or metadata.get("creationTimestamp")
    attempt = notes.get(ATTEMPT) or ""
    return Job(
        name=metadata["name"],
        uid=metadata["uid"],
        run_id=labels.get(RUN, ""),
        role=labels.get(ROLE, ""),
        launch=labels.get(LAUNCH, ""),
        model=notes.get(MODEL, ""),
        attempt=int(attempt) if attempt.isdecimal() else None,
        created=_time(metadata.get("creationTimestamp")),
        pods=spec.get("parallelism", 1),
        finished=bool(ends),
        ended=_time(ends[0].get("lastTransitionTime")) if ends else None,
        deleting=metadata.get("deletionTimestamp") is not None,
        begun=_time(status.get("startTime")),
        suspended=_time(since) if spec.get("suspend") else None,
    )


def read_pod(body: Body) -> Pod:
    """A pod of a model or of a bench Job."""
    metadata, spec, status = body["metadata"], body.get("spec") or {}, body.get("status") or {}
    labels = metadata.get("labels") or {}
    role = labels.get(ROLE, "")
    main = MODEL_CONTAINER if role == Role.MODEL else BENCH_CONTAINER
    containers = {c["name"]: c for c in status.get("containerStatuses") or ()}
    state = containers.get(main, {}).get("state") or {}
    conditions = {c["type"]: c for c in status.get("conditions") or ()}
    scheduled, ready = conditions.get("PodScheduled", {}), conditions.get("Ready", {})
    terminated = state.get("terminated")
    begun = state.get("running") or terminated or {}
    return Pod(
        name=metadata["name"],
        job=labels.get("batch.kubernetes.io/job-name") or labels.get("job-name", ""),
        run_id=labels.get(RUN, ""),
        role=role,
        launch=labels.get(LAUNCH, ""),
        model=(metadata.get("annotations") or {}).get(MODEL, ""),
        job_uid=labels.get("batch.kubernetes.io/controller-uid", ""),
        uid=metadata.get("uid", ""),
        node=spec.get("nodeName"),
        created=_time(metadata.get("creationTimestamp")),
        scheduled=_time(scheduled.get("lastTransitionTime")) if scheduled.get("status") == "True" else None,
        unscheduled=shorten(scheduled.get("message") or "", TAIL) if scheduled.get("status") == "False" else None,
        started=_time(begun.get("startedAt")),
        ready=_time(ready.get("lastTransitionTime")) if ready.get("status") == "True" else None,
        unready=_time(ready.get("lastTransitionTime")) if ready.get("status") == "False" else None,
        waiting=_waiting(status, state),
        ended=_ended(terminated, status, _sidecars(spec)),
        ended_at=_time((terminated or {}).get("finishedAt")),
        disruption=_disruption(conditions, status),
        leaves=_time(metadata.get("deletionTimestamp")),
        over=status.get("phase") in {"Succeeded", "Failed"},
        image_digest=_digest(containers.get(main, {}).get("imageID")),
    )


def read_exporter(bodies: Iterable[Body]) -> Exporter | None:
    """The one of a node, of the pods there that may be it. None: none of them runs."""
    for body in bodies:
        status, deleted = body.get("status") or {}, body["metadata"].get("deletionTimestamp")
        if status.get("phase") == "Running" and status.get("podIP") and not deleted:
            return Exporter(address=status["podIP"])
    return None


def read_progress_object(body: Body) -> BenchProgress | None:
    """What the bench pod last said in a progress object."""
    return read_progress(body.get("data"))


def _waiting(status: Body, main: Body) -> tuple[str, str] | None:
    """Of the main container; of an init container where one of those is what does not start."""
    states = [main, *(c.get("state") or {} for c in status.get("initContainerStatuses") or ())]
    idle = {"PodInitializing", "ContainerCreating"}
    found = [waits for state in states if (waits := state.get("waiting")) and waits.get("reason") not in idle]
    return (found[0].get("reason") or "", shorten(found[0].get("message") or "", TAIL)) if found else None


def _sidecars(spec: Body) -> frozenset[str]:
    """Init containers that run beside the main one, and are started again when they end."""
    return frozenset(c["name"] for c in spec.get("initContainers") or () if c.get("restartPolicy") == "Always")


def _ended(terminated: Body | None, status: Body, sidecars: frozenset[str]) -> Ended | None:
    if terminated is not None:
        tail = shorten(terminated.get("message") or "", TAIL)
        return Ended(terminated.get("exitCode", 0), terminated.get("reason") or "", tail)
    for init in status.get("initContainerStatuses") or ():
        failed = (init.get("state") or {}).get("terminated")
        if failed and failed.get("exitCode") and init["name"] not in sidecars:
            words = shorten(failed.get("message") or "", TAIL)
            return Ended(failed["exitCode"], failed.get("reason") or "", words, beside=init["name"])
    if status.get("phase") == "Failed":  # evicted or lost with its node: no container says anything
        return Ended(-1, status.get("reason") or "", shorten(status.get("message") or "", TAIL))
    return None


def _disruption(conditions: Mapping[str, Body], status: Body) -> tuple[str, str] | None:
    target = conditions.get("DisruptionTarget")
    if target and target.get("status") == "True":
        return target.get("reason") or "Disrupted", shorten(target.get("message") or "", TAIL)
    if status.get("phase") == "Failed" and status.get("reason"):
        return status["reason"], shorten(status.get("message") or "", TAIL)
    return None


def _digest(image_id: str | None) -> str | None:
    return "sha256:" + image_id.rpartition("sha256:")[2] if image_id and "sha256:" in image_id else None


def _time(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None
