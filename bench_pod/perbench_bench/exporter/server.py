"""`GET /metrics`: one answer to each scrape, by threads that no event loop waits for."""

import socket
import sys
import threading
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from typing import Self

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector
from typing_extensions import override

from perbench.plan import METRICS_PATH
from perbench_bench.pod_server import PodServer

REQUEST_SECONDS = 10.0
"""For one scraper to say what it wants and to take the answer."""


class MetricsServer(PodServer):
    """Serves a collector from `start` to `close`. Raises OSError: the port cannot be had. Port 0: any that is free."""

    def __init__(self, port: int, collector: Collector) -> None:
        self._registry = CollectorRegistry()
        self._registry.register(collector)
        self._turn = threading.Lock()
        self._thread = threading.Thread(target=self.serve_forever, name="metrics", daemon=True)
        super().__init__(("", port), _Handler)

    def start(self) -> Self:
        """Answer from now on."""
        self._thread.start()
        return self

    def close(self) -> None:
        """Answer no more."""
        self.shutdown()
        self.server_close()
        self._thread.join()

    def exposition(self, accept: str) -> tuple[bytes, str]:
        """The metrics in the format that the header Accept prefers, and its content type. One scrape at a time: two
        would keep a load waiting twice as often."""
        try:
            encoder, content_type = choose_encoder(accept)
        except TypeError:  # it asks for a version that is no number
            encoder, content_type = choose_encoder("")
        with self._turn:
            return encoder(self._registry), content_type

    @override
    def handle_error(self, request: socket.socket | tuple[bytes, socket.socket], client_address: object) -> None:
        """A scraper that goes away in the middle is no error of ours."""
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    server: MetricsServer
    timeout = REQUEST_SECONDS

    def do_GET(self) -> None:
        """The metrics."""
        if self.path.partition("?")[0] != METRICS_PATH:
            self.send_error(HTTPStatus.NOT_FOUND)
            return
        body, content_type = self.server.exposition(self.headers.get("Accept", ""))
        self.send_response(HTTPStatus.OK)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    @override
    def log_message(self, format: str, *args: object) -> None:
        """Silent: a line per scrape tells nobody anything."""
