"""Processor time of a server's processes, out of /proc, each of them followed: what one has used must be found with the
one that waited for it, or it is no longer counted.

/proc says user and system time of each process, with that of its children that have ended and were waited for
(proc_pid_stat(5)), in ticks of 10 ms.
"""

import os
from collections import defaultdict
from collections.abc import Mapping
from typing import NamedTuple

from perbench_bench.cpu_series import CpuLostError, CpuUnknownError
from perbench_bench.memory_processes import Processes

TICKS = os.sysconf("SC_CLK_TCK")
"""Per second (proc(5))."""
ATTEMPTS = 5
"""At a reading during which no process ends."""


class Stat(NamedTuple):
    """What /proc/PID/stat says of a process. Times in ticks."""

    parent: int
    begun: int
    """When it was started: a process id is given anew, but not with the same start."""
    own: int
    waited: int
    """Of children that have ended and were waited for, with theirs."""


class Loss(NamedTuple):
    """Processor time that is no longer counted."""

    pid: int
    """A process that has ended."""
    ticks: int


def parse_stat(text: str) -> Stat:
    """Of /proc/PID/stat. The name in brackets may hold anything, brackets too.

    Raises ValueError: it is something else.
    """
    fields = text.rpartition(")")[2].split()
    if len(fields) < 20:
        raise ValueError(text)
    utime, stime, cutime, cstime = map(int, fields[11:15])
    return Stat(int(fields[1]), int(fields[19]), utime + stime, cutime + cstime)


def loss_between(before: Mapping[int, Stat], now: Mapping[int, Stat]) -> Loss | None:
    """What was counted before and is not any more: time of a process that has ended, and that neither its parent nor,
    if that has ended too, one further up has among that of its children. None: all is there."""
    ended = {pid for pid, stat in before.items() if pid not in now or now[pid].begun != stat.begun}
    owed: dict[int, int] = defaultdict(int)
    last: dict[int, int] = {}
    for pid in sorted(ended):
        heir = before[pid].parent
        for _ in ended:
            if heir not in ended:
                break
            heir = before[heir].parent
        owed[heir] += before[pid].own + before[pid].waited
        last[heir] = pid
    for heir, ticks in owed.items():
        known = heir in before and heir in now
        missing = ticks - (now[heir].waited - before[heir].waited if known else 0)
        if missing > 0:
            return Loss(last[heir], missing)
    return None


class ProcessTimes:
    """The sum over the server's processes, as long as nothing of it is lost."""

    def __init__(self, processes: Processes) -> None:
        self._processes = processes
        self._before: dict[int, Stat] = {}

    def seconds(self) -> float:
        """All so far. Raises CpuLostError: from now on that is not known; CpuUnknownError: not just now."""
        now = self._undisturbed()
        loss, self._before = loss_between(self._before, now), now
        if loss is not None:
            raise CpuLostError(
                f"process {loss.pid} has ended, nobody waited for it, and {loss.ticks / TICKS:.2f} s of what it had "
                "used are no longer counted"
            )
        return sum(stat.own + stat.waited for stat in now.values()) / TICKS

    def _undisturbed(self) -> dict[int, Stat]:
        """All processes, none of which ended meanwhile: of one that does, its time is seen twice or not at all,
        depending on whether it or the one that waits for it is read first."""
        found, whole = self._read()
        for _ in range(ATTEMPTS):
            again, next_whole = self._read()
            if whole and all(pid in again and again[pid].begun == stat.begun for pid, stat in found.items()):
                return found
            found, whole = again, next_whole
        raise CpuUnknownError("processes of the server ended each time they were read")

    def _read(self) -> tuple[dict[int, Stat], bool]:
        """Those that are shown, and whether none ended between being looked up and being read. Raises CpuUnknownError:
        there are none."""
        pids = self._processes.now()
        found = {}
        for pid in pids:
            try:
                found[pid] = parse_stat((self._processes.proc / str(pid) / "stat").read_text(errors="replace"))
            except (FileNotFoundError, ProcessLookupError):
                continue
        if not found:
            raise CpuUnknownError("no process of the server is shown in /proc")
        return found, len(found) == len(pids)
