"""What a bench pod is told to do: everything resolved, nothing left to decide."""

from collections.abc import Iterable

from pydantic import Field, JsonValue

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


class LoadPlan(Document):
    """The closed loop: how many in flight, how long at most (seconds)."""

    concurrency: int = Field(ge=1)
    warmup: Warmup | None = None
    max_seconds: float = Field(gt=0)
    request_timeout_seconds: float = Field(gt=0, default=600)
    idle_timeout_seconds: float = Field(gt=0, default=120)
    """Silence in the middle of an answer after which the server is taken for stuck."""


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

    def to_json(self) -> str:
        """As a bench process reads it: only what was set, since optional fields of the API refuse empty values."""
        return self.model_dump_json(by_alias=True, exclude_unset=True)

    @property
    def stage_keys(self) -> tuple[StageKey, ...]:
        """Every stage, in the order they run."""
        return stage_keys([task.name for task in self.tasks], self.repeats, unloaded=self.unloaded_requests is not None)
