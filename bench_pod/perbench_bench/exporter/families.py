"""Figures as metric families of prometheus-client: names, types, labels, what is left out. Pure.

docs/metrics.md tells the same to people. A series that has nothing to say is absent, never 0.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
)
from prometheus_client.utils import floatToGoString

from perbench_bench.exporter.buckets import (
    CLIENT_ERROR,
    INTER_TOKEN_LATENCY,
    REQUEST_DURATION,
    TIME_TO_FIRST_TOKEN,
    Bounds,
    Spread,
)
from perbench_bench.exporter.counts import OUTCOMES, Counts

TASK_LABELS = ("benchmark_namespace", "benchmark", "model", "task")
RUN_LABELS = TASK_LABELS[:-1]


@dataclass(frozen=True, slots=True)
class RunLabels:
    """Whose figures they are."""

    namespace: str
    benchmark: str
    model: str
    about: Mapping[str, str]
    """Labels of `perbench_run_info` alone."""

    @property
    def values(self) -> tuple[str, str, str]:
        """Those of `RUN_LABELS`."""
        return (self.namespace, self.benchmark, self.model)


@dataclass(frozen=True, slots=True)
class TaskFigures:
    """All there is to show of one task."""

    task: str
    progress: float
    """Share of its stages that is done, 0 to 1."""
    counts: Counts | None = None
    """None: no load of it has begun."""
    in_flight: int = 0
    memory: Mapping[str, int] = field(default_factory=dict)
    """By basis, while its stage runs."""
    memory_peak: Mapping[str, int] = field(default_factory=dict)
    memory_limit: int | None = None
    cpu_seconds: float | None = None
    """Of the server in all loads of the task."""
    accuracy: float | None = None


Series = tuple[tuple[str, ...], float]
"""The values of the labels beyond the task's, and what is shown."""


@dataclass(frozen=True, slots=True)
class Figure:
    """A family of counters or gauges, with a series per task and per value of `label`, where it has one."""

    name: str
    help: str
    unit: str
    of: Callable[[TaskFigures], Iterable[Series]]
    label: str | None = None

    @property
    def labels(self) -> tuple[str, ...]:
        """All of them."""
        return TASK_LABELS if self.label is None else (*TASK_LABELS, self.label)


@dataclass(frozen=True, slots=True)
class Distribution:
    """A family of histograms, with one per task."""

    name: str
    help: str
    bounds: Bounds
    of: Callable[[Counts], Spread | None]


