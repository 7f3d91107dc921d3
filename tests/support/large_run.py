"""A run of many models on several tasks, of which all but the last launch is measured, in an API in memory.

What is left is measured stage by stage, as the bench pod of that launch would. The models are endpoints: there are no
pods to wait for.
"""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np

from perbench.api.resource import KIND, BenchmarkSpec, to_data
from perbench.objects.progress import BenchProgress, BenchState
from perbench.objects.results import LaunchEnd, encoded, encoded_tasks, launch_name, stage_name
from perbench.plan import StageKey
from perbench.planning import keys_of
from perbench.results import StageRecord, TaskRecord
from perbench.schedule import Launch, schedule
from perbench.statistics import histogram
from perbench_operator import children as make
from perbench_operator.cache import Cache, utc_now
from perbench_operator.configuration import OperatorConfiguration
from perbench_operator.decide import Situation, decide
from perbench_operator.decide.situation import Create, identity_of
from perbench_operator.names import Role, model_object
from perbench_operator.platform import Platform
from perbench_operator.reading import read_benchmark
from perbench_operator.reconcile import Clock, Reconciler
from tests.support.in_memory_api import InMemoryApi
from tests.support.results import ANSWERS, TOPICS, Shape, stage

PLATFORM = Platform(version="1.0", bench_image="registry.example.org/perbench/bench:1.0")
NAMESPACE, NAME = "team", "large"
START = datetime(2026, 1, 1, tzinfo=UTC)


def benchmark(models: int, tasks: int, items: int, *, name: str = NAME, uid: str = "u-1") -> dict[str, Any]:
    """The resource."""
    spec = {
        "models": [
            {"name": f"m{number:02}", "endpoint": {"url": "http://models:8080", "protocol": "TGI"}}
            for number in range(models)
        ],
        "tasks": [{"name": f"t{number:02}", "preset": "PackagedTopics", "limit": items} for number in range(tasks)],
        "load": {"concurrency": 4, "repeats": 3},
    }
    metadata = {"name": name, "namespace": NAMESPACE, "uid": uid, "generation": 1}
    return {"apiVersion": "perbench.dev/v1alpha1", "kind": KIND, "metadata": metadata, "spec": spec}


