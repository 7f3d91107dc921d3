"""What a bench pod is told to do: everything resolved, nothing left to decide."""

from collections.abc import Iterable
from typing import Self

from pydantic import Field, JsonValue, model_validator

from perbench.api.decimals import as_float
from perbench.api.defaults import MAX_IN_FLIGHT, VALIDITY
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
        given = VALIDITY.model_dump() | spec.model_dump(exclude_none=True)
        return cls(**{name: as_float(value) for name, value in given.items()})


DEFAULT_VALIDITY = Validity.of(VALIDITY)


class LoadPlan(Document):
    """How the server is asked: a closed loop (`concurrency` requests in flight) or an open one (`arrivals`)."""

    concurrency: int | None = Field(ge=1, default=None)
    arrivals: ArrivalPlan | None = None
    warmup: Warmup | None = None
    max_seconds: float = Field(gt=0)
    request_timeout_seconds: float = Field(gt=0, default=600)
    idle_timeout_seconds: float = Field(gt=0, default=120)
    """Silence in the middle of an answer after which the server is taken for stuck."""
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


class MemorySource(Document):
    """Where memory is read: the processes of the server on this machine."""

    process_ids: tuple[int, ...]


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

    def to_json(self) -> str:
        """As a bench process reads it: only what was set, since optional fields of the API refuse empty values."""
        return self.model_dump_json(by_alias=True, exclude_unset=True)

    @property
    def stage_keys(self) -> tuple[StageKey, ...]:
        """Every stage, in the order they run."""
        return stage_keys([task.name for task in self.tasks], self.repeats, unloaded=self.unloaded_requests is not None)
