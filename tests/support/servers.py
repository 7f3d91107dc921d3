"""Starting the scripted servers of this folder as processes of their own."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SUPPORT = Path(__file__).parent


@dataclass(frozen=True)
class Recording:
    """A recording server that runs."""

    url: str
    path: Path

    def requests(self) -> list[dict[str, Any]]:
        """What it has answered so far, in order of ending."""
        return [json.loads(line) for line in self.path.read_text().splitlines()]


@contextmanager
def recording_server(directory: Path, *options: str) -> Iterator[Recording]:
    path = directory / "record.jsonl"
    command = [sys.executable, str(SUPPORT / "recording_server.py"), str(path), *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        try:
            yield Recording(f"http://127.0.0.1:{int(process.stdout.readline())}", path)
        finally:
            process.kill()


@contextmanager
def scripted_server(*options: str) -> Iterator[str]:
    """The URL of a scripted server (scripted_server.py) that runs with these options."""
    command = [sys.executable, str(SUPPORT / "scripted_server.py"), *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        try:
            yield f"http://127.0.0.1:{int(process.stdout.readline())}"
        finally:
            process.kill()