class LargeRun:
    """The API, and what is left of the last launch."""

    def __init__(self, models: int, tasks: int, items: int, uid: str = "u-1") -> None:
        self.api = InMemoryApi()
        self.uid = uid
        self._items = items
        self._chance = np.random.default_rng(1)
        body = benchmark(models, tasks, items, uid=uid)
        self._begin(body)
        spec = read_benchmark(body).spec
        assert spec is not None
        self._spec: BenchmarkSpec = spec
        self._tasks = tuple(
            (ANSWERS if number % 2 else TOPICS).model_copy(update={"name": task.name, "items": items})
            for number, task in enumerate(spec.tasks)
        )
        *before, self._last = schedule([model.name for model in spec.models], self._resolved.rounds)
        self._keys = keys_of(spec.tasks, self._resolved)
        for model in spec.models:
            self.api.put(make.results_object(self._run, make.model_record(model, None)))
            self.api.put(make.progress_object(self._run, model.name))
        for launch in before:
            self._store(launch, self._keys, ended=True)
        self._left = list(self._keys)

    def operator(self, clock: Clock = lambda: 0.0) -> Reconciler:
        """One that has just been started, and has listed what is there."""
        found = Reconciler(self.api, Cache(), OperatorConfiguration(platform=PLATFORM), clock, utc_now)
        for body in list(self.api.objects.values()):
            found.received(body["kind"], None, body)
        return found

    def measure(self, operator: Reconciler) -> bool:
        """One more stage is measured, and the operator hears of it. Whether there are more to come."""
        self._store(self._last, (self._left.pop(0),))
        word = BenchProgress(
            round=self._last.round,
            attempt=0,
            state=BenchState.MEASURING if self._left else BenchState.FINISHED,
            recorded=len(self._keys) - len(self._left),
            first_request_at=START,
            updated_at=utc_now(),
        )
        progress = self._changed(model_object(self._run, self._last.model, Role.PROGRESS), {"data": word.data()})
        operator.received("ConfigMap", "MODIFIED", progress)
        return bool(self._left)

    def edit(self, operator: Reconciler, **spec: Any) -> None:
        """A user changes the spec, and the operator hears of it."""
        body = self.body
        metadata = body["metadata"] | {"generation": body["metadata"]["generation"] + 1}
        operator.received(KIND, "MODIFIED", self.api.put(body | {"metadata": metadata, "spec": body["spec"] | spec}))

    @property
    def body(self) -> dict[str, Any]:
        """The benchmark, as the API has it."""
        return self.api.objects[KIND, NAMESPACE, NAME]

    @property
    def status(self) -> dict[str, Any]:
        """Of the benchmark."""
        found: dict[str, Any] = self.body["status"]
        return found

    def _begin(self, body: dict[str, Any]) -> None:
        """The status of a run that has begun, and its snapshot."""
        asked = read_benchmark(body)
        begun = decide(Situation(asked, PLATFORM, utc_now())).status
        assert begun is not None
        assert begun.run is not None
        assert begun.run.resolved is not None
        self._resolved = begun.run.resolved
        self._run = identity_of(asked, begun.run.id)
        self.api.put({**body, "status": to_data(begun)})
        (snapshot,) = decide(Situation(replace(asked, status=begun), PLATFORM, utc_now())).actions
        assert isinstance(snapshot, Create)
        self.api.put(snapshot.manifest)

    def _store(self, launch: Launch, keys: tuple[StageKey, ...], *, ended: bool = False) -> None:
        records = {task.name: task for task in self._tasks}
        content = {"tasks": encoded_tasks(self._tasks)}
        for key in keys:
            content[stage_name(launch.round, key)] = encoded(self._stage(launch, records[key[0]], key))
        if ended:
            content[launch_name(launch.round)] = encoded(LaunchEnd(round=launch.round, order=launch.order))
        self._changed(model_object(self._run, launch.model, Role.RESULTS), {"binaryData": content})

    def _changed(self, name: str, change: dict[str, dict[str, str]]) -> dict[str, Any]:
        body = self.api.objects["ConfigMap", NAMESPACE, name]
        return self.api.put(body | {part: body.get(part, {}) | values for part, values in change.items()})

    def _stage(self, launch: Launch, task: TaskRecord, key: StageKey) -> StageRecord:
        """No two requests are alike, as far as an object of this size has room for that."""
        number, count = int(launch.model.removeprefix("m")), self._items
        repeat = key[1] or 0
        base = stage(task, Shape(1 + number / 40, 10, count), launch.round, repeat)

        def times(mean: float) -> tuple[float, ...]:
            return tuple(float(f"{value:.3e}") for value in self._chance.lognormal(np.log(mean), 0.5, count))

        def counts(largest: int) -> tuple[int, ...]:
            return tuple(self._chance.integers(1, largest, count).tolist())

        rows = base.requests.model_copy(
            update={
                "item": tuple(self._chance.permutation(count).tolist()),
                "ttft_ms": times(50),
                "ttft_sent_ms": times(49),
                "e2e_ms": times(1200 + 10 * number),
                "tpot_ms": times(11),
                "input_tokens": counts(400),
                "output_tokens": counts(256),
                "score": tuple((self._chance.random(count) < 0.6 + number / 100).astype(float).tolist()),
                "answer": tuple(f"answer {choice}" for choice in counts(20)),
            }
        )
        gaps = histogram.histogram(self._chance.lognormal(3, 0.5, 3000))
        started = START + timedelta(hours=launch.round, minutes=launch.order, seconds=self._keys.index(key))
        return base.model_copy(update={"requests": rows, "itl": gaps, "chunk_gap": gaps, "started_at": started})
