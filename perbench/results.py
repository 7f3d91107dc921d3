"""What was measured: the stable format of results.json. Everything else (status, report, PER) is computed from it.

Times are milliseconds, sizes bytes, rates per second, unless a name says otherwise. `None` is "not measured", never 0.
"""

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum

from pydantic import Field, JsonValue

from perbench.api.defaults import Resolved
from perbench.base import Document
from perbench.failures import Failure

SCHEMA_VERSION = 1


class TaskKind(StrEnum):
    """What throughput counts: tokens per second (Generation, Synthetic) or items per second (Classification)."""

    GENERATION = "Generation"
    CLASSIFICATION = "Classification"
    SYNTHETIC = "Synthetic"


class Outcome(StrEnum):
    """How a request ended (measurement.md §1)."""

    SUCCESS = "Success"
    OVERLOADED = "Overloaded"
    CLIENT_ERROR = "ClientError"
    SERVER_ERROR = "ServerError"
    CONNECT_FAILED = "ConnectFailed"
    TIMEOUT = "Timeout"
    TRUNCATED = "Truncated"
    MALFORMED = "Malformed"
    DROPPED = "Dropped"


class Finding(Document):
    """One line of a verdict, as data: what was measured against which limit, and what to do about it."""

    code: str = Field(pattern=r"^[A-Z][A-Za-z]*$")
    invalidates: bool
    measured: float | None
    threshold: float | None
    unit: str
    rule: str
    advice: str


class TokensPerChunk(StrEnum):
    """Where the number of tokens in a chunk comes from."""

    REPORTED = "Reported"
    ESTIMATED = "Estimated"


class Histogram(Document):
    """Log-linear histogram: `counts[i]` observations in bin `bins[i]`, empty bins left out. Values in milliseconds."""

    bins: tuple[int, ...] = ()
    counts: tuple[int, ...] = ()
    total: int = 0
    sum: float = 0.0
    max: float | None = None


class RequestColumns(Document):
    """One row per measured request, in the order sent; columns have equal lengths."""

    item: tuple[int, ...]
    outcome: tuple[Outcome, ...]
    sent_seconds: tuple[float, ...]
    """When it was sent, from the opening of the window."""
    ttft_ms: tuple[float | None, ...]
    ttft_sent_ms: tuple[float | None, ...]
    connect_ms: tuple[float, ...]
    e2e_ms: tuple[float | None, ...]
    tpot_ms: tuple[float | None, ...]
    input_tokens: tuple[int | None, ...]
    output_tokens: tuple[int | None, ...]
    cached_tokens: tuple[int | None, ...]
    finish: tuple[str | None, ...]
    score: tuple[float | None, ...]
    """0 to 1 as the scorer gave it; None: not scored. A failed item asked again after the window is scored here."""
    answer: tuple[str | None, ...]


class ClientRecord(Document):
    """What the load generator did to the figures (measurement.md §4)."""

    error_p50_ms: float | None
    error_p99_ms: float | None
    error_tail_percentile: float | None
    """The percentile `error_p99_ms` really is (99 from 1,000 requests, lower below)."""
    read_delay_p50_ms: float | None
    run_queue_wait_ms: float | None
    """Mean wait for a core per wake-up of the load generator's thread. None: the kernel does not say."""
    concurrency_delivered: float | None
    cpu_ms_per_request: float | None
    peak_rss_bytes: int


class MemoryRecord(Document):
    """Memory of the model's server within the window."""

    footprint_bytes: int | None
    """Peak of the sum of the proportional set sizes (PSS) of its processes."""
    resident_peak_bytes: int | None
    """Sum of the largest resident sizes (VmHWM) of its processes."""
    anonymous_peak_bytes: int | None = None
    """Peak of the sum of resident pages without a file behind them (RssAnon and RssShmem)."""
    file_peak_bytes: int | None = None
    """Peak of the sum of resident pages of mapped files (RssFile). What processes share counts in each of them."""
    samples: int
    source: str
    reason: str | None = None
    """Why there is no figure, where there is none."""


class StageRecord(Document):
    """One task, one repeat: a load from warm-up to the last answer."""

    task: str
    round: int
    repeat: int
    started_at: datetime
    concurrency: int
    warmup_requests: int
    filler_requests: int
    window_seconds: float
    output_tokens_in_window: int
    requests_in_window: int
    requests: RequestColumns
    itl: Histogram
    chunk_gap: Histogram
    tokens_per_chunk: TokensPerChunk | None
    tokens_per_chunk_ratio: float | None
    prompt_fit: Mapping[str, float] = Field(default_factory=dict)
    memory: MemoryRecord | None
    client: ClientRecord
    findings: tuple[Finding, ...]
    """Empty when nothing was wrong; see `valid`."""

    @property
    def valid(self) -> bool:
        """Whether the figures can be trusted: no finding invalidates them."""
        return not any(finding.invalidates for finding in self.findings)

    @property
    def key(self) -> tuple[str, int, int]:
        """(task, round, repeat): what is never measured twice in one run."""
        return (self.task, self.round, self.repeat)


class LaunchRecord(Document):
    """One start of one model: a round."""

    round: int
    order: int
    """Position among the models of this round, from 0 (the order is counterbalanced over rounds)."""
    ready_seconds: float | None = None
    stages: tuple[StageRecord, ...] = ()
    failure: Failure | None = None


class ModelRecord(Document):
    """One entry of `spec.models` as it was really served."""

    name: str
    source: Mapping[str, JsonValue]
    """kind (Packaged, File, Hub, Endpoint), file name, sha256, bytes, revision, url … what identifies the model."""
    runtime: str | None
    """Runtime that really served it. None: an endpoint."""
    substituted_for: str | None = None
    """The runtime the file asked for, where another one had to serve."""
    runtime_version: str | None = None
    server_arguments: Mapping[str, JsonValue] = Field(default_factory=dict)
    throughput_unit: str
    """accelerator, server or endpoint (measurement.md §2)."""
    units: int = 1
    memory_basis: str | None = "Footprint"
    launches: tuple[LaunchRecord, ...] = ()

    @property
    def failure(self) -> Failure | None:
        """The first failure of any launch: a model that failed once leaves the comparison."""
        return next((launch.failure for launch in self.launches if launch.failure), None)

    def stages(self, task: str) -> tuple[StageRecord, ...]:
        """All stages of one task, over rounds and repeats."""
        return tuple(stage for launch in self.launches for stage in launch.stages if stage.task == task)


class TaskRecord(Document):
    """A task as it was really put: enough to know two results asked the same."""

    name: str
    kind: TaskKind
    items: int
    sha256: str
    """Over the rendered prompts, answers, scoring and token limit."""
    max_tokens: int


class Results(Document):
    """results.json."""

    schema_version: int = SCHEMA_VERSION
    name: str
    run_id: str
    spec: Mapping[str, JsonValue]
    """The spec of the run, canonical form."""
    resolved: Resolved
    """The settings it used: what the spec says, and the defaults of that version where it says nothing."""
    start_time: datetime
    completion_time: datetime | None = None
    interrupted: bool = False
    stopped: Failure | None = None
    """Why the run could not go on to its end, where no model is to blame: a full disk. It continues when told to."""
    provenance: Mapping[str, JsonValue]
    tasks: tuple[TaskRecord, ...]
    models: tuple[ModelRecord, ...]
