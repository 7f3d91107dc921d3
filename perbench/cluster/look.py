"""Looks at a benchmark for `top`: its status, and the metrics of its bench pods through the API server. A rim."""

import time
from collections.abc import Callable
from typing import Any

from perbench.cluster.connection import Cluster, ClusterError
from perbench.cluster.progress import standing
from perbench.cluster.records import UID
from perbench.live.address import about
from perbench.live.exposition import Reading, read_page
from perbench.live.watch import Look

ROLE, BENCH = "perbench.dev/role", "bench"
METRICS_PORT = "metrics"
"""The name of the container's port."""

Body = dict[str, Any]


def looker(cluster: Cluster, namespace: str, name: str) -> Callable[[], Look]:
    """The function that looks. It raises ClusterError where the benchmark is gone or the API server does not answer."""

    def look() -> Look:
        body = cluster.benchmark(namespace, name)
        stands = standing(body)
        selector = f"{UID}={body['metadata']['uid']},{ROLE}={BENCH}"
        pages: dict[str, Reading | None] = {}
        words = [f"{namespace}/{name}: {stands.line}"]
        for pod, port in running(cluster.pods(namespace, selector)):
            try:
                page = read_page(cluster.metrics(namespace, pod, port), time.monotonic())
            except (ClusterError, ValueError, KeyError) as error:
                pages[pod] = None
                words.append(f"{pod}: {error}")
            else:
                pages[pod] = page
                words += about(page)
        return Look(tuple(words), pages, over=stands.exit_code is not None)

    return look


def running(pods: list[Body]) -> list[tuple[str, int]]:
    """Names of the pods that run, each with the port of its metrics; the oldest first."""
    found = []
    for pod in sorted(pods, key=lambda each: str(each["metadata"].get("creationTimestamp", ""))):
        if pod.get("status", {}).get("phase") != "Running":
            continue
        ports = [port for container in pod["spec"]["containers"] for port in container.get("ports", [])]
        named = next((port["containerPort"] for port in ports if port.get("name") == METRICS_PORT), None)
        if named is not None:
            found.append((pod["metadata"]["name"], int(named)))
    return found
