"""A cgroup of one's own, in every hierarchy of version 1 or in the one of version 2."""

import contextlib
import os
import time
from dataclasses import dataclass
from pathlib import Path

from tests.cluster.cache import CannotRunError

WANTED = ("cpu", "cpuset", "io", "memory", "pids")
"""Controllers of version 2 that a kubelet needs, or reads where they are there."""
NEEDED = ("cpu", "memory", "pids")
ROOT = Path("/sys/fs/cgroup")
REMOVAL_SECONDS = 60.0


@dataclass(frozen=True)
class Hierarchy:
    """A mounted cgroup file system."""

    mount: Path
    version: int
    controllers: tuple[str, ...]
    """Of version 1: what its mount names."""


def hierarchies(mountinfo: str) -> tuple[Hierarchy, ...]:
    """The cgroup file systems in the text of /proc/self/mountinfo, at their usual place."""
    found: dict[Path, Hierarchy] = {}
    for line in mountinfo.splitlines():
        before, _, after = line.partition(" - ")
        mount, (kind, _source, options) = Path(before.split()[4]), after.split()
        if not mount.is_relative_to(ROOT):
            continue
        if kind == "cgroup":
            names = tuple(name for name in options.split(",") if name not in {"rw", "ro"})
            found[mount] = Hierarchy(mount, 1, names)
        elif kind == "cgroup2":
            found[mount] = Hierarchy(mount, 2, ())
    return tuple(sorted(found.values(), key=lambda each: each.mount))


def mounted() -> tuple[Hierarchy, ...]:
    """The cgroup file systems of this machine."""
    return hierarchies(Path("/proc/self/mountinfo").read_text())


def create(name: str) -> None:
    """Make the cgroup `name`, and in it `sys` for processes: version 2 wants them in leaves. Raises CannotRunError."""
    for hierarchy in mounted():
        top = hierarchy.mount / name
        try:
            if hierarchy.version == 2:
                _enable(hierarchy.mount)
            (top / "sys").mkdir(parents=True, exist_ok=True)
            if hierarchy.version == 2:
                _enable(top)
            elif "cpuset" in hierarchy.controllers:
                _inherit_cpuset(hierarchy.mount, top)
        except OSError as error:
            raise CannotRunError(f"no cgroup of its own can be made in {hierarchy.mount}: {error}") from error


def _enable(group: Path) -> None:
    """Let the children of a cgroup of version 2 be controlled."""
    there = (group / "cgroup.controllers").read_text().split()
    switch = group / "cgroup.subtree_control"
    for controller in (each for each in WANTED if each in there and each not in switch.read_text().split()):
        switch.write_text(f"+{controller}")


def _inherit_cpuset(mount: Path, top: Path) -> None:
    """A new cgroup of version 1 has no processors and no memory nodes, and takes no process until it has."""
    for file in ("cpuset.cpus", "cpuset.mems"):
        value = (mount / file).read_text()
        for group in (top, top / "sys"):
            (group / file).write_text(value)


def join(name: str) -> None:
    """Move this process, alone, into the cgroup's `sys`."""
    for hierarchy in mounted():
        (hierarchy.mount / name / "sys" / "cgroup.procs").write_text("0")


def remove(name: str) -> list[str]:
    """Remove the cgroup, bottom-up; its processes may still be ending. Returns what is left after a minute."""
    deadline = time.monotonic() + REMOVAL_SECONDS
    while left := _remove(name):
        if time.monotonic() > deadline:
            return left
        time.sleep(0.05)
    return []


def _remove(name: str) -> list[str]:
    for top in (hierarchy.mount / name for hierarchy in mounted()):
        for folder, _children, _files in os.walk(top, topdown=False):
            with contextlib.suppress(OSError):
                Path(folder).rmdir()
    return existing(name)


def processes(name: str) -> set[int]:
    """Processes in the cgroup and below it, as the machine counts. Parts may go while they are looked at."""
    found: set[int] = set()
    for folder in (folder for top in existing(name) for folder, _, _ in os.walk(top)):
        with contextlib.suppress(OSError):
            found.update(int(word) for word in (Path(folder) / "cgroup.procs").read_text().split())
    return found


def existing(name: str) -> list[str]:
    """Where the cgroup exists."""
    return [str(top) for top in (hierarchy.mount / name for hierarchy in mounted()) if top.exists()]


def missing(found: tuple[Hierarchy, ...]) -> list[str]:
    """Controllers without which no kubelet starts."""
    there = {name for hierarchy in found for name in hierarchy.controllers}
    for hierarchy in found:
        file = hierarchy.mount / "cgroup.controllers"
        if hierarchy.version == 2 and file.is_file():
            there.update(file.read_text().split())
    return [name for name in NEEDED if name not in there]
