"""A dcgm-exporter over real sockets, derived from the one recorded with a pod: its lines, with figures of ours."""

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from typing_extensions import override

WATTS = 300.0
BUSY_PERCENT = 90
FIRST_MIB = 70_000
"""In use at the first collection; each that follows finds 1 MiB more."""


@dataclass(frozen=True)
class Gpu:
    """One device; `pod` None: nobody's."""

    number: int
    pod: str | None = None
    namespace: str = "team"
    spelling: tuple[str, str] = ("namespace", "pod")

    @property
    def labels(self) -> str:
        """As the exporter writes them."""
        about = f'gpu="{self.number}",UUID="GPU-{self.number}",device="nvidia{self.number}",Hostname="gpu-node-1"'
        if self.pod is None:
            return about
        return f'{about},{self.spelling[0]}="{self.namespace}",{self.spelling[1]}="{self.pod}",pod_uid=""'


def page(gpus: Sequence[Gpu], collection: int, seconds: float = 1.0) -> str:
    """What it shows after so many collections, `seconds` apart: each takes 300 W and is busy for nine tenths."""
    figures = {
        "DCGM_FI_DEV_SM_CLOCK": 1980,
        "DCGM_FI_DEV_GPU_TEMP": 60,
        "DCGM_FI_DEV_POWER_USAGE": WATTS,
        "DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION": 5_000_000 + round(WATTS * 1000 * seconds * collection),
        "DCGM_FI_DEV_GPU_UTIL": BUSY_PERCENT,
        "DCGM_FI_DEV_FB_FREE": 9000,
        "DCGM_FI_DEV_FB_USED": FIRST_MIB + collection,
    }
    lines = [f"{name}{{{gpu.labels}}} {value}" for name, value in figures.items() for gpu in gpus]
    return "\n".join(lines) + "\n"


@dataclass
class DcgmExporter:
    """A running one, that collects by itself."""

    gpus: Sequence[Gpu]
    interval: float
    """Seconds between two collections."""
    began: float = field(default_factory=time.monotonic)
    port: int = 0
    asked: int = 0

    def answer(self) -> bytes:
        """The page now."""
        self.asked += 1
        return page(self.gpus, int((time.monotonic() - self.began) / self.interval), self.interval).encode()


@contextmanager
def dcgm_exporter(gpus: Sequence[Gpu], interval: float) -> Iterator[DcgmExporter]:
    """Answers at a free port of loopback."""
    exporter = DcgmExporter(gpus, interval)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = exporter.answer()
            self.send_response(200)
            self.send_header("Content-Type", "text/plain; charset=utf-8")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        @override
        def log_message(self, format: str, *args: object) -> None:
            """Silent."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        exporter.port = server.server_port
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        try:
            yield exporter
        finally:
            server.shutdown()
            thread.join()
