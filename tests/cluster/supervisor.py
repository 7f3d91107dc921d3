"""Runs the components of a cluster: starts what it is told to, restarts what dies, reaps orphans.

    python -m tests.cluster.supervisor FOLDER

FOLDER/components.json says how each is started, FOLDER/control.sock takes commands of one line (see `ask`).
In a node it is PID 1. Everywhere its children die with it.
"""

import contextlib
import ctypes
import json
import os
import selectors
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36
"""Options of prctl, from linux/prctl.h."""
RESTART_SECONDS = 1.0
"""A component that dies young is not started again before this age."""
SECONDS_TO_ANSWER = 60.0
"""What asks gives up after; more than starting a process takes on a machine that stands still now and then."""
SECONDS_TO_ASK = 10.0
"""Whoever connects and says nothing for so long is not listened to any more."""


def die_with_parent() -> None:
    """From now on this process is killed when the one that started it ends; to be called before a program starts."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def adopt_orphans() -> None:
    """From now on what loses its parent below this process becomes its child, not that of PID 1."""
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def ask(control: Path, command: str) -> str:
    """Send a command and return the answer.

    `start NAME`, `stop NAME` (and do not restart), `kill NAME` (and restart), `pids` (JSON: name → process id, as the
    supervisor's own namespace counts). Raises RuntimeError with the supervisor's words where it refuses.
    """
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(SECONDS_TO_ANSWER)
        connection.connect(str(control))
        connection.sendall(command.encode() + b"\n")
        with connection.makefile() as answers:
            answer = answers.readline().strip()
    if answer.startswith("error:"):
        raise RuntimeError(f"{command}: {answer}")
    return answer


def answers(control: Path) -> bool:
    """Whether a supervisor takes commands here."""
    try:
        return ask(control, "pids") != ""
    except OSError:
        return False


class Supervisor:
    """The processes of one cluster."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._components = json.loads((folder / "components.json").read_text())
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self._wanted: set[str] = set()
        self._started: dict[str, float] = {}

    def run(self) -> None:
        """Serve commands until killed."""
        (self._folder / "log").mkdir(exist_ok=True)
        wake, woken = socket.socketpair()
        woken.setblocking(False)
        signal.set_wakeup_fd(woken.fileno())
        signal.signal(signal.SIGCHLD, lambda *_: None)
        with socket.socket(socket.AF_UNIX) as server, selectors.DefaultSelector() as selector:
            server.bind(str(self._folder / "control.sock"))
            server.listen()
            selector.register(server, selectors.EVENT_READ)
            selector.register(wake, selectors.EVENT_READ)
            while True:
                for key, _events in selector.select(self._until_next_restart()):
                    if key.fileobj is server:
                        self._serve(server)
                    else:
                        wake.recv(4096)
                self._reap()
                self._restart()

    def _serve(self, server: socket.socket) -> None:
        """One command. Who asked may have gone by now, or say nothing: that is no reason to end."""
        connection, _address = server.accept()
        connection.settimeout(SECONDS_TO_ASK)
        with contextlib.suppress(OSError, UnicodeDecodeError), connection, connection.makefile("rw") as stream:
            words = stream.readline().split()
            try:
                answer = self._answer(words)
            except (OSError, KeyError, ValueError) as error:
                answer = f"error: {type(error).__name__} {error}"
            stream.write(answer + "\n")

    def _answer(self, words: list[str]) -> str:
        match words:
            case ["pids"]:
                return json.dumps({name: process.pid for name, process in self._running.items()})
            case ["start", name]:
                if name not in self._running:
                    self._start(name)
                return "ok"
            case ["stop", name]:
                self._wanted.discard(name)
                if name in self._running:
                    self._running[name].kill()
                return "ok"
            case ["kill", name]:
                self._running[name].kill()
                return "ok"
            case _:
                raise ValueError(f"no such command: {' '.join(words)}")

    def _start(self, name: str) -> None:
        component = self._components[name]
        with (self._folder / "log" / f"{name}.log").open("ab") as log:
            self._running[name] = subprocess.Popen(
                component["arguments"],
                env={**component["environment"], "HOME": str(self._folder)},
                cwd=self._folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=component["descriptors"],
                start_new_session=True,
                preexec_fn=die_with_parent,  # noqa: PLW1509 - this process has one thread
            )
        self._wanted.add(name)
        self._started[name] = time.monotonic()

    def _reap(self) -> None:
        """Collect every process that has ended: components, and orphans that a PID 1 inherits."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if not pid:
                return
            for name, process in list(self._running.items()):
                if process.pid == pid:
                    process.returncode = os.waitstatus_to_exitcode(status)
                    del self._running[name]
                    sys.stderr.write(f"{time.time():.3f} {name} ended with {process.returncode}\n")

    def _restart(self) -> None:
        for name in sorted(self._wanted - set(self._running)):
            if self._age(name) >= RESTART_SECONDS:
                self._start(name)

    def _until_next_restart(self) -> float | None:
        dead = self._wanted - set(self._running)
        return max(0.0, RESTART_SECONDS - max(map(self._age, dead))) if dead else None

    def _age(self, name: str) -> float:
        return time.monotonic() - self._started[name]


if __name__ == "__main__":
    Supervisor(Path(sys.argv[1])).run()
