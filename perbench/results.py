"""What was measured: the stable format of results.json. Everything else (status, report, PER) is computed from it.

Times are milliseconds, sizes bytes, rates per second, unless a name says otherwise. `None` is "not measured", never 0.
"""

from collections.abc import Mapping
from enum import StrEnum

from pydantic import AwareDatetime, Field, JsonValue

from perbench.api.defaults import Resolved
from perbench.base import Document
from perbench.failures import Failure
from perbench.resources import MemoryRecord, ResourceUse

SCHEMA_VERSION = 1
SIZED_AT_START = "sizedAtStart"
"""Among a model's `serverArguments`: what its server says it made for the memory that it found, without a flag."""


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
    """What was found, as one CamelCase word that is never renamed."""
    invalidates: bool
    """Whether the stage's figures cannot be trusted."""
    measured: float | None
    """What was measured, in `unit`. None: there is no figure to it."""
    threshold: float | None
    """The limit it was held against, in `unit`."""
    unit: str
    """Of both figures."""
    rule: str
    """What was judged, in words."""
    advice: str
    """What to do about it."""


class TokensPerChunk(StrEnum):
    """Where the number of tokens in a chunk comes from."""

    REPORTED = "Reported"
    ESTIMATED = "Estimated"


class Histogram(Document):
    """Log-linear histogram: `counts[i]` observations in bin `bins[i]`, empty bins left out. Values in milliseconds."""

    bins: tuple[int, ...] = ()
    """Numbers of the bins that are not empty, rising. Bin 0 is below 1 µs; then 128 equal bins per power of two."""
    counts: tuple[int, ...] = ()
    """Observations in each of them."""
    total: int = 0
    """All observations."""
    sum: float = 0.0
    """Exact sum of all observations."""
    max: float | None = None
    """The largest observation. None: there is none."""


class RequestColumns(Document):
    """One row per measured request, in the order sent; columns have equal lengths."""

    item: tuple[int, ...]
    """Which of the task's items was asked, from 0."""
    outcome: tuple[Outcome, ...]
    """How the request ended."""
    sent_seconds: tuple[float, ...]
    """When it was sent, from the opening of the window."""
    ttft_ms: tuple[float | None, ...]
    """To the first chunk with text, from when the request was due: when its slot came free (closed loop), or as
    scheduled (open loop). None: no such chunk came."""
    ttft_sent_ms: tuple[float | None, ...]
    """To the same chunk, from when the request was sent."""
    connect_ms: tuple[float, ...]
    """Connecting (with TLS), where a new connection was needed; else 0. Part of `ttftMs`, not of `ttftSentMs`."""
    e2e_ms: tuple[float | None, ...] = Field(alias="e2eMs")
    """To the last byte, from when the request was due. None: it failed."""
    tpot_ms: tuple[float | None, ...]
    """Time per output token after the first chunk. None: all tokens came in one chunk, or the server counts none."""
    input_tokens: tuple[int | None, ...]
    """As the server counts them."""
    output_tokens: tuple[int | None, ...]
    """As the server counts them."""
    cached_tokens: tuple[int | None, ...]
    """Input tokens the server took from a cache, as it says."""
    finish: tuple[str | None, ...]
    """Why the server stopped: `stop`, `length` …"""
    score: tuple[float | None, ...]
    """0 to 1 as the scorer gave it; None: not scored. A failed item asked again after the window is scored here."""
    answer: tuple[str | None, ...]
    """What the model said. None: not kept, or nothing was said."""


class ClientRecord(Document):
    """What the load generator did to the figures."""

    error_p50_ms: float | None
    """Median of what the client added to a request. None: too few requests."""
    error_p99_ms: float | None
    """The highest percentile of the same that the number of requests allows."""
    error_tail_percentile: float | None
    """The percentile `errorP99Ms` really is (99 from 1,000 requests, lower below)."""
    read_delay_p50_ms: float | None
    """Median time between the arrival of bytes and their reading."""
    run_queue_wait_ms: float | None
    """Mean wait for a core per wake-up of the load generator's thread. None: the kernel does not say."""
    concurrency_delivered: float | None
    """Requests really in flight on average. Closed loop: the concurrency asked for, less what was lost to the client,
    to connecting and to rests after failures. Open loop: mean over the window."""
    on_time_percent: float | None = None
    """Open loop: share of the requests that left within 10 ms or one mean gap of when they were due. None: a closed
    loop."""
    cpu_ms_per_request: float | None
    """Processor time of the load generator per request."""
    peak_rss_bytes: int
    """Largest resident size of the load generator."""
    requests_per_address: tuple[int, ...] = ()
    """Requests sent to each address of the server's name, the most first. Empty: it has only one."""
    retries: int = 0
    """Requests of the whole load, warm-up included, that were sent once more because the connection kept for them was
    found dead. They count as one request each, and their wait for a new connection as connecting."""
    kept_connections: bool = True
    """Whether connections were kept for the next request to the end. Not where many were found dead."""


