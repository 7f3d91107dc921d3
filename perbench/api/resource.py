"""The resource `PERBenchmark`: one comparison, and what came out of it."""

from typing import Annotated, ClassVar, Literal

from pydantic import BaseModel, Field, JsonValue

from perbench.api import defaults
from perbench.api.baseline import BaselineRef
from perbench.api.capacity import CapacitySpec
from perbench.api.execution import ExecutionSpec
from perbench.api.load import LoadSpec
from perbench.api.models import ModelSpec, Protocol
from perbench.api.per import PerSpec
from perbench.api.rules import ApiObject, ListMap, Rule
from perbench.api.serving import Runtime, Serving
from perbench.api.status import Status
from perbench.api.tasks import PRESET_ITEMS, TaskSpec
from perbench.api.text import OBJECT_NAME

GROUP = "perbench.dev"
VERSION = "v1alpha1"
API_VERSION = f"{GROUP}/{VERSION}"
KIND = "PERBenchmark"
RUN_ANNOTATION = "perbench.dev/run"
"""A new value of this annotation asks for a new run of an unchanged spec."""
MAX_CELLS = 128
"""Models x tasks at most: what keeps the status under 128 KiB."""

_UNKNOWN = 1_000_000
"""Stands in CEL for a number of items that only the bench pod finds out."""
_ASKED = f"(has(task.limit) ? task.limit : has(task.synthetic) ? {defaults.SYNTHETIC_LIMIT} : {_UNKNOWN})"
_OF_PRESETS = "".join(f"task.preset == '{preset}' ? {items} : " for preset, items in PRESET_ITEMS.items())
_THERE = (
    "(has(task.dataset) && has(task.dataset.inline) ? size(task.dataset.inline)"
    f" : !has(task.preset) ? {_UNKNOWN} : {_OF_PRESETS}{_UNKNOWN})"
)
_HAVE = ", ".join(f"{preset} has {items}" for preset, items in PRESET_ITEMS.items())
_LEAST_ITEMS = (
    f"(has(self.load) && has(self.load.rate) ? {defaults.OPEN_LOOP_ITEMS}"
    f" : {defaults.ITEMS_PER_SLOT} * (has(self.load) && has(self.load.concurrency)"
    f" ? self.load.concurrency : {defaults.CONCURRENCY}))"
)
_TOKENS = (
    "(has(task.synthetic) ? task.synthetic.outputTokens"
    f" : has(task.maxTokens) ? task.maxTokens : {defaults.MAX_TOKENS})"
)
_IS_TGI = (
    "(has(model.endpoint) ? model.endpoint.protocol == 'TGI'"
    " : has(model.serving) && has(model.serving.runtime) ? model.serving.runtime == 'TGI'"
    " : has(self.serving) && has(self.serving.runtime) && self.serving.runtime == 'TGI')"
)
TGI_LENGTHS = (
    f"answers of TGI are computed in pieces of {defaults.TGI_PIECE} tokens, none of which ends for the answer's length:"
    f" above {defaults.TGI_PIECE} give a multiple of {defaults.TGI_PIECE} as maxTokens, or outputTokens if synthetic"
)


class BenchmarkSpec(ApiObject):
    """What to compare, on which tasks, under which load."""

    models: Annotated[tuple[ModelSpec, ...], Field(min_length=1, max_length=32), ListMap("name")]
    """What is compared, 1 to 32 entries. Models times tasks: 128 at most."""
    serving: Serving | None = None
    """How models are served, unless a model says otherwise."""
    tasks: Annotated[tuple[TaskSpec, ...], Field(min_length=1, max_length=16), ListMap("name")]
    """What the models are asked, 1 to 16 entries. Accuracy and speed come from the same requests."""
    load: LoadSpec | None = None
    """How hard the models are asked, and for how long."""
    per: PerSpec | None = None
    """How the Performance-Efficiency Ratio is computed. May change while a run is on."""
    capacity: CapacitySpec | None = None
    """What hardware costs. May change while a run is on."""
    baseline_ref: BaselineRef | None = None
    """The run that this one is judged by. May change while a run is on."""
    execution: ExecutionSpec | None = None
    """How the run is carried out."""

    RULES: ClassVar[tuple[Rule, ...]] = (
        Rule(
            message=f"models times tasks is {MAX_CELLS} at most: split the benchmark",
            cel=f"size(self.models) * size(self.tasks) <= {MAX_CELLS}",
            holds=lambda s: len(s.models) * len(s.tasks) <= MAX_CELLS,
        ),
        Rule(
            message="per.reference names none of the models",
            cel="!has(self.per) || !has(self.per.reference)"
            " || self.models.exists(model, model.name == self.per.reference)",
            holds=lambda s: not (s.per and s.per.reference) or s.per.reference in [model.name for model in s.models],
            field="per.reference",
        ),
        Rule(
            message="serving.image and serving.args are those of one model server, and models name theirs: set"
            " serving.runtime, so that it is known for which models they hold",
            cel="!has(self.serving) || has(self.serving.runtime)"
            " || (!has(self.serving.image) && !has(self.serving.args))"
            " || !self.models.exists(model, has(model.serving) && has(model.serving.runtime))",
            holds=lambda s: not _unclear(s),
            field="serving",
            of_beginning=True,
        ),
        Rule(
            message=TGI_LENGTHS,
            cel=f"!self.models.exists(model, {_IS_TGI}) || self.tasks.all(task, {_TOKENS} <= {defaults.TGI_PIECE}"
            f" || {_TOKENS} % {defaults.TGI_PIECE} == 0)",
            holds=lambda s: not any(_is_tgi(s, model) for model in s.models) or _first_unkept_length(s) is None,
            field="tasks",
            where=lambda s: ("tasks", _first_unkept_length(s) or 0),
            of_beginning=True,
        ),
        Rule(
            message="every task needs at least 4 x load.concurrency items (8 x 4 where no concurrency is set; 20 with"
            f" load.rate; {_HAVE}), else filling and draining the loop is what gets measured: raise the items and"
            " their limit, or lower the concurrency",
            cel=f"self.tasks.all(task, {_ASKED} >= {_LEAST_ITEMS} && {_THERE} >= {_LEAST_ITEMS})",
            holds=lambda s: _first_short_task(s) is None,
            field="tasks",
            where=lambda s: ("tasks", _first_short_task(s) or 0),
            of_beginning=True,
        ),
    )


