"""What the tests here work on: a real control plane with the CRD in it, and users with rights of their own."""

from collections.abc import Iterator

import pytest

from tests.cluster import binaries
from tests.cluster import control_plane as planes
from tests.cluster.cache import CannotRunError
from tests.support.charts import Helm
from tests.support.kube_api import KubeApi, install_crd


@pytest.fixture(scope="session")
def control_plane() -> Iterator[planes.ControlPlane]:
    """A control plane for all tests here; each uses namespaces and users of its own."""
    try:
        with planes.running(print) as plane:
            yield plane
    except CannotRunError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def admin(control_plane: planes.ControlPlane) -> Iterator[KubeApi]:
    """The API as its administrator sees it, with the CRD established."""
    with KubeApi(control_plane.kubeconfig) as api:
        install_crd(api)
        yield api


@pytest.fixture(scope="session")
def helm(tmp_path_factory: pytest.TempPathFactory) -> Helm:
    """Helm 4; what it renders does not depend on its version (tests/charts)."""
    try:
        return Helm(binaries.build(("helm",), print) / "helm", tmp_path_factory.mktemp("helm"))
    except CannotRunError as error:
        pytest.skip(str(error))
