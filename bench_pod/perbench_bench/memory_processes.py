"""Which processes are the model's server: the given ones and what they started, or those of its container. Reads /proc.

In a pod whose containers share their processes (`shareProcessNamespace`), process 1 is the pod's own `pause`, which
holds the namespaces and nothing of the server. Each container has a cgroup of its own. Where there are several beside
ours, the server's is the one whose environment holds a variable that the others have not.
"""

import contextlib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from typing_extensions import override

PAUSE = "pause"


class Processes(Protocol):
    """The server's processes, looked up anew for each sample."""

    proc: Path

    def now(self) -> tuple[int, ...]:
        """All of them."""

    def must_run(self, pid: int) -> bool:
        """Whether the server has ended when this one has."""


class GivenProcesses(Processes):
    """The given processes, which must run, and whatever they have started."""

    def __init__(self, process_ids: Sequence[int], proc: Path = Path("/proc")) -> None:
        self.proc = proc
        self._roots = tuple(process_ids)

    @override
    def now(self) -> tuple[int, ...]:
        """Kernels without the file `children` show the given ones only."""
        found = list(self._roots)
        for pid in found:
            for path in self.proc.joinpath(str(pid), "task").glob("*/children"):
                with contextlib.suppress(OSError):
                    found.extend(child for child in map(int, path.read_text().split()) if child not in found)
        return tuple(found)

    @override
    def must_run(self, pid: int) -> bool:
        return pid in self._roots


class PodProcesses(Processes):
    """The server's processes in this pod: all but `pause`, this one and those it was started by, and of those, where
    they are in several containers, the ones in the container that has `variable`."""

    def __init__(self, proc: Path = Path("/proc"), variable: str | None = None) -> None:
        self.proc = proc
        self.mixed = False
        """Whether other containers' processes are among them, since nothing tells which is the server's."""
        self._ours = self._own_line()
        self._variable = variable
        self._container: str | None = None
        """The server's cgroup, once it is known."""

    @override
    def now(self) -> tuple[int, ...]:
        seen = sorted(int(entry.name) for entry in self.proc.iterdir() if entry.name.isdecimal())
        others = [pid for pid in seen if pid not in self._ours and not (pid == 1 and self._name(pid) == PAUSE)]
        containers = {pid: self._text(pid, "cgroup") for pid in others}
        if self._container is None and len(set(containers.values())) <= 1:
            return tuple(others)
        if self._container is None and self._variable is not None:
            self._container = next((containers[pid] for pid in others if self._has(pid, self._variable)), None)
        self.mixed = self._container is None
        return tuple(pid for pid in others if self.mixed or containers[pid] == self._container)

    @override
    def must_run(self, pid: int) -> bool:
        """Helpers come and go: the server has ended when none is left."""
        return False

    def _own_line(self) -> frozenset[int]:
        line: list[int] = []
        pid = os.getpid()
        while pid > 1 and pid not in line:
            line.append(pid)
            pid = self._parent(pid)
        return frozenset(line)

    def _parent(self, pid: int) -> int:
        """0: there is none in this pod, or it is not shown."""
        with contextlib.suppress(ValueError):
            for row in self._text(pid, "status").splitlines():
                if row.startswith("PPid:"):
                    return int(row.split()[1])
        return 0

    def _name(self, pid: int) -> str:
        return self._text(pid, "comm").strip()

    def _has(self, pid: int, variable: str) -> bool:
        return any(entry.startswith(f"{variable}=") for entry in self._text(pid, "environ").split("\0"))

    def _text(self, pid: int, file: str) -> str:
        """Empty where the process has ended, or is not ours to look into."""
        with contextlib.suppress(OSError):
            return (self.proc / str(pid) / file).read_text(errors="replace")
        return ""
