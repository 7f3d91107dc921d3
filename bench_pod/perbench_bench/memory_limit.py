"""How much memory the kernel grants a server's container, out of its control groups. Reads /proc.

A process shows its group in /proc/PID/cgroup, and the tree that holds it below its own root directory (cgroups(7),
cgroup_namespaces(7)): in a container the tree begins with the container's group, so that its limit is read from outside
it. Groups above limit it as well, as far as the process sees them.
"""

import contextlib
from pathlib import Path

from perbench_bench.memory_processes import Processes

UNLIMITED = 1 << 60
"""Version 1 says no limit by the largest number of pages there is."""
VERSION_1, VERSION_2 = ("memory", "memory.limit_in_bytes"), ("", "memory.max")
"""Where the tree is mounted below /sys/fs/cgroup, and the file with the limit of one group."""


def container_limit(processes: Processes) -> int | None:
    """Bytes. None: there is no limit, it cannot be read, or the processes have different ones."""
    found = set()
    try:
        for pid in processes.now():
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # it has ended
                found.add(_limit(processes.proc / str(pid)))
    except OSError:  # not ours to look at
        return None
    return found.pop() if len(found) == 1 else None


def parse_limit(text: str) -> int | None:
    """The content of a file with a limit. None: no limit."""
    word = text.strip()
    return int(word) if word.isdecimal() and int(word) < UNLIMITED else None


def group_of(text: str) -> tuple[str, tuple[str, ...]]:
    """Of /proc/PID/cgroup: the version's name of the memory controller (empty: version 2), and the group's path.

    The path is empty where the group is beyond what we see: the process sees its tree from there.
    """
    paths = {}
    for line in text.splitlines():
        number, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if "memory" in controllers.split(",") or (number, controllers) == ("0", ""):
            paths[bool(controllers)] = path
    of_version_1 = True in paths
    parts = tuple(part for part in paths.get(of_version_1, "").split("/") if part)
    return ("memory" if of_version_1 else "", () if ".." in parts else parts)


def _limit(process: Path) -> int | None:
    controller, group = group_of((process / "cgroup").read_text(errors="replace"))
    mounted, name = VERSION_1 if controller else VERSION_2
    tree = process / "root" / "sys" / "fs" / "cgroup" / mounted
    limits = []
    for depth in range(len(group) + 1):
        with contextlib.suppress(FileNotFoundError):
            limits.append(parse_limit(tree.joinpath(*group[:depth], name).read_text()))
    return min((limit for limit in limits if limit is not None), default=None)
