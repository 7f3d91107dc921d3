"""What a bench pod is told to do: everything resolved, nothing left to decide."""

from collections.abc import Iterable
from typing import Self

from pydantic import Field, JsonValue, model_validator

from perbench.api.decimals import as_float
from perbench.api.defaults import MAX_IN_FLIGHT, VALIDITY, complete
from perbench.api.load import Arrival, ValiditySpec
from perbench.api.models import Protocol
from perbench.api.tasks import TaskSpec
from perbench.base import Document

StageKey = tuple[str, int | None]
"""(task, repeat): a stage within a launch. Repeat None: the extra stage of one request at a time."""


def stage_keys(tasks: Iterable[str], repeats: int, *, unloaded: bool) -> tuple[StageKey, ...]:
    """The stages of one launch, in the order they run: of each task its repeats, then the unloaded one."""
    of_a_task: tuple[int | None, ...] = (*range(repeats), *([None] if unloaded else []))
    return tuple((task, repeat) for task in tasks for repeat in of_a_task)


class Warmup(Document):
    """Both must be reached before the window opens. None: measurement.md §1's default for this place in the run."""

    requests: int = Field(ge=0)
    seconds: float = Field(ge=0)


class ArrivalPlan(Document):
    """The arrivals of an open loop."""

    rate: float = Field(gt=0)
    """Requests per second."""
    process: Arrival
    """How the gaps between them are spread."""
    burstiness: float = Field(gt=0, default=1)
    """Shape of the Gamma distribution, where the gaps have one."""
    max_in_flight: int = Field(ge=1, default=MAX_IN_FLIGHT)
    """Requests under way beyond which none is sent."""


class Validity(Document):
    """What a stage may show and still be a measurement: `spec.load.validity`, as numbers."""

    error_percent: float
    client_error_milliseconds: float
    client_error_percent: float
    client_error_tail_milliseconds: float
    client_error_tail_percent: float
    read_delay_milliseconds: float
    read_delay_percent: float
    read_delay_tail_milliseconds: float
    read_delay_tail_percent: float
    concurrency_percent: float
    on_time_percent: float

    @classmethod
    def of(cls, spec: ValiditySpec) -> "Validity":
        """Every limit that `spec` gives, over the defaults."""
        return cls(**{name: as_float(value) for name, value in complete(spec).model_dump().items()})


DEFAULT_VALIDITY = Validity.of(VALIDITY)


class LoadPlan(Document):
    """How the server is asked: a closed loop (`concurrency` requests in flight) or an open one (`arrivals`)."""

    concurrency: int | None = Field(ge=1, default=None)
    arrivals: ArrivalPlan | None = None
    warmup: Warmup | None = None
    max_seconds: float = Field(gt=0)
    request_timeout_seconds: float = Field(gt=0, default=600)
    first_token_timeout_seconds: float = Field(gt=0, default=300)
    """Without the first token of an answer. A router whose model is stuck takes requests and keeps them for ever."""
    idle_timeout_seconds: float = Field(gt=0, default=120)
    """Silence in the middle of an answer after which the server is taken for stuck; comments are silence."""
    validity: Validity = DEFAULT_VALIDITY

    @model_validator(mode="after")
    def _one_loop(self) -> Self:
        if (self.concurrency is None) == (self.arrivals is None):
            raise ValueError("a load has either a concurrency or arrivals")
        return self

    @property
    def most_in_flight(self) -> int:
        """Requests under way at most."""
        return self.arrivals.max_in_flight if self.arrivals else self.concurrency or 1


class Target(Document):
    """Where the model answers. `extra_body` is merged into each request (cache_prompt, ignore_eos, …)."""

    url: str
    protocol: Protocol
    model: str
    extra_body: dict[str, JsonValue] = Field(default_factory=dict)
    api_key_variable: str | None = None
    counts_end_token: bool | None = None
    """Whether the server's token count includes the end token. None: unknown, estimated figures say so."""
    can_force_length: bool = True
    """Whether the server takes `ignore_eos` (synthetic tasks)."""


class DeviceMemory(Document):
    """A server on accelerators: what its own metrics say of their memory, and what follows from the model's files."""

    accelerators: int = Field(ge=1)
    """Of one server. They share its weights and its KV cache."""
    element_type: str | None = None
    """What the server was told to compute in. None: what the model's config says."""
    unlike_files: str | None = None
    """Why its weights take another size than their files. None: they are alike."""
    unlike_config: str | None = None
    """Why its KV cache has another layout than the model's config says. None: it has that."""
    preallocates: bool = True
    """Whether it takes memory for requests before there are any: what it holds is then more than what it uses."""


class TelemetryPod(Document):
    """One pod of a model, and the exporter beside it."""

    name: str
    exporter: str | None = None
    """Address of the exporter on its node. None: there is none, or it is not asked."""
    exporter_reason: str | None = None
    """Why there is none, where it was to be asked."""


