"""One API server for all tests here, with the CRD in it, and Helm."""

from collections.abc import Iterator

import pytest

from tests.cluster.control_plane import ControlPlane
from tests.cluster.plugin import control_plane
from tests.support.charts import Helm, helm_program
from tests.support.kube_api import KubeApi, install_crd

__all__ = ["control_plane"]


@pytest.fixture(scope="session")
def admin(control_plane: ControlPlane) -> Iterator[KubeApi]:
    """The API as its administrator sees it, with the CRD established."""
    with KubeApi(control_plane.kubeconfig) as api:
        install_crd(api)
        yield api


@pytest.fixture(scope="session")
def helm(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Helm:
    """Helm 4; what it renders does not depend on its version (tests/charts)."""
    return Helm(helm_program("helm", request.config), tmp_path_factory.mktemp("helm"))
