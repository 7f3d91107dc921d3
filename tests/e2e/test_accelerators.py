"""A node with accelerators: counted by the scheduler, told apart by labels. Pods get no device here."""

import json
from collections.abc import Iterator

import pytest

from tests.cluster.api import Kubectl
from tests.cluster.layout import NODE_NAME
from tests.cluster.node import Node
from tests.e2e.applied import LOAD_SECONDS, Applied, model
from tests.e2e.benchmarks import SCHEDULING_SECONDS, benchmark, llama

RESOURCE = "example.com/gpu"
LABEL = "node.kubernetes.io/instance-type"
"""Of the product, where the chart knows nothing better for the resource."""
PRODUCT = "Example-X100-80GB"


@pytest.fixture
def accelerators(own_node: Node) -> Iterator[None]:
    """Two of them, as long as the test lasts."""
    own_node.offer(RESOURCE, 2, {LABEL: PRODUCT})
    yield
    gone = json.dumps({"status": {"capacity": {RESOURCE: "0"}, "allocatable": {RESOURCE: "0"}}})
    own_node.kubectl("patch", "node", NODE_NAME, "--subresource=status", f"--patch={gone}")
    own_node.kubectl("label", "node", NODE_NAME, f"{LABEL}-")


@pytest.mark.usefixtures("accelerators")
def test_a_model_gets_an_accelerator_and_the_status_says_which(place: Kubectl) -> None:
    one = {"resource": RESOURCE, "count": 1}
    applied = Applied.of(place, benchmark("one", llama("a", accelerator=one)))
    applied.wait_phase("Measuring", LOAD_SECONDS)
    (pod,) = applied.pods("model")
    (container,) = pod["spec"]["containers"]
    assert container["resources"]["limits"][RESOURCE] == "1"
    status = applied.wait_success()
    found = model(status, "a")
    assert found["accelerator"] == f"1 x {PRODUCT}"
    assert found["tasks"][0]["throughputUnit"] == "items/s per accelerator"


@pytest.mark.usefixtures("accelerators")
def test_a_product_that_no_node_has(place: Kubectl) -> None:
    other = {"resource": RESOURCE, "count": 1, "product": "Example-X200"}
    execution = {"deadlines": {"schedulingSeconds": SCHEDULING_SECONDS}}
    applied = Applied.of(place, benchmark("other", llama("a", accelerator=other), execution=execution))
    failure = applied.wait_end()["failure"]
    assert (failure["blame"], failure["reason"]) == ("Infrastructure", "Unschedulable")
    assert "node affinity/selector" in failure["message"]
