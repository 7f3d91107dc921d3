"""Prometheus, and its own tool that tests and judges rules and metrics: Debian's package `prometheus`."""

import json
import os
import shutil
import subprocess
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.cluster.plugin import REQUIRE
from tests.support.ports import free_port
from tests.support.processes import wait_until


@dataclass(frozen=True)
class Prometheus:
    """A running one."""

    port: int

    @property
    def url(self) -> str:
        """Where it answers."""
        return f"http://127.0.0.1:{self.port}"

    def ask(self, path: str, **query: str) -> Any:
        """The data of an answer."""
        with urllib.request.urlopen(f"{self.url}/api/v1/{path}?{urllib.parse.urlencode(query)}", timeout=60) as answer:
            found = json.load(answer)
        assert found["status"] == "success", found
        return found["data"]

    def query(self, expression: str) -> list[tuple[dict[str, str], float]]:
        """Labels and values."""
        data = self.ask("query", query=expression)
        return [(each["metric"], float(each["value"][1])) for each in data["result"]]

    def found(self, expression: str) -> list[tuple[dict[str, str], float]]:
        """The same, once there are any: those of a target that it could not read in time are gone until it can."""
        answers: list[list[tuple[dict[str, str], float]]] = []

        def some() -> bool:
            answers.append(self.query(expression))
            return bool(answers[-1])

        wait_until(some, f"there is {expression}")
        return answers[-1]


@contextmanager
def running(folder: Path, settings: Mapping[str, Any]) -> Iterator[Prometheus]:
    """One with these settings, that has read all of its targets."""
    server = program("prometheus")
    port = free_port()
    (folder / "prometheus.yaml").write_text(yaml.safe_dump(dict(settings)))
    command = [
        server, f"--config.file={folder / 'prometheus.yaml'}", f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}",
    ]  # fmt: skip
    with (folder / "log").open("wb") as log, subprocess.Popen(command, stdout=log, stderr=log) as process:
        try:
            found = Prometheus(port)
            wait_until(lambda: _has_read(found), "Prometheus has read its targets")
            yield found
        finally:
            process.terminate()


def _has_read(prometheus: Prometheus) -> bool:
    try:
        return bool(prometheus.query("up == 1"))
    except OSError:
        return False


def program(name: str) -> str:
    """The path of `prometheus` or `promtool`. Where there is none the test is skipped, or fails where it must run."""
    found = shutil.which(name)
    if found is None:
        missing = f"there is no {name} (Debian: apt-get install prometheus)"
        if os.environ.get(REQUIRE) == "1":
            pytest.fail(f"{missing} ({REQUIRE}=1)", pytrace=False)
        pytest.skip(f"NOT RUN WITH PROMETHEUS: {missing}")
    return found


def promtool(*arguments: str | Path, text: str = "") -> subprocess.CompletedProcess[str]:
    """Run it with this text as its input."""
    command = [program("promtool"), *arguments]
    return subprocess.run(command, input=text, capture_output=True, text=True, timeout=180, check=False)
