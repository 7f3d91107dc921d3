"""`perbench-memory --port N`: reads memory and processor time of the model's server beside it in its pod, and says them
over HTTP.

POST /window begins a window (peaks are set back); GET /window gives the figures since then, a Taken in JSON. Processor
time is that of the part that was measured: GET /window?opened=12.5&closed=2 says how many seconds ago that began and
ended. GET /now gives what is known at this moment, a MemoryNow in JSON. GET /healthz answers 200. It imports neither
arrays nor the load engine: it shares the server's pod and must be light.
"""

import argparse
import signal
import sys
import time
from dataclasses import replace
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from threading import Lock
from urllib.parse import parse_qs, urlencode, urlsplit

from typing_extensions import override

from perbench.planning import EVERY_CONTAINER
from perbench_bench.cpu_series import Ages, unknown_use
from perbench_bench.memory import MemoryReader, without_figures
from perbench_bench.memory_now import JSON, TAKEN_JSON, MemoryNow, Taken
from perbench_bench.memory_processes import PodProcesses
from perbench_bench.pod_server import PodServer

PATH, NOW_PATH = "/window", "/now"
REQUEST_SECONDS = 10.0
"""For one client to say what it wants."""
RESTARTED = "no window was begun: the reader of memory has been started anew since"
NOT_BEGUN = Taken(without_figures(RESTARTED, "/proc"), unknown_use(RESTARTED, "/proc"))


def window_path(measured: Ages | None) -> str:
    """What is asked for at the end of a window."""
    return PATH if measured is None else f"{PATH}?{urlencode({'opened': measured.opened, 'closed': measured.closed})}"


def ages_of(query: str) -> Ages | None:
    """The other way round. None: nothing was measured. Raises ValueError."""
    if not query:
        return None
    said = {name: float(values[-1]) for name, values in parse_qs(query, strict_parsing=True).items()}
    if said.keys() != {"opened", "closed"} or not 0 <= said["closed"] <= said["opened"] < float("inf"):
        raise ValueError(query)
    return Ages(**said)


def main() -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(prog="perbench-memory", description="Read the memory of the server in this pod.")
    parser.add_argument("--port", type=int, required=True, help="where to listen, on all addresses")
    parser.add_argument("--server-variable", help="an environment variable that only the server's container has")
    parser.add_argument("--proc", type=Path, default=Path("/proc"), help="where the processes are shown")
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))  # before the server: a pod's end must not wait for us
    try:
        server = MemoryServer(arguments.port, arguments.proc, arguments.server_variable)
    except OSError as error:
        sys.stderr.write(f"perbench-memory: port {arguments.port}: {error.strerror or error}\n")
        sys.exit(2)
    sys.stderr.write(f"perbench-memory: listening on port {server.server_port}\n")
    with server:
        server.serve_forever()


class MemoryServer(PodServer):
    """Answers for one reader."""

    def __init__(self, port: int, proc: Path = Path("/proc"), variable: str | None = None) -> None:
        self._processes = PodProcesses(proc, variable)
        self._reader = MemoryReader(self._processes)
        self._lock = Lock()
        self._begun = False
        super().__init__(("", port), _Handler)

    def begin(self) -> None:
        """Begin a window; one that is open ends."""
        with self._lock:
            self._reader.start()
            self._begun = True

    def so_far(self, measured: Ages | None = None) -> Taken:
        """The figures of the window. `measured`: ages as of now."""
        asked = time.monotonic()  # before anybody is waited for
        with self._lock:
            if not self._begun:
                return NOT_BEGUN
            taken = self._reader.so_far(measured, asked)
            taken = _of_every_container(taken) if self._processes.mixed else taken
            return replace(taken, held=time.monotonic() - asked)

    def now(self) -> MemoryNow:
        """What is known at this moment; nothing before the first window."""
        return self._reader.now()


def _of_every_container(taken: Taken) -> Taken:
    memory = taken.memory.model_copy(update={"source": f"{taken.memory.source}; {EVERY_CONTAINER}"})
    use = taken.use and taken.use.model_copy(update={"cpu_source": f"{taken.use.cpu_source}; {EVERY_CONTAINER}"})
    return replace(taken, memory=memory, use=use)


class _Handler(BaseHTTPRequestHandler):
    server: MemoryServer
    timeout = REQUEST_SECONDS

    def do_POST(self) -> None:
        """Begin a window."""
        if self.path != PATH:
            self.send_error(HTTPStatus.NOT_FOUND)
            return
        self.server.begin()
        self._say(b"{}")

    def do_GET(self) -> None:
        """The figures so far."""
        if self.path == "/healthz":
            self._say(b"{}")
        elif self.path == NOW_PATH:
            self._say(JSON.dump_json(self.server.now()))
        elif (asked := urlsplit(self.path)).path == PATH:
            try:
                measured = ages_of(asked.query)
            except ValueError:
                self.send_error(HTTPStatus.BAD_REQUEST, "opened and closed are seconds ago, opened first")
                return
            self._say(TAKEN_JSON.dump_json(self.server.so_far(measured)))
        else:
            self.send_error(HTTPStatus.NOT_FOUND)

    def _say(self, body: bytes) -> None:
        self.send_response(HTTPStatus.OK)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    @override
    def log_message(self, format: str, *args: object) -> None:
        """Silent: two lines per stage tell nobody anything."""


if __name__ == "__main__":
    main()
