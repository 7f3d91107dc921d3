"""Ports for programs that are told where to listen, and begin to do so only later."""

import contextlib
import random
import socket
from pathlib import Path

LOWEST, HIGHEST = 10_000, 29_999
"""Below those that Kubernetes gives to Services."""
CLIENTS = Path("/proc/sys/net/ipv4/ip_local_port_range")


def free_port() -> int:
    """A port of loopback that nobody has, and that no connection is given meanwhile: those who connect are given ports
    of a range of their own."""
    highest = min(HIGHEST, int(CLIENTS.read_text().split()[0]) - 1) if CLIENTS.exists() else HIGHEST
    for _ in range(100):
        with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", random.randint(LOWEST, highest))) as free:
            return int(free.getsockname()[1])
    raise AssertionError(f"none of a hundred ports from {LOWEST} to {highest} is free")
