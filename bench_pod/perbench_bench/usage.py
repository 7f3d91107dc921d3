"""This process's use of processor, descriptors and control group, read from the kernel."""

import contextlib
import os
import resource
import time
from pathlib import Path

from perbench.failures import Blame, Failure, RunError
from perbench_bench.engine.causes import Usage

SPARE_DESCRIPTORS = 64
"""For what is no connection to the server: files, pipes, the event loop."""


def read_usage() -> Usage:
    """The figures of now."""
    stolen, ticks = _machine_ticks()
    return Usage(
        wall_ns=time.perf_counter_ns(),
        own_cpu_ns=time.process_time_ns(),
        throttled_ns=throttled_ns(),
        stolen=stolen,
        ticks=ticks,
        descriptors=resource.getrlimit(resource.RLIMIT_NOFILE)[0],
    )


def make_room_for(connections: int, *, least: int) -> None:
    """See to it that so many connections can be open at once, as far as that is allowed.

    The limit in force is often far below the one allowed. Raises RunError where not even `least` can be open.
    """
    wanted, needed = connections + SPARE_DESCRIPTORS, least + SPARE_DESCRIPTORS
    now, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    if now >= wanted or now == resource.RLIM_INFINITY:
        return
    allowed = wanted if most == resource.RLIM_INFINITY else max(now, min(most, wanted))
    resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, most))
    if allowed < needed:
        message = (
            f"{least} connections need {needed} open files, and this process may have {most}: raise the limit"
            " (ulimit -Hn), or lower the concurrency"
        )
        raise RunError(Failure(blame=Blame.LOAD_GENERATOR, reason="TooFewDescriptors", message=message))


def peak_rss_bytes() -> int:
    """The largest resident size of this process so far (getrusage; KiB on Linux, bytes on macOS)."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if os.uname().sysname == "Darwin" else peak * 1024


def memory_left_bytes(proc: Path = Path("/proc"), groups: Path = Path("/sys/fs/cgroup")) -> int | None:
    """What this process can take at most: the machine's free memory, or its container's limit if that is less.

    None: the kernel does not say. The limit is looked for where containers see it: at the root of the groups.
    """
    try:
        lines = (proc / "meminfo").read_text().splitlines()
        found = [int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:")]
    except (OSError, ValueError, IndexError):
        return None
    for limit in (groups / "memory.max", groups / "memory" / "memory.limit_in_bytes"):
        with contextlib.suppress(OSError, ValueError):  # "max" is no number, and no limit
            found.append(int(limit.read_text()))
    return min(found, default=None)


def throttled_ns(proc: Path = Path("/proc"), groups: Path = Path("/sys/fs/cgroup")) -> int | None:
    """How long this process's control group was kept from its cores; None where it has no CPU limit to be read.

    cpu.stat of version 2 (Documentation/admin-guide/cgroup-v2.rst) has microseconds, of version 1 nanoseconds.
    """
    try:
        lines = (proc / "self" / "cgroup").read_text().splitlines()
    except OSError:
        return None
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers and "cpu" not in controllers.split(","):
            continue
        # In a container the group is often mounted as the root, whatever path the host knows it by.
        root = groups / controllers if controllers else groups
        for directory in (root / path.lstrip("/"), root, groups / "cpu" / path.lstrip("/"), groups / "cpu"):
            if (found := _throttled_in(directory / "cpu.stat")) is not None:
                return found
    return None


def _throttled_in(file: Path) -> int | None:
    try:
        figures = dict(line.split() for line in file.read_text().splitlines())
    except (OSError, ValueError):
        return None
    if "throttled_usec" in figures:
        return int(figures["throttled_usec"]) * 1000
    return int(figures["throttled_time"]) if "throttled_time" in figures else None


def _machine_ticks(stat: Path = Path("/proc/stat")) -> tuple[int | None, int | None]:
    """(stolen, all) ticks of all processors (proc(5)); the guest's are in the user's."""
    try:
        ticks = [int(field) for field in stat.read_text().split("\n", 1)[0].split()[1:9]]
        return ticks[7], sum(ticks)
    except (OSError, ValueError, IndexError):
        return None, None
