"""A cluster without time or machines of its own: objects, a Job controller, kubelets and bench pods, a step at a time.

What it lists is true; what a watch tells of it arrives late, in order per object, and the tests decide how late. Bodies
are shaped as the API gives them, so that what reads them is tested along.
"""

import copy
import random
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from perbench.objects.progress import BenchProgress, BenchState, read_progress
from perbench.objects.results import ModelFacts, encoded, encoded_tasks, facts_name, read_object, stage_name
from perbench.plan import Plan
from perbench.results import SIZED_AT_START, TaskRecord
from perbench_operator.apply import KEPT, latest_runs
from perbench_operator.names import ATTEMPT, LAUNCH, MODEL, ROLE, RUN, UID, Role, RunIdentity, model_object
from perbench_operator.observed import LOST_SECONDS
from tests.support.results import ANSWERS, ONE_SLOT, TOPICS, stage

TASKS: dict[str, TaskRecord] = {"topics": TOPICS, "answers": ANSWERS}
Key = tuple[str, str]
Body = dict[str, Any]


@dataclass
class Fate:
    """What befalls the pods of a model or of a bench attempt: how many steps until each thing happens."""

    start: int = 2
    ready: int = 2
    crash_after: int | None = None
    """Steps after it runs."""
    words: str = "out of luck"
    exit_code: int = 1
    hang_after: int | None = None
    """Steps after which a bench pod does and says nothing any more."""
    never_scheduled: str | None = None


