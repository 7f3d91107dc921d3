"""What a bench pod is told to do: everything resolved, nothing left to decide."""

from pydantic import Field, JsonValue

from perbench.api.models import Protocol
from perbench.api.tasks import TaskSpec
from perbench.base import Document


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
    tasks: tuple[TaskSpec, ...]
    memory: MemorySource | None = None
    seed: int = 42

    @property
    def stage_keys(self) -> tuple[tuple[str, int], ...]:
        """(task, repeat) of every stage, in the order they run."""
        return tuple((task.name, repeat) for task in self.tasks for repeat in range(self.repeats))
