"""What a decision is made from, and what it consists of. Values only."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from perbench.api.resource import BenchmarkSpec
from perbench.api.status import Status
from perbench.evaluation import Evaluation
from perbench.failures import Failure
from perbench.grafana.annotations import RunAnnotation
from perbench.grafana.orders import Problem
from perbench.objects.results import LaunchEnd, ModelObject
from perbench.objects.run import RunRecord
from perbench_operator.names import RunIdentity
from perbench_operator.observed import Children, Exporter
from perbench_operator.platform import Platform

Manifest = dict[str, Any]


@dataclass(frozen=True)
class Benchmark:
    """The resource as it stands."""

    name: str
    namespace: str
    uid: str
    generation: int
    spec: BenchmarkSpec | None
    """None: it does not keep the API's rules."""
    mistake: str = ""
    """The first rule it breaks, for people. Where there is a `spec` no run of it begins, and one that has goes on."""
    request: str | None = None
    """The annotation that asks for a run."""
    status: Status | None = None
    unreadable: str = ""
    """Why there is a status and it cannot be understood: a later version of the operator has written it, or somebody
    else has."""
    deleting: bool = False


@dataclass(frozen=True)
class Refusal:
    """The API did not take what a run needs."""

    failure: Failure
    model: str | None = None
    """The model whose objects they were. None: the run's own."""


@dataclass(frozen=True)
class Told:
    """What came of telling Grafana of a run."""

    annotation: RunAnnotation
    problem: Problem | None = None
    """None: Grafana has it."""


@dataclass(frozen=True)
class Baseline:
    """A former run, or one of another benchmark, as it is stored."""

    record: RunRecord
    objects: Mapping[str, ModelObject]
    """By model: all of them."""


@dataclass(frozen=True)
class NoBaseline:
    """Why there is no run to compare with."""

    reason: str
    message: str


@dataclass(frozen=True)
class Situation:
    """All that is known of a benchmark at one moment."""

    benchmark: Benchmark
    platform: Platform
    """What holds now."""
    now: datetime
    snapshot: Platform | None = None
    """What held when the run that the status is about started. None: not kept yet."""
    children: Children = field(default_factory=Children)
    records: Mapping[str, ModelObject] = field(default_factory=dict)
    """The results objects of that run, by model."""
    evaluation: Evaluation | None = None
    """What they come to, or less of them: no decision depends on it, but how long it takes does."""
    products: Mapping[str, str] = field(default_factory=dict)
    """The accelerator product of nodes, where it is known."""
    exporters: Mapping[str, Exporter] = field(default_factory=dict)
    """The exporter of accelerators on nodes of models that a bench pod is to be made for, where it is to be asked."""
    may_start: bool = True
    """Whether a model may be started, as far as other benchmarks go."""
    holders: tuple[str, ...] = ()
    """Other benchmarks that have a model, for people."""
    baseline: Baseline | NoBaseline | None = None
    """What `spec.baselineRef` means. None: it is not to be compared now."""
    refusal: Refusal | None = None
    """What came of the last try to carry out this very decision."""
    refused_again: bool = False
    """What was decided on the refusal was refused as well."""
    annotates: bool = False
    """Whether the operator has a Grafana to mark runs in."""
    told: Told | None = None
    """What came of that last, since this operator's start."""


@dataclass(frozen=True)
class Create:
    """Make an object. One of ours that is there already is taken as it is."""

    manifest: Manifest
    renew: bool = False
    """Whether one that is there and says other things, which are of before, makes place for this one."""


@dataclass(frozen=True)
class DryRun:
    """Ask the API whether it would take an object."""

    manifest: Manifest
    model: str | None


@dataclass(frozen=True)
class CheckClaim:
    """Look whether a PersistentVolumeClaim is there, and can be mounted by several pods where there are several."""

    name: str
    whose: str
    """Who names it: `model a`, `task t`."""
    pods: int


@dataclass(frozen=True)
class CheckConfigMap:
    """Look whether a ConfigMap is there, and has a key."""

    name: str
    key: str
    whose: str
    """Who names it: `task t`."""


@dataclass(frozen=True)
class Delete:
    """Delete an object, with what belongs to it."""

    kind: str
    name: str
    uid: str | None = None
    """Only this one."""


@dataclass(frozen=True)
class RecordEnd:
    """Write how a launch ended into the model's results object."""

    model: str
    end: LaunchEnd


@dataclass(frozen=True)
class Discard:
    """Delete everything that a former run of this very id has left: it is measured anew."""

    run_id: str


@dataclass(frozen=True)
class Seal:
    """No more is written into the results objects of this run, and how it ended is noted on its snapshot."""

    models: tuple[str, ...]
    outcome: str
    """A value of `Outcome`."""


@dataclass(frozen=True)
class Prune:
    """Delete what other runs have left, but for the results of the latest `keep` and of those that are somebody's
    baseline. Of this run everything stays."""

    keep: int


Action = Create | DryRun | CheckClaim | CheckConfigMap | Delete | RecordEnd | Discard | Seal | Prune


@dataclass(frozen=True)
class Story:
    """One event, for people."""

    reason: str
    message: str
    warning: bool = False


@dataclass(frozen=True)
class Decision:
    """What to do next, in this order: actions, then the status, then events."""

    actions: tuple[Action, ...] = ()
    status: Status | None = None
    """None: it stays as it is."""
    story: tuple[Story, ...] = ()
    wake_after: float | None = None
    """Seconds after which to look again even if nothing is heard."""


def identity_of(benchmark: Benchmark, run_id: str) -> RunIdentity:
    """Whose run it is."""
    return RunIdentity(benchmark.name, benchmark.namespace, benchmark.uid, run_id)
