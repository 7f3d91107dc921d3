"""What holds where a benchmark says nothing. Resolved once, when a run starts, and recorded in `status.run.resolved`.

The CRD has no `default:`: a stored object stays as written, and a new default in a later version changes no old one.
"""

from functools import reduce
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field

from perbench.api.decimals import PositiveNumber
from perbench.api.execution import Deadlines, ExecutionSpec, KeepModels, OnModelFailure
from perbench.api.load import Arrival, ClientSpec, LoadSpec, PromptApi, ValiditySpec, WarmupSpec
from perbench.api.per import LatencyBasis, MemoryBasis
from perbench.api.pods import Resources
from perbench.api.rules import ApiObject
from perbench.api.serving import EnvVar, PrefixCache, Runtime, Serving
from perbench.api.tasks import PRESET_ITEMS, TaskSpec
from perbench.api.text import Name

if TYPE_CHECKING:
    from perbench.api.models import ModelSpec
    from perbench.api.resource import BenchmarkSpec

CONCURRENCY = 8
ARRIVAL = Arrival.POISSON
BURSTINESS = "0.5"
MAX_IN_FLIGHT = 4096
REPEATS = 3
REPEATS_WITH_ROUNDS = 1
ENOUGH_ROUNDS = 3
"""From this many rounds one repeat per round is enough for an interval."""
SYNTHETIC_LIMIT = 200
MAX_TOKENS = 256
TGI_PIECE = 1024
"""Tokens of the pieces in which TGI computes an answer. It ends none of them for the answer's length: asked for 1,100
tokens it gives 2,048."""
MAX_SECONDS = 1800
ROUNDS = 1
LOCAL_ROUNDS = 3
RUNTIME = Runtime.TGI
OF_A_RUNTIME = ("image", "args")
"""Fields of `serving` that mean something to one model server only. Not `env`, whose variables are often meant for what
all of them use (the hub, proxies, drivers) and are not looked at by the others."""
API = PromptApi.COMPLETION
LATENCY_BASIS = LatencyBasis.REQUEST
MEMORY_BASIS = MemoryBasis.FOOTPRINT
UNLOADED_REQUESTS = 24
"""Of the extra stage per task and round, one at a time, that latency basis Unloaded asks for."""
ITEMS_PER_SLOT = 4
"""A task needs this many items per request in flight: with fewer, filling and draining the loop is the measurement."""
OPEN_LOOP_ITEMS = 20
"""A task needs this many items in an open loop: with fewer not even a median is given."""
VALIDITY = ValiditySpec(
    error_percent=1,
    client_error_milliseconds="0.5",
    client_error_percent=2,
    client_error_tail_milliseconds=3,
    client_error_tail_percent=10,
    read_delay_milliseconds="0.1",
    read_delay_percent=5,
    read_delay_tail_milliseconds="1.5",
    read_delay_tail_percent="7.5",
    concurrency_percent=95,
    on_time_percent=98,
)
"""The limits of docs/measurement.md §4."""
CLIENT = ClientSpec(resources=Resources(requests={"cpu": "2", "memory": "1Gi"}), linger_seconds=65)
EXECUTION = ExecutionSpec(
    on_model_failure=OnModelFailure.CONTINUE,
    retries=2,
    suspend=False,
    keep_models=KeepModels.NEVER,
    history_limit=3,
    deadlines=Deadlines(scheduling_seconds=1800, image_seconds=1800, ready_seconds=3600, total_seconds=86_400),
)
"""Of a cluster; the rounds depend on where it runs."""


