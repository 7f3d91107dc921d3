"""Benchmarks of tests/golden/operator/children, with everything that the operator makes of them."""

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml

from perbench.api.defaults import execution_of, resolve_defaults
from perbench.api.reading import parse
from perbench.api.resource import PERBenchmark
from perbench.objects.run import RunRecord, kept_spec
from perbench.plan import Plan, TelemetryPod
from perbench.results import ModelRecord
from perbench.schedule import Launch
from perbench_operator import children
from perbench_operator.names import RunIdentity
from perbench_operator.platform import Platform
from perbench_operator.serving import Served, serve
from tests.support.golden import ROOT

FOLDER = ROOT / "operator" / "children"
NAMESPACE = "team"
UID = "0b9c1c6e-6d1c-4a39-9a0c-3f1f4d1e2a77"
RUN_ID = "0123456789"
PLATFORM = {"version": "0.1.0", "benchImage": "perb.local/bench:dev"}

Manifest = dict[str, Any]


@dataclass(frozen=True)
class Case:
    """The first launch of the first model of a benchmark."""

    benchmark: PERBenchmark
    platform: Platform
    namespace: str = NAMESPACE
    uid: str = UID

    @property
    def run(self) -> RunIdentity:
        return RunIdentity(self.benchmark.metadata.name, self.namespace, self.uid, RUN_ID)

    @property
    def launch(self) -> Launch:
        return Launch(self.benchmark.spec.models[0].name, 0, 0)

    @property
    def served(self) -> Served | None:
        return serve(self.benchmark.spec, self.benchmark.spec.models[0], self.platform)

    @property
    def model(self) -> tuple[Manifest, ...]:
        """What is made for the model; nothing for an endpoint."""
        served, execution = self.served, execution_of(self.benchmark.spec)
        if served is None:
            return ()
        return children.model_objects(self.run, self.launch, served, self.platform, execution)

    @property
    def bench(self) -> Manifest:
        """The Job of the first attempt."""
        return children.bench_job(self.run, self.launch, 0, self.benchmark.spec, self.served, self.platform)

    @property
    def plan(self) -> Plan:
        spec = self.benchmark.spec
        resolved = resolve_defaults(spec, local=False)
        return children.launch_plan(self.run, self.launch, spec, resolved, self.served, self.platform, self.pods)

    @property
    def pods(self) -> tuple[TelemetryPod, ...]:
        """The model's pods, where the plan names them for the metrics of pods."""
        return (TelemetryPod(name="a-x7k2p"),) if self.platform.telemetry.pod_metrics else ()

    @property
    def access(self) -> tuple[Manifest, ...]:
        """What is made beside the plan, where it names pods for that."""
        asked = self.plan.memory.pod_metrics if self.plan.memory else None
        return children.pod_metrics_access(self.run, self.launch, asked) if asked else ()

    @property
    def record(self) -> ModelRecord:
        return children.model_record(self.benchmark.spec.models[0], self.served)

    @property
    def run_record(self) -> RunRecord:
        """What is kept of the run."""
        spec = self.benchmark.spec
        return RunRecord(
            name=self.run.name, run_id=RUN_ID, spec=kept_spec(spec), resolved=resolve_defaults(spec, local=False),
            start_time=datetime(2026, 1, 1, tzinfo=UTC), provenance=self.platform.provenance,
        )  # fmt: skip

    @property
    def shared(self) -> tuple[Manifest, ...]:
        """What is made for the whole run, and for the model over all launches."""
        names = [model.name for model in self.benchmark.spec.models]
        return (
            children.snapshot_object(self.run, self.platform, self.run_record),
            *children.access_objects(self.run, names[0]),
            *children.bench_policy(self.run, self.platform.network),
            children.progress_object(self.run, names[0]),
            children.results_object(self.run, self.record),
            children.plan_object(self.run, self.launch, self.plan),
        )


def names() -> list[str]:
    """Every case."""
    return sorted(path.parent.name for path in FOLDER.glob("*/benchmark.yaml"))


def read(name: str, namespace: str = NAMESPACE) -> Case:
    """One case. Its platform is the smallest one where it has no file for it."""
    folder = FOLDER / name
    file = folder / "platform.yaml"
    platform = yaml.safe_load(file.read_text()) if file.exists() else PLATFORM
    return case(yaml.safe_load((folder / "benchmark.yaml").read_text()), platform, namespace)


def case(benchmark: Any, platform: Any = None, namespace: str = NAMESPACE) -> Case:
    """One of a test's own."""
    return Case(
        parse(benchmark), Platform.model_validate(platform or PLATFORM, by_name=False, by_alias=True), namespace
    )


def small(models: Any = None, platform: Any = None, **spec: Any) -> Case:
    """The smallest benchmark, with these models and fields: on one GPU, unless `serving` has `accelerator: None`."""
    models = models or [{"name": "a", "model": "org/a"}]
    serving = {"accelerator": {"resource": "nvidia.com/gpu", "count": 1}, **spec.pop("serving", {})}
    serving = {name: value for name, value in serving.items() if value is not None}
    whole = {"models": models, "tasks": [{"name": "t", "preset": "PackagedTopics"}], "serving": serving, **spec}
    head = {"apiVersion": "perbench.dev/v1alpha1", "kind": "PERBenchmark", "metadata": {"name": "b"}}
    return case(head | {"spec": whole}, PLATFORM | (platform or {}))


class _Plain(yaml.SafeDumper):
    """Writes what appears twice twice."""

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002 - the name is the base class's
        return True


def as_yaml(*documents: Any) -> str:
    """Documents in the order of their fields."""
    return yaml.dump_all(documents, Dumper=_Plain, sort_keys=False, width=120, allow_unicode=True)


def path(name: str, file: str) -> Path:
    """A golden file of a case."""
    return FOLDER / name / file
