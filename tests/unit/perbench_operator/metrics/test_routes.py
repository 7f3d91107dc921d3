import asyncio
import gzip
import socket
import threading
from collections.abc import Iterator

import aiohttp
import pytest
from prometheus_client import Metric
from prometheus_client.openmetrics.parser import text_string_to_metric_families as open_metrics
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector

from perbench.failures import UsageError
from perbench_operator.metrics import metric_routes
from tests.support.operator_metrics import everything


def scrape(accept: str, encoding: str = "identity", collector: Collector | None = None) -> tuple[str, bytes]:
    """Content type and text, asked as Prometheus asks."""

    async def ask() -> tuple[str, bytes]:
        headers = {"Accept": accept, "Accept-Encoding": encoding}
        async with (
            metric_routes(collector or everything(), "127.0.0.1", 0) as port,
            aiohttp.ClientSession(auto_decompress=False) as session,
            session.get(f"http://127.0.0.1:{port}/metrics", headers=headers) as answer,
        ):
            assert answer.status == 200
            return answer.headers["Content-Type"], await answer.read()

    return asyncio.run(ask())


def test_a_scraper_gets_the_format_that_it_asks_for() -> None:
    kind, text = scrape("application/openmetrics-text; version=1.0.0")
    assert kind.startswith("application/openmetrics-text; version=1.0.0")
    assert "perbench_result_per" in {family.name for family in open_metrics(text.decode())}
    kind, text = scrape("text/plain;version=0.0.4")
    assert kind.startswith("text/plain")
    names = {family.name for family in text_string_to_metric_families(text.decode())}
    assert {"perbench_result_per", "process_resident_memory_bytes"} <= names
    assert not [name for name in names if name.endswith("_created")]


def test_a_version_that_is_no_number_is_no_error() -> None:
    kind, text = scrape("text/plain;version=x")
    assert kind.startswith("text/plain")
    assert b"perbench_result_per" in text


def test_whoever_takes_it_packed_gets_it_packed() -> None:
    _, text = scrape("text/plain", "gzip")
    assert b"perbench_result_per" in gzip.decompress(text)


def test_who_waits_for_a_page_keeps_nobody_else_waiting() -> None:
    threads: list[threading.Thread] = []

    class Slow(Collector):
        def collect(self) -> Iterator[Metric]:
            threads.append(threading.current_thread())
            return iter(())

    scrape("text/plain", collector=Slow())
    assert threads
    assert threading.main_thread() not in threads


def test_scrapes_come_to_whichever_address_of_the_pod() -> None:
    async def ask(host: str) -> int:
        async with (
            metric_routes(everything(), None, 0) as port,
            aiohttp.ClientSession() as session,
            session.get(f"http://{host}:{port}/metrics") as answer,
        ):
            return answer.status

    assert asyncio.run(ask("127.0.0.1")) == 200
    if socket.has_dualstack_ipv6():
        assert asyncio.run(ask("[::1]")) == 200


def test_a_port_that_is_taken_is_one_line() -> None:
    async def serve(port: int) -> None:
        async with metric_routes(everything(), "127.0.0.1", port):
            pass

    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(UsageError, match=f"the metrics' port {port} cannot be had: "):
            asyncio.run(serve(port))