class Resolved(ApiObject):
    """The settings the run uses: what was written, and the defaults where nothing was."""

    api: PromptApi
    """Which of a server's routes carries the prompts."""
    concurrency: Annotated[int | None, Field(ge=1, le=4096)] = None
    """Closed loop: requests in flight. Absent: an open loop."""
    rate: PositiveNumber | None = None
    """Open loop: requests per second. Absent: a closed loop."""
    arrival: Arrival | None = None
    """Open loop: how the gaps between requests are spread."""
    burstiness: PositiveNumber | None = None
    """Arrival Gamma: shape of its distribution."""
    max_in_flight: Annotated[int | None, Field(ge=1, le=65_536)] = None
    """Open loop: requests under way at most; more are not sent."""
    warmup: WarmupSpec | None = None
    """What passes before the measured window opens; absent: the default rule."""
    repeats: Annotated[int, Field(ge=1, le=100)]
    """Measurements of each task within one round."""
    max_seconds: Annotated[int, Field(ge=1, le=86_400)]
    """The longest one stage may take."""
    validity: ValiditySpec = VALIDITY
    """When a stage is no measurement."""
    rounds: Annotated[int, Field(ge=1, le=100)]
    """How often every model is started afresh and measured."""
    reference: Name
    """The model that the others are compared with."""
    unloaded_requests: Annotated[int | None, Field(ge=1, le=1000)] = None
    """Requests of an extra stage per task and round, one at a time, for latency basis `Unloaded`. Absent: no such
    stage, since the benchmark did not ask for it when the run started."""


def resolve_defaults(spec: "BenchmarkSpec", *, local: bool) -> Resolved:
    """The settings of a run of `spec`; `local` on the user's machine, else in a cluster."""
    load = spec.load or LoadSpec()
    rounds = (spec.execution.rounds if spec.execution else None) or (LOCAL_ROUNDS if local else ROUNDS)
    return Resolved(
        api=load.api or API,
        **_loop(load),
        warmup=load.warmup,
        repeats=load.repeats or (REPEATS_WITH_ROUNDS if rounds >= ENOUGH_ROUNDS else REPEATS),
        max_seconds=load.max_seconds or MAX_SECONDS,
        validity=complete(load.validity),
        rounds=rounds,
        reference=(spec.per.reference if spec.per else None) or spec.models[0].name,
        unloaded_requests=UNLOADED_REQUESTS if _asks_unloaded(spec) else None,
    )


def _asks_unloaded(spec: "BenchmarkSpec") -> bool:
    return spec.per is not None and spec.per.latency_basis is LatencyBasis.UNLOADED


def _loop(load: LoadSpec) -> dict[str, Any]:
    """The fields of `Resolved` that say which loop it is."""
    if load.rate is None:
        return {"concurrency": _concurrency(load)}
    arrival = load.arrival or ARRIVAL
    fields = {"rate": load.rate, "arrival": arrival, "max_in_flight": load.max_in_flight or MAX_IN_FLIGHT}
    return fields | ({"burstiness": load.burstiness or BURSTINESS} if arrival is Arrival.GAMMA else {})


def complete(validity: ValiditySpec | None) -> ValiditySpec:
    """The limits that hold: those written, over the defaults."""
    return VALIDITY.model_copy(update=validity.model_dump(exclude_none=True) if validity else {})


def least_items(concurrency: int | None) -> int:
    """Items that a task needs at least; concurrency None: an open loop."""
    return OPEN_LOOP_ITEMS if concurrency is None else ITEMS_PER_SLOT * concurrency


def concurrency_of(spec: "BenchmarkSpec") -> int | None:
    """Requests in flight that `spec` asks for; None: an open loop."""
    return _concurrency(spec.load or LoadSpec())


def _concurrency(load: LoadSpec) -> int | None:
    return None if load.rate is not None else load.concurrency or CONCURRENCY


