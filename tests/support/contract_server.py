"""The contract server as a process, with the model that is installed for the tests."""

import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support.ports import free_port

ROOT = Path(__file__).parents[2]
MODEL = "HuggingFaceTB/SmolLM2-135M-Instruct"
READY_SECONDS = 120.0
JSON = {"Content-Type": "application/json"}


@dataclass
class ContractServer:
    """A server that was started."""

    process: subprocess.Popen[bytes]
    port: int
    log: Path

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def connect(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)

    def get(self, path: str) -> tuple[int, bytes]:
        return self._exchange("GET", path, b"")

    def post(self, path: str, body: Mapping[str, Any]) -> tuple[int, bytes]:
        return self._exchange("POST", path, json.dumps(body).encode())

    def _exchange(self, method: str, path: str, body: bytes) -> tuple[int, bytes]:
        connection = self.connect()
        try:
            connection.request(method, path, body, JSON)
            response = connection.getresponse()
            return response.status, response.read()
        finally:
            connection.close()

    def stop(self) -> int:
        """SIGTERM, then wait. Its exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(60)

    def is_open(self) -> bool:
        with suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1):
            return True
        return False

    def wait_until_open(self) -> None:
        deadline = time.monotonic() + READY_SECONDS
        while not self.is_open():
            assert self.process.poll() is None, self.log.read_text()
            assert time.monotonic() < deadline, self.log.read_text()
            time.sleep(0.05)


@contextmanager
def started(directory: Path, *words: str, **environment: str) -> Iterator[ContractServer]:
    """A server on ports of its own, killed with the block if it runs then."""
    port, log = free_port(), directory / f"contract-{time.monotonic_ns()}.log"
    ports = ["--hostname", "127.0.0.1", "--port", str(port), "--prometheus-port", str(free_port())]
    command = [sys.executable, "-m", "tests.images.tgi_contract", *ports, *words]
    surroundings = {**os.environ, "MODEL_ID": MODEL, "PREFIX_CACHING": "0", **environment}
    with (
        log.open("wb") as out,
        subprocess.Popen(command, cwd=ROOT, env=surroundings, stdout=out, stderr=out) as process,
    ):
        try:
            yield ContractServer(process, port, log)
        finally:
            if process.poll() is None:
                process.terminate()
                with suppress(subprocess.TimeoutExpired):
                    process.wait(10)
            process.kill()


def events(body: bytes) -> list[dict[str, Any]]:
    """The values of a stream's events."""
    return [json.loads(data) for data in re.findall(rb"^data: (\{.*\})$", body, re.MULTILINE)]
