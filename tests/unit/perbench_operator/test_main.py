"""`perbench-operator` as a process: how it ends where it cannot begin."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import yaml
from typing_extensions import override

from tests.support.operator_process import STOP_SECONDS, operator_process


class _Handler(BaseHTTPRequestHandler):
    """An API server in which there is nothing, and in which Jobs may not be listed."""

    def do_GET(self) -> None:
        refused = "/jobs" in self.path
        said = (
            {"reason": "Forbidden", "message": "jobs.batch is forbidden"} if refused else {"items": [], "metadata": {}}
        )
        content = json.dumps(said).encode()
        self.send_response(403 if refused else 200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    @override
    def log_message(self, format: str, *args: object) -> None:
        """Silent."""


@contextmanager
def api_without_rights(folder: Path) -> Iterator[Path]:
    """Its kubeconfig."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _Handler) as server:
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


def test_what_may_not_be_listed_at_the_start_is_one_line(tmp_path: Path) -> None:
    with api_without_rights(tmp_path) as kubeconfig, operator_process(tmp_path, kubeconfig) as operator:
        assert operator.process.wait(STOP_SECONDS) == 1
        log = operator.log.read_text()
    assert "perbench-operator: what runs have made cannot be listed: jobs.batch is forbidden\n" in log
    assert "Traceback" not in log
