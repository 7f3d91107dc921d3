"""Every metric that bench pods and the operator show (docs/metrics.md), with made-up values, for what asks for them."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum

CELL = ("benchmark_namespace", "benchmark", "model", "task")
Labels = tuple[tuple[str, str], ...]

BEGIN = 1_767_225_600
"""Of the data, in seconds since the epoch."""
SCRAPES, APART = 41, 15
"""So many scrapes, seconds apart: ten minutes."""
END = BEGIN + (SCRAPES - 1) * APART
BOUNDS = ("0.005", "0.05", "0.2", "1.0", "3.0", "+Inf")


class Kind(StrEnum):
    """How a metric changes."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


@dataclass(frozen=True)
class Metric:
    """One metric: every combination of its labels' values is a series."""

    name: str
    kind: Kind = Kind.GAUGE
    value: float = 1.0
    """Of a gauge; of a counter what each scrape adds, of a histogram so many observations."""
    cells: tuple[Labels, ...] = ((),)
    also: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """Labels beyond those of the cell, and their values."""

    @property
    def labels(self) -> set[str]:
        """Its labels, without the `le` of buckets."""
        return {name for cell in self.cells for name, _ in cell} | set(self.also)

    @property
    def series_names(self) -> set[str]:
        """What its series are called."""
        suffixes = ("_bucket", "_sum", "_count") if self.kind is Kind.HISTOGRAM else ("",)
        return {self.name + suffix for suffix in suffixes}


def of(task: str, model: str = "qwen-0.5b") -> Labels:
    """The labels of a model and task."""
    return tuple(zip(CELL, ("team-a", "bench", model, task), strict=True))


GENERATED = (of("answers"), of("answers", "qwen-1.5b"))
CLASSIFIED = (of("reviews"),)
CELLS = GENERATED + CLASSIFIED
MODELS = (of("answers")[:3],)
BENCHMARK = (of("answers")[:2],)
OUTCOMES = (
    "Success", "Overloaded", "ClientError", "ServerError", "ConnectFailed", "Timeout", "Truncated", "Malformed",
    "Dropped",
)  # fmt: skip
BASES = {"basis": ("Footprint", "Reserved", "Weights")}
PHASES = ("Pending", "Queued", "StartingModel", "Measuring", "Suspended", "Succeeded", "Failed")

