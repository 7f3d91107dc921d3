"""What would come of a benchmark that users are shown: its plans, its tasks, and a run in which nothing goes wrong."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from perbench.api.defaults import Resolved, limit_of, resolve_defaults, serving_of
from perbench.api.models import ModelSpec
from perbench.api.resource import BenchmarkSpec
from perbench.api.serving import Runtime as RuntimeName
from perbench.api.tasks import Scorer, TaskSpec
from perbench.objects.run import kept_spec
from perbench.plan import Plan, Target
from perbench.planning import endpoint_record, endpoint_target, plan_of
from perbench.results import ModelRecord, Results, TaskKind, TaskRecord
from perbench.runtimes import runtime_of
from perbench.schedule import Launch
from perbench_bench.tasks import resolve
from perbench_operator import children
from perbench_operator.names import RunIdentity
from perbench_operator.platform import Platform
from perbench_operator.serving import serve
from tests.support.results import Shape, model, results, with_unloaded_stages

PLATFORM = Platform(bench_image="perb.local/bench:dev", accelerator_labels={"nvidia.com/*": "nvidia.com/gpu.product"})
ENDS_BY_ITSELF = 40
"""Output tokens after which a model is done with a synthetic prompt where its server cannot be told to go on."""

MANY = 256


@dataclass(frozen=True)
class ExampleRun:
    """A benchmark as it would be run from a file in `folder`: in a cluster, or on one's own machine if its models are
    there."""

    spec: BenchmarkSpec
    folder: Path

    @property
    def local(self) -> bool:
        """Whether its models are on the user's machine."""
        return any((model.model or "").startswith(("packaged:", "./")) for model in self.spec.models)

    @property
    def resolved(self) -> Resolved:
        """Its settings."""
        return resolve_defaults(self.spec, local=self.local)

    def plans(self) -> dict[str, Plan]:
        """What the bench process of each model is told in the first round."""
        return {model.name: self._plan(model, order) for order, model in enumerate(self.spec.models)}

    def tasks(self) -> tuple[TaskRecord, ...]:
        """Its tasks with their items. A file that the user has to bring has as many as are asked for, or many."""
        return tuple(self._task(task) for task in self.spec.tasks)

    def results(self) -> Results:
        """Every stage measured, every model of another speed."""
        resolved, plans = self.resolved, self.plans()
        models = [
            self._measured(entry, plans[entry.name], 1 + index / 4) for index, entry in enumerate(self.spec.models)
        ]
        return results(
            models, self.tasks(), resolved.rounds, resolved.repeats, spec=kept_spec(self.spec), resolved=resolved
        )

    def _plan(self, model: ModelSpec, order: int) -> Plan:
        launch = Launch(model.name, 0, order)
        if not self.local:
            run = RunIdentity("example", "team", "0b9c1c6e-6d1c-4a39-9a0c-3f1f4d1e2a77", "0123456789")
            served = serve(self.spec, model, PLATFORM)
            return children.launch_plan(run, launch, self.spec, self.resolved, served, PLATFORM)
        return plan_of("0123456789", launch, self._local_target(model), self.resolved, self.spec.tasks, None)

    def _local_target(self, model: ModelSpec) -> Target:
        if model.endpoint is not None:
            return endpoint_target(model.endpoint, with_key=False)
        serving = serving_of(self.spec, model)
        assert serving is not None
        assert serving.runtime is RuntimeName.LLAMA_CPP
        runtime = runtime_of(serving.runtime)
        protocol, forces = runtime.protocols[self.resolved.api], runtime.can_force_length
        return Target(url="http://127.0.0.1:8080", protocol=protocol, model="m", can_force_length=forces)

    def _task(self, task: TaskSpec) -> TaskRecord:
        if task.dataset is None or task.dataset.inline is not None:
            return resolve(task, self.folder).record()
        kind = TaskKind.CLASSIFICATION if task.dataset.scoring.scorer is Scorer.CHOICE else TaskKind.GENERATION
        items = limit_of(task) or MANY
        return TaskRecord(name=task.name, kind=kind, items=items, sha256="e" * 64, max_tokens=task.max_tokens or 256)

    def _measured(self, spec: ModelSpec, plan: Plan, seconds: float) -> ModelRecord:
        tasks, resolved = self.tasks(), self.resolved
        shapes = {task.name: _shape(task, spec, plan.target, seconds) for task in tasks}
        record = model(spec.name, shapes, tasks, resolved.rounds, resolved.repeats, **dict(self._kind(spec)))
        return record if resolved.unloaded_requests is None else with_unloaded_stages(record, 0.5)

    def _kind(self, spec: ModelSpec) -> Iterator[tuple[str, object]]:
        """What its record says of unit and server."""
        served = None if self.local else serve(self.spec, spec, PLATFORM)
        if spec.endpoint is not None:
            known = endpoint_record(spec.name, spec.endpoint)
        elif served is not None:
            known = children.model_record(spec, served)
        else:
            return
        for name in ("runtime", "throughput_unit", "units", "server_arguments", "memory_basis"):
            yield name, getattr(known, name)


def _shape(task: TaskRecord, spec: ModelSpec, target: Target, seconds: float) -> Shape:
    long = task.max_tokens if target.can_force_length else min(task.max_tokens, ENDS_BY_ITSELF)
    tokens = long if task.kind is TaskKind.SYNTHETIC else min(task.max_tokens, 12)
    memory = None if spec.endpoint is not None else 400 * seconds
    return Shape(seconds, tokens, right=task.items * 2 // 3, memory_mebibytes=memory)
