"""The supervisor alone, without a cluster: it starts, stops and restarts, and whoever asks cannot end it."""

import json
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster.api import wait_until
from tests.cluster.control_plane import free_ports
from tests.cluster.supervisor import answers, ask

ROOT = Path(__file__).parents[2]
SECONDS = 60.0


@pytest.fixture
def supervisor(tmp_path: Path) -> Iterator[tuple[Path, subprocess.Popen[bytes]]]:
    """The socket of one that may run a component, and its process."""
    component = {"arguments": ["sleep", "3600"], "environment": {"PATH": "/usr/bin:/bin"}, "descriptors": []}
    (tmp_path / "components.json").write_text(json.dumps({"sleeper": component}))
    process = subprocess.Popen([sys.executable, "-m", "tests.cluster.supervisor", tmp_path], cwd=ROOT)
    try:
        wait_until(lambda: answers(tmp_path / "control.sock"), "the supervisor answers", SECONDS)
        yield tmp_path / "control.sock", process
    finally:
        process.kill()
        process.wait()


def test_what_dies_is_started_again_and_what_is_stopped_is_not(
    supervisor: tuple[Path, subprocess.Popen[bytes]],
) -> None:
    control, _ = supervisor

    def pids() -> dict[str, int]:
        return dict(json.loads(ask(control, "pids")))

    ask(control, "start sleeper")
    first = pids()["sleeper"]
    ask(control, "kill sleeper")
    wait_until(lambda: pids().get("sleeper", first) != first, "it is started again", SECONDS)
    ask(control, "stop sleeper")
    wait_until(lambda: pids() == {}, "it is stopped", SECONDS)
    with pytest.raises(RuntimeError, match="no such command"):
        ask(control, "sing sleeper")


def test_who_asks_and_goes_away_does_not_end_it(supervisor: tuple[Path, subprocess.Popen[bytes]]) -> None:
    """Whoever gives up waiting for an answer closes its connection, and that may be while the answer is written."""
    control, process = supervisor
    # All of them are there before it looks at the first.
    process.send_signal(signal.SIGSTOP)
    for words in (b"pids\n", b"start", b"", b"\xff\n"):
        with socket.socket(socket.AF_UNIX) as hasty:
            hasty.connect(str(control))
            hasty.sendall(words)
    process.send_signal(signal.SIGCONT)
    assert ask(control, "pids") == "{}"
    assert process.poll() is None


def test_ports_are_none_that_the_kernel_gives_away() -> None:
    lowest, _ = map(int, Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split())
    api, etcd = free_ports()
    assert etcd == api + 1
    assert etcd + 1 < lowest or lowest < 20_001
