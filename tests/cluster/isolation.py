"""PID 1 of a node in its first moments: makes the new namespaces a machine of its own, then becomes the supervisor.

    unshare --net --mount --pid --ipc --uts --fork --kill-child python -m tests.cluster.isolation FOLDER

Mounts, network and processes are in namespaces that the kernel takes down with this process; no clean-up can be missed.
"""

import os
import subprocess
import sys
from pathlib import Path

from tests.cluster.layout import NODE_ADDRESS, NODE_NAME, SERVICE_RANGE

NAMESPACES = ("--net", "--mount", "--pid", "--ipc", "--uts")
PRIVATE = ("/run", "/var/lib", "/var/log")
"""Folders that kubelet, containerd's shims and CNI plugins write to whatever they are told: empty ones of the node."""
SETTINGS = {
    "vm/overcommit_memory": "1",
    "vm/panic_on_oom": "0",
    "kernel/panic": "10",
    "kernel/panic_on_oops": "1",
    "kernel/keys/root_maxkeys": "1000000",
    "kernel/keys/root_maxbytes": "25000000",
}
"""Settings of the whole machine that kubelet would write. It finds them as it wants them, in files of the node."""


def main() -> None:
    """Isolate, then run the supervisor as this process."""
    folder = Path(sys.argv[1])
    mount_privately(folder)
    set_up_network()
    os.execv(sys.executable, [sys.executable, "-m", "tests.cluster.supervisor", str(folder)])


def mount_privately(folder: Path) -> None:
    """Mounts of the node's own; those of pods reach other processes of the node, and nothing outside it."""
    _run("mount", "--make-rshared", "/")
    _run("mount", "-t", "proc", "proc", "/proc")
    for path in PRIVATE:
        _run("mount", "-t", "tmpfs", "-o", "mode=755", "tmpfs", path)
    Path("/run/netns").mkdir()
    for name, value in SETTINGS.items():
        file = folder / "sysctl" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"{value}\n")
        if Path("/proc/sys", name).exists():
            _run("mount", "--bind", file, f"/proc/sys/{name}")
    _run("hostname", NODE_NAME)


def set_up_network() -> None:
    """An address for the node, on a bridge without ports, as not every kernel has dummy devices. No way out."""
    _run("ip", "link", "set", "lo", "up")
    _run("ip", "link", "add", "node0", "type", "bridge")
    _run("ip", "address", "add", f"{NODE_ADDRESS}/32", "dev", "node0")
    _run("ip", "link", "set", "node0", "up")
    # A process of the node needs a route to a Service before kube-proxy's rules rewrite where it goes.
    _run("ip", "route", "add", SERVICE_RANGE, "dev", "node0", "src", NODE_ADDRESS)
    Path("/proc/sys/net/ipv4/ip_forward").write_text("1")


def _run(*command: str | Path) -> None:
    subprocess.run(command, check=True)


if __name__ == "__main__":
    main()
