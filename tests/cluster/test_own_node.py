"""The node that the tests start: what it is, the devices it pretends to have, and that its components come back."""

import json
import subprocess

import pytest

from tests.cluster.api import Kubectl, wait_until
from tests.cluster.binaries import kubernetes_version
from tests.cluster.images import IMAGES
from tests.cluster.layout import NODE_NAME
from tests.cluster.node import Node
from tests.cluster.pods import container, pod, wait_for

IMAGE = IMAGES["probe"].tag

PRODUCT = {"nvidia.com/gpu.product": "NVIDIA-H100-80GB-HBM3"}


def test_it_is_ready_and_unmodified(own_node: Node) -> None:
    node = own_node.kubectl.get("node", NODE_NAME)
    assert node["status"]["nodeInfo"]["kubeletVersion"] == f"v{kubernetes_version()}"
    version = json.loads(own_node.kubectl("version", "--output=json"))
    assert version["serverVersion"]["gitVersion"] == f"v{kubernetes_version()}"
    assert version["serverVersion"]["gitTreeState"] == "clean"


@pytest.mark.usefixtures("own_node")
def test_nothing_leaves_it(pods: Kubectl) -> None:
    script = "import socket; socket.create_connection(('192.0.2.1', 80), timeout=5)"
    pods.apply(pod("curious", {"containers": [container(IMAGE, command=["python3", "-c", script])]}))
    wait_for(pods, "pod/curious", "jsonpath={.status.phase}=Failed")
    assert "Network is unreachable" in pods("logs", "curious")


def test_accelerators_are_offered_and_counted(own_node: Node, pods: Kubectl) -> None:
    own_node.offer("nvidia.com/gpu", 2, PRODUCT)

    def wants(name: str, count: int) -> dict[str, object]:
        main = container(IMAGE, resources={"limits": {"nvidia.com/gpu": count}})
        return pod(name, {"nodeSelector": PRODUCT, "containers": [main], "terminationGracePeriodSeconds": 1})

    pods.apply(wants("first", 2))
    wait_for(pods, "pod/first", "condition=Ready")
    pods.apply(wants("second", 1))
    wait_for(pods, "pod/second", 'jsonpath={.status.conditions[?(@.type=="PodScheduled")].reason}=Unschedulable')
    message = pods.get("pod", "second")["status"]["conditions"][0]["message"]
    assert "Insufficient nvidia.com/gpu" in message
    pods("delete", "pod/first")
    wait_for(pods, "pod/second", "condition=Ready")


def test_components_that_die_come_back_and_pods_stay(own_node: Node, pods: Kubectl) -> None:
    pods.apply(pod("steady", {"containers": [container(IMAGE)]}))
    wait_for(pods, "pod/steady", "condition=Ready")
    before = json.loads(own_node.ask("pids"))
    for component in ("kubelet", "containerd", "etcd", "kube-apiserver"):
        own_node.ask(f"kill {component}")

    def answers_again() -> bool:
        there = json.loads(own_node.ask("pids"))
        try:  # a command that was begun when one of them died may have no end
            done = pods.run("exec", "steady", "--", "true", seconds=30)
        except subprocess.TimeoutExpired:
            return False
        return set(there) == set(before) and done.returncode == 0

    wait_until(answers_again, "a command runs in the pod again", 300)
    after = json.loads(own_node.ask("pids"))
    assert after["kubelet"] != before["kubelet"]
    assert pods.get("pod", "steady")["status"]["containerStatuses"][0]["restartCount"] == 0