class Telemetry(Document):
    """Who knows what the accelerators of a model's pods do: memory in use, how busy they are, energy."""

    namespace: str
    """Of the pods."""
    pods: tuple[TelemetryPod, ...]
    exporter_port: int | None = Field(ge=1, le=65535, default=None)
    """Where dcgm-exporter answers on each pod's node. None: it is not asked."""
    prometheus_url: str | None = None
    """A Prometheus that reads it, without `/api/v1`. None: it is not asked."""
    obstacle: str | None = None
    """Why nobody can know that of one pod. None: nothing is in the way."""


class PodMetrics(Document):
    """Pods whose memory `metrics.k8s.io` is asked for."""

    namespace: str
    """Of the pods."""
    pods: tuple[str, ...] = Field(min_length=1)
    """Their names."""
    container: str
    """Of the server, in each of them."""


class MemorySource(Document):
    """Where memory is read: the processes of the server on this machine, a sidecar in each of the model's pods, or of
    its accelerators."""

    process_ids: tuple[int, ...] = ()
    sidecar_port: int | None = Field(ge=1, le=65535, default=None)
    """A reader of memory (`perbench-memory`) answers here, at every address of the target's name."""
    device: DeviceMemory | None = None
    telemetry: Telemetry | None = None
    """Who else knows of its accelerators. None: nobody is asked."""
    pod_metrics: PodMetrics | None = None
    """Who is asked for the footprint where the sidecar cannot tell it. None: nobody."""

    @model_validator(mode="after")
    def _one_place(self) -> Self:
        if sum((bool(self.process_ids), self.sidecar_port is not None, self.device is not None)) != 1:
            raise ValueError("memory is read of processes here, by a sidecar there, or of accelerators")
        if self.telemetry is not None and self.device is None:
            raise ValueError("telemetry is of accelerators")
        if self.pod_metrics is not None and self.sidecar_port is None:
            raise ValueError("metrics of pods stand in for a sidecar's")
        return self


class HubModel(Document):
    """A model of the Hugging Face hub, as the server was told to load it."""

    id: str
    """`ORGANISATION/NAME`."""
    revision: str | None = None
    """Branch, tag or commit. None: the hub's default branch."""


METRICS_PATH = "/metrics"
"""Where a bench pod shows its metrics, at `ClusterPlace.metrics_port`."""


class ClusterPlace(Document):
    """Where a bench pod stands in a cluster: what it waits for, and which objects it writes."""

    namespace: str
    benchmark: str
    """Name of the benchmark, for the labels of metrics."""
    runtime: str | None
    """Which model server it is, for the same. None: an endpoint."""
    progress: str
    """ConfigMap for `perbench.objects.progress`."""
    results: str
    """ConfigMap for `perbench.objects.results`."""
    replicas: int = Field(ge=0)
    """Addresses that the target's name must have before the load begins; 0: an endpoint, nothing is waited for."""
    health_path: str | None
    """Answers 200 at each of them from when the model is ready. None: it is not asked."""
    ready_seconds: float = Field(gt=0)
    """How long all that may take."""
    linger_seconds: float = Field(ge=0)
    """How long the pod stays when it has finished."""
    metrics_port: int = Field(ge=0, le=65535)
    """Where it answers scrapes. 0: any port that is free."""


class Plan(Document):
    """All stages of one model in one round."""

    run_id: str
    model: str
    round: int = Field(ge=0)
    target: Target
    load: LoadPlan
    repeats: int = Field(ge=1)
    unloaded_requests: int | None = Field(ge=1, default=None)
    """Requests of the extra stage of each task, one at a time. None: there is none."""
    tasks: tuple[TaskSpec, ...]
    memory: MemorySource | None = None
    seed: int = 42
    calibrate_seconds: float | None = Field(ge=5, le=120, default=None)
    """Before anything is asked of the target, so long is spent on finding out how exactly this machine measures. None:
    it is not."""
    hub_model: HubModel | None = None
    """What the hub is asked about before the load, in a cluster. None: the model is not of the hub."""
    cluster: ClusterPlace | None = None
    """None: local mode, stages go to files."""

    def to_json(self) -> str:
        """As a bench process reads it: only what was set, since optional fields of the API refuse empty values."""
        return self.model_dump_json(by_alias=True, exclude_unset=True)

    @model_validator(mode="after")
    def _asks_where_it_can(self) -> Self:
        if self.cluster is None and self.memory is not None and self.memory.pod_metrics is not None:
            raise ValueError("metrics of pods are asked for in a cluster")
        return self

    @property
    def stage_keys(self) -> tuple[StageKey, ...]:
        """Every stage, in the order they run."""
        return stage_keys([task.name for task in self.tasks], self.repeats, unloaded=self.unloaded_requests is not None)
