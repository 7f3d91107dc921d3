"""`status`: what came out, as the resource carries it. Numbers with decimals are text (see `decimal_text`).

Absent is "not measured" or "not decided yet", never 0.
"""

from datetime import UTC, datetime
from decimal import Context, Decimal
from enum import StrEnum
from typing import Annotated

from pydantic import AfterValidator, AwareDatetime, BeforeValidator, Field

from perbench.api.baseline import BaselineStatus
from perbench.api.defaults import Resolved
from perbench.api.rules import ApiObject, ListMap
from perbench.api.text import REASON, RUN_ID, THROUGHPUT_UNIT, DecimalText, Name
from perbench.failures import Failure, shorten

Count = Annotated[int, Field(ge=0, le=2**53)]
WARNINGS_LIMIT = 20
"""Warnings that the status has room for."""
REQUEST_LIMIT = 253
"""Characters of the annotation that asks for a run: it is kept in the status."""


def _whole_seconds(time: datetime) -> datetime:
    return time.astimezone(UTC).replace(microsecond=0)


Time = Annotated[AwareDatetime, AfterValidator(_whole_seconds)]
"""A moment in UTC, to the second, as Kubernetes writes it."""


def _cut(limit: int) -> BeforeValidator:
    """Longer texts lose their beginning: the status has a size limit, and the results have them whole."""
    return BeforeValidator(lambda value: shorten(value, limit) if isinstance(value, str) else value)


class Phase(StrEnum):
    """Where the run stands, for people. Programs read the conditions."""

    PENDING = "Pending"
    QUEUED = "Queued"
    STARTING_MODEL = "StartingModel"
    MEASURING = "Measuring"
    SUSPENDED = "Suspended"
    SUCCEEDED = "Succeeded"
    FAILED = "Failed"


class ModelPhase(StrEnum):
    """Where one model stands."""

    PENDING = "Pending"
    STARTING = "Starting"
    MEASURING = "Measuring"
    SUCCEEDED = "Succeeded"
    FAILED = "Failed"


class ConditionType(StrEnum):
    """What is said of a run, each Unknown until it is decided. `Regressed` is said of those with a baseline only,
    `Annotated` only where the operator has a Grafana."""

    ACCEPTED = "Accepted"
    MODELS_READY = "ModelsReady"
    LOAD_FINISHED = "LoadFinished"
    MEASUREMENT_VALID = "MeasurementValid"
    SUCCEEDED = "Succeeded"
    REGRESSED = "Regressed"
    ANNOTATED = "Annotated"


class ConditionStatus(StrEnum):
    """The three values of a condition."""

    TRUE = "True"
    FALSE = "False"
    UNKNOWN = "Unknown"


class Condition(ApiObject):
    """One observation about the run, in the form that Kubernetes gives to conditions."""

    type: ConditionType
    """What is said: `Accepted`, `ModelsReady`, `LoadFinished`, `MeasurementValid`, `Succeeded`; where the benchmark
    has a `baselineRef`, `Regressed`; where the operator has a Grafana, `Annotated`."""
    status: ConditionStatus
    """`True`, `False`, or `Unknown` while it is not decided."""
    observed_generation: Count | None = None
    """The generation of the spec this was said of."""
    last_transition_time: Time
    """When `status` last changed."""
    reason: Annotated[str, Field(pattern=REASON, min_length=1, max_length=64)]
    """Why, as one CamelCase word."""
    message: Annotated[str, Field(max_length=1024)]
    """Why, for people."""


class RunStatus(ApiObject):
    """The run that this status is about."""

    id: Annotated[str, Field(pattern=RUN_ID, max_length=10)]
    """The run's id. It depends on the benchmark's uid, on what the spec measures and on `request`, on nothing else."""
    request: Annotated[str | None, Field(max_length=REQUEST_LIMIT)] = None
    """The value of the annotation `perbench.dev/run` that asked for it."""
    version: Annotated[str | None, Field(max_length=64)] = None
    """The version of perbench that carries it out, to its end."""
    resolved: Resolved | None = None
    """The settings it uses: what was written, and the defaults where nothing was."""
    resumed_time: Time | None = None
    """When it last went on after a suspension or a wait in the queue."""
    active_seconds: Count | None = None
    """How long it had been under way before that, or before the suspension or the wait that it is in now. With the time
    since it went on that is what `execution.deadlines.totalSeconds` limits."""


