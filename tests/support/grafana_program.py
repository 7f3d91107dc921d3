"""`perbench` in the environment of its extra `grafana`, of which the tests' own environment has nothing."""

import os
from pathlib import Path

import pytest

from tests.cluster.plugin import REQUIRE

ROOT = Path(__file__).parents[2]
PYTHON = ROOT / ".venv-grafana/bin/python"


@pytest.fixture(scope="session")
def grafana_program() -> list[str]:
    """The program and its first arguments. Without the environment the test is skipped, or fails."""
    if not PYTHON.exists():
        missing = f"there is no {PYTHON.relative_to(ROOT)}: make .venv-grafana/.done"
        if os.environ.get(REQUIRE) == "1":
            pytest.fail(f"{missing} ({REQUIRE}=1)", pytrace=False)
        pytest.skip(f"NOT RUN WITH GRAFANA'S CLIENT: {missing}")
    return [str(PYTHON), "-c", f"import sys; sys.path.insert(0, {str(ROOT)!r}); from perbench.cli import main; main()"]
