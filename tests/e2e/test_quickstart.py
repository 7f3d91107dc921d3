"""The example that is made for the node of `make cluster`, as it is."""

from pathlib import Path

import pytest
import yaml

from tests.cluster.api import Kubectl
from tests.e2e.applied import Applied, model

EXAMPLE = Path(__file__).parents[2] / "examples/cluster-quickstart.yaml"
SECONDS = 3000


@pytest.mark.slow
def test_it_compares_four_models_on_two_tasks(place: Kubectl) -> None:
    document = yaml.safe_load(EXAMPLE.read_text(encoding="utf-8"))
    place("apply", f"--filename={EXAMPLE}")
    applied = Applied(place, document["metadata"]["name"])
    status = applied.wait_success(SECONDS, complete=lambda status: status["comparedModels"] == 4)
    for spec in document["spec"]["models"]:
        for task in model(status, spec["name"])["tasks"]:
            assert float(task["referencePer"]) > 0
            assert 0 <= float(task["per"]) <= 1
            assert float(task["accuracy"]) >= 0
    applied.wait_torn_down()