class Metadata(ApiObject):
    """Standard metadata of a Kubernetes object. What the API server fills in is accepted, and not looked at."""

    name: Annotated[str, Field(pattern=OBJECT_NAME, min_length=1, max_length=253)]
    """Name of the benchmark; unique in its namespace."""
    namespace: Annotated[str | None, Field(max_length=63)] = None
    """Namespace. Local mode does not look at it."""
    labels: Annotated[dict[str, Annotated[str, Field(max_length=63)]] | None, Field(max_length=256)] = None
    """Labels, for selecting."""
    annotations: Annotated[dict[str, Annotated[str, Field(max_length=262_144)]] | None, Field(max_length=256)] = None
    """Annotations. A new value of `perbench.dev/run` asks for a new run."""
    uid: Annotated[str | None, Field(max_length=128)] = None
    """Set by the API server."""
    generation: Annotated[int | None, Field(ge=0, le=2**53)] = None
    """Set by the API server."""
    resource_version: JsonValue = None
    """Set by the API server."""
    creation_timestamp: JsonValue = None
    """Set by the API server."""
    deletion_timestamp: JsonValue = None
    """Set by the API server."""
    deletion_grace_period_seconds: JsonValue = None
    """Set by the API server."""
    managed_fields: JsonValue = None
    """Set by the API server."""
    owner_references: JsonValue = None
    """Objects that own this one."""
    finalizers: JsonValue = None
    """What must happen before deletion. perbench sets none."""
    self_link: JsonValue = None
    """Set by old API servers."""


class PERBenchmark(ApiObject):
    """A comparison of served language models: the work each gives for its cost, measured on your tasks."""

    api_version: Literal["perbench.dev/v1alpha1"]
    """Version of the schema of this object: `perbench.dev/v1alpha1`."""
    kind: Literal["PERBenchmark"]
    """Kind of this object: `PERBenchmark`."""
    metadata: Metadata
    """Standard metadata of a Kubernetes object."""
    spec: BenchmarkSpec
    """What to compare, on which tasks, under which load."""
    status: Status | None = None
    """What came out. Written by perbench."""

    @property
    def summary(self) -> str:
        """In one breath: `small-or-large: 4 models, 2 tasks`."""
        models, tasks = len(self.spec.models), len(self.spec.tasks)
        return f"{self.metadata.name}: {counted(models, 'model')}, {counted(tasks, 'task')}"

    @property
    def run_request(self) -> str | None:
        """The value of the annotation that asks for a new run."""
        return (self.metadata.annotations or {}).get(RUN_ANNOTATION)


def to_data(value: BaseModel) -> dict[str, JsonValue]:
    """The object as it is written to YAML or JSON: what was set, under the names users know, without nulls."""
    data: dict[str, JsonValue] = value.model_dump(mode="json", by_alias=True, exclude_unset=True, exclude_none=True)
    return data


def counted(count: int, noun: str) -> str:
    """`1 model`, `2 models`."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def _unclear(spec: BenchmarkSpec) -> bool:
    """Whether `serving` has what is of one runtime without saying of which, and models have runtimes of their own."""
    common = spec.serving
    if common is None or common.runtime is not None or (common.image is None and common.args is None):
        return False
    return any(model.serving is not None and model.serving.runtime is not None for model in spec.models)


def _is_tgi(spec: BenchmarkSpec, model: ModelSpec) -> bool:
    """Whether the benchmark itself says that TGI serves the model. Where it says nothing, the cluster may."""
    if model.endpoint is not None:
        return model.endpoint.protocol is Protocol.TGI
    common = spec.serving.runtime if spec.serving else None
    return ((model.serving.runtime if model.serving else None) or common) is Runtime.TGI


def _first_unkept_length(spec: BenchmarkSpec) -> int | None:
    return next((index for index, task in enumerate(spec.tasks) if not defaults.is_kept_by_tgi(task)), None)


def _first_short_task(spec: BenchmarkSpec) -> int | None:
    needed = defaults.least_items(defaults.concurrency_of(spec))
    counts = [defaults.limit_of(task) for task in spec.tasks]
    return next((index for index, count in enumerate(counts) if count is not None and count < needed), None)