@dataclass
class Cluster:
    """The objects, and what moves them."""

    seed: int = 0
    now: datetime = datetime(2026, 1, 1, tzinfo=UTC)
    fates: Callable[[Body], Fate] = field(default=lambda _job: Fate())
    """The fate of the pods of a Job."""
    blinks: float = 0.1
    """How often a pod that was ready is not, for one step."""
    objects: dict[Key, Body] = field(default_factory=dict)
    news: list[tuple[str, str | None, Body]] = field(default_factory=list)
    """What the watches have not delivered yet: kind, event, object."""
    versions: int = 0
    suspends: bool = False
    """Whether somebody has suspended every Job: their pods are not made, and those that are there go."""
    job_controller: bool = True
    """Whether it is there."""
    lost: set[str] = field(default_factory=set)
    """Pods whose node does not answer any more."""
    loads: list[tuple[str, str]] = field(default_factory=list)
    """(launch, pod) at every step in which a bench pod loaded a model."""
    slower: Mapping[str, float] = field(default_factory=dict)
    """Factor on the times of a model's requests, from now on."""
    commit: str | None = None
    """What the hub's main branch is at, as a bench pod finds it. None: it does not ask."""
    server_version: str = "3.3.7"
    """What every model server says it is, once it answers."""
    troubles: list[str] = field(default_factory=list)
    """What must never happen and did."""

    def __post_init__(self) -> None:
        self.random = random.Random(self.seed)
        self.moods = random.Random(self.seed)
        self.suffixes = random.Random(self.seed)

    # What the API does.

    def create(self, manifest: Body) -> Body | None:
        """The object that was made; None: there is one of the name."""
        key = (manifest["kind"], manifest["metadata"]["name"])
        if key in self.objects:
            return None
        body = copy.deepcopy(manifest)
        body["metadata"] |= {"uid": f"uid-{self.versions}", "creationTimestamp": self._stamp()}
        return self._put(key, body)

    def delete(self, kind: str, name: str) -> None:
        """Jobs take their pods along. Pods need a moment to end."""
        if kind == "Pod":
            self._dismiss(self.objects.get((kind, name)))
            return
        body = self.objects.pop((kind, name), None)
        if body is None:
            return
        self._tell(kind, "DELETED", body)
        for pod in list(self.pods(name)) if kind == "Job" else ():
            self._dismiss(pod)

    def _dismiss(self, pod: Body | None) -> None:
        if pod is not None:
            pod["metadata"].setdefault("deletionTimestamp", self._stamp())
            self._put(("Pod", pod["metadata"]["name"]), pod)

    def drain(self, role: str, *, lost: bool = False) -> None:
        """Pods of this role are taken off their node; `lost`: which does not answer, so that they stay as they are."""
        reason = "DeletionByTaintManager" if lost else "EvictionByEvictionAPI"
        for (kind, name), pod in list(self.objects.items()):
            if kind == "Pod" and pod["metadata"]["labels"][ROLE] == role and pod["status"]["phase"] == "Running":
                pod["metadata"]["deletionTimestamp"] = self._stamp()
                target = {"type": "DisruptionTarget", "status": "True", "reason": reason, "message": "taken away"}
                pod["status"]["conditions"].append(target)
                self.lost |= {name} if lost else set()
                self._put(("Pod", name), pod)

    def merge(self, name: str, change: dict[str, dict[str, str]]) -> Body:
        """Change the data of a ConfigMap."""
        body = self.objects["ConfigMap", name]
        for part, values in change.items():
            body.setdefault(part, {}).update(values)
        return self._put(("ConfigMap", name), body)

    def pods(self, job: str) -> Iterator[Body]:
        """The pods of a Job."""
        for (kind, _), body in list(self.objects.items()):
            if kind == "Pod" and body["metadata"]["labels"].get("batch.kubernetes.io/job-name") == job:
                yield body

    def prune(self, run: RunIdentity, keep: int, named: frozenset[str]) -> None:
        """What `Prune` does; `named`: runs that are somebody's baseline."""
        others = [
            (key, body)
            for key, body in self.objects.items()
            if body["metadata"]["labels"].get(RUN) not in {run.run_id, None}
            and key[0] != "Pod"
            and body["metadata"]["labels"].get(UID) == run.uid
        ]
        maps = tuple(body for (kind, _), body in others if kind == "ConfigMap")
        kept = latest_runs(maps, keep) | named
        for (kind, name), body in others:
            labels = body["metadata"]["labels"]
            if not (labels.get(ROLE) in KEPT and labels.get(RUN) in kept):
                self.delete(kind, name)

    # What happens by itself.

    def step(self) -> None:
        """A moment passes."""
        self.now += timedelta(seconds=1)
        for (kind, name), body in list(self.objects.items()):
            if kind == "Job" and self.job_controller and not _is_over(body):
                self._move_job(name, body)
            elif kind == "Pod":
                self._move_pod(name, body)
        self._check()

    def deliver(self, count: int) -> Iterator[tuple[str, str | None, Body]]:
        """Hand out the oldest news."""
        for _ in range(min(count, len(self.news))):
            yield self.news.pop(0)

    def _move_job(self, name: str, job: Body) -> None:
        if job["spec"].get("suspend", False) is not self.suspends:
            job["spec"]["suspend"] = self.suspends
            changed = {"type": "Suspended", "status": str(self.suspends), "lastTransitionTime": self._stamp()}
            job["status"] = {"conditions": [changed]}
            self._put(("Job", name), job)
            for pod in list(self.pods(name)) if self.suspends else ():
                self._dismiss(pod)
        elif not self.suspends and not list(self.pods(name)):
            self._make_pods(name, job)
            job["status"] = {**job.get("status", {}), "startTime": self._stamp()}
            self._put(("Job", name), job)

    def _make_pods(self, name: str, job: Body) -> None:
        for index in range(job["spec"].get("completions", 1)):
            labels = dict(job["spec"]["template"]["metadata"]["labels"]) | {
                "batch.kubernetes.io/job-name": name,
                "batch.kubernetes.io/controller-uid": job["metadata"]["uid"],
            }
            notes = {"age": "0", **job["metadata"]["annotations"]}
            own = f"{name}-{index}-{self.suffixes.getrandbits(20):05x}"
            metadata = {"name": own, "labels": labels, "annotations": notes}
            body = {"kind": "Pod", "metadata": metadata, "spec": {}, "status": {"phase": "Pending"}}
            self._put(("Pod", own), body | {"metadata": metadata | {"creationTimestamp": self._stamp()}})

    def _move_pod(self, name: str, pod: Body) -> None:
        labels, notes, status = pod["metadata"]["labels"], pod["metadata"]["annotations"], pod["status"]
        if name in self.lost:
            return
        job = self.objects.get(("Job", labels["batch.kubernetes.io/job-name"]))
        if pod["metadata"].get("deletionTimestamp"):
            if self.random.random() < 0.5:
                self._tell("Pod", "DELETED", self.objects.pop(("Pod", name)))
                own = job is not None and job["metadata"]["uid"] == labels["batch.kubernetes.io/controller-uid"]
                if job is not None and own and not (job["spec"].get("suspend") or _is_over(job)):
                    self._close(job, "Failed")
            return
        if status["phase"] in {"Succeeded", "Failed"} or job is None:
            return
        fate, before = self.fates(job), copy.deepcopy(pod)
        age = int(notes["age"]) + 1
        notes["age"] = str(age)
        if fate.never_scheduled:
            pod["status"] = {"phase": "Pending", "conditions": [
                {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": fate.never_scheduled}
            ]}  # fmt: skip
        elif age >= fate.start:
            self._run_pod(pod, job, fate, age)
        if (pod["spec"], pod["status"]) != (before["spec"], before["status"]):
            self._put(("Pod", name), pod)

    def _run_pod(self, pod: Body, job: Body, fate: Fate, age: int) -> None:
        labels = pod["metadata"]["labels"]
        main = "model" if labels[ROLE] == Role.MODEL else "bench"
        pod["spec"]["nodeName"] = "n1"
        crashes = fate.crash_after is not None and age >= fate.start + fate.crash_after
        up = age >= fate.start + fate.ready and not crashes
        conditions = [
            {"type": "PodScheduled", "status": "True", "lastTransitionTime": pod["metadata"]["creationTimestamp"]},
            self._readiness(pod, ready=up and self.moods.random() >= self.blinks),
        ]
        started = next(iter(pod["status"].get("containerStatuses", ())), {}).get("state", {})
        begun = started.get("running", {}).get("startedAt", self._stamp())
        state: Body = {"running": {"startedAt": begun}}
        pod["status"] = {"phase": "Running", "conditions": conditions}
        if crashes:
            state = {"terminated": {"exitCode": fate.exit_code, "reason": "Error", "message": fate.words,
                                    "startedAt": begun, "finishedAt": self._stamp()}}  # fmt: skip
            self._end(pod, job, "Failed")
        elif main == "bench" and up and not (fate.hang_after is not None and age >= fate.start + fate.hang_after):
            self._bench(pod, job)
        pod["status"]["containerStatuses"] = [{"name": main, "state": state, "imageID": "img@sha256:" + "a" * 64}]

    def _readiness(self, pod: Body, *, ready: bool) -> Body:
        """The condition, with the time of its last change."""
        known = next((c for c in pod["status"].get("conditions", ()) if c["type"] == "Ready"), None)
        if known is not None and known["status"] == str(ready):
            return dict(known)
        return {"type": "Ready", "status": str(ready), "lastTransitionTime": self._stamp()}

    def _end(self, pod: Body, job: Body, phase: str) -> None:
        pod["status"] = pod["status"] | {"phase": phase}
        self._close(job, "Complete" if phase == "Succeeded" else "Failed")

    def _close(self, job: Body, kind: str) -> None:
        ended = {"type": kind, "status": "True", "lastTransitionTime": self._stamp()}
        job["status"] = {**job.get("status", {}), "conditions": [ended]}
        self._put(("Job", job["metadata"]["name"]), job)

    def _bench(self, pod: Body, job: Body) -> None:
        """One step of a bench pod: the next stage, or the last word."""
        plan = self._plan_of(job)
        place = plan.cluster
        assert place is not None
        results, progress = (self.objects.get(("ConfigMap", name)) for name in (place.results, place.progress))
        if results is None or progress is None or results.get("immutable"):
            return
        attempt = int(job["metadata"]["annotations"][ATTEMPT])
        former = read_progress(progress.get("data"))
        if former is not None and (former.round, former.attempt) > (plan.round, attempt):
            return
        known = read_object(results.get("binaryData")).stages.get(plan.round, ())
        done = {(record.task, record.repeat) for record in known}
        left = [key for key in plan.stage_keys if key not in done]
        state = BenchState.MEASURING
        own = former if former is not None and (former.round, former.attempt) == (plan.round, attempt) else None
        if place.replicas and not self._model_answers(pod["metadata"]["labels"][LAUNCH]):
            waits = BenchProgress(
                round=plan.round, attempt=attempt, state=BenchState.WAITING, recorded=len(known), updated_at=self.now
            )
            if own is None or self.now - own.updated_at >= timedelta(minutes=1):
                again = own.model_copy(update={"updated_at": self.now}) if own else waits
                self.merge(place.progress, {"data": again.data()})
            return
        if left:
            self.loads.append((pod["metadata"]["labels"][LAUNCH], pod["metadata"]["name"]))
            task, repeat = left[0]
            factor = self.slower.get(job["metadata"]["annotations"][MODEL], 1.0)
            shape = replace(ONE_SLOT[task], seconds=ONE_SLOT[task].seconds * factor)
            record = stage(TASKS[task], shape, plan.round, repeat or 0, concurrency=plan.load.concurrency or 1)
            tasks = encoded_tasks(tuple(TASKS[spec.name] for spec in plan.tasks))
            learnt = ModelFacts(
                source={"revision": self.commit} if self.commit else {},
                runtime_version=self.server_version,
                server_arguments={
                    "max_concurrent_requests": 128,
                    **({"model_sha": self.commit} if self.commit else {}),
                    SIZED_AT_START: {"max_total_tokens": 4096 - len(self.loads)},  # as much as was free
                },
            )
            written = {stage_name(plan.round, left[0]): encoded(record), facts_name(plan.round): encoded(learnt)}
            self.merge(place.results, {"binaryData": {**written, "tasks": tasks}})
            left = left[1:]
        if not left:
            state = BenchState.FINISHED
        recorded = len(plan.stage_keys) - len(left)
        word = BenchProgress(
            round=plan.round, attempt=attempt, state=state, recorded=recorded, updated_at=self.now,
            first_request_at=(own and own.first_request_at) or self.now,
        )  # fmt: skip
        self.merge(place.progress, {"data": word.data()})

    def _plan_of(self, job: Body) -> Plan:
        launch = job["metadata"]["labels"][LAUNCH]
        for (kind, _), body in self.objects.items():
            labels = body["metadata"].get("labels", {})
            if kind == "ConfigMap" and labels.get(ROLE) == Role.PLAN and labels.get(LAUNCH) == launch:
                return Plan.model_validate_json(body["data"]["plan.json"])
        raise AssertionError(f"a bench pod of {launch} without a plan")

    def _model_answers(self, launch: str) -> bool:
        pods = [
            body for (kind, _), body in self.objects.items()
            if kind == "Pod" and body["metadata"]["labels"].get(LAUNCH) == launch
            and body["metadata"]["labels"][ROLE] == Role.MODEL
        ]  # fmt: skip
        return bool(pods) and all(
            any(c["type"] == "Ready" and c["status"] == "True" for c in pod["status"].get("conditions", ()))
            for pod in pods
        )

    def _check(self) -> None:
        """Never two loads on one model, never two models at once."""
        live = [
            body["metadata"]["labels"] for (kind, _), body in self.objects.items()
            if kind == "Pod" and body["status"]["phase"] in {"Pending", "Running"} and not self._is_given_up(body)
        ]  # fmt: skip
        models = {labels[LAUNCH] for labels in live if labels[ROLE] == Role.MODEL}
        if len(models) > 1:
            self.troubles.append(f"{self.now}: {len(models)} models at once")
        loading = [
            body["metadata"]["name"] for (kind, _), body in self.objects.items()
            if kind == "Pod" and body["metadata"]["labels"][ROLE] == Role.BENCH and body["status"]["phase"] == "Running"
            and not self._has_finished(body)
        ]  # fmt: skip
        if len(loading) > 1:
            self.troubles.append(f"{self.now}: {loading} load at once")

    def _is_given_up(self, pod: Body) -> bool:
        """Whether nobody waits for its end any more: its node has not told of it for minutes."""
        leaves = pod["metadata"].get("deletionTimestamp")
        return leaves is not None and (self.now - datetime.fromisoformat(leaves)).total_seconds() >= LOST_SECONDS

    def _has_finished(self, pod: Body) -> bool:
        job = self.objects.get(("Job", pod["metadata"]["labels"]["batch.kubernetes.io/job-name"]))
        if job is None:
            return True
        place = self._plan_of(job).cluster
        assert place is not None
        progress = self.objects.get(("ConfigMap", place.progress))
        word = read_progress(progress.get("data")) if progress else None
        own = (self._plan_of(job).round, int(job["metadata"]["annotations"][ATTEMPT]))
        if word is None or (word.round, word.attempt) < own:
            return False
        return (word.round, word.attempt) > own or word.state is BenchState.FINISHED

    def _put(self, key: Key, body: Body) -> Body:
        self.versions += 1
        body["metadata"]["resourceVersion"] = str(self.versions)
        self.objects[key] = body
        self._tell(key[0], "MODIFIED", body)
        return copy.deepcopy(body)

    def _tell(self, kind: str, event: str | None, body: Body) -> None:
        self.news.append((kind, event, copy.deepcopy(body)))

    def _stamp(self) -> str:
        return self.now.strftime("%Y-%m-%dT%H:%M:%SZ")


def _is_over(job: Body) -> bool:
    conditions = job.get("status", {}).get("conditions", ())
    return any(c["type"] in {"Complete", "Failed"} for c in conditions)


__all__ = ["Cluster", "Fate", "model_object"]
