"""An operator over a simulated cluster: sees it late, is killed in the middle, and decides with the real `decide`."""

import asyncio
import copy
import random
from dataclasses import dataclass, field, replace
from typing import Any

from perbench.api.resource import to_data
from perbench.api.status import Status
from perbench.objects.results import ModelObject, encoded, launch_name, read_object
from perbench_operator.apply import RENEWED
from perbench_operator.baselines import read_baseline
from perbench_operator.cache import Cache
from perbench_operator.decide import Action, Decision, Situation, decide
from perbench_operator.decide.regression import is_baseline, named_runs, pinned_runs
from perbench_operator.decide.runs import is_active, needs_baseline, needs_records
from perbench_operator.decide.situation import (
    Baseline,
    Benchmark,
    CheckClaim,
    CheckConfigMap,
    Create,
    Delete,
    Discard,
    DryRun,
    NoBaseline,
    Prune,
    RecordEnd,
    Refusal,
    Seal,
    Story,
    Told,
    identity_of,
)
from perbench_operator.names import MODEL, OUTCOME, RUN, Role, RunIdentity, model_object, run_object
from perbench_operator.observed import Exporter
from perbench_operator.platform import Platform
from perbench_operator.reading import read_benchmark
from tests.support.in_memory_api import InMemoryApi
from tests.support.simulated_cluster import Cluster

PLATFORM = Platform(version="1.0", bench_image="registry.example.org/perbench/bench:1.0")


SPEC: dict[str, Any] = {
    "models": [{"name": "small", "model": "org/small"}, {"name": "large", "model": "org/large"}],
    "tasks": [{"name": "topics", "preset": "PackagedTopics"}, {"name": "answers", "preset": "PackagedAnswers"}],
    "load": {"concurrency": 4, "repeats": 3},
}


def benchmark(**changes: Any) -> dict[str, Any]:
    """Two models on two tasks, three times; `changes` to the spec."""
    metadata = {"name": "small-or-large", "namespace": "team", "uid": "u-1", "generation": 1, "resourceVersion": "1"}
    return {
        "apiVersion": "perbench.dev/v1alpha1", "kind": "PERBenchmark", "metadata": metadata,
        "spec": {**SPEC, **changes},
    }  # fmt: skip


class KilledError(Exception):
    """The operator was killed."""