class RefusedRun(ApiObject):
    """A run that was asked for and has not begun: it was not accepted, or is suspended."""

    id: Annotated[str | None, Field(pattern=RUN_ID, max_length=10)] = None
    """The id it would have had. Absent where the spec cannot be read."""
    request: Annotated[str | None, Field(max_length=REQUEST_LIMIT)] = None
    """The value of the annotation `perbench.dev/run` that asked for it; of a longer one its beginning."""


class ProgressStatus(ApiObject):
    """How far the run is."""

    completed: Count
    """Stages recorded."""
    total: Count
    """Stages of the whole run: models x tasks x rounds x repeats; with Unloaded latency one more per round."""
    message: Annotated[str | None, Field(max_length=256)] = None
    """What is going on now."""


class Best(ApiObject):
    """The model that wins most tasks on the Reference scale; ties are settled by the geometric mean over the tasks."""

    model: Name
    """Its name in `spec.models`."""
    tasks_won: Count
    """On how many tasks it has the highest Reference PER."""
    tasks: Count
    """How many tasks there are."""
    reference_per: DecimalText | None = None
    """Geometric mean of its Reference PER over the tasks."""


class TaskStatus(ApiObject):
    """One model on one task: the four axes, and PER. All repeats and rounds together."""

    name: Name
    """The task's name in `spec.tasks`."""
    accuracy: DecimalText | None = None
    """Mean score of the answers, 0 to 1. Absent for synthetic tasks, and under 99 % of items scored."""
    throughput: DecimalText | None = None
    """Work per second, in `throughputUnit`."""
    throughput_unit: Annotated[str | None, Field(pattern=THROUGHPUT_UNIT, max_length=24)] = None
    """What `throughput` counts, and per what: such as `tokens/s per server`."""
    latency_milliseconds: DecimalText | None = None
    """Time per output token; for classification per item. Of what: `per.latencyBasis`."""
    memory_mebibytes: DecimalText | None = None
    """Memory of one server, all of its accelerators together: the mean of the stages' peaks. Of what:
    `per.memoryBasis`."""
    per: DecimalText | None = None
    """PER on the Published scale, 0 to 1, among the models compared here. Absent under four models without fixed
    bounds."""
    per_low: DecimalText | None = None
    """Lower end of its 95 % interval. With one round it holds within one launch. Absent under three replicates, and
    where `per` is 0."""
    per_high: DecimalText | None = None
    """Upper end of its 95 % interval."""
    reference_per: DecimalText | None = None
    """PER on the Reference scale: 1 is the reference model, 2 is twice as good. It does not depend on the others."""
    reference_per_low: DecimalText | None = None
    """Lower end of its 95 % interval. With one round it holds within one launch. Absent under three replicates."""
    reference_per_high: DecimalText | None = None
    """Upper end of its 95 % interval. The reference model's own is 1 to 1."""
    pareto_optimal: bool | None = None
    """Whether no other model is at least as good on every axis and better on one."""
    error_percent: DecimalText | None = None
    """Share of measured requests that failed."""
    valid: bool | None = None
    """Whether the figures can be trusted. False: see `warnings`."""
    ttft_p95_milliseconds: DecimalText | None = None
    """95th percentile of the time to first token, from when the request was due. From 200 requests on."""
    client_error_milliseconds: DecimalText | None = None
    """What the load generator added to the median request: a bias, beside the intervals and not in them."""


class ModelStatus(ApiObject):
    """One model of the comparison."""

    name: Name
    """Its name in `spec.models`."""
    phase: ModelPhase
    """`Pending`, `Starting`, `Measuring`, `Succeeded` or `Failed`."""
    runtime: Annotated[str, _cut(16), Field(max_length=16)] | None = None
    """The model server that really served it. Absent for an endpoint."""
    image: Annotated[str, _cut(128), Field(max_length=128)] | None = None
    """In a cluster: the server's image, as it was asked for; of a longer name the end."""
    image_digest: Annotated[str, _cut(72), Field(max_length=72)] | None = None
    """In a cluster: the digest of the image that really ran."""
    node: Annotated[str, _cut(64), Field(max_length=64)] | None = None
    """In a cluster: the node that the first replica of the last round ran on; of a longer name the end."""
    accelerator: Annotated[str, _cut(96), Field(max_length=96)] | None = None
    """In a cluster: count and product of each replica's accelerators, such as `2 x NVIDIA-A100-SXM4-80GB`."""
    revision: Annotated[str, _cut(64), Field(max_length=64)] | None = None
    """The commit of the model's repository that was served."""
    ready_seconds: Count | None = None
    """Seconds from start to readiness, rounded up; the longest of all rounds."""
    tasks: Annotated[tuple[TaskStatus, ...], Field(max_length=16), ListMap("name")] = ()
    """Its figures, by task."""


