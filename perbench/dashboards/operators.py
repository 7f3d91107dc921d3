"""Operator: whether it does its work."""

from grafana_foundation_sdk.builders import heatmap, stat, timeseries
from grafana_foundation_sdk.models import dashboard as models
from grafana_foundation_sdk.models import units

from perbench.dashboards.benchmarks import by_phase, in_their_phases
from perbench.dashboards.frame import Outline, dashboard
from perbench.dashboards.panels import Asked, Words, heat, limited, lines, number
from perbench.dashboards.promql import RATE_INTERVAL, aggregated

LOOKS = "perbench_reconcile_duration_seconds"
ERRORS = f"sum(rate(perbench_reconcile_errors_total[{RATE_INTERVAL}]))"
LOOKS_RATE = f"sum(rate({LOOKS}_count[{RATE_INTERVAL}]))"
WATCH_TOO_OLD_SECONDS = 300.0
"""Watches are opened anew every minute."""
OUTLINE = Outline(
    uid="perbench-operator",
    description="Whether the operator does its work: how long it looks at benchmarks, what fails, what waits, and "
    "whether it hears of changes.",
    since="now-6h",
    refresh="30s",
    unused=frozenset({"model", "task"}),
)


def operator() -> models.Dashboard:
    """The dashboard."""
    return dashboard(
        OUTLINE,
        {
            "Operators": (_versions(), _queue_now(), _oldest_watch(), _error_share_now()),
            "Looking at benchmarks": (_durations(), _quantiles(), _rate(), _errors(), _queue(), _watches()),
            "Benchmarks": (by_phase(), in_their_phases()),
            "Grafana": (_grafana(), _grafana_pending()),
        },
    )


def _versions() -> stat.Panel:
    words = Words(
        "Operators by version", "How many operators answer, of each version. None: none is scraped.", units.Short
    )
    return number(words, Asked("count by (version) (perbench_operator_build_info)", "{{version}}"))


def _queue_now() -> stat.Panel:
    words = Words(
        "Waiting now",
        "Benchmarks that wait to be looked at. Those that wait for their turn are in phase Queued.",
        units.Short,
    )
    return number(words, Asked("sum(perbench_queue_depth)", "waiting"))


def _oldest_watch() -> stat.Panel:
    words = Words(
        "Oldest watch now", "Time since the watch that was silent for longest was known to live.", units.Seconds
    )
    return number(words, Asked("max(perbench_watch_age_seconds)", "oldest"))


def _error_share_now() -> stat.Panel:
    words = Words("Share of looks that fail", "Of all looks at benchmarks. Each is tried again.", units.PercentUnit)
    return number(words, Asked(f"{ERRORS} / {LOOKS_RATE}", "failed"))


def _durations() -> heatmap.Panel:
    words = Words(
        "Duration of a look",
        "Time of one look at a benchmark with all that was done about it, also of those that failed.",
        units.Seconds,
    )
    return heat(words, aggregated("sum", f"increase({LOOKS}_bucket[{RATE_INTERVAL}])", ("le",)))


def _quantiles() -> timeseries.Panel:
    words = Words(
        "Duration of a look: quantiles",
        "Long ones wait for the API server. Between the ends of its bucket a quantile is a guess.",
        units.Seconds,
    )
    rates = aggregated("sum", f"rate({LOOKS}_bucket[{RATE_INTERVAL}])", ("le",))
    asked = [Asked(f"histogram_quantile({share}, {rates})", f"p{share * 100:g}") for share in (0.5, 0.9, 0.99)]
    return lines(words, *asked)


def _rate() -> timeseries.Panel:
    words = Words(
        "Looks",
        "Looks at benchmarks per second. Every unfinished one is looked at each half minute.",
        units.CountsPerSecond,
    )
    return lines(words, Asked(LOOKS_RATE, "looks"))


def _errors() -> timeseries.Panel:
    words = Words(
        "Looks that fail",
        "Per second; each is tried again. The API was away, or refused what it should not: see the operator's log.",
        units.CountsPerSecond,
    )
    return lines(words, Asked(ERRORS, "failed"))


def _queue() -> timeseries.Panel:
    words = Words("Queue", "Benchmarks that wait to be looked at. It should come back to 0.", units.Short)
    return lines(words, Asked("sum(perbench_queue_depth)", "waiting"))


def _watches() -> timeseries.Panel:
    words = Words(
        "Age of watches",
        "Time since the watch of each kind of object was known to live. Dashed: where PerbenchWatchTooOld alerts.",
        units.Seconds,
    )
    age = aggregated("max", "perbench_watch_age_seconds", ("kind",))
    return limited(lines(words, Asked(age, "{{kind}}")), WATCH_TOO_OLD_SECONDS)


def _grafana() -> timeseries.Panel:
    words = Words(
        "Attempts at Grafana",
        "To bring it dashboards and annotations, per second, by outcome. Only with the chart value grafana.url; what "
        "failed is in the operator's log, and in the condition Annotated of benchmarks.",
        units.CountsPerSecond,
    )
    attempts = aggregated("sum", f"rate(perbench_grafana_attempts_total[{RATE_INTERVAL}])", ("what", "outcome"))
    return lines(words, Asked(attempts, "{{what}}: {{outcome}}"))


def _grafana_pending() -> timeseries.Panel:
    words = Words(
        "Annotations that Grafana is yet to be told",
        "Starts and ends of runs. It should come back to 0. Only with the chart value grafana.url.",
        units.Short,
    )
    return lines(words, Asked("sum(perbench_grafana_pending)", "waiting"))
