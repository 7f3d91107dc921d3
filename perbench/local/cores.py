"""How many cores a process can use here: those it may run on, and the CPU time its container may spend."""

import os
from pathlib import Path

CGROUP = Path("/sys/fs/cgroup")


def usable_cores(cgroup: Path = CGROUP) -> int:
    """Cores, at least 1. A container's share of CPU time counts as whole cores, rounded down."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    version_2 = _read(cgroup / "cpu.max")
    version_1 = f"{_read(cgroup / 'cpu' / 'cpu.cfs_quota_us')} {_read(cgroup / 'cpu' / 'cpu.cfs_period_us')}"
    shares = [share for text in (version_2, version_1) if (share := parse_quota(text)) is not None]
    return max(1, int(min([cores, *shares])))


def parse_quota(text: str) -> float | None:
    """Cores out of `QUOTA PERIOD` in microseconds. None: no limit (`max`, -1) or nothing stated."""
    words = text.split()
    if len(words) != 2 or not all(word.isdigit() for word in words) or int(words[1]) == 0:
        return None
    return int(words[0]) / int(words[1])


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii").strip()
    except OSError:
        return ""
