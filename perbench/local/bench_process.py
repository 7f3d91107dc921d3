"""The bench process of one launch: started, listened to, stopped. A rim."""

import contextlib
import os
import selectors
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from pydantic import ValidationError

from perbench.failures import MESSAGE_LIMIT, Blame, Failure, shorten
from perbench.local import tether
from perbench.progress import Progress

BENCH = ("-m", "perbench_bench.main")
"""The load generator, as arguments of Python. A module: no command needs to be on the path."""

TICK_SECONDS = 0.25
"""How often the model's process is looked at while the bench process is silent."""

STOP_SECONDS = 10.0
"""How long a bench process may take to end after SIGTERM before it is killed."""


class BenchProcess:
    """`perbench-bench PLAN --output DIR` as a child in its own session: a Ctrl-C reaches only us."""

    def __init__(self, plan: Path, output: Path, log: Path) -> None:
        self._log = log
        command = [sys.executable, *BENCH, str(plan), "--output", str(output)]
        with log.open("ab") as stderr:
            self._log_start = stderr.tell()
            self._process = subprocess.Popen(  # noqa: S603 - our own module, no shell
                [sys.executable, tether.__file__, str(os.getpid()), *command],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=stderr,
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    def follow(self, heard: Callable[[Progress], None], watch: Callable[[], None]) -> int:
        """Pass on its progress until it ends, calling `watch` now and then. Returns its exit code."""
        output = self._process.stdout
        assert output is not None  # noqa: S101 - opened as a pipe above; tells the type checker
        buffered = b""
        with selectors.DefaultSelector() as selector:
            selector.register(output, selectors.EVENT_READ)
            while True:
                ready = selector.select(TICK_SECONDS)
                watch()
                if not ready:
                    continue
                data = os.read(output.fileno(), 65536)
                if not data:
                    break
                *lines, buffered = (buffered + data).split(b"\n")
                for line in lines:
                    self._pass_on(line, heard)
        return self._process.wait()

    def _pass_on(self, line: bytes, heard: Callable[[Progress], None]) -> None:
        try:
            progress = Progress.model_validate_json(line)
        except ValidationError:
            with contextlib.suppress(OSError), self._log.open("ab") as log:
                log.write(b"stdout: " + line + b"\n")
            return
        heard(progress)

    def stop(self) -> int:
        """End it if it runs: SIGTERM, so that a file being written is written, then SIGKILL. Gives its exit code."""
        if self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()
        return self._process.wait()

    def unexplained(self, exit_code: int, model: str) -> Failure:
        """The failure of a bench process that ended without saying why: the end of its log is all there is."""
        with self._log.open("rb") as log:
            log.seek(max(self._log_start, self._log.stat().st_size - MESSAGE_LIMIT))
            tail = shorten(log.read().decode(errors="replace"), MESSAGE_LIMIT - 100)
        ended = f"by signal {-exit_code}" if exit_code < 0 else f"with {exit_code}"
        return Failure(
            blame=Blame.LOAD_GENERATOR,
            reason="BenchExited",
            message=f"the bench process ended {ended}: {tail or 'its log is empty'}",
            exit_code=exit_code,
            model=model,
        )