DISTRIBUTIONS = (
    Distribution(
        "perbench_time_to_first_token_seconds",
        "Time to the first text, from when the request was due; measured requests that succeeded.",
        TIME_TO_FIRST_TOKEN,
        lambda counts: counts.ttft,
    ),
    Distribution(
        "perbench_inter_token_latency_seconds",
        "Time between output tokens; measured requests that succeeded. Absent where the server bundles tokens.",
        INTER_TOKEN_LATENCY,
        lambda counts: counts.itl,
    ),
    Distribution(
        "perbench_request_duration_seconds",
        "Time to the last byte, from when the request was due; measured requests that succeeded.",
        REQUEST_DURATION,
        lambda counts: counts.duration,
    ),
    Distribution(
        "perbench_client_error_seconds",
        "What the load generator itself added to the time to first token; measured requests that succeeded.",
        CLIENT_ERROR,
        lambda counts: counts.client_error,
    ),
)
COUNTERS = (
    Figure(
        "perbench_requests",
        "Requests that have ended, warm-up and filler included; Dropped ones were never sent.",
        "",
        lambda task: _outcomes(task.counts),
        "outcome",
    ),
    Figure(
        "perbench_output_tokens",
        "Tokens of successful answers as the server counts them, warm-up and filler included; at the answer's end.",
        "",
        lambda task: _one(task.counts.output_tokens if task.counts else None),
    ),
    Figure(
        "perbench_input_tokens",
        "Prompt tokens of successful requests as the server counts them, warm-up and filler included.",
        "",
        lambda task: _one(task.counts.input_tokens if task.counts else None),
    ),
    Figure(
        "perbench_model_cpu_seconds",
        "Processor time of the model's server while stages of the task ran, all replicas together.",
        "seconds",
        lambda task: _one(task.cpu_seconds),
    ),
)
GAUGES = (
    Figure(
        "perbench_requests_in_flight",
        "Requests under way, connecting included, warm-up and filler included.",
        "",
        lambda task: _one(task.in_flight if task.counts else None),
    ),
    Figure(
        "perbench_model_memory_bytes",
        "Memory of the model's server now, while a stage of the task runs; of several replicas the largest.",
        "bytes",
        lambda task: _by_basis(task.memory),
        "basis",
    ),
    Figure(
        "perbench_model_memory_peak_bytes",
        "The most memory of the model's server in any stage of the task; of several replicas the largest.",
        "bytes",
        lambda task: _by_basis(task.memory_peak),
        "basis",
    ),
    Figure(
        "perbench_model_memory_limit_bytes",
        "What the container of the model's server may use.",
        "bytes",
        lambda task: _one(task.memory_limit),
    ),
    Figure(
        "perbench_accuracy_ratio",
        "Mean score over the recorded stages of the task, 0 to 1.",
        "ratio",
        lambda task: _one(task.accuracy),
    ),
    Figure(
        "perbench_progress_ratio",
        "Share of the task's stages in this start of the model that is done, 0 to 1.",
        "ratio",
        lambda task: _one(task.progress),
    ),
)


def families(run: RunLabels, tasks: Sequence[TaskFigures]) -> Iterator[Metric]:
    """Everything a bench pod shows, in a fixed order. A family without a series is left out."""
    yield InfoMetricFamily("perbench_run", "The run, round and attempt that this pod belongs to, and versions.", {
        **dict(zip(RUN_LABELS, run.values, strict=True)), **run.about,
    })  # fmt: skip
    for figure in COUNTERS:
        yield from _filled(
            CounterMetricFamily(figure.name, figure.help, labels=figure.labels, unit=figure.unit), figure, run, tasks
        )
    for figure in GAUGES:
        gauge = GaugeMetricFamily(figure.name, figure.help, labels=figure.labels, unit=figure.unit)
        yield from _filled(gauge, figure, run, tasks)
    for distribution in DISTRIBUTIONS:
        yield from _histogram(distribution, run, tasks)


def _filled(
    family: CounterMetricFamily | GaugeMetricFamily, figure: Figure, run: RunLabels, tasks: Sequence[TaskFigures]
) -> Iterator[Metric]:
    for task in tasks:
        for extra, value in figure.of(task):
            family.add_metric((*run.values, task.task, *extra), value)
    if family.samples:
        yield family


def _histogram(distribution: Distribution, run: RunLabels, tasks: Sequence[TaskFigures]) -> Iterator[Metric]:
    family = HistogramMetricFamily(distribution.name, distribution.help, labels=TASK_LABELS, unit="seconds")
    ends = [*map(floatToGoString, distribution.bounds), "+Inf"]
    for task in tasks:
        found = distribution.of(task.counts) if task.counts else None
        if found is not None:
            buckets = list(zip(ends, found.per_bucket.cumsum().tolist(), strict=True))
            family.add_metric((*run.values, task.task), buckets, found.sum_seconds)
    if family.samples:
        yield family


def _outcomes(counts: Counts | None) -> Iterable[Series]:
    """Every outcome from the beginning, so that the first failure is an increase."""
    if counts is None:
        return ()
    return [((outcome.value,), number) for outcome, number in zip(OUTCOMES, counts.outcomes.tolist(), strict=True)]


def _by_basis(figures: Mapping[str, int]) -> Iterable[Series]:
    return [((basis,), float(figure)) for basis, figure in figures.items()]


def _one(value: float | None) -> Iterable[Series]:
    return () if value is None else (((), value),)
