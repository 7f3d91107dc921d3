"""Which pods of a benchmark `kubectl perbench top` asks, and what it makes of their answers."""

from typing import Any, cast

from perbench.cluster.connection import Cluster, ClusterError
from perbench.cluster.look import looker, running
from tests.support.live_pages import page


def pod(
    name: str, *, phase: str = "Running", port: str = "metrics", made: str = "2026-01-01T00:00:00Z"
) -> dict[str, Any]:
    containers = [{"name": "bench", "ports": [{"name": port, "containerPort": 8901}]}, {"name": "other"}]
    metadata = {"name": name, "creationTimestamp": made}
    return {"metadata": metadata, "spec": {"containers": containers}, "status": {"phase": phase}}


def test_pods_that_run_and_show_metrics_are_asked_the_oldest_first() -> None:
    pods = [
        pod("late", made="2026-01-02T00:00:00Z"), pod("ended", phase="Succeeded"), pod("early"),
        pod("mute", port="http"), pod("waiting", phase="Pending"),
    ]  # fmt: skip
    assert running(pods) == [("early", 8901), ("late", 8901)]


class OneBenchmark:
    """Says of a cluster what the looker asks."""

    def __init__(self, pages: dict[str, str | None], status: dict[str, Any]) -> None:
        self._pages = pages
        self._status = status

    def benchmark(self, namespace: str, name: str) -> dict[str, Any]:
        del namespace
        return {"metadata": {"name": name, "uid": "u-1", "generation": 1}, "status": self._status}

    def pods(self, namespace: str, labels: str) -> list[dict[str, Any]]:
        assert (namespace, labels) == ("ml", "perbench.dev/uid=u-1,perbench.dev/role=bench")
        return [pod(name) for name in self._pages]

    def metrics(self, namespace: str, name: str, port: int) -> str:
        assert (namespace, port) == ("ml", 8901)
        found = self._pages[name]
        if found is None:
            raise ClusterError("pods is forbidden: cannot get pods/proxy")
        return found


MEASURING = {"observedGeneration": 1, "phase": "Measuring", "progress": {"completed": 3, "total": 8, "message": "x"}}


def test_a_pod_that_cannot_be_asked_is_named() -> None:
    cluster = cast("Cluster", OneBenchmark({"one": page(requests=4), "two": None}, MEASURING))
    seen = looker(cluster, "ml", "night")()
    assert seen.head[0] == "ml/night: Measuring  3/8  x"
    assert "two: pods is forbidden: cannot get pods/proxy" in seen.head
    assert (seen.over, seen.pages["two"]) == (False, None)
    assert seen.pages["one"] is not None


def test_it_is_over_when_the_run_is() -> None:
    ended = {**MEASURING, "completionTime": "2026-01-01T01:00:00Z", "conditions": []}
    assert looker(cast("Cluster", OneBenchmark({}, ended)), "ml", "night")().over