def serving_of(spec: "BenchmarkSpec", model: "ModelSpec", platform: Serving | None = None) -> Serving | None:
    """How `model` is served: its own `serving` over the benchmark's over the platform's. None for an endpoint.

    What is of one model server only (`OF_A_RUNTIME`) comes from those of them whose runtime is the model's. `runtime`,
    `args`, `env`, `replicas` and `prefix_cache` are always filled.
    """
    if model.endpoint is not None:
        return None
    layers = [Serving(runtime=RUNTIME, args=(), env=(), replicas=1, prefix_cache=PrefixCache.OFF)]
    for upper in (platform, spec.serving, model.serving):
        if upper is not None:
            layers.append(upper.model_copy(update={"runtime": upper.runtime or layers[-1].runtime}))
    runtime, without = layers[-1].runtime, dict.fromkeys(OF_A_RUNTIME)
    of_others = [layer if layer.runtime is runtime else layer.model_copy(update=without) for layer in layers[1:]]
    return reduce(_over, of_others, layers[0])


def _over(lower: Serving, upper: Serving) -> Serving:
    """`upper`'s fields over `lower`'s; variables, selectors and quantities are merged by name."""
    update = {name: value for name in Serving.model_fields if (value := getattr(upper, name)) is not None}
    env: dict[str, EnvVar] = {variable.name: variable for variable in (*(lower.env or ()), *(upper.env or ()))}
    update["env"] = tuple(env.values())
    if upper.node_selector is not None:
        update["node_selector"] = {**(lower.node_selector or {}), **upper.node_selector}
    if upper.resources is not None:
        update["resources"] = merged_resources(lower.resources, upper.resources)
    return lower.model_copy(update=update)


def merged_resources(lower: Resources | None, upper: Resources | None) -> Resources:
    """Requests and limits of `upper` over those of `lower`, quantity by quantity."""
    low, high = lower or Resources(), upper or Resources()
    requests, limits = {**(low.requests or {}), **(high.requests or {})}, {**(low.limits or {}), **(high.limits or {})}
    return Resources(requests=requests or None, limits=limits or None)


def client_of(spec: "BenchmarkSpec", platform: ClientSpec | None = None) -> ClientSpec:
    """The bench pod: what the benchmark says over the platform's over the defaults."""
    own = (spec.load.client if spec.load else None) or ClientSpec()
    layers = [CLIENT, platform or ClientSpec(), own]
    given = {
        name: value
        for layer in layers
        for name in ClientSpec.model_fields
        if (value := getattr(layer, name)) is not None
    }
    given["resources"] = reduce(merged_resources, (layer.resources for layer in layers))
    return ClientSpec(**given)


def execution_of(spec: "BenchmarkSpec") -> ExecutionSpec:
    """How the run is carried out in a cluster: every field filled but `rounds`."""
    own = spec.execution or ExecutionSpec()
    update = {name: value for name in ExecutionSpec.model_fields if (value := getattr(own, name)) is not None}
    deadlines = own.deadlines.model_dump(exclude_none=True) if own.deadlines else {}
    update["deadlines"] = (EXECUTION.deadlines or Deadlines()).model_copy(update=deadlines)
    return EXECUTION.model_copy(update=update)


def limit_of(task: TaskSpec) -> int | None:
    """Items measured per repeat, as far as the benchmark alone tells. None: all that the task has."""
    there = _items_of(task)
    if there is not None:
        return min(task.limit or there, there)
    return task.limit or (SYNTHETIC_LIMIT if task.synthetic is not None else None)


def _items_of(task: TaskSpec) -> int | None:
    """Items that a task has. None: as many as are asked for, or as a file elsewhere has."""
    if task.preset is not None:
        return PRESET_ITEMS[task.preset]
    return len(task.dataset.inline) if task.dataset is not None and task.dataset.inline is not None else None


def max_tokens_of(task: TaskSpec) -> int:
    """Output tokens at most."""
    return task.synthetic.output_tokens if task.synthetic is not None else task.max_tokens or MAX_TOKENS


def is_kept_by_tgi(task: TaskSpec) -> bool:
    """Whether TGI gives no more output tokens than were asked for."""
    tokens = max_tokens_of(task)
    return tokens <= TGI_PIECE or tokens % TGI_PIECE == 0
