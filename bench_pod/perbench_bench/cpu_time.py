"""Processor time of a model's server so far, out of /proc: of its container's control group, or of its processes.

A container's group counts all that ever ran in it, to the microsecond. It is taken where the server has a group that
the reader has not: beside it in a pod. On one's own machine server and bench share theirs, and the sum over the
processes is taken (`cpu_processes`), which is lost where one ends that nobody waits for.
"""

import contextlib
from collections.abc import Iterator
from pathlib import Path

from perbench_bench.cpu_processes import ProcessTimes
from perbench_bench.cpu_series import CpuUnknownError
from perbench_bench.memory_processes import Processes

OF_PROCESSES = "utime, stime, cutime and cstime in /proc/PID/stat"
VERSION_1, VERSION_2 = "cpuacct.usage", "cpu.stat"
"""The file of a control group that says its processor time."""


class CpuClock:
    """One way to read the processor time so far. It is chosen once: two ways do not count alike."""

    def __init__(self, processes: Processes) -> None:
        self._processes = processes
        try:
            self._of_group()
        except (OSError, ValueError, KeyError):
            self.source, self._read = OF_PROCESSES, ProcessTimes(processes).seconds
        else:
            self.source, self._read = "control group of the server's container", self._of_group

    def seconds(self) -> float:
        """All that the server has used, in seconds since some moment before.

        Raises CpuUnknownError; CpuLostError: from now on it is not known.
        """
        try:
            return self._read()
        except (OSError, ValueError, KeyError) as error:
            why = error.strerror if isinstance(error, OSError) and error.strerror else "it says something else"
            raise CpuUnknownError(f"{self.source} cannot be read: {why}") from error

    def _of_group(self) -> float:
        proc, pids = self._processes.proc, self._processes.now()
        groups = {_group(proc / str(pid)) for pid in pids}
        if len(groups) != 1 or _group(proc / "self") in groups:
            raise FileNotFoundError(0, "the server has no control group to itself")
        for file in (file for pid in pids for file in files_of_group(proc / str(pid), *groups)):
            with contextlib.suppress(FileNotFoundError):  # seen from elsewhere; or the process has ended
                return parse_usage(file.name, file.read_text())
        raise FileNotFoundError(0, "its tree of control groups is not shown")


def parse_group(text: str) -> tuple[str, str]:
    """Of /proc/PID/cgroup: where the tree that counts processor time is mounted below /sys/fs/cgroup, and the path of
    the group in it. Version 2 is mounted there itself: an empty text."""
    version_2 = ("", "")
    for line in text.splitlines():
        number, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if "cpuacct" in controllers.split(","):
            return controllers, path
        if (number, controllers) == ("0", ""):
            version_2 = ("", path)
    return version_2


def parse_usage(name: str, text: str) -> float:
    """Seconds: cpuacct.usage has nanoseconds, cpu.stat microseconds in `usage_usec`. Raises ValueError, KeyError."""
    if name == VERSION_1:
        return int(text) / 1e9
    return int(dict(line.split() for line in text.splitlines())["usage_usec"]) / 1e6


def files_of_group(process: Path, group: tuple[str, str]) -> Iterator[Path]:
    """Where the process may see its group's file: at the group's path, or at the top.

    What a container sees begins with its own group, whatever path that has from outside.
    """
    mount, path = group
    tree, name = process / "root" / "sys" / "fs" / "cgroup" / mount, VERSION_1 if mount else VERSION_2
    parts = [part for part in path.split("/") if part]
    if parts and ".." not in parts:
        yield tree.joinpath(*parts, name)
    yield tree / name


def _group(process: Path) -> tuple[str, str]:
    return parse_group((process / "cgroup").read_text(errors="replace"))
