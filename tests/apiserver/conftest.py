"""One API server for all tests here, with the CRD in it, and Helm."""

from collections.abc import Iterator

import pytest

from perbench.api.resource import API_VERSION, GROUP
from tests.cluster.control_plane import ControlPlane
from tests.cluster.plugin import control_plane
from tests.support.charts import Helm, helm_program
from tests.support.kube_api import KubeApi, install_crd
from tests.support.processes import wait_until

__all__ = ["control_plane"]


@pytest.fixture(scope="session")
def admin(control_plane: ControlPlane) -> Iterator[KubeApi]:
    """The API as its administrator sees it, with the CRD established."""
    with KubeApi(control_plane.kubeconfig) as api:
        install_crd(api)
        wait_until(lambda: is_told_of(api), "the API tells of benchmarks, not only serves them", 120)
        yield api


def is_told_of(api: KubeApi) -> bool:
    """By its lists of kinds, which Helm and kubectl read, and by its documents, which `kubectl explain` reads."""
    groups = api.get("/apis").body.get("groups", ())
    documents = str(api.get("/openapi/v3").body)  # JSON, and said to be text
    return GROUP in {group["name"] for group in groups} and f"apis/{API_VERSION}" in documents


@pytest.fixture(scope="session")
def helm(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Helm:
    """Helm 4; what it renders does not depend on its version (tests/charts)."""
    return Helm(helm_program("helm", request.config), tmp_path_factory.mktemp("helm"))