@dataclass
class Operator:
    """Watches one benchmark."""

    cluster: Cluster
    body: dict[str, Any]
    platform: Platform = PLATFORM
    may_start: bool = True
    holders: tuple[str, ...] = ()
    exporters: dict[str, Exporter] = field(default_factory=dict)
    """Of accelerators, by node."""
    others: tuple[dict[str, Any], ...] = ()
    """Other benchmarks of the namespace. What is stored of their runs is in the cluster."""
    lag: int = 1_000
    """News it takes per step."""
    kill_every: int = 0
    """It is killed before every so-many-th write that changes something. 0: never."""
    refuse: dict[str, Refusal] = field(default_factory=dict)
    """By kind and name's end, with or without its model: what the API says to its creation; by check and name, what
    comes of the check."""
    annotates: bool = False
    """Whether it has a Grafana."""
    told: Told | None = None
    """What came of telling Grafana last."""

    def __post_init__(self) -> None:
        self.cache = self._empty_cache()
        self.writes = 0
        self.status_writes: list[Status] = []
        self.story: list[Story] = []
        self.actions: list[Action] = []
        self.random = random.Random(self.cluster.seed)

    @property
    def benchmark(self) -> Benchmark:
        """As the API has it."""
        return read_benchmark(copy.deepcopy(self.body))

    @property
    def status(self) -> Status:
        """As the API has it."""
        status = self.benchmark.status
        assert status is not None
        return status

    def edit(self, **spec: Any) -> None:
        """A user changes the spec."""
        self.body["spec"] |= spec
        self.body["metadata"]["generation"] += 1

    def ask_again(self, value: str) -> None:
        """A user asks for a new run."""
        self.body["metadata"].setdefault("annotations", {})["perbench.dev/run"] = value

    def run(self, steps: int = 400) -> None:
        """Until nothing is going on any more."""
        for _ in range(steps):
            self.turn()
            if not self.active and not self.wants_more:
                return

    @property
    def active(self) -> bool:
        return is_active(self.benchmark.status)

    @property
    def wants_more(self) -> bool:
        """Whether the last look would do something."""
        return bool(decide(self._situation()).actions) or decide(self._situation()).status is not None

    def turn(self) -> None:
        """A moment passes, some news arrive, the operator looks."""
        self.cluster.step()
        count = self.random.randint(0, self.lag) if self.lag < 1_000 else self.lag
        for kind, event, body in self.cluster.deliver(count):
            self.cache.child(kind, event, body)
        try:
            for _ in range(12):
                if self.look().wake_after != 0:
                    return
        except KilledError:
            self.cache = self._empty_cache()  # a new one lists before it watches
            self.cluster.news.clear()
            for (kind, _), body in self.cluster.objects.items():
                self.cache.child(kind, None, copy.deepcopy(body))

    def _empty_cache(self) -> Cache:
        return Cache(lambda: self.cluster.now)

    def _situation(self, refusal: Refusal | None = None) -> Situation:
        benchmark = self.benchmark
        situation = Situation(
            benchmark, self.platform, self.cluster.now, children=self.cache.children(benchmark.uid), refusal=refusal,
            may_start=self.may_start or benchmark.uid in self.cache.holders(), holders=self.holders,
            exporters=self.exporters,
            annotates=self.annotates, told=self.told,
        )  # fmt: skip
        run = self._identity(benchmark)
        if run is None or not needs_records(benchmark):
            return situation
        snapshot = self.cluster.objects.get(("ConfigMap", run_object(run, Role.SNAPSHOT)))
        return replace(
            situation,
            records=self.records(run),
            baseline=self.baseline(benchmark) if needs_baseline(benchmark) else None,
            snapshot=Platform.model_validate_json(snapshot["data"]["platform.json"]) if snapshot else None,
        )

    def baseline(self, benchmark: Benchmark) -> Baseline | NoBaseline | None:
        """What the benchmark is compared with, as the operator reads it from the API."""
        maps = [body for (kind, _), body in self.cluster.objects.items() if kind == "ConfigMap"]
        return asyncio.run(read_baseline(InMemoryApi(self.body, *self.others, *maps), benchmark))

    def records(self, run: RunIdentity) -> dict[str, ModelObject]:
        """The results objects, read anew."""
        found = {}
        for model in self.body["spec"]["models"]:
            body = self.cluster.objects.get(("ConfigMap", model_object(run, model["name"], Role.RESULTS)))
            if body is not None:
                found[model["name"]] = read_object(body.get("binaryData"))
        return found

    def look(self, refusal: Refusal | None = None, *, again: bool = False) -> Decision:
        """Look once, decide, carry out; the decision."""
        situation = replace(self._situation(refusal), refused_again=again)
        decision = decide(situation)
        run = self._identity(situation.benchmark)
        last = [action for action in decision.actions if isinstance(action, Prune)]
        for action in (action for action in decision.actions if action not in last):
            refused = self._act(run, action)
            if refused is not None:
                assert not again, "refused three times"
                return self.look(refused, again=refusal is not None)
        if decision.status is not None:
            self._write()
            self.body["status"] = to_data(decision.status)
            self.status_writes.append(decision.status)
        for action in last:
            self._act(run, action)
        self.story += decision.story
        return decision

    def _identity(self, benchmark: Benchmark) -> RunIdentity | None:
        status = benchmark.status
        return identity_of(benchmark, status.run.id) if status and status.run else None

    def _act(self, run: RunIdentity | None, action: Action) -> Refusal | None:
        self.actions.append(action)
        if isinstance(action, Create | DryRun):
            metadata = action.manifest["metadata"]
            what = f"{action.manifest['kind']} {metadata['name'].rpartition('-')[2]}"
            refused = self.refuse.get(what) or self.refuse.get(f"{what} {metadata['annotations'].get(MODEL)}")
            if refused is not None and refused.model is not None:
                return replace(refused, model=metadata["annotations"][MODEL])
            if refused is not None:
                return refused
        if isinstance(action, Discard) and self._holds(action.run_id):
            return Refusal(is_baseline(action.run_id))
        if isinstance(action, CheckClaim | CheckConfigMap):
            return self.refuse.get(f"{type(action).__name__} {action.name}")
        if self._changes(run, action):
            self._write()
        elif not isinstance(action, Prune | Discard):
            return None
        self._carry_out(run, action)
        return None

    def _carry_out(self, run: RunIdentity | None, action: Action) -> None:
        if isinstance(action, Create):
            self._make(action)
        elif isinstance(action, Delete):
            self.cluster.delete(action.kind, action.name)
        elif isinstance(action, RecordEnd) and run is not None:
            change = {launch_name(action.end.round): encoded(action.end)}
            self.cluster.merge(model_object(run, action.model, Role.RESULTS), {"binaryData": change})
        elif isinstance(action, Discard):
            for (kind, name), body in list(self.cluster.objects.items()):
                if kind != "Pod" and body["metadata"]["labels"].get(RUN) == action.run_id:
                    self.cluster.delete(kind, name)
        elif isinstance(action, Seal) and run is not None:
            self._seal(run, action)
        elif isinstance(action, Prune) and run is not None:
            named = named_runs(run.name, run.namespace, [self.body, *self.others])
            self.cluster.prune(run, action.keep, named)

    def _seal(self, run: RunIdentity, seal: Seal) -> None:
        for model in seal.models:
            body = self.cluster.objects.get(("ConfigMap", model_object(run, model, Role.RESULTS)))
            if body is not None:
                body["immutable"] = True
        snapshot = self.cluster.objects.get(("ConfigMap", run_object(run, Role.SNAPSHOT)))
        if snapshot is not None:
            snapshot["metadata"]["labels"][OUTCOME] = seal.outcome

    def _holds(self, run_id: str) -> bool:
        """Whether something is kept of a run that somebody has pinned."""
        metadata = self.body["metadata"]
        pinned = pinned_runs(metadata["name"], metadata["namespace"], [self.body, *self.others])
        kept = {body["metadata"]["labels"].get(RUN) for body in self.cluster.objects.values()}
        return run_id in pinned & kept

    def _is_of_before(self, action: Create) -> bool:
        manifest = action.manifest
        there = self.cluster.objects.get((manifest["kind"], manifest["metadata"]["name"]))
        return there is not None and any(there[part] != manifest[part] for part in RENEWED if part in manifest)

    def _make(self, action: Create) -> None:
        kind, name = action.manifest["kind"], action.manifest["metadata"]["name"]
        if action.renew and self._is_of_before(action):
            self.cluster.delete(kind, name)
        made = self.cluster.create(action.manifest)
        if made is not None and made["kind"] == "Job":
            self.cache.child("Job", None, made)

    def _changes(self, run: RunIdentity | None, action: Action) -> bool:
        """Whether it writes anything."""
        objects = self.cluster.objects
        if isinstance(action, Create):
            there = (action.manifest["kind"], action.manifest["metadata"]["name"]) in objects
            return not there or (action.renew and self._is_of_before(action))
        if isinstance(action, Delete):
            return (action.kind, action.name) in objects
        if isinstance(action, Seal) and run is not None:
            names = [model_object(run, model, Role.RESULTS) for model in action.models]
            return any(
                not objects["ConfigMap", name].get("immutable") for name in names if ("ConfigMap", name) in objects
            )
        return not isinstance(action, DryRun | Prune | Discard)

    def _write(self) -> None:
        self.writes += 1
        if self.kill_every and self.writes % self.kill_every == 0:
            raise KilledError
