"""The operator as a process of a test."""

import contextlib
import os
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import yaml

from tests.support.ports import free_port
from tests.support.processes import wait_until

STOP_SECONDS = 60.0
BENCH_IMAGE = "registry.example.org/perbench/bench:test"
"""Of a control plane without nodes: no pod of it is ever started."""


@dataclass
class OperatorProcess:
    """A running operator."""

    process: subprocess.Popen[bytes]
    port: int
    metrics_port: int
    log: Path

    def ask(self, path: str, port: int | None = None) -> tuple[int, str]:
        """Status and text of a probe's route, or of one at another port; 0 where nothing answers."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port or self.port}{path}", timeout=20) as answer:
                return answer.status, answer.read().decode().strip()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode().strip()
        except OSError as error:
            return 0, str(error)

    def scrape(self) -> str:
        """Its metrics, in the older text format."""
        status, text = self.ask("/metrics", self.metrics_port)
        assert status == 200, text
        return f"{text}\n"

    def wait_ready(self) -> None:
        """Wait until it says that it is ready."""
        self.wait_says("/readyz", 200, "ok")

    def wait_says(self, path: str, status: int, text: str) -> None:
        """Wait until a route answers so; `text` is a part of it."""

        def says() -> bool:
            assert self.process.poll() is None, self.log.read_text()
            answer = self.ask(path)
            return answer[0] == status and text in answer[1]

        wait_until(says, f"{path} says {status} {text!r}")

    def wait_logs(self, text: str) -> None:
        """Wait for a text in its log."""
        wait_until(lambda: text in self.log.read_text(), f"the operator logs {text!r}")

    def stop(self) -> int:
        """Tell it to stop, as the kubelet does; its exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(STOP_SECONDS)


@contextlib.contextmanager
def operator_process(
    folder: Path, kubeconfig: Path, namespaces: tuple[str, ...] = (), **settings: object
) -> Iterator[OperatorProcess]:
    """An operator that watches these namespaces (none: all) with this kubeconfig, while the block runs; `settings`:
    further ones."""
    port, metrics_port = free_port(), free_port()
    config, log = folder / "operator.yaml", folder / "operator.log"
    all_settings = settings | {
        "namespaces": list(namespaces), "probePort": port, "metricsPort": metrics_port,
        "platform": {"benchImage": BENCH_IMAGE},
    }  # fmt: skip
    config.write_text(yaml.safe_dump(all_settings))
    program = "from perbench_operator.main import main; main()"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-c", program, "--config", config],
            env={**os.environ, "KUBECONFIG": str(kubeconfig)},
            stdout=output,
            stderr=output,
        )
    with process:
        try:
            yield OperatorProcess(process, port, metrics_port, log)
        finally:
            process.kill()
