"""What the tests here work on: a real API server with the CRD in it."""

from collections.abc import Iterator
from typing import Any

import pytest

from perbench.api.crd import custom_resource_definition
from tests.support.kube_api import KubeApi, benchmarks
from tests.support.processes import wait_until

CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"


@pytest.fixture(scope="session")
def admin(apiserver: Any) -> Iterator[KubeApi]:
    """The API as its administrator sees it, with the CRD established."""
    with KubeApi(apiserver.kubeconfig("admin", ("system:masters",))) as api:
        crd = custom_resource_definition()
        answer = api.apply(crd, f"{CRDS}/{crd['metadata']['name']}")
        assert answer.ok, answer.message
        wait_until(lambda: api.get(benchmarks()).ok, "the API serves benchmarks")
        yield api