class Ranking(ApiObject):
    """The models of one task in order."""

    task: Name
    """The task's name in `spec.tasks`."""
    order: Annotated[tuple[Name, ...], Field(max_length=32)]
    """Models by Reference PER, the best first. Models that failed are not in it."""
    probability_best: DecimalText | None = None
    """How likely the first in `order` has the highest Reference PER, 0 to 1: the share of draws of the figures in which
    it has. Absent where there are no intervals."""


class StatusWarning(ApiObject):
    """Something a reader of the figures must know."""

    reason: Annotated[str, Field(pattern=REASON, min_length=1, max_length=64)]
    """What, as one CamelCase word: `TooFewModels`, `NotSteady`, `StageTimeLimit` ..."""
    message: Annotated[str, Field(max_length=384)]
    """What, for people, and what to do about it."""
    model: Name | None = None
    """The model it is about, if one."""
    task: Name | None = None
    """The task it is about, if one."""


class ResultsRef(ApiObject):
    """Where all figures are."""

    name: Annotated[str, Field(min_length=1, max_length=253)]
    """In a cluster: the ConfigMap of the first model, whose labels all of the run have. Local mode: the file beside
    `status.yaml`."""


class Status(ApiObject):
    """What came out. Written by perbench."""

    observed_generation: Count | None = None
    """The generation of the spec that this status is about."""
    run: RunStatus | None = None
    """The run that this status is about."""
    refused: RefusedRun | None = None
    """The run that was asked for last, where it was not accepted, or is suspended before it has begun. `run` and its
    figures are then those of the run before, if there has been one."""
    phase: Phase | None = None
    """Where the run stands, for people: `Pending`, `Queued`, `StartingModel`, `Measuring`, `Suspended`,
    `Succeeded` or `Failed`. Programs read `conditions`."""
    phase_start_time: Time | None = None
    """In a cluster: since when the run stands in `phase`, with the model that is at hand."""
    start_time: Time | None = None
    """When the run started."""
    completion_time: Time | None = None
    """When it ended, well or not."""
    conditions: Annotated[tuple[Condition, ...], Field(max_length=7), ListMap("type")] = ()
    """Observations about the run. `Succeeded` is the last word; its reason says why not. `Annotated`, where the
    operator has a Grafana: whether the run is marked in it."""
    progress: ProgressStatus | None = None
    """How far the run is."""
    compared_models: Annotated[int | None, Field(ge=0, le=32)] = None
    """How many models PER was computed over: all, less those that failed."""
    best: Best | None = None
    """The model that wins most tasks on the Reference scale."""
    models: Annotated[tuple[ModelStatus, ...], Field(max_length=32), ListMap("name")] = ()
    """The models and their figures."""
    ranking: Annotated[tuple[Ranking, ...], Field(max_length=16), ListMap("task")] = ()
    """The models of each task in order."""
    baseline: BaselineStatus | None = None
    """The run that this one was held against, and what got worse. Absent without `baselineRef`, and where no such run
    was found."""
    warnings: Annotated[tuple[StatusWarning, ...], Field(max_length=WARNINGS_LIMIT)] = ()
    """What a reader of the figures must know."""
    failure: Failure | None = None
    """The first thing that went wrong: whose affair it is (`blame`), and why."""
    results_ref: ResultsRef | None = None
    """Where all figures are."""


DECIMALS = Decimal("1e-13")
"""The last place that fits into a DecimalText."""
LARGEST_DECIMAL = 1e15
"""Numbers from here on do not fit into a DecimalText."""


def decimal_text(value: float, digits: int = 4) -> str:
    """`value` as status text: plain notation, rounded half-even to `digits` significant digits.

    What is smaller than the thirteenth decimal reads 0. ValueError for a value of 1e15 or more, either way.

    >>> [decimal_text(x) for x in (0.87312, 1234567.0, 2.0, 1e-7)]
    ['0.8731', '1235000', '2', '0.0000001']
    """
    if not abs(value) < LARGEST_DECIMAL:
        raise ValueError(f"{value} does not fit into the status")
    rounded = Context(prec=digits).create_decimal(Decimal(repr(value)))
    text = f"{rounded if abs(value) >= 1 else rounded.quantize(DECIMALS):f}"
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return "0" if text in {"-0", ""} else text