class ServerEvidence(Document):
    """What the server's own `/metrics` said of a stage, beside what the load generator knows. Counts are differences
    between a reading before the warm-up and one after the last answer; `null` is "the server does not say"."""

    kind: str | None
    """Which kind of server it is by the names of its metrics: `tgi`, `vllm`, `sglang`, `llamacpp`."""
    reason: str | None = None
    """Why there are no figures, or why some were not compared."""
    readings: int = 0
    """Readings within the window, one a second. The peaks are over them."""
    saturated: bool | None = None
    """Whether requests waited at the server in any of them."""
    queue_peak: int | None = None
    """Most requests that waited."""
    running_peak: int | None = None
    """Most requests that were being worked on."""
    kv_use_peak: float | None = None
    """Largest share of the KV cache in use, 0 to 1; of several servers, that of the fullest."""
    preemptions: int | None = None
    """Requests put back into the queue for want of memory."""
    cached_percent: float | None = None
    """Prompt tokens that came out of the server's cache."""
    requests_counted: int | None = None
    """Requests that ended, as the server counts them. None: it does not count every request once."""
    requests_sent: int = 0
    """Requests the load generator sent, warm-up and filler included, each attempt."""
    input_tokens_counted: int | None = None
    """Prompt tokens, as the server's metrics count them."""
    input_tokens_seen: int | None = None
    """The same as its answers say, warm-up and filler included. None: some do not."""
    output_tokens_counted: int | None = None
    """Generated tokens, as the server's metrics count them."""
    output_tokens_seen: int = 0
    """The same as its answers say, warm-up and filler included."""


class StageRecord(Document):
    """One task, one repeat: a load from warm-up to the last answer."""

    task: str
    """One of `tasks[].name`."""
    round: int
    """That of its launch, from 0."""
    repeat: int | None
    """Which measurement of the task within the round, from 0. None: the extra stage of one request at a time, for
    latency basis Unloaded. Only its latency is used."""
    started_at: AwareDatetime
    """When its warm-up began."""
    concurrency: int | None = None
    """Closed loop: requests in flight that were asked for. None: an open loop."""
    rate: float | None = None
    """Open loop: requests per second that were asked for. None: a closed loop."""
    warmup_requests: int
    """Sent before the window opened, and not measured."""
    filler_requests: int
    """Sent to keep the load up until the last measured request had ended, and not measured."""
    window_seconds: float
    """From the first measured request to the sending of the last one."""
    output_tokens_in_window: int
    """Tokens that arrived in the window, whoever asked for them."""
    requests_in_window: int
    """Requests that succeeded in the window, whoever asked for them."""
    requests: RequestColumns
    """The measured requests."""
    itl: Histogram
    """Times between tokens, over all tokens of all requests."""
    chunk_gap: Histogram
    """Times between chunks as they arrived: what a reader sees."""
    tokens_per_chunk: TokensPerChunk | None
    """Whether the server says how many tokens a chunk carries. None: nothing came in chunks."""
    tokens_per_chunk_ratio: float | None
    """Mean tokens per chunk. Where it is estimated and above 1.05, times between tokens are withheld."""
    prompt_fit: Mapping[str, float] = Field(default_factory=dict)
    """How prompts of a wanted length were made (synthetic loads). Empty for other tasks."""
    memory: MemoryRecord | None
    """None: the server runs elsewhere."""
    use: ResourceUse | None = None
    """None: nobody could be asked what the server used, or a perbench measured that did not ask."""
    server: ServerEvidence | None = None
    """What the server's own metrics said. None: measured by a perbench that did not read them."""
    request_parameters: Mapping[str, JsonValue] = Field(default_factory=dict)
    """What every request carried beside the prompt: sampling, token limit, cache settings."""
    client: ClientRecord
    """What the load generator did to the figures."""
    findings: tuple[Finding, ...]
    """What was found. Empty when nothing was wrong."""

    @property
    def valid(self) -> bool:
        """Whether the figures can be trusted: no finding invalidates them."""
        return not any(finding.invalidates for finding in self.findings)

    @property
    def key(self) -> tuple[str, int, int | None]:
        """(task, round, repeat): what is never measured twice in one run."""
        return (self.task, self.round, self.repeat)


class CalibrationRecord(Document):
    """How exactly the load generator's machine measured just before a launch: loads against a server that shares the
    machine and knows when each token really went. It is a property of the machine, beside all intervals and in none."""

    ttft_error_ms: float | None
    """The mean time to first token was off by this much at most in any load that was trusted. None: none was."""
    itl_error_ms: float | None
    """The mean time between tokens, likewise."""
    rate_trusted: float | None
    """Open loop: requests per second up to which every load was trusted. None: not even the lightest, or none was
    tried in the time there was."""
    concurrency_trusted: float | None
    """Closed loop: requests in flight, likewise."""
    advice: str
    """What to do about it, in words."""


