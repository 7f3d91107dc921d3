"""PERBenchmarks with a status, as the API gives them back."""

from pathlib import Path
from typing import Any

import yaml

from tests.support.golden import ROOT

PRICES = {"prices": [{"unit": "server", "dollarsPerHour": "0.36"}]}


def golden_status(path: str) -> dict[str, Any]:
    """A status of tests/golden: `evaluation/status-*.yaml`, or one of `operator/status`."""
    found: dict[str, Any] = yaml.safe_load((ROOT / Path(path)).read_text())
    return found.get("status", found)


def finished(status: dict[str, Any], *, generation: int = 3, **spec: Any) -> dict[str, Any]:
    """A benchmark with this status, whose spec it is about; with the tasks of the golden runs."""
    tasks = [{"name": "topics", "preset": "PackagedTopics"}, {"name": "answers", "preset": "PackagedAnswers"}]
    return {
        "apiVersion": "perbench.dev/v1alpha1",
        "kind": "PERBenchmark",
        "metadata": {
            "name": "bench", "namespace": "team-a", "uid": "u", "generation": generation, "resourceVersion": "7",
            "creationTimestamp": "2026-04-02T09:29:58Z",
        },
        "spec": {"models": [{"name": "one-slot", "model": "gpt2"}], "tasks": tasks} | spec,
        "status": status | {"observedGeneration": 3},
    }  # fmt: skip
