"""Compare: the results of runs that have ended, model beside model."""

from grafana_foundation_sdk.builders import barchart, bargauge, table
from grafana_foundation_sdk.models import dashboard as models
from grafana_foundation_sdk.models import units

from perbench.dashboards.frame import Outline, dashboard
from perbench.dashboards.panels import (
    FRONT_OR_NOT,
    ITEMS_PER_SECOND,
    TOKENS_PER_SECOND,
    VALID_OR_NOT,
    Asked,
    Words,
    bars,
)
from perbench.dashboards.pareto import fronts
from perbench.dashboards.promql import CELL, CELL_LEGEND, aggregated, chosen, latest, result, trusted
from perbench.dashboards.tables import Column, facts, grouped_bars, table_of

PLACE = "place"
"""A label that names model and task; tasks come first, so that a task's models are side by side."""
TRUSTED = "Only figures that are valid and were compared; the table below has all."
ENDED = (
    "Results are those of runs that had ended at the end of the time range; while a new run is on there are none, "
    "so move the range back to see the former ones."
)
OUTLINE = Outline(
    uid="perbench-compare",
    description=f"Which model, served how, is worth its hardware. {ENDED}",
    since="now-6h",
    refresh="1m",
)


def compare() -> models.Dashboard:
    """The dashboard."""
    return dashboard(
        OUTLINE,
        {
            "Performance-Efficiency Ratio": (
                _per("reference", "The reference model of each task has 1; 2 is twice as good on the geometric mean."),
                _per(
                    "published",
                    "0 to 1: a model's place between the worst and the best. None with fewer than four models.",
                ),
            ),
            "Pareto front": fronts(),
            "Axes": (
                _axis(
                    "Accuracy", "Mean score of the answers.", units.PercentUnit, "perbench_result_accuracy_ratio"
                ).max(1),
                _throughput(),
                _memory(),
                _latency(),
                _first_token(),
                _axis(
                    "Cost of a million output tokens",
                    "Where spec.capacity.prices has the unit's price.",
                    units.Dollars,
                    "perbench_result_cost_dollars_per_million_tokens",
                ),
            ),
            "All figures": (_all(), _meaning()),
        },
    )


def _per(scale: str, what: str) -> barchart.Panel:
    words = Words(
        f"PER, {scale} scale",
        f"{what} With the ends of the 95 % interval: where two intervals overlap, the order may be chance. {TRUSTED}",
        units.NoUnit,
    )
    columns = [
        Column(title, _placed("perbench_result_per", f'scale="{scale}"', f'bound="{bound}"'), units.NoUnit)
        for title, bound in (("Low", "low"), ("PER", "point"), ("High", "high"))
    ]
    return grouped_bars(words, PLACE, "Task, model, benchmark, namespace", *columns)


def _placed(metric: str, *also: str) -> str:
    """A trusted figure, by one label that names its place."""
    names = ", ".join(f'"{label}"' for label in reversed(CELL))
    place = f'label_join({trusted(chosen(metric, *also))}, "{PLACE}", " · ", {names})'
    return aggregated("max", place, (PLACE,))


def _axis(title: str, what: str, unit: str, metric: str) -> bargauge.Panel:
    return bars(Words(title, f"{what} {TRUSTED}", unit), Asked(result(metric), CELL_LEGEND), width=8)


def _throughput() -> bargauge.Panel:
    words = Words(
        "Throughput",
        f"Output tokens per second, of classification tasks items; per the unit in the last table. {TRUSTED}",
        units.Short,
    )
    panel = bars(
        words,
        Asked(result("perbench_result_output_tokens_per_second"), CELL_LEGEND),
        Asked(result("perbench_result_items_per_second"), CELL_LEGEND),
        width=8,
    )
    for letter, unit in (("A", TOKENS_PER_SECOND), ("B", ITEMS_PER_SECOND)):
        panel.override_by_query(letter, [models.DynamicConfigValue(id_val="unit", value=unit)])
    return panel


def _memory() -> bargauge.Panel:
    words = Words(
        "Memory",
        f"Per server, of several replicas the largest, on the benchmark's memory basis. {TRUSTED}",
        units.BytesIEC,
    )
    memory = result("perbench_result_memory_bytes", by=(*CELL, "basis"))
    return bars(words, Asked(memory, f"{{{{basis}}}} {CELL_LEGEND}"), width=8)


def _latency() -> bargauge.Panel:
    words = Words(
        "Latency",
        f"Time per output token, of classification tasks per item; on the benchmark's latency basis. {TRUSTED}",
        units.Seconds,
    )
    latency = result("perbench_result_latency_seconds", 'stat=~"per_token|per_item"', by=(*CELL, "stat"))
    return bars(words, Asked(latency, f"{{{{stat}}}} {CELL_LEGEND}"), width=8)


def _first_token() -> bargauge.Panel:
    words = Words("Time to first token", f"95th percentile, from 200 requests on. {TRUSTED}", units.Seconds)
    return bars(words, Asked(result("perbench_result_latency_seconds", 'stat="ttft_p95"'), CELL_LEGEND), width=8)


def _all() -> table.Panel:
    words = Words(
        "Figures",
        f"Also those that are not valid or were not compared, so marked. {ENDED} An empty cell: the status has no such "
        "figure.",
        units.NoUnit,
    )
    per = "perbench_result_per"
    latency = "perbench_result_latency_seconds"
    return table_of(
        words,
        CELL,
        Column("Trusted", latest("perbench_result_valid"), units.NoUnit, VALID_OR_NOT),
        Column("Reference PER", latest(per, 'scale="reference"', 'bound="point"'), units.NoUnit),
        Column("PER", latest(per, 'scale="published"', 'bound="point"'), units.NoUnit),
        Column("Pareto front", latest("perbench_result_pareto_optimal"), units.NoUnit, FRONT_OR_NOT),
        Column("Accuracy", latest("perbench_result_accuracy_ratio"), units.PercentUnit),
        Column("Tokens per second", latest("perbench_result_output_tokens_per_second"), TOKENS_PER_SECOND),
        Column("Items per second", latest("perbench_result_items_per_second"), ITEMS_PER_SECOND),
        Column("Memory", latest("perbench_result_memory_bytes"), units.BytesIEC),
        Column("Per token", latest(latency, 'stat="per_token"'), units.Seconds),
        Column("Per item", latest(latency, 'stat="per_item"'), units.Seconds),
        Column("TTFT p95", latest(latency, 'stat="ttft_p95"'), units.Seconds),
        Column("Cost per million", latest("perbench_result_cost_dollars_per_million_tokens"), units.Dollars),
    )


def _meaning() -> table.Panel:
    labels = (*CELL, "unit", "latency_basis", "runtime", "accelerator")
    words = Words(
        "What the figures are of",
        "Unit of throughput, basis of latency, model server, count and product of accelerators.",
        units.NoUnit,
    )
    return facts(words, labels, aggregated("max", chosen("perbench_result_info"), labels), width=24)
