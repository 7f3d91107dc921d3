"""What an operator tells Prometheus, without the operator."""

from collections.abc import Iterable
from typing import Any

from prometheus_client import CollectorRegistry

from perbench_operator.health import Health, WatchTimes
from perbench_operator.metrics import OperatorCollector, OperatorState, Reconciles
from perbench_operator.metrics.grafana import GrafanaCounts, Outcome, Part
from perbench_operator.queue import KeyedQueue
from tests.support.finished import PRICES, finished, golden_status

NOW = 1_000.0


def registry(
    benchmarks: Iterable[dict[str, Any]] = (), *, caught_up: bool = True, grafana: GrafanaCounts | None = None
) -> CollectorRegistry:
    """Of an operator that knows these benchmarks, has two keys in its queue and has looked three times."""
    health, looks = Health(NOW), Reconciles()
    watches = WatchTimes(NOW - 30, ("PERBenchmark", "Pod"), ())
    watches.heard("Pod", "team-a", NOW - 5)
    queue = KeyedQueue(lambda: NOW)
    for key in ("u", "v"):
        queue.add(key)
    for seconds, failed in ((0.004, False), (0.7, False), (90.0, True)):
        looks.ended(seconds, failed=failed)
    if caught_up:
        health.listed(NOW, ())
    known = {str(number): body for number, body in enumerate(benchmarks)}
    found = CollectorRegistry()
    found.register(OperatorCollector(OperatorState(known, queue, looks, health, watches, grafana), lambda: NOW))
    return found


def everything() -> CollectorRegistry:
    """Benchmarks: one succeeded, one is on, one failed, one got worse than its baseline, one cannot be
    held against its own. And a Grafana."""
    succeeded = finished(golden_status("evaluation/status-succeeded.yaml"), capacity=PRICES)
    succeeded["status"]["models"] = succeeded["status"]["models"][:2]
    succeeded["status"]["phaseStartTime"] = "2026-04-02T09:35:12Z"
    measuring = finished(golden_status("operator/status/measuring.yaml"))
    measuring["metadata"] |= {"name": "second"}
    failed = finished(golden_status("operator/status/not-accepted.yaml"))
    failed["metadata"] |= {"namespace": "team-b"}
    grafana = GrafanaCounts(pending=2)
    grafana.ended(Part.DASHBOARDS, Outcome.DONE)
    grafana.ended(Part.ANNOTATION, Outcome.UNREACHABLE)
    regressed = finished(golden_status("operator/status/regressed.yaml"))
    regressed["metadata"] |= {"name": "third"}
    untold = finished(golden_status("operator/status/baseline-unlike.yaml"))
    untold["metadata"] |= {"name": "fourth"}
    untold["status"] = {**untold["status"], "models": []}
    return registry((succeeded, measuring, failed, regressed, untold), grafana=grafana)
