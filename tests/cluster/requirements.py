"""Why a whole node cannot run on this machine, found out before anything is built or started."""

import os
import platform
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

from tests.cluster import cache, cgroups, isolation

SYSTEM_PROGRAMS = {
    "containerd": "containerd",
    "ctr": "containerd",
    "runc": "runc",
    "buildah": "buildah",
    "debootstrap": "debootstrap",
    "nft": "nftables",
    "ip": "iproute2",
    "conntrack": "conntrack",
    "unshare": "util-linux",
    "mount": "mount",
    "openssl": "openssl",
}
"""Program → the Debian package that has it."""
BRIDGE_PLUGIN = Path("/usr/lib/cni/bridge")
INSTALL = "run tests/system-packages.sh as root on Debian"


def check(reason: str | None) -> None:
    """Raise CannotRunError with a reason, if there is one."""
    if reason:
        raise cache.CannotRunError(reason)


def control_plane() -> str | None:
    """Why no control plane runs here; None where it does."""
    if platform.system() != "Linux":
        return f"a control plane needs Linux, this is {platform.system()}"
    return None if shutil.which("openssl") else f"openssl is missing: {INSTALL}"


def node() -> str | None:
    """Why no node runs here, with what to do; None where it does."""
    checks: tuple[Callable[[], str | None], ...] = (control_plane, _root, _programs, _cgroups, _namespaces, _storage)
    return next((reason for check in checks if (reason := check())), None)


def _root() -> str | None:
    return "a node needs root: run as root" if os.geteuid() else None


def _programs() -> str | None:
    missing = {package for program, package in SYSTEM_PROGRAMS.items() if shutil.which(program) is None}
    missing |= set() if BRIDGE_PLUGIN.is_file() else {"containernetworking-plugins"}
    return f"a node needs {', '.join(sorted(missing))}: {INSTALL}" if missing else None


def _cgroups() -> str | None:
    missing = cgroups.missing(cgroups.mounted())
    return f"a node needs the cgroup controllers {', '.join(missing)}: mount them" if missing else None


def _namespaces() -> str | None:
    command = ["unshare", *isolation.NAMESPACES, "--fork", "mount", "--make-rshared", "/"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    said = done.stderr.strip().replace("\n", "; ")
    return f"a node needs namespaces of its own (CAP_SYS_ADMIN): {said}" if done.returncode else None


def _storage() -> str | None:
    """Containers are layers of overlayfs, which cannot lie on overlayfs; and some folders of the machine are hidden."""
    folder = cache.root()
    hidden = next((path for path in isolation.PRIVATE if folder.is_relative_to(path)), None)
    if hidden:
        return f"{folder} is hidden in a node, as all of {hidden}: set PERBENCH_CLUSTER_CACHE to another folder"
    folder.mkdir(parents=True, exist_ok=True)
    done = subprocess.run(["stat", "--file-system", "--format=%T", folder], capture_output=True, text=True, check=True)
    if done.stdout.strip() == "overlayfs":
        return f"{folder} is on overlayfs, which holds no layers: set PERBENCH_CLUSTER_CACHE to a folder on a disk"
    return None
