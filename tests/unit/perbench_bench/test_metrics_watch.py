"""Reading `/metrics` over real sockets."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from perbench_bench import metrics_watch
from perbench_bench.engine.http1 import Origin
from perbench_bench.metrics_watch import MetricsWatch, NoMetricsError
from tests.support.processes import wait_until

PAGE = b'vllm:num_requests_running{engine="0"} %d\nvllm:generation_tokens_total{engine="0"} %d\n'


def ok(body: bytes) -> bytes:
    return b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)


class Pages:
    """Answers the requests of one port with `answers` in turn, the last again and again."""

    def __init__(self, answers: list[bytes]) -> None:
        self.answers = answers
        self.heads: list[bytes] = []
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        self.thread = threading.Thread(target=self._serve, daemon=True)
        self.thread.start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self.socket.accept()
            except OSError:
                return
            with connection:
                self.heads.append(connection.recv(65536))
                answer = self.answers[min(len(self.heads), len(self.answers)) - 1]
                if answer == b"hang":
                    connection.recv(1)  # until the other side has given up
                    continue
                connection.sendall(answer)

    def watch(self, path: str = "", key: str | None = None) -> MetricsWatch:
        return MetricsWatch(
            Origin("127.0.0.1", self.port, tls=False, base_path=path), ["127.0.0.1"], key, time.perf_counter_ns
        )


@contextmanager
def pages(*answers: bytes) -> Iterator[Pages]:
    server = Pages(list(answers))
    try:
        yield server
    finally:
        server.socket.shutdown(socket.SHUT_RDWR)
        server.socket.close()
        server.thread.join(timeout=5)


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """One reading under load, and nothing given up, however slow this machine is."""
    monkeypatch.setattr(metrics_watch, "EVERY_SECONDS", 3600.0)
    monkeypatch.setattr(metrics_watch, "TIMEOUT_SECONDS", 60.0)
    monkeypatch.setattr(metrics_watch, "SETTLE_SECONDS", 60.0)


def test_before_while_and_after() -> None:
    with pages(ok(PAGE % (0, 5)), ok(PAGE % (0, 5)), ok(PAGE % (3, 7)), ok(PAGE % (0, 9))) as server:
        watch = server.watch("/base", "secret")
        start = time.perf_counter_ns()
        assert watch.begin().output_tokens == 5
        wait_until(lambda: len(watch.lines()) == 1, "it has looked")
        stop = time.perf_counter_ns()
        assert watch.end().output_tokens == 9
        assert [reading.running for reading in watch.within(start, stop)] == [3]
        assert watch.within(stop, stop) == []
    assert server.heads[0].startswith(b"GET /base/metrics HTTP/1.1\r\nHost: 127.0.0.1:")
    assert b"\r\nAuthorization: Bearer secret\r\n" in server.heads[0]
    assert b"\r\nConnection: close\r\n" in server.heads[0]


def test_it_waits_until_the_server_has_nothing_left_to_do() -> None:
    with pages(ok(PAGE % (2, 5)), ok(PAGE % (1, 6)), ok(PAGE % (1, 6)), ok(PAGE % (0, 7))) as server:
        watch = server.watch()
        assert watch.begin().output_tokens == 7
        watch.stop()


def test_a_server_that_never_rests_is_read_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics_watch, "SETTLE_SECONDS", 0.5)
    with pages(ok(PAGE % (2, 5))) as server:
        watch = server.watch()
        assert watch.begin().running == 2
        watch.stop()


def test_a_reading_that_fails_under_load_is_left_out() -> None:
    with pages(
        ok(PAGE % (0, 5)), ok(PAGE % (0, 5)), b"HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n", ok(PAGE % (0, 5))
    ) as server:
        watch = server.watch()
        watch.begin()
        wait_until(lambda: len(server.heads) == 3, "it looks")
        watch.end()
        assert watch.within(0, time.perf_counter_ns()) == []


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", "HTTP 404"),
        (b"HTTP/1.1 501 No\r\nContent-Length: 0\r\n\r\n", "HTTP 501"),
        (ok(b"<html>"), "no figures of a model server"),
        (ok(b"vllm:num_requests_running{engine= 1\n"), "not in the exposition format"),
        (b"SSH-2.0-OpenSSH\r\n", "not HTTP/1.1"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nvllm", "closed before the answer was finished"),
        (b"", "closed before the answer was finished"),
        (b"hang", "timed out"),
    ],
)
def test_why_there_is_none(monkeypatch: pytest.MonkeyPatch, answer: bytes, said: str) -> None:
    if answer == b"hang":
        monkeypatch.setattr(metrics_watch, "TIMEOUT_SECONDS", 0.2)
    with pages(answer) as server, pytest.raises(NoMetricsError, match=said):
        server.watch().begin()


def test_a_port_that_refuses() -> None:
    watch = MetricsWatch(Origin("127.0.0.1", 9, tls=False, base_path=""), ["127.0.0.1"], None, time.perf_counter_ns)
    with pytest.raises(NoMetricsError, match="refused"):
        watch.begin()


def test_every_replica_is_read() -> None:
    with pages(ok(PAGE % (0, 5))) as server:
        origin = Origin("localhost", server.port, tls=False, base_path="")
        watch = MetricsWatch(origin, ["127.0.0.1", "127.0.0.1"], None, time.perf_counter_ns)
        assert watch.begin().output_tokens == 10
        watch.stop()
