"""Every metric of the operator: name, labels, and what it says. docs/metrics.md tells them for people."""

from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple


class Kind(StrEnum):
    """What Prometheus takes a metric for."""

    GAUGE = "gauge"
    COUNTER = "counter"
    HISTOGRAM = "histogram"
    INFO = "info"
    """A gauge that is always 1; its labels are what it says."""


@dataclass(frozen=True)
class Family:
    """One metric."""

    name: str
    """As it is asked for: a counter ends in `_total`, an info in `_info`."""
    help: str
    labels: tuple[str, ...] = ()
    kind: Kind = Kind.GAUGE


class Sample(NamedTuple):
    """One value of a metric."""

    family: Family
    labels: tuple[str, ...]
    """In the order of the family's."""
    value: float


BENCHMARK = ("benchmark_namespace", "benchmark")
"""A plain `namespace` would be that of the scraped pod."""
CELL = (*BENCHMARK, "model", "task")

BENCHMARKS = Family("perbench_benchmarks", "PERBenchmarks in each phase. Without a status yet: Pending.", ("phase",))
PHASE_START = Family(
    "perbench_benchmark_phase_start_time_seconds",
    "Since when a benchmark stands in its phase, in seconds since the epoch.",
    (*BENCHMARK, "phase"),
)
FAILURE = Family(
    "perbench_benchmark_failure_info",
    "Of a benchmark in phase Failed: whose affair it is, why, and the reason of its condition Succeeded.",
    (*BENCHMARK, "blame", "reason", "verdict"),
    Kind.INFO,
)
RECONCILE_DURATION = Family(
    "perbench_reconcile_duration_seconds",
    "Time of one look at a benchmark with all that was done about it, also of those that failed.",
    kind=Kind.HISTOGRAM,
)
RECONCILE_ERRORS = Family(
    "perbench_reconcile_errors_total", "Looks at a benchmark that failed, and were tried again.", kind=Kind.COUNTER
)
QUEUE_DEPTH = Family("perbench_queue_depth", "Benchmarks that wait to be looked at now.")
WATCH_AGE = Family(
    "perbench_watch_age_seconds",
    "Time since a watch of this kind of object was last opened or brought something; of several the longest.",
    ("kind",),
)
BUILD = Family(
    "perbench_operator_build_info", "The operator's version.", ("version", "python_version"), Kind.INFO
)  # fmt: skip
GRAFANA_ATTEMPTS = Family(
    "perbench_grafana_attempts_total",
    "Attempts to bring Grafana dashboards, or the annotation of a run, by what came of them.",
    ("what", "outcome"),
    Kind.COUNTER,
)
GRAFANA_PENDING = Family("perbench_grafana_pending", "Annotations of runs that Grafana is yet to be told.")
GRAFANA_DASHBOARDS = Family(
    "perbench_grafana_dashboards", "1: Grafana has the dashboards of this operator. 0: see the operator's log."
)
RESULT_PER = Family(
    "perbench_result_per",
    "Performance-Efficiency Ratio: point, and the ends of its 95 % interval.",
    (*CELL, "scale", "bound"),
)
RESULT_PARETO = Family(
    "perbench_result_pareto_optimal",
    "1: no other model is at least as good on every axis and better on one. 0: one is.",
    CELL,
)
RESULT_ACCURACY = Family("perbench_result_accuracy_ratio", "Mean score of the answers, 0 to 1.", CELL)
RESULT_TOKENS = Family(
    "perbench_result_output_tokens_per_second",
    "Output tokens per second and unit of throughput (perbench_result_info).",
    CELL,
)
RESULT_ITEMS = Family(
    "perbench_result_items_per_second", "Items per second and unit of throughput, of classification tasks.", CELL
)
RESULT_LATENCY = Family(
    "perbench_result_latency_seconds",
    "Time per output token (per_token) or item (per_item), and to the first token (ttft_p95).",
    (*CELL, "stat"),
)
RESULT_MEMORY = Family(
    "perbench_result_memory_bytes", "Memory, mean of the stages' peaks, on this basis.", (*CELL, "basis")
)
RESULT_COST = Family(
    "perbench_result_cost_dollars_per_million_tokens",
    "Cost of a million output tokens, at the prices in spec.capacity.",
    CELL,
)
RESULT_VALID = Family(
    "perbench_result_valid",
    "1: the figures are valid and were compared. 0: the model failed, or they were not.",
    CELL,
)
RESULT_REGRESSED = Family(
    "perbench_result_regressed",
    "1: the run got worse than its baseline. 0: nothing is shown to be worse.",
    (*BENCHMARK, "baseline"),
)
RESULT_NOT_JUDGED = Family(
    "perbench_result_not_judged_info",
    "Of runs that have ended and have a baseline: why whether they got worse cannot be told.",
    (*BENCHMARK, "reason"),
    Kind.INFO,
)
RESULT_RATIO = Family(
    "perbench_result_baseline_ratio",
    "Figure of a run divided by that of its baseline, of figures that got worse: point, and the ends of its interval.",
    (*CELL, "figure", "bound"),
)
RESULT = Family(
    "perbench_result_info",
    "What figures are of: unit of throughput, basis of latency, model server, accelerators.",
    (*CELL, "unit", "latency_basis", "runtime", "accelerator"),
    Kind.INFO,
)

OF_BENCHMARKS = (
    PHASE_START, FAILURE, RESULT, RESULT_PER, RESULT_PARETO, RESULT_ACCURACY, RESULT_TOKENS, RESULT_ITEMS,
    RESULT_LATENCY, RESULT_MEMORY, RESULT_COST, RESULT_VALID, RESULT_REGRESSED, RESULT_NOT_JUDGED, RESULT_RATIO,
)  # fmt: skip
"""Read from the benchmarks one by one."""
OF_GRAFANA = (GRAFANA_ATTEMPTS, GRAFANA_PENDING, GRAFANA_DASHBOARDS)
"""Only of an operator that has one."""
FAMILIES = (
    BUILD, RECONCILE_DURATION, RECONCILE_ERRORS, QUEUE_DEPTH, WATCH_AGE, *OF_GRAFANA, BENCHMARKS, *OF_BENCHMARKS,
)  # fmt: skip
"""All, in the order in which they are told."""
