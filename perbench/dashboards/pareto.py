"""Which models no other beats: throughput against each of the other axes."""

from grafana_foundation_sdk.builders import xychart
from grafana_foundation_sdk.models import units

from perbench.dashboards.panels import FRONT_OR_NOT, Words
from perbench.dashboards.promql import CELL, aggregated, latest, of_best
from perbench.dashboards.tables import Column, scattered

TIMES = "suffix: times"
MARK = Column("Pareto front", latest("perbench_result_pareto_optimal"), units.NoUnit, FRONT_OR_NOT)
FRONT = (
    "Green: on the Pareto front, which is over all axes: no other model is at least as good on each and better on one. "
    "Gray: one is. Point at a model for its name. Throughput is a share of the best of its task: tokens and items per "
    "second have no common axis. Only figures that are valid and were compared, of models that have both."
)


def fronts() -> tuple[xychart.Panel, ...]:
    """A panel for each of the other axes.

    That figures can be trusted is asked of throughput alone: there is a point only where it has one.
    """
    memory = latest("perbench_result_memory_bytes")
    latency = of_best("perbench_result_latency_seconds", 'stat=~"per_token|per_item"', best="min")
    return (
        _against(
            "accuracy",
            Column("Accuracy", latest("perbench_result_accuracy_ratio"), units.PercentUnit),
            "Better is up and to the right.",
        ),
        _against("memory", Column("Memory", memory, units.BytesIEC), "Better is down and to the right."),
        _against(
            "latency",
            Column("Latency, of the task's lowest", aggregated("max", latency, CELL), TIMES),
            "A multiple of the lowest of its task. Better is down and to the right.",
        ),
    )


def _against(axis: str, figure: Column, better: str) -> xychart.Panel:
    tokens, items = (
        of_best(f"perbench_result_{counted}_per_second", best="max") for counted in ("output_tokens", "items")
    )
    share = aggregated("max", f"{tokens} or {items}", CELL)
    throughput = Column("Throughput, of the task's best", share, units.PercentUnit)
    words = Words(f"Throughput and {axis}", f"{better} {FRONT}", figure.unit)
    return scattered(words, CELL, throughput, figure, MARK)
