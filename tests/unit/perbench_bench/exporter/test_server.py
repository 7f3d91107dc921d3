"""Scrapes over loopback: formats, mistakes, clients that are slow, gone or many."""

import http.client
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from perbench_bench.exporter import Board, MetricsServer, RunLabels
from tests.support.exposition import CLASSIC, OPENMETRICS, scrape


@pytest.fixture
def server() -> Iterator[MetricsServer]:
    served = MetricsServer(0, Board(RunLabels("team", "shop", "m", {"run_id": "0123456789"}), {"topics": 1})).start()
    yield served
    served.close()


def answered(server: MetricsServer, method: str = "GET", path: str = "/metrics", **headers: str) -> tuple[int, str]:
    connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=60)
    connection.request(method, path, headers=headers)
    answer = connection.getresponse()
    answer.read()
    connection.close()
    return answer.status, answer.headers.get("Content-Type", "")


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        (OPENMETRICS, "application/openmetrics-text; version=1.0.0; charset=utf-8"),
        (CLASSIC, "text/plain; version=0.0.4; charset=utf-8"),
        ("*/*", "text/plain; version=0.0.4; charset=utf-8"),
        ("application/openmetrics-text;version=none", "text/plain; version=0.0.4; charset=utf-8"),
    ],
)
def test_the_scraper_chooses_the_format(server: MetricsServer, accept: str, expected: str) -> None:
    status, content_type = answered(server, Accept=accept)
    assert status == 200
    assert content_type.startswith(expected)


def test_what_is_not_there(server: MetricsServer) -> None:
    assert answered(server, path="/metrics?x=1")[0] == 200
    assert answered(server, path="/")[0] == 404
    assert answered(server, method="POST")[0] == 501


def test_many_scrapers_at_once_get_the_same(server: MetricsServer) -> None:
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(scrape, [server.server_port] * 24))
    assert all(one.values == found[0].values for one in found)


@pytest.mark.filterwarnings("error::pytest.PytestUnhandledThreadExceptionWarning")
def test_clients_that_say_nothing_or_go_away_hold_nobody_up(
    server: MetricsServer, capfd: pytest.CaptureFixture[str]
) -> None:
    silent = socket.create_connection(("127.0.0.1", server.server_port))
    for _ in range(3):
        gone = socket.create_connection(("127.0.0.1", server.server_port))
        gone.sendall(b"GET /metrics HTTP/1.1\r\n\r\n")
        gone.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        gone.close()
    assert scrape(server.server_port).one("perbench_progress_ratio", task="topics") == 0
    silent.close()
    assert capfd.readouterr().err == ""


def test_a_port_that_is_taken_is_an_error_at_once(server: MetricsServer) -> None:
    with pytest.raises(OSError, match="in use"):
        MetricsServer(server.server_port, Board(RunLabels("n", "b", "m", {}), {}))


def test_both_families_of_addresses(server: MetricsServer) -> None:
    if not socket.has_dualstack_ipv6():
        pytest.skip("this machine has no IPv6")
    for address in ("127.0.0.1", "::1"):
        socket.create_connection((address, server.server_port), timeout=60).close()
