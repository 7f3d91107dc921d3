"""A cluster with the operator in it, as the charts install it, and a namespace for each scenario."""

import secrets
import time
from collections.abc import Iterator

import pytest

from perbench_operator.names import UID
from tests.cluster import binaries, charts
from tests.cluster.api import Kubectl
from tests.cluster.existing import ExistingCluster
from tests.cluster.node import Node
from tests.cluster.plugin import aloud, cluster, own_node
from tests.e2e.applied import KINDS

__all__ = ["cluster", "own_node"]

GONE_SECONDS = 300
"""For what takes ten: on a machine that is busy with other things everything takes longer."""


@pytest.fixture(scope="session")
def operator(request: pytest.FixtureRequest, cluster: Node | ExistingCluster) -> Iterator[Kubectl]:
    """kubectl in the operator's namespace. Charts that were not there before go again in the end."""
    say = aloud(request.config)
    helm = binaries.build(("helm",), say) / "helm"
    was_there = charts.installed(helm, cluster.kubectl)
    charts.install(helm, cluster.kubectl, say)
    yield cluster.kubectl.in_namespace(charts.NAMESPACE)
    for name in reversed(charts.CHARTS):
        if name not in was_there:
            charts.run_helm(helm, cluster.kubeconfig, "uninstall", name, f"--namespace={charts.NAMESPACE}", "--wait")


@pytest.fixture
def place(operator: Kubectl) -> Iterator[Kubectl]:
    """kubectl in a new namespace. When its benchmarks are deleted, all that they made goes with them."""
    name = f"e2e-{secrets.token_hex(4)}"
    operator("create", "namespace", name)
    there = operator.in_namespace(name)
    there("wait", "--for=create", "serviceaccount/default", "--timeout=120s")
    yield there
    there("delete", "perb", "--all", "--wait", f"--timeout={GONE_SECONDS}s", seconds=GONE_SECONDS + 60)
    left = wait_empty(there)
    there("delete", "namespace", name, "--wait", f"--timeout={GONE_SECONDS}s", seconds=GONE_SECONDS + 60)
    assert not left, f"left behind after {GONE_SECONDS} s: {left}"


def wait_empty(kubectl: Kubectl) -> list[str]:
    """What is still there of deleted benchmarks when they have had their time."""
    deadline = time.monotonic() + GONE_SECONDS
    while True:
        items = kubectl.get(KINDS, f"--selector={UID}")["items"]
        if not items or time.monotonic() > deadline:
            return [f"{each['kind']} {each['metadata']['name']}" for each in items]
        time.sleep(0.5)
