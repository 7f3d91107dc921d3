"""Fleet and history: how results changed over weeks, and how the benchmarks of a cluster fare."""

from grafana_foundation_sdk.builders import statetimeline, table, timeseries
from grafana_foundation_sdk.models import dashboard as models
from grafana_foundation_sdk.models import units

from perbench.dashboards.benchmarks import by_phase, in_their_phases
from perbench.dashboards.frame import Outline, dashboard
from perbench.dashboards.panels import (
    ITEMS_PER_SECOND,
    TOKENS_PER_SECOND,
    VALID_OR_NOT,
    WORSE_OR_NOT,
    Asked,
    Words,
    dashed,
    lines,
    states,
)
from perbench.dashboards.promql import BENCHMARK, BENCHMARK_LEGEND, CELL, CELL_LEGEND, aggregated, latest, result
from perbench.dashboards.tables import facts

GAPS = "A gap: a run is on, or its figures cannot be trusted."
OUTLINE = Outline(
    uid="perbench-history",
    description="Results over time, run after run, and how many benchmarks succeed, wait and fail.",
    since="now-30d",
    refresh="5m",
)


def history() -> models.Dashboard:
    """The dashboard."""
    return dashboard(
        OUTLINE,
        {
            "Results over time": (
                _reference_per(),
                _over_time(
                    "Accuracy", "Mean score of the answers.", units.PercentUnit, "perbench_result_accuracy_ratio"
                ),
                _over_time(
                    "Tokens per second",
                    "Per unit of throughput.",
                    TOKENS_PER_SECOND,
                    "perbench_result_output_tokens_per_second",
                ),
                _over_time(
                    "Items per second",
                    "Of classification tasks, per unit of throughput.",
                    ITEMS_PER_SECOND,
                    "perbench_result_items_per_second",
                ),
                _memory(),
                _latency(),
                _over_time(
                    "Cost of a million output tokens",
                    "At the prices in spec.capacity.",
                    units.Dollars,
                    "perbench_result_cost_dollars_per_million_tokens",
                ),
            ),
            "Against the baseline": (_regressed(), _ratios()),
            "Can they be trusted": (_validity(),),
            "Benchmarks": (by_phase(), _failures(), in_their_phases(), _why()),
        },
    )


def _reference_per() -> timeseries.Panel:
    def per(bound: str) -> str:
        return result("perbench_result_per", 'scale="reference"', f'bound="{bound}"')

    words = Words(
        "Reference PER",
        f"The reference model has 1. Dashed: the ends of the 95 % interval. {GAPS}",
        units.NoUnit,
    )
    panel = lines(
        words,
        Asked(per("point"), CELL_LEGEND),
        Asked(per("low"), f"low {CELL_LEGEND}"),
        Asked(per("high"), f"high {CELL_LEGEND}"),
        width=24,
    )
    return dashed(panel, "B", "C")


def _over_time(title: str, what: str, unit: str, metric: str) -> timeseries.Panel:
    return lines(Words(f"{title}, over time", f"{what} {GAPS}", unit), Asked(result(metric), CELL_LEGEND), width=8)


def _memory() -> timeseries.Panel:
    words = Words("Memory, over time", f"On the benchmark's memory basis. {GAPS}", units.BytesIEC)
    memory = result("perbench_result_memory_bytes", by=(*CELL, "basis"))
    return lines(words, Asked(memory, f"{{{{basis}}}} {CELL_LEGEND}"), width=8)


def _latency() -> timeseries.Panel:
    words = Words(
        "Latency, over time",
        f"Per output token or item, on the benchmark's latency basis; 95th percentile to the first token. {GAPS}",
        units.Seconds,
    )
    latency = result("perbench_result_latency_seconds", by=(*CELL, "stat"))
    return lines(words, Asked(latency, f"{{{{stat}}}} {CELL_LEGEND}"), width=8)


def _validity() -> statetimeline.Panel:
    words = Words(
        "Validity",
        "Whether the figures of a model and task were valid and compared. Not valid also where the model failed.",
        units.NoUnit,
    )
    return states(words, Asked(latest("perbench_result_valid"), CELL_LEGEND), VALID_OR_NOT)


def _regressed() -> statetimeline.Panel:
    words = Words(
        "Regressed",
        "Whether a run got worse than the baseline that spec.baselineRef names. A gap: a run is on, or it could not be "
        "judged; the condition Regressed says why.",
        units.NoUnit,
    )
    labels = (*BENCHMARK, "baseline")
    legend = f"{BENCHMARK_LEGEND} against {{{{baseline}}}}"
    return states(words, Asked(latest("perbench_result_regressed", by=labels), legend), WORSE_OR_NOT)


def _ratios() -> timeseries.Panel:
    def ratio(bound: str) -> str:
        return latest("perbench_result_baseline_ratio", f'bound="{bound}"', by=labels)

    labels = (*CELL, "figure")
    words = Words(
        "Ratio to the baseline, of what got worse",
        "Figure of the run divided by that of its baseline; of latency and memory above 1, of the others below. "
        "Dashed: the ends of the 95 % interval. The worst 16 figures of a run.",
        units.NoUnit,
    )
    legend = f"{{{{figure}}}} {CELL_LEGEND}"
    ends = (Asked(ratio(bound), f"{bound} {legend}") for bound in ("low", "high"))
    return dashed(lines(words, Asked(ratio("point"), legend), *ends, width=24), "B", "C")


def _failures() -> timeseries.Panel:
    words = Words(
        "Failed benchmarks by blame",
        "Benchmarks in phase Failed, by whose affair it is: the target's, the load generator's, the infrastructure's, "
        "or the measurement's.",
        units.Short,
    )
    each = latest("perbench_benchmark_failure_info", by=(*BENCHMARK, "blame"))
    return lines(words, Asked(aggregated("count", each, ("blame",)), "{{blame}}"), stacked=True)


def _why() -> table.Panel:
    labels = (*BENCHMARK, "blame", "reason", "verdict")
    words = Words(
        "Failures",
        "Why benchmarks are in phase Failed; `kubectl perbench explain` says what to do about each.",
        units.NoUnit,
    )
    return facts(words, labels, latest("perbench_benchmark_failure_info", by=labels))
