"""A real Prometheus that scrapes the operator's metrics, with the alerts: what it makes of them."""

import asyncio
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from prometheus_client.exposition import generate_latest

from perbench_operator.metrics import metric_routes
from tests.support.charts import CHARTS
from tests.support.operator_metrics import everything
from tests.support.processes import wait_until
from tests.support.prometheus import Prometheus, running

ALERTS = CHARTS / "perbench/files/alerts.yaml"
MANUAL = CHARTS.parent / "docs/metrics.md"
TARGET = {
    "namespace": "perbench-system", "service": "perbench-operator", "pod": "perbench-operator-0",
    "container": "operator", "endpoint": "metrics",
}  # fmt: skip
"""Labels that prometheus-operator puts on a target."""


@contextmanager
def answered() -> Iterator[int]:
    """The port at which the metrics of a few benchmarks are told."""
    loop, told = asyncio.new_event_loop(), threading.Event()
    ports: list[int] = []
    ended = asyncio.Event()

    async def serve() -> None:
        async with metric_routes(everything(), "127.0.0.1", 0) as port:
            ports.append(port)
            told.set()
            await ended.wait()

    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),))
    thread.start()
    assert told.wait(60)
    yield ports[0]
    loop.call_soon_threadsafe(ended.set)
    thread.join()
    loop.close()


@pytest.fixture(scope="module", params=[False, True], ids=["honor_labels off", "honor_labels on"])
def prometheus(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    folder = tmp_path_factory.mktemp("prometheus")
    with answered() as target:
        job = {
            "job_name": "operator", "scrape_interval": "1s", "honor_labels": request.param,
            "static_configs": [{"targets": [f"127.0.0.1:{target}"], "labels": TARGET}],
        }  # fmt: skip
        settings = {"global": {"evaluation_interval": "1s"}, "scrape_configs": [job], "rule_files": [str(ALERTS)]}
        with running(folder, settings) as found:
            yield found


def test_it_reads_every_series_as_it_is(prometheus: Prometheus) -> None:
    lines = generate_latest(everything()).decode().splitlines()
    told = {line.split("{")[0].split(" ")[0] for line in lines if not line.startswith("#")}
    found = [labels for labels, _ in prometheus.found('{__name__=~"perbench_.+"}')]
    assert {labels["__name__"] for labels in found} == told
    assert len(found) == sum(not line.startswith("#") for line in lines)
    assert not [name for labels in found for name in labels if name.startswith("exported_")], (
        "no label of ours is taken"
    )


def test_the_namespace_of_a_benchmark_is_not_that_of_the_pod(prometheus: Prometheus) -> None:
    ((labels, value),) = prometheus.found(
        'perbench_result_per{model="four-slots",task="topics",scale="reference",bound="point"}'
    )
    assert value == 1.095
    assert (labels["namespace"], labels["benchmark_namespace"], labels["benchmark"]) == (
        "perbench-system", "team-a", "bench",
    )  # fmt: skip


def queries() -> list[str]:
    """Those of the manual, without their comments."""
    section = MANUAL.read_text().split("## Operator and results")[1].split("\n## ")[0]
    blocks = re.findall(r"^```\n(.*?)^```", section, re.MULTILINE | re.DOTALL)
    lines = [line for block in blocks for line in block.splitlines() if not line.startswith("#")]
    return "\n".join(lines).replace("\n  ", " ").splitlines()


@pytest.mark.parametrize("query", queries())
def test_the_queries_of_the_manual_are_understood(prometheus: Prometheus, query: str) -> None:
    if "accelerator" in query or "_bucket" in query:  # nothing here has an accelerator, or a rate
        prometheus.query(query)
    else:
        prometheus.found(query)


def test_every_alert_is_looked_at(prometheus: Prometheus) -> None:
    def firing() -> list[str]:
        (group,) = prometheus.ask("rules")["groups"]
        return [rule["name"] for rule in group["rules"] if rule["state"] == "firing" and rule["health"] == "ok"]

    # What has been measured since January, and what this Prometheus has seen to be worse since just now.
    wait_until(lambda: firing() == ["PerbenchRegressed", "PerbenchBenchmarkStuck"], "two alerts fire")
    (group,) = prometheus.ask("rules")["groups"]
    assert {rule["health"] for rule in group["rules"]} == {"ok"}
