"""A truth server as a child process: started by tests and `perbench calibrate`, gone with its parent."""

import json
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from perbench.failures import Blame, Failure, RunError
from perbench_bench.truth.checks import read_script
from perbench_bench.truth.reading import Record, read_record
from perbench_bench.truth.script import Script
from perbench_bench.truth.serving import Serving

STOP_SECONDS = 60.0


class TruthProcess:
    """A truth server that runs."""

    def __init__(self, process: subprocess.Popen[bytes], url: str, path: Path) -> None:
        self.url = url
        self.pid = process.pid
        self._process = process
        self._path = path
        self._record: Record | None = None

    @property
    def record(self) -> Record:
        """What it did; stops it first."""
        self.stop()
        if self._record is None:
            self._record = read_record(self._path.read_bytes())
        return self._record

    def snapshot(self) -> Record:
        """What it did so far, of the requests that have ended. Raises RunError: it is gone."""
        before = self._path.stat().st_ino if self._path.exists() else None
        self._process.send_signal(signal.SIGUSR1)
        deadline = time.monotonic() + STOP_SECONDS
        while not self._path.exists() or self._path.stat().st_ino == before:
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise _failure("the truth server gave no record")
            time.sleep(0.005)
        return read_record(self._path.read_bytes())

    def recover(self) -> None:
        """End its faults."""
        self._process.send_signal(signal.SIGUSR2)

    def stop(self) -> None:
        """End it and let it write its record; nothing happens where it has ended."""
        if self._process.stdin and not self._process.stdin.closed:
            self._process.stdin.close()
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


@contextmanager
def truth_server(script: Script | dict[str, object] | None = None, **serving: object) -> Iterator[TruthProcess]:
    """A truth server by `script` (checked as a whole) and the fields of `Serving`, in a process of its own.

    Raises UsageError, RunError: it did not start.
    """
    whole = read_script(
        script.model_dump(by_alias=True, exclude_unset=True) if isinstance(script, Script) else script or {}
    )
    with tempfile.TemporaryDirectory(prefix="perbench-truth-") as directory:
        path = Path(directory) / "record.jsonl"
        options = Serving.model_validate({"record": path, **serving})
        command = [sys.executable, "-m", "perbench_bench.truth"]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:  # noqa: S603 - our own
            server = TruthProcess(process, _start(process, whole, options), path)
            try:
                yield server
            finally:
                server.stop()


def _start(process: subprocess.Popen[bytes], script: Script, serving: Serving) -> str:
    """Say what to serve; the URL it answers at."""
    order = {
        "script": script.model_dump(mode="json", by_alias=True),
        "serving": serving.model_dump(mode="json", by_alias=True),
    }
    if process.stdin is None or process.stdout is None:
        raise AssertionError("started with pipes")
    process.stdin.write(json.dumps(order).encode() + b"\n")
    process.stdin.flush()
    url = process.stdout.readline().decode().strip()
    if not url:
        process.stdin.close()
        raise _failure(f"the truth server did not start: exit code {process.wait()}")
    return url


def _failure(message: str) -> RunError:
    return RunError(Failure(blame=Blame.LOAD_GENERATOR, reason="TruthServerFailed", message=message))
