"""`spec.load`: how hard the models are asked, and for how long."""

from enum import StrEnum
from typing import Annotated, ClassVar

from pydantic import Field

from perbench.api.decimals import Percent, PositiveNumber, as_float
from perbench.api.pods import NodeSelector, Resources, Tolerations
from perbench.api.rules import ApiObject, Rule

MAX_RATE = 100_000
"""Requests per second of an open loop at most."""


class PromptApi(StrEnum):
    """Which of a server's routes carries the prompts."""

    COMPLETION = "Completion"
    CHAT = "Chat"


class Arrival(StrEnum):
    """How the gaps between requests of an open loop are spread."""

    POISSON = "Poisson"
    CONSTANT = "Constant"
    GAMMA = "Gamma"


class WarmupSpec(ApiObject):
    """What passes before the measured window opens. Both must be reached."""

    requests: Annotated[int, Field(ge=0, le=100_000)]
    """Requests completed before the window opens."""
    seconds: Annotated[int, Field(ge=0, le=3600)]
    """Seconds passed before the window opens."""


class ValiditySpec(ApiObject):
    """When a stage is no measurement: errors of the target, and what the load generator itself may add or lose."""

    error_percent: Percent | None = None
    """Failed requests above this: the model failed. Default 1."""
    client_error_milliseconds: PositiveNumber | None = None
    """The load generator may add this much to the median request, or `clientErrorPercent`. Default 0.5."""
    client_error_percent: Percent | None = None
    """As much, in percent of the median time to first token. The larger of the two holds. Default 2."""
    client_error_tail_milliseconds: PositiveNumber | None = None
    """It may add this much at the 99th percentile, or `clientErrorTailPercent`. Default 3."""
    client_error_tail_percent: Percent | None = None
    """As much, in percent of the 99th percentile of the time to first token. Default 10."""
    read_delay_milliseconds: PositiveNumber | None = None
    """Half of all tokens may wait this long before they are read, or `readDelayPercent`. Default 0.1."""
    read_delay_percent: Percent | None = None
    """As much, in percent of the median time per output token. Default 5."""
    read_delay_tail_milliseconds: PositiveNumber | None = None
    """One token in twenty-five may wait longer than this before it is read, or `readDelayTailPercent`. Default
    "1.5"."""
    read_delay_tail_percent: Percent | None = None
    """As much, in percent of the 95th percentile of the time between tokens. Default "7.5"."""
    concurrency_percent: Percent | None = None
    """Closed loop: at least this share of the concurrency must really be in flight. Default 95."""
    on_time_percent: Percent | None = None
    """Open loop: at least this share of the requests must leave on time, which is within 10 milliseconds or one mean
    gap of when they are due, whichever is longer. Default 98."""


class ClientSpec(ApiObject):
    """In a cluster: the bench pod, which carries the load generator."""

    resources: Resources | None = None
    """What its container asks for. Default: requests of 2 CPUs and 1Gi of memory, no CPU limit (a limit throttles it,
    and then its own verdict fails)."""
    node_selector: NodeSelector | None = None
    """Labels that its node must have."""
    tolerations: Tolerations | None = None
    """Taints of nodes that do not keep it away, as in a pod."""
    linger_seconds: Annotated[int | None, Field(ge=0, le=3600)] = None
    """How long it stays after its last stage, so that Prometheus reads the last values. Default 65."""


class LoadSpec(ApiObject):
    """A closed loop (`concurrency`: each request that ends is replaced at once) or an open one (`rate`: requests come
    when they are due, however many are under way)."""

    api: PromptApi | None = None
    """`Completion`: prompts are sent as they are. `Chat`: as a user's message, in the server's own template.
    One for all models. Default Completion."""
    concurrency: Annotated[int | None, Field(ge=1, le=4096)] = None
    """Closed loop: requests in flight. Every task needs at least four times as many items. Default 8, unless there is
    a `rate`."""
    rate: PositiveNumber | None = None
    """Open loop: requests per second, such as 4 or "0.5"."""
    arrival: Arrival | None = None
    """How the gaps between requests of an open loop are spread. `Poisson`: as those of many users who know nothing of
    each other. `Constant`: all alike. `Gamma`: by `burstiness`. Default Poisson."""
    burstiness: PositiveNumber | None = None
    """Shape of the Gamma distribution: 1 is Poisson; below it requests come in bursts, above it more evenly. Default
    "0.5"."""
    max_in_flight: Annotated[int | None, Field(ge=1, le=65_536)] = None
    """Open loop: requests due while so many are under way are not sent, and count as failed (`Dropped`).
    Default 4096."""
    warmup: WarmupSpec | None = None
    """Replaces the default warm-up. Closed loop: 2 x concurrency requests, and 10 seconds after a start of the
    server. Open loop: three median request durations, and 10 seconds after a start of the server."""
    repeats: Annotated[int | None, Field(ge=1, le=100)] = None
    """How often each task is measured within one round. Default 3, or 1 with three rounds or more."""
    max_seconds: Annotated[int | None, Field(ge=1, le=86_400)] = None
    """The longest one stage (one model, task and repeat) may take. One that reaches it keeps its figures
    and is not valid (`StageTimeLimit`). Default 1800."""
    validity: ValiditySpec | None = None
    """When a stage is no measurement. The defaults are those of docs/measurement.md; other limits are in the record."""
    client: ClientSpec | None = None
    """In a cluster: the pod that carries the load generator."""

    RULES: ClassVar[tuple[Rule, ...]] = (
        Rule(
            message="concurrency (closed loop) and rate (open loop) exclude each other: give one",
            cel="!has(self.concurrency) || !has(self.rate)",
            holds=lambda load: load.concurrency is None or load.rate is None,
            field="rate",
        ),
        Rule(
            message=f"rate is {MAX_RATE} requests per second at most",
            cel=f"!has(self.rate) || double(self.rate) <= {MAX_RATE}.0",
            holds=lambda load: load.rate is None or as_float(load.rate) <= MAX_RATE,
            field="rate",
        ),
        Rule(
            message="arrival is of an open loop: give a rate too",
            cel="!has(self.arrival) || has(self.rate)",
            holds=lambda load: load.arrival is None or load.rate is not None,
            field="arrival",
        ),
        Rule(
            message="burstiness is of arrival Gamma: give `arrival: Gamma` too",
            cel="!has(self.burstiness) || (has(self.arrival) && self.arrival == 'Gamma')",
            holds=lambda load: load.burstiness is None or load.arrival is Arrival.GAMMA,
            field="burstiness",
        ),
        Rule(
            message="maxInFlight is of an open loop: give a rate too",
            cel="!has(self.maxInFlight) || has(self.rate)",
            holds=lambda load: load.max_in_flight is None or load.rate is not None,
            field="maxInFlight",
        ),
    )
