"""A model server of this machine: started as a child, waited for, looked at, stopped. A rim: processes and sockets."""

import contextlib
import http.client
import importlib.util
import json
import os
import selectors
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

from perbench.failures import Failure, RunError, UsageError
from perbench.local.server_end import Ended, ended_early, ended_late, model_gone, never_ready, parse_oom_kills
from perbench.runtimes.llamacpp import LlamaCpp
from perbench.runtimes.llamacpp_local import ENVIRONMENT, LocalSettings

NICENESS = 5
"""How far the server steps back behind the load generator. Measured on 2 cores with 2 computing threads: the load
generator's mean wait for a core falls from 0.07 to 0.02 ms; 10 would give it no more that counts, and would let any
other program starve the server."""
STOP_SECONDS = 5.0
"""How long the server may take to end after SIGTERM before it is killed."""
POLL_SECONDS = 0.05
PROBE_SECONDS = 5.0
"""A server that computes on every core answers late."""
TAIL_BYTES = 8192


@dataclass(frozen=True)
class ServerStart:
    """What is started."""

    model: Path
    settings: LocalSettings
    environment: Mapping[str, str] = field(default_factory=lambda: dict(ENVIRONMENT))
    """Variables on top of our own."""
    port: int = 0
    """0: any free one."""


@dataclass(frozen=True)
class Listening:
    """What the server said of itself when it was ready."""

    url: str
    version: str
    slots: int
    slot_context: int
    """Tokens each slot can hold."""
    nice: int | None
    autogroup_nice: int | None
    """Niceness the kernel granted to its process and to its scheduling group. None: refused, or there is none."""
    ready_seconds: float
    """From the start of the process to the first answer that the model is ready."""


def check_installed() -> None:
    """Raise UsageError where the package that serves is missing."""
    if importlib.util.find_spec("xllamacpp") is None:
        raise UsageError("LlamaCpp is served by xllamacpp, which is not installed: pip install 'perbench[local]'")


class LocalServer:
    """A server that was started and is ready. Leaving its context, or `stop`, ends it."""

    def __init__(self, process: "_Process", listening: Listening) -> None:
        self._process = process
        self.listening = listening

    @property
    def url(self) -> str:
        """Where it answers, without the route."""
        return self.listening.url

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.popen.pid

    @property
    def exit_code(self) -> int | None:
        """Its exit code, negative for a signal. None while it runs."""
        return self._process.popen.poll()

    def alive(self) -> bool:
        """Whether its process runs."""
        return self.exit_code is None

    def failure(self) -> Failure | None:
        """Why it ended. None while it runs, and after `stop`."""
        ended = None if self._process.stopped else self._process.ended()
        return ended_late(ended) if ended else None

    def stop(self) -> None:
        """End it: SIGTERM, then SIGKILL. A second call does nothing. Never raises."""
        self._process.stop(STOP_SECONDS)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def start_server(start: ServerStart, log: Path, ready_seconds: float) -> LocalServer:
    """Start a server and wait until it is ready. Its log is appended to `log`.

    The server ends with this process, however that ends. Called from another thread than the main one, a server that
    is still loading its model then does so first.

    Raises UsageError: nothing to serve with. RunError: `ModelNotFound`, `ServerExited`, `OutOfMemory`,
    `ServerNotReady`. Whatever is raised, also KeyboardInterrupt, no process stays.
    """
    check_installed()
    if not start.model.is_file():
        raise RunError(model_gone(start.model.name))
    process = _Process(start, log)
    try:
        process.tell(start)
        return LocalServer(process, _wait_until_ready(process, ready_seconds))
    except BaseException:
        process.stop(0.0)
        raise


