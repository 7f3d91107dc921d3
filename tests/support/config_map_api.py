"""A double of the API server: ConfigMaps with resourceVersions over HTTPS, and faults on demand."""

import json
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from typing_extensions import override

from perbench_bench.api_server import Access

NAMESPACE = "bench"
PREFIX = f"/api/v1/namespaces/{NAMESPACE}/configmaps/"
METRICS_PREFIX = f"/apis/metrics.k8s.io/v1beta1/namespaces/{NAMESPACE}/pods/"


@dataclass
class Asked:
    """One request that came."""

    method: str
    name: str
    body: dict[str, Any] | None
    status: int


@dataclass
class ConfigMapApi:
    """What the double holds, and what it is to do."""

    folder: Path
    """Of the service account: token, ca.crt."""
    port: int = 0
    objects: dict[str, dict[str, Any]] = field(default_factory=dict)
    asked: list[Asked] = field(default_factory=list)
    faults: list[int] = field(default_factory=list)
    """Statuses of the next answers, in order, whatever is asked."""
    away: Callable[[Asked], bool] = lambda _asked: False
    """Whether a request finds nobody who can answer."""
    forbidden: set[str] = field(default_factory=set)
    """Names that the account's Role does not hold."""
    pod_metrics: Callable[[str], tuple[int, dict[str, Any]]] | None = None
    """What metrics.k8s.io says of a pod. None: nobody serves it."""
    lock: threading.Lock = field(default_factory=threading.Lock)
    version: int = 100

    @property
    def access(self) -> Access:
        """How to get here."""
        return Access("127.0.0.1", self.port, self.folder)

    @property
    def environment(self) -> dict[str, str]:
        """As a pod is told."""
        return {"KUBERNETES_SERVICE_HOST": "127.0.0.1", "KUBERNETES_SERVICE_PORT_HTTPS": str(self.port)}

    def create(self, name: str, **content: dict[str, str]) -> None:
        """An object, with `data` and `binaryData` as given."""
        self.version += 1
        self.objects[name] = {"metadata": {"name": name, "resourceVersion": str(self.version)}, **content}

    def rotate_token(self, token: str) -> None:
        """Only this token is good from now on."""
        (self.folder / "token").write_text(token + "\n")

    def patch(self, name: str, change: dict[str, Any]) -> None:
        """As somebody else does it."""
        with self.lock:
            self.merge(name, change)

    def answer(self, method: str, path: str, token: str, body: dict[str, Any] | None) -> tuple[int, dict[str, Any]]:
        """Judge and do."""
        name = path.removeprefix(PREFIX)
        with self.lock:
            away = self.away(Asked(method, name, body, 503))
            status, said = (503, {}) if away else self._judged(method, path, name, token, body)
            self.asked.append(Asked(method, name, body, status))
        return status, said

    def _judged(
        self, method: str, path: str, name: str, token: str, body: dict[str, Any] | None
    ) -> tuple[int, dict[str, Any]]:
        if self.faults:
            return self.faults.pop(0), {"message": "on demand"}
        if token != "Bearer " + (self.folder / "token").read_text().strip():
            return 401, {"message": "Unauthorized"}
        if path.startswith(METRICS_PREFIX):
            pod = path.removeprefix(METRICS_PREFIX)
            return self.pod_metrics(pod) if self.pod_metrics else (404, {})
        return self._of_config_map(method, path, name, body)

    def _of_config_map(
        self, method: str, path: str, name: str, body: dict[str, Any] | None
    ) -> tuple[int, dict[str, Any]]:
        if not path.startswith(PREFIX) or name in self.forbidden:
            return 403, {"message": f'configmaps "{name}" is forbidden'}
        if name not in self.objects:
            return 404, {"message": f'configmaps "{name}" not found'}
        if method == "PATCH" and body is not None:
            wanted = body.get("metadata", {}).get("resourceVersion")
            if wanted not in {None, self.objects[name]["metadata"]["resourceVersion"]}:
                return 409, {"message": "the object has been modified"}
            self.merge(name, body)
        return 200, self.objects[name]

    def merge(self, name: str, change: dict[str, Any]) -> None:
        """A JSON merge patch of the maps in an object."""
        self.version += 1
        found = self.objects[name]
        for part in ("data", "binaryData"):
            held = {**found.get(part, {}), **change.get(part, {})}
            found[part] = {key: value for key, value in held.items() if value is not None}
        found["metadata"] = {"name": name, "resourceVersion": str(self.version)}


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    api: ConfigMapApi

    @override
    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that was stopped in the middle is no error here."""


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    def do_GET(self) -> None:
        self._answer(None)

    def do_PATCH(self) -> None:
        assert self.headers["Content-Type"] == "application/merge-patch+json"
        self._answer(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))

    def _answer(self, body: dict[str, Any] | None) -> None:
        status, said = self.server.api.answer(self.command, self.path, self.headers["Authorization"], body)
        content = json.dumps(said).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    @override
    def log_message(self, format: str, *args: object) -> None:
        """Silent."""


@contextmanager
def config_map_api(folder: Path) -> Iterator[ConfigMapApi]:
    """The double, with its certificate and token in `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    api = ConfigMapApi(folder)
    api.rotate_token("first")
    key = folder / "key.pem"
    command = [
        "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
        "-subj", "/CN=api", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(key), "-out",
        str(folder / "ca.crt"),
    ]  # fmt: skip
    subprocess.run(command, check=True, capture_output=True, timeout=60)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "ca.crt", key)
    with _Server(("127.0.0.1", 0), _Handler) as server:
        server.api = api
        server.socket = context.wrap_socket(server.socket, server_side=True)
        api.port = server.server_port
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        try:
            yield api
        finally:
            server.shutdown()
            thread.join()
