"""`perbench-operator` as a process: how it ends where it cannot begin."""

import asyncio
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import yaml
from kubernetes.aio.client import Configuration
from typing_extensions import override

from perbench_operator import main, work
from perbench_operator.configuration import OperatorConfiguration
from perbench_operator.health import Health
from perbench_operator.platform import Platform
from tests.support.contract_server import free_port
from tests.support.operator_process import operator_process
from tests.support.processes import until


class _Api(ThreadingHTTPServer):
    """An API server in which there is nothing. It answers so, with the reason, where a part of the path says so."""

    def __init__(self, part: str, status: int, reason: str) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.refusal = (part, status, reason)


class _Handler(BaseHTTPRequestHandler):
    server: _Api

    def do_GET(self) -> None:
        part, status, reason = self.server.refusal
        refused = part in self.path
        content = json.dumps({"reason": reason} if refused else {"items": [], "metadata": {}}).encode()
        self.send_response(status if refused else 200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    @override
    def log_message(self, format: str, *args: object) -> None:
        """Silent."""


@contextmanager
def api_that_refuses(folder: Path, part: str, status: int, reason: str) -> Iterator[Path]:
    """Its kubeconfig."""
    with _Api(part, status, reason) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        path = folder / "kubeconfig"
        path.write_text(
            yaml.safe_dump(
                {
                    "apiVersion": "v1", "kind": "Config", "current-context": "a",
                    "users": [{"name": "a", "user": {"token": "t"}}],
                    "clusters": [{"name": "a", "cluster": {"server": f"http://127.0.0.1:{server.server_port}"}}],
                    "contexts": [{"name": "a", "context": {"cluster": "a", "user": "a"}}],
                }
            )
        )  # fmt: skip
        try:
            yield path
        finally:
            server.shutdown()
            thread.join()


def test_what_may_not_be_listed_at_the_start_is_said_and_waited_for(tmp_path: Path) -> None:
    api = api_that_refuses(tmp_path, "/jobs", 403, "Forbidden")
    with api as kubeconfig, operator_process(tmp_path, kubeconfig) as operator:
        operator.wait_says(
            "/readyz", 503, "jobs in all namespaces cannot be listed: not allowed: is the operator's role"
        )
        assert operator.ask("/healthz") == (200, "ok")
        assert operator.stop() == 0
        log = operator.log.read_text()
    assert log.count("jobs in all namespaces cannot be listed") == 1
    assert "Traceback" not in log


def test_an_operator_that_waits_for_the_crd_lives(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It ticks before the working loop begins, which is when the API has answered."""
    ticks: list[float] = []

    class Watched(Health):
        @override
        def tick(self, now: float) -> None:
            ticks.append(now)

    async def access() -> Configuration:
        return Configuration(host=server)

    async def run() -> None:
        operating = asyncio.create_task(main.operate(configuration))
        await until(lambda: len(ticks) > 2)
        operating.cancel()
        with pytest.raises(asyncio.CancelledError):
            await operating

    configuration = OperatorConfiguration(
        probe_port=free_port(), metrics_port=free_port(), platform=Platform(bench_image="bench:1")
    )
    monkeypatch.setattr(main, "Health", Watched)
    monkeypatch.setattr(work, "BEAT_SECONDS", 0.01)
    with api_that_refuses(tmp_path, "/", 404, "NotFound") as kubeconfig:
        server = yaml.safe_load(kubeconfig.read_text())["clusters"][0]["cluster"]["server"]
        monkeypatch.setattr(main, "load_configuration", access)
        asyncio.run(run())