class LaunchRecord(Document):
    """One start of one model: a round."""

    round: int
    """From 0."""
    order: int
    """Position among the models of this round, from 0 (the order is counterbalanced over rounds)."""
    ready_seconds: float | None = None
    """From its start to its first sign of readiness. None: nothing was started, or it never was ready."""
    accelerator: str | None = None
    """In a cluster: count and product of each replica's accelerators, such as `2 x NVIDIA-A100-SXM4-80GB`; of parts and
    shares of a device their resource too. None: it has none, or local mode."""
    image: str | None = None
    """In a cluster: the server's image, as it was asked for."""
    image_digest: str | None = None
    """In a cluster: the image that really ran."""
    revision: str | None = None
    """In a cluster: the commit of the hub that was loaded. None: neither server nor hub said it, or it is not of the
    hub."""
    calibration: CalibrationRecord | None = None
    """How exactly the load generator's machine measured before it. None: that was not tried, or did not succeed."""
    stages: tuple[StageRecord, ...] = ()
    """In the order they were measured."""
    failure: Failure | None = None
    """Why it came to no good end, where it did not."""

    @property
    def accelerator_product(self) -> str | None:
        """The product alone."""
        return self.accelerator.partition(" x ")[2] or self.accelerator if self.accelerator else None


class ModelRecord(Document):
    """One entry of `spec.models` as it was really served."""

    name: str
    """As in `spec.models`."""
    source: Mapping[str, JsonValue]
    """What identifies the model: kind (Packaged, File, Hub, Endpoint), file name, sha256, bytes, revision, url …"""
    runtime: str | None
    """Runtime that really served it. None: an endpoint."""
    substituted_for: str | None = None
    """The runtime the file asked for, where another one had to serve."""
    runtime_version: str | None = None
    """As the runtime says it."""
    server_arguments: Mapping[str, JsonValue] = Field(default_factory=dict)
    """In effect, as far as they are known; in a cluster also what its pods asked for. `sizedAtStart`: sizes that a
    server makes for the memory it finds, unless a flag says them."""
    throughput_unit: str
    """What throughput is per: accelerator, server or endpoint."""
    units: int = 1
    """How many of them serve the model: throughput is divided by it."""
    memory_basis: str | None = "Footprint"
    """What the memory figure counts. None: there is no source for it."""
    remarks: tuple[str, ...] = ()
    """What could not be learnt of the model or done before its load, for people."""
    launches: tuple[LaunchRecord, ...] = ()
    """One per round."""

    @property
    def failure(self) -> Failure | None:
        """The first failure of any launch: a model that failed once leaves the comparison."""
        return next((launch.failure for launch in self.launches if launch.failure), None)

    def stages(self, task: str) -> tuple[StageRecord, ...]:
        """All stages of one task under load, over rounds and repeats."""
        return tuple(stage for stage in self._stages(task) if stage.repeat is not None)

    def unloaded_stages(self, task: str) -> tuple[StageRecord, ...]:
        """The stages of one task with one request at a time, one per round; empty where nobody asked for them."""
        return tuple(stage for stage in self._stages(task) if stage.repeat is None)

    def _stages(self, task: str) -> tuple[StageRecord, ...]:
        return tuple(stage for launch in self.launches for stage in launch.stages if stage.task == task)


class TaskRecord(Document):
    """A task as it was really put: enough to know two results asked the same."""

    name: str
    """As in `spec.tasks`."""
    kind: TaskKind
    """What throughput counts."""
    items: int
    """Measured in each stage."""
    sha256: str
    """Over the rendered prompts, answers, scoring and token limit."""
    max_tokens: int
    """Output tokens per answer at most."""
    sources: tuple[int, ...] | None = None
    """A number per measured item, from 0: items with equal numbers share a source, such as a paragraph they ask about.
    None: every item is its own."""


class Results(Document):
    """results.json."""

    schema_version: int = SCHEMA_VERSION
    """Of this format. It rises when a field is removed, renamed or changes its meaning."""
    name: str
    """Of the benchmark."""
    run_id: str
    """Ten hexadecimal digits that stand for what was measured."""
    spec: Mapping[str, JsonValue]
    """The spec of the run, canonical form."""
    resolved: Resolved
    """The settings it used: what the spec says, and the defaults of that version where it says nothing."""
    start_time: AwareDatetime
    """When the first command of this run began."""
    completion_time: AwareDatetime | None = None
    """When it ended. None: it is not at its end."""
    interrupted: bool = False
    """Somebody stopped it; it can be continued."""
    stopped: Failure | None = None
    """Why the run could not go on to its end, where no model is to blame: a full disk. It continues when told to."""
    provenance: Mapping[str, JsonValue]
    """Machine and software: processor, cores, memory, kernel, versions. No host, user or path."""
    tasks: tuple[TaskRecord, ...]
    """What was asked, in the order of the spec."""
    models: tuple[ModelRecord, ...]
    """What was measured, in the order of the spec."""
