"""What the API server's answers come to, over a real connection on the loopback address."""

import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import StringIO
from pathlib import Path

import pytest
import yaml
from typing_extensions import override

from perbench.cluster import waiting
from perbench.cluster.connection import Cluster, ClusterError, UnavailableError
from perbench.cluster.waiting import wait

FORBIDDEN = 'perbenchmarks.perbench.dev "study" is forbidden: User "jane" cannot get resource "perbenchmarks"'


class Server(ThreadingHTTPServer):
    """Gives one answer after the other, the last one again and again."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answers: list[tuple[int, bytes]] = []
        self.asked = 0

    def says(self, *answers: tuple[int, object]) -> None:
        self.answers = [
            (status, said if isinstance(said, bytes) else json.dumps(said).encode()) for status, said in answers
        ]


class _Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        self._answer()

    def do_PATCH(self) -> None:
        self._answer()

    def _answer(self) -> None:
        answers = self.server.answers
        self.server.asked += 1
        status, body = answers.pop(0) if len(answers) > 1 else answers[0]
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    @override
    def log_message(self, format: str, *args: object) -> None:
        """Silent."""


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def cluster(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cluster:
    document = {
        "apiVersion": "v1", "kind": "Config", "current-context": "c",
        "clusters": [{"name": "c", "cluster": {"server": f"http://127.0.0.1:{server.server_port}"}}],
        "users": [{"name": "u", "user": {}}],
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
    }  # fmt: skip
    file = tmp_path / "kubeconfig"
    file.write_text(yaml.safe_dump(document))
    monkeypatch.setattr("kubernetes.config.kube_config.KUBE_CONFIG_DEFAULT_LOCATION", str(file))
    monkeypatch.setattr(waiting, "POLL_SECONDS", 0.01)
    return Cluster(None, None)


def status(code: int, reason: str, message: str) -> tuple[int, object]:
    return code, {"kind": "Status", "code": code, "reason": reason, "message": message}


NO = (
    (status(401, "Unauthorized", "Unauthorized"), "does not know you (401): log in again"),
    (status(403, "Forbidden", FORBIDDEN), f"{FORBIDDEN}: ask whoever runs the cluster for that right"),
    ((404, b"404 page not found\n"), "this cluster has no perbenchmarks: install the chart perbench-crds"),
    (status(404, "NotFound", 'perbenchmarks.perbench.dev "study" not found'), '"study" not found'),
)


@pytest.mark.parametrize(("answer", "words"), NO)
def test_what_asking_again_does_not_change_ends_the_wait_at_once(
    server: Server, cluster: Cluster, answer: tuple[int, object], words: str
) -> None:
    server.says(answer)
    with pytest.raises(ClusterError) as raised:
        wait(cluster, "default", "study", None, StringIO())
    assert words in str(raised.value)
    assert "\n" not in str(raised.value)
    assert not isinstance(raised.value, UnavailableError)
    assert server.asked == 1


@pytest.mark.parametrize(("answer", "words"), NO[:3])
def test_run_is_told_the_same(server: Server, cluster: Cluster, answer: tuple[int, object], words: str) -> None:
    server.says(answer)
    with pytest.raises(ClusterError) as raised:
        cluster.apply("default", {"metadata": {"name": "study"}}, force=False)
    assert words in str(raised.value)


def test_a_server_that_is_away_for_a_moment_is_asked_again(server: Server, cluster: Cluster) -> None:
    ended = {
        "metadata": {"name": "study", "generation": 1},
        "status": {
            "observedGeneration": 1, "completionTime": "2026-01-01T00:00:00Z",
            "conditions": [{"type": "Succeeded", "status": "True", "reason": "Succeeded"}],
        },
    }  # fmt: skip
    server.says(status(503, "ServiceUnavailable", "etcd"), status(429, "TooManyRequests", "slow down"), (200, ended))
    assert wait(cluster, "default", "study", None, StringIO()) == 0
    assert server.asked == 3


def test_a_server_that_stays_away_is_given_up(
    server: Server, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(waiting, "SILENCE_SECONDS", 0.05)
    server.says(status(500, "InternalError", "etcd is gone"))
    began = time.monotonic()
    with pytest.raises(UnavailableError, match=r"not able to answer \(500\): etcd is gone"):
        wait(cluster, "default", "study", None, StringIO())
    assert time.monotonic() - began >= 0.05
