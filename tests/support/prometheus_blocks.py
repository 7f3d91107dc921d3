"""A real Prometheus on data that was written, not scraped."""

import json
import subprocess
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.error import HTTPError

from tests.support.ports import free_port
from tests.support.processes import wait_until
from tests.support.prometheus import program, promtool


@dataclass(frozen=True)
class PrometheusOfBlocks:
    """It answers as of one moment."""

    port: int
    at: float
    """Seconds since the epoch."""

    def query(self, expression: str) -> list[tuple[dict[str, str], float]]:
        """Labels and value of each series. Raises AssertionError with what Prometheus says against the query."""
        data = self._ask("query", query=expression, time=str(self.at))
        return [(each["metric"], float(each["value"][1])) for each in data["result"]]

    def label_values(self, label: str, series: str) -> list[str]:
        """The values of a label among these series."""
        found: list[str] = self._ask(f"label/{label}/values", **{"match[]": series})
        return found

    def _ask(self, path: str, **query: str) -> Any:
        url = f"http://127.0.0.1:{self.port}/api/v1/{path}?{urllib.parse.urlencode(query)}"
        try:
            with urllib.request.urlopen(url, timeout=60) as answer:
                return json.load(answer)["data"]
        except HTTPError as error:
            raise AssertionError(f"{query}: {error.read().decode()}") from error

    def is_ready(self) -> bool:
        """Whether it answers."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/-/ready", timeout=10) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False


@contextmanager
def prometheus_of(openmetrics: str, at: float, folder: Path) -> Iterator[PrometheusOfBlocks]:
    """One that has this data, in a folder of its own; it ends with the block."""
    server = program("prometheus")
    (folder / "data.om").write_text(openmetrics)
    (folder / "prometheus.yaml").write_text("{}\n")
    made = promtool("tsdb", "create-blocks-from", "openmetrics", folder / "data.om", folder / "blocks")
    assert made.returncode == 0, made.stdout + made.stderr
    port = free_port()
    command = [
        server, f"--config.file={folder / 'prometheus.yaml'}", f"--storage.tsdb.path={folder / 'blocks'}",
        "--storage.tsdb.retention.time=100y", f"--web.listen-address=127.0.0.1:{port}",
    ]  # fmt: skip
    with (folder / "log").open("wb") as log, subprocess.Popen(command, stdout=log, stderr=log) as process:
        try:
            found = PrometheusOfBlocks(port, at)
            wait_until(found.is_ready, "Prometheus answers")
            yield found
        finally:
            process.terminate()