OF_BENCH_PODS = (
    Metric("perbench_requests_total", Kind.COUNTER, 30.0, CELLS, {"outcome": OUTCOMES}),
    Metric("perbench_output_tokens_total", Kind.COUNTER, 3000.0, CELLS),
    Metric("perbench_input_tokens_total", Kind.COUNTER, 1500.0, CELLS),
    Metric("perbench_time_to_first_token_seconds", Kind.HISTOGRAM, 30.0, CELLS),
    Metric("perbench_inter_token_latency_seconds", Kind.HISTOGRAM, 3000.0, CELLS),
    Metric("perbench_request_duration_seconds", Kind.HISTOGRAM, 30.0, CELLS),
    Metric("perbench_client_error_seconds", Kind.HISTOGRAM, 30.0, CELLS),
    Metric("perbench_requests_in_flight", value=8.0, cells=CELLS),
    Metric("perbench_model_memory_bytes", value=3e9, cells=CELLS, also=BASES),
    Metric("perbench_model_memory_peak_bytes", value=4e9, cells=CELLS, also=BASES),
    Metric("perbench_model_memory_limit_bytes", value=8e9, cells=CELLS),
    Metric("perbench_model_cpu_seconds_total", Kind.COUNTER, 25.0, CELLS),
    Metric("perbench_accuracy_ratio", value=0.75, cells=CELLS),
    Metric("perbench_progress_ratio", value=0.5, cells=CELLS),
    Metric(
        "perbench_run_info",
        cells=MODELS,
        also={
            "run_id": ("0123456789",), "round": ("1",), "attempt": ("0",), "version": ("1",), "runtime": ("TGI",),
            "runtime_version": ("3.3.5",),
        },
    ),
)  # fmt: skip
OF_THE_OPERATOR = (
    Metric("perbench_operator_build_info", also={"version": ("1",), "python_version": ("3.11",)}),
    Metric("perbench_reconcile_duration_seconds", Kind.HISTOGRAM, 20.0),
    Metric("perbench_reconcile_errors_total", Kind.COUNTER, 2.0),
    Metric("perbench_queue_depth", value=3.0),
    Metric("perbench_watch_age_seconds", value=20.0, also={"kind": ("PERBenchmark", "Job", "Pod", "ConfigMap")}),
    Metric(
        "perbench_grafana_attempts_total",
        Kind.COUNTER,
        1.0,
        also={"what": ("dashboards", "annotations"), "outcome": ("done", "unreachable", "refused")},
    ),
    Metric("perbench_grafana_pending", value=1.0),
    Metric("perbench_grafana_dashboards"),
    Metric("perbench_benchmarks", value=2.0, also={"phase": PHASES}),
    Metric(
        "perbench_benchmark_phase_start_time_seconds",
        value=BEGIN - 60.0,
        cells=BENCHMARK,
        also={"phase": ("Measuring", "Failed")},
    ),
    Metric(
        "perbench_benchmark_failure_info",
        cells=BENCHMARK,
        also={"blame": ("Target",), "reason": ("ServerExited",), "verdict": ("SomeModelsFailed",)},
    ),
    Metric(
        "perbench_result_per",
        value=0.9,
        cells=CELLS,
        also={"scale": ("published", "reference"), "bound": ("point", "low", "high")},
    ),
    Metric("perbench_result_accuracy_ratio", value=0.75, cells=CELLS),
    Metric("perbench_result_output_tokens_per_second", value=900.0, cells=GENERATED),
    Metric("perbench_result_items_per_second", value=40.0, cells=CLASSIFIED),
    Metric("perbench_result_latency_seconds", value=0.02, cells=GENERATED, also={"stat": ("per_token", "ttft_p95")}),
    Metric("perbench_result_latency_seconds", value=0.1, cells=CLASSIFIED, also={"stat": ("per_item", "ttft_p95")}),
    Metric("perbench_result_pareto_optimal", cells=CELLS),
    Metric("perbench_result_memory_bytes", value=3e9, cells=CELLS, also={"basis": ("Footprint",)}),
    Metric("perbench_result_cost_dollars_per_million_tokens", value=0.4, cells=GENERATED),
    Metric("perbench_result_valid", cells=CELLS),
    Metric("perbench_result_regressed", cells=BENCHMARK, also={"baseline": ("bench",)}),
    Metric("perbench_result_not_judged_info", cells=BENCHMARK, also={"reason": ("BaselineUnlike",)}),
    Metric(
        "perbench_result_baseline_ratio",
        value=1.2,
        cells=CELLS,
        also={"figure": ("Latency", "Memory"), "bound": ("point", "low", "high")},
    ),
    Metric(
        "perbench_result_info",
        cells=CELLS,
        also={
            "unit": ("accelerator",), "latency_basis": ("Request",), "runtime": ("TGI",),
            "accelerator": ("1 NVIDIA L4",),
        },
    ),
)  # fmt: skip
METRICS = OF_BENCH_PODS + OF_THE_OPERATOR


def known() -> dict[str, set[str]]:
    """The labels of every series, by its name."""
    found: dict[str, set[str]] = {}
    for metric in METRICS:
        for name in metric.series_names:
            bucket = {"le"} if name.endswith("_bucket") else set()
            found[name] = found.get(name, set()) | metric.labels | bucket
    return found


def openmetrics(pods: dict[str, Labels]) -> str:
    """Ten minutes of scrapes: every bench pod shows the same, and begins at 0; the operator is a pod of its own.

    `pods`: what the scraper says of each pod, by name; that of the operator is `operator`.
    """
    lines = []
    for metric in METRICS:
        shown = [of for name, of in pods.items() if (name == "operator") == (metric in OF_THE_OPERATOR)]
        for name, labels, per_scrape in _series(metric):
            for scraped in shown:
                text = ",".join(f'{label}="{value}"' for label, value in (*labels, *scraped))
                lines += [f"{name}{{{text}}} {value} {when}" for when, value in _samples(metric, per_scrape)]
    return "\n".join([*lines, "# EOF", ""])


def _samples(metric: Metric, per_scrape: float) -> Iterator[tuple[int, float]]:
    for number in range(SCRAPES):
        grown = per_scrape if metric.kind is Kind.GAUGE else number * per_scrape
        yield BEGIN + number * APART, grown


def _series(metric: Metric) -> Iterator[tuple[str, Labels, float]]:
    """Name, labels, and value or growth of each series."""
    for cell in metric.cells:
        for extra in _combinations(metric.also):
            labels = (*cell, *extra)
            if metric.kind is not Kind.HISTOGRAM:
                yield metric.name, labels, metric.value
                continue
            for number, bound in enumerate(BOUNDS, start=1):
                yield f"{metric.name}_bucket", (*labels, ("le", bound)), metric.value * number / len(BOUNDS)
            yield f"{metric.name}_sum", labels, metric.value * 0.2
            yield f"{metric.name}_count", labels, metric.value


def _combinations(also: dict[str, tuple[str, ...]]) -> list[Labels]:
    found: list[Labels] = [()]
    for name, values in also.items():
        found = [(*before, (name, value)) for before in found for value in values]
    return found
