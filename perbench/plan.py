"""What a bench pod is told to do: everything resolved, nothing left to decide."""

from enum import StrEnum

from pydantic import Field, JsonValue

from perbench.base import Document


class Protocol(StrEnum):
    """How a server is spoken to."""

    TGI = "TGI"
    OPENAI = "OpenAI"
    OPENAI_CHAT = "OpenAIChat"


class TaskKind(StrEnum):
    """What throughput counts: tokens per second (Generation, Synthetic) or items per second (Classification)."""

    GENERATION = "Generation"
    CLASSIFICATION = "Classification"
    SYNTHETIC = "Synthetic"


class Scorer(StrEnum):
    """How an answer is judged; see perbench_bench.tasks.scoring."""

    EXACT_MATCH = "ExactMatch"
    CONTAINS = "Contains"
    REGEX = "Regex"
    CHOICE = "Choice"
    F1 = "F1"


class Scoring(Document):
    """A scorer with its settings. `pattern` is for Regex (first group is the answer), `choices` for Choice."""

    scorer: Scorer
    pattern: str | None = None
    choices: tuple[str, ...] = ()


class Item(Document):
    """One prompt as it is sent, and the answers that count as right (any of them)."""

    id: str
    prompt: str
    answers: tuple[str, ...] = ()


class SyntheticPlan(Document):
    """A load without answers: prompts of about `input_tokens`, outputs of `output_tokens` where it can be told."""

    input_tokens: int = Field(ge=1)
    output_tokens: int = Field(ge=1)
    items: int = Field(ge=1)


class TaskPlan(Document):
    """One task: the measured items in their order, and spare items for warm-up and filler (may be none)."""

    name: str
    kind: TaskKind
    max_tokens: int = Field(ge=1)
    items: tuple[Item, ...] = ()
    spare: tuple[Item, ...] = ()
    scoring: Scoring | None = None
    synthetic: SyntheticPlan | None = None


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
    tasks: tuple[TaskPlan, ...]
    memory: MemorySource | None = None
    seed: int = 42

    @property
    def stage_keys(self) -> tuple[tuple[str, int], ...]:
        """(task, repeat) of every stage, in the order they run."""
        return tuple((task.name, repeat) for task in self.tasks for repeat in range(self.repeats))