class _Process:
    """The child with its pipes and its log."""

    def __init__(self, start: ServerStart, log: Path) -> None:
        self._oom_kills = _oom_kills()
        self._log = log
        self.stopped = False
        self.started = time.monotonic()
        with log.open("ab") as stderr:
            self._log_start = stderr.tell()
            self.popen = subprocess.Popen(
                [sys.executable, "-P", "-m", "perbench.local.llamacpp_process"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=stderr,
                env={**os.environ, **start.environment},
                start_new_session=True,  # a Ctrl-C in the terminal is for us
            )

    def tell(self, start: ServerStart) -> None:
        """Send the settings."""
        # Tethering goes by the thread that forked: one that ends before the process would take the server with it.
        tethered = sys.platform == "linux" and threading.current_thread() is threading.main_thread()
        settings = start.settings.model_dump(by_alias=False)
        own = {"model": str(start.model), "port": start.port, "nice": NICENESS}
        stdin = self.popen.stdin
        assert stdin is not None  # noqa: S101 - opened as a pipe above; tells the type checker
        line = json.dumps({**settings, **own, "parent": os.getpid(), "tethered": tethered})
        with contextlib.suppress(BrokenPipeError):  # it has ended already: waiting for it says how
            stdin.write(line.encode() + b"\n")
            stdin.flush()

    def ended(self) -> Ended | None:
        """How it ended. None while it runs."""
        exit_code = self.popen.poll()
        if exit_code is None:
            return None
        return Ended(exit_code, self.log_tail(), _oom_kills() > self._oom_kills)

    def log_tail(self) -> str:
        """The end of what this process logged."""
        with self._log.open("rb") as log:
            size = log.seek(0, os.SEEK_END)
            log.seek(max(self._log_start, size - TAIL_BYTES))
            return log.read().decode(errors="replace")

    def first_line(self, deadline: float) -> bytes | None:
        """What it says when it listens; empty when it ended before. None: nothing until the deadline."""
        stdout = self.popen.stdout
        assert stdout is not None  # noqa: S101 - opened as a pipe above; tells the type checker
        said = b""
        with selectors.DefaultSelector() as selector:
            selector.register(stdout, selectors.EVENT_READ)
            while not said.endswith(b"\n"):
                if not selector.select(max(0.0, deadline - time.monotonic())):
                    return None
                part = os.read(stdout.fileno(), 65536)
                if not part:
                    return b""
                said += part
        return said

    def stop(self, grace: float) -> None:
        """SIGTERM, `grace` seconds, SIGKILL. An interruption in between kills at once."""
        self.stopped = self.stopped or self.popen.poll() is None
        try:
            if grace and self.popen.poll() is None:
                self.popen.terminate()
                with contextlib.suppress(subprocess.TimeoutExpired):
                    self.popen.wait(grace)
        finally:
            if self.popen.poll() is None:
                self.popen.kill()
                self.popen.wait()
            for pipe in (self.popen.stdin, self.popen.stdout):
                with contextlib.suppress(OSError):
                    if pipe is not None:
                        pipe.close()


def _wait_until_ready(process: _Process, ready_seconds: float) -> Listening:
    deadline = process.started + ready_seconds
    line = process.first_line(deadline)
    if line is None:
        raise RunError(never_ready(ready_seconds, process.log_tail()))
    if not line:
        process.popen.wait()
        raise RunError(ended_early(process.ended() or Ended(0, process.log_tail(), oom_killed=False)))
    said = json.loads(line)
    while (properties := _properties(said["url"])) is None:
        if ended := process.ended():
            raise RunError(ended_early(ended))
        if time.monotonic() > deadline:
            raise RunError(never_ready(ready_seconds, process.log_tail()))
        time.sleep(POLL_SECONDS)
    ready = time.monotonic() - process.started
    return Listening(
        url=said["url"],
        version=said["version"],
        slots=properties["total_slots"],
        slot_context=properties["default_generation_settings"]["n_ctx"],
        nice=said["nice"],
        autogroup_nice=said["autogroupNice"],
        ready_seconds=ready,
    )


def _properties(url: str) -> Any:  # noqa: ANN401 - a JSON document
    """What a server that is ready says of itself. None: it is not ready, or too busy to say so."""
    return None if _get(url, LlamaCpp.health_path) is None else _get(url, "/props")


def _get(url: str, path: str) -> Any:  # noqa: ANN401 - any JSON document
    """The JSON document at a path of a server. None: no answer, or none with status 200."""
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=PROBE_SECONDS)
    try:
        connection.request("GET", path, headers={"Connection": "close"})
        answer = connection.getresponse()
        return json.loads(answer.read()) if answer.status == http.HTTPStatus.OK else None
    except (OSError, http.client.HTTPException, ValueError):
        return None
    finally:
        connection.close()


def _oom_kills() -> int:
    try:
        return parse_oom_kills(Path("/proc/vmstat").read_text(encoding="ascii"))
    except OSError:
        return 0
