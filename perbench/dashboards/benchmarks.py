"""Panels about the benchmarks of a cluster, for more than one dashboard."""

from grafana_foundation_sdk.builders import table, timeseries
from grafana_foundation_sdk.models import units

from perbench.api.status import Phase
from perbench.dashboards.panels import Asked, Words, lines
from perbench.dashboards.promql import BENCHMARK, aggregated, latest
from perbench.dashboards.tables import Column, table_of

ENDED = "|".join((Phase.SUCCEEDED.value, Phase.FAILED.value))


def by_phase() -> timeseries.Panel:
    """How many there are."""
    words = Words(
        "Benchmarks by phase",
        "All that the operators watch, whichever are chosen above. One without a status yet counts as Pending.",
        units.Short,
    )
    return lines(words, Asked(aggregated("sum", "perbench_benchmarks", ("phase",)), "{{phase}}"), stacked=True)


def in_their_phases() -> table.Panel:
    """How long those that are not at their end have been where they are."""
    since = latest("perbench_benchmark_phase_start_time_seconds", f'phase!~"{ENDED}"', by=(*BENCHMARK, "phase"))
    words = Words(
        "How long in their phases",
        "Benchmarks that have not ended. Long in Queued: see maxConcurrentModels. Long in StartingModel: the node, the "
        "image or the weights.",
        units.NoUnit,
    )
    column = Column("For", f"time() - {since}", units.DurationSeconds)
    return table_of(words, (*BENCHMARK, "phase"), column, width=12)
