"""Helm, in both versions that the charts are for."""

import pytest

from tests.support.charts import PROGRAMS, Helm, helm_program


@pytest.fixture(scope="session", params=PROGRAMS)
def helm(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Helm:
    """One of them."""
    name: str = PROGRAMS[request.param]
    return Helm(helm_program(name, request.config), tmp_path_factory.mktemp(name))
