"""Clusters end with whom they belong to, leave nothing, and do not meet."""

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import pytest

from tests.cluster import cgroups, images, keeper, node
from tests.cluster.api import wait_until
from tests.cluster.node import Node

ROOT = Path(__file__).parents[2]
SECONDS = 180.0
"""For what takes a second or two."""
OWNER = """
import sys, time
from tests.cluster import images, node
with node.running([], lambda line: None) as mine:
    print(mine.layout.name, flush=True)
    time.sleep(3600)
"""


def network_namespaces(processes: Iterable[int]) -> set[str]:
    """Of those of the processes that there are."""
    found = set()
    for pid in processes:
        with contextlib.suppress(OSError):
            found.add(str(Path(f"/proc/{pid}/ns/net").readlink()))
    return found


def every_process() -> set[int]:
    return {int(path.name) for path in Path("/proc").glob("[0-9]*")}


def traces() -> set[str]:
    """Mounts and folders of the kind that kubelet, containerd and CNI plugins make on other machines."""
    words = ("kubelet", "containerd", "netns", "cni")
    lines = Path("/proc/self/mountinfo").read_text().splitlines()
    mounts = {line.split(" ", 1)[1] for line in lines if any(word in line for word in words)}
    places = (
        "/var/lib/kubelet",
        "/var/lib/cni",
        "/var/log/pods",
        "/var/log/containers",
        "/run/netns",
        "/run/containerd",
    )
    return mounts | {place for place in places if Path(place).exists()}


def test_two_at_once_share_nothing_and_one_that_ends_leaves_nothing(own_node: Node) -> None:
    before = traces()
    with node.running([], lambda _line: None) as second:
        name = second.layout.name
        assert second.layout.store != own_node.layout.store
        assert second.layout.api_port != own_node.layout.api_port
        second.kubectl("create", "namespace", "only-here")
        assert own_node.kubectl.run("get", "namespace", "only-here").returncode == 1
        assert len(cgroups.processes(name)) > len(second.ask("pids").split(","))
        inside = network_namespaces(cgroups.processes(name)) - network_namespaces([os.getpid()])
        assert len(inside) == 1
        remains = keeper.remains(name)
    assert any("cgroup" in each for each in remains)
    assert any(each.startswith("process") for each in remains)
    assert keeper.remains(name) == []
    assert not inside & network_namespaces(every_process())
    assert traces() == before
    assert own_node.kubectl("get", "--raw=/readyz") == "ok"


@pytest.mark.usefixtures("own_node")
@pytest.mark.parametrize("victim", ["owner", "keeper"])
def test_nothing_survives_a_killed(victim: str) -> None:
    with subprocess.Popen([sys.executable, "-c", OWNER], stdout=subprocess.PIPE, text=True, cwd=ROOT) as owner:
        try:
            assert owner.stdout is not None
            name = owner.stdout.readline().strip()
            assert keeper.alive(name)
            inside = network_namespaces(cgroups.processes(name)) - network_namespaces([os.getpid()])
            assert inside
            if victim == "owner":
                owner.kill()
                wait_until(lambda: not keeper.remains(name), f"everything of {name} is gone", SECONDS)
            else:
                os.kill(int((keeper.registry() / name / "keeper.pid").read_text()), signal.SIGKILL)
                wait_until(lambda: not cgroups.processes(name), f"every process of {name} is gone", SECONDS)
                # Folders and cgroups outlive their keeper until the next start or stop of any cluster.
                wait_until(lambda: name in keeper.sweep() or not keeper.remains(name), f"{name} is swept", SECONDS)
        finally:
            owner.kill()
    assert keeper.remains(name) == []
    assert not inside & network_namespaces(every_process())


def test_a_cluster_that_stopped_is_nobodys(own_node: Node) -> None:
    assert keeper.alive(own_node.layout.name)
    assert not keeper.alive("perb-never")
    keeper.stop("perb-never")
    assert keeper.remains("perb-never") == []
    with pytest.raises(RuntimeError, match="runs already"), keeper.claimed(own_node.layout.name):
        pass


def test_images_that_did_not_change_are_neither_built_nor_loaded_again(own_node: Node) -> None:
    said: list[str] = []
    archives = images.prepare(("probe",), said.append)
    assert own_node.containers.load(archives, said.append) == []
    # That something takes a while, or waits for somebody else, may be said.
    assert [line for line in said if line.startswith(("built", "image"))] == []
