"""The metrics in the words of Prometheus' client library, from what the operator knows when it is asked."""

import platform
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector
from typing_extensions import override

from perbench import __version__
from perbench.api.status import Phase
from perbench_operator.health import Health, WatchTimes
from perbench_operator.metrics.families import (
    BENCHMARKS,
    BUILD,
    GRAFANA_ATTEMPTS,
    GRAFANA_DASHBOARDS,
    GRAFANA_PENDING,
    OF_BENCHMARKS,
    QUEUE_DEPTH,
    RECONCILE_DURATION,
    RECONCILE_ERRORS,
    WATCH_AGE,
    Family,
    Kind,
    Sample,
)
from perbench_operator.metrics.grafana import GrafanaCounts
from perbench_operator.metrics.reconciles import BUCKETS, Reconciles
from perbench_operator.metrics.results import results
from perbench_operator.metrics.standing import phase_of, standing
from perbench_operator.queue import KeyedQueue


@dataclass(frozen=True)
class OperatorState:
    """What the operator knows: the parts that it works with, as they are."""

    benchmarks: Mapping[str, dict[str, Any]]
    """By uid."""
    queue: KeyedQueue
    reconciles: Reconciles
    health: Health
    watches: WatchTimes
    grafana: GrafanaCounts | None = None
    """None: it has none."""


class OperatorCollector(Collector):
    """Reads the state anew at every scrape, from another thread than the one that changes it: benchmarks are replaced
    there, never changed."""

    def __init__(self, state: OperatorState, clock: Callable[[], float]) -> None:
        self._state = state
        self._clock = clock

    @override
    def collect(self) -> Iterator[Metric]:
        """Every metric. Of benchmarks nothing before all have come through the watch: a part would look like all."""
        state = self._state
        yield metric(BUILD, [Sample(BUILD, (__version__, platform.python_version()), 1.0)])
        yield _durations(state.reconciles)
        yield metric(RECONCILE_ERRORS, [Sample(RECONCILE_ERRORS, (), float(state.reconciles.errors))])
        yield metric(QUEUE_DEPTH, [Sample(QUEUE_DEPTH, (), float(len(state.queue)))])
        ages = state.watches.ages(self._clock())
        yield metric(WATCH_AGE, [Sample(WATCH_AGE, (kind,), age) for kind, age in ages.items()])
        if state.grafana is not None:
            yield from of_grafana(state.grafana)
        if state.health.caught_up:
            yield from of_benchmarks(tuple(state.benchmarks.values()))


def of_grafana(counts: GrafanaCounts) -> Iterator[Metric]:
    """How telling Grafana went."""
    attempts = [Sample(GRAFANA_ATTEMPTS, key, float(count)) for key, count in counts.attempts.items()]
    yield metric(GRAFANA_ATTEMPTS, attempts)
    yield metric(GRAFANA_PENDING, [Sample(GRAFANA_PENDING, (), float(counts.pending))])
    if counts.dashboards is not None:
        yield metric(GRAFANA_DASHBOARDS, [Sample(GRAFANA_DASHBOARDS, (), float(counts.dashboards))])


def of_benchmarks(bodies: Iterable[Mapping[str, Any]]) -> Iterator[Metric]:
    """How many there are, where each stands, and what came out."""
    counts = dict.fromkeys((phase.value for phase in Phase), 0)
    found: dict[str, list[Sample]] = {family.name: [] for family in OF_BENCHMARKS}
    for body in bodies:
        phase = phase_of(body)
        counts[phase] = counts.get(phase, 0) + 1
        for sample in (*standing(body), *results(body)):
            found[sample.family.name].append(sample)
    yield metric(BENCHMARKS, [Sample(BENCHMARKS, (phase,), float(count)) for phase, count in counts.items()])
    for family in OF_BENCHMARKS:
        yield metric(family, found[family.name])


def metric(family: Family, samples: Iterable[Sample]) -> Metric:
    """A family with its samples. ValueError for a histogram."""
    match family.kind:
        case Kind.GAUGE:
            gauge = GaugeMetricFamily(family.name, family.help, labels=family.labels)
            for sample in samples:
                gauge.add_metric(sample.labels, sample.value)
            return gauge
        case Kind.COUNTER:
            counter = CounterMetricFamily(family.name, family.help, labels=family.labels)
            for sample in samples:
                counter.add_metric(sample.labels, sample.value)
            return counter
        case Kind.INFO:
            info = InfoMetricFamily(family.name.removesuffix("_info"), family.help)
            for sample in samples:
                info.add_metric((), dict(zip(family.labels, sample.labels, strict=True)))
            return info
        case Kind.HISTOGRAM:
            raise ValueError(f"{family.name}: a histogram is not made of samples")


def _durations(reconciles: Reconciles) -> Metric:
    ends = [*map(str, BUCKETS), "+Inf"]
    buckets = list(zip(ends, map(float, accumulate(reconciles.counts)), strict=True))
    return HistogramMetricFamily(
        RECONCILE_DURATION.name, RECONCILE_DURATION.help, buckets=buckets, sum_value=reconciles.seconds
    )
