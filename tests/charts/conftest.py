"""Helm, in both versions that the charts are for."""

from pathlib import Path

import pytest

from tests.cluster import binaries
from tests.support.charts import Helm

PROGRAMS = {"helm 4": "helm", "helm 3": "helm3"}


@pytest.fixture(scope="session", params=PROGRAMS)
def helm(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Helm:
    """One of them."""
    program: str = PROGRAMS[request.param]
    return Helm(programs(program) / program, tmp_path_factory.mktemp(program))


def programs(name: str) -> Path:
    """The folder with a program, built first if it has to be."""
    try:
        return binaries.build((name,), print)
    except binaries.CannotRunError as error:
        pytest.skip(str(error))
