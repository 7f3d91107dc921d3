"""The Helm charts, rendered by Helm itself."""

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.cluster import binaries
from tests.cluster.cache import CannotRunError
from tests.cluster.plugin import aloud, not_run

CHARTS = Path(__file__).parents[2] / "charts"
VALUES = CHARTS / "perbench/ci"
"""Sets of values that the chart is rendered with in the tests."""
RELEASE = "perbench"
OLDEST = ("--kube-version", "1.30.0")
"""The oldest Kubernetes that the charts are for. Without a cluster Helm goes by what it was built with."""
NAMESPACE = "perbench-system"
MONITORING_KINDS = ("PodMonitor", "ServiceMonitor", "PrometheusRule")
"""Of prometheus-operator."""
KNOWN = tuple(f"--api-versions=monitoring.coreos.com/v1/{kind}" for kind in MONITORING_KINDS)
"""Without a cluster Helm knows no kinds but Kubernetes' own, unless it is told of them."""


PROGRAMS = {"helm 4": "helm", "helm 3": "helm3"}
"""The versions that the charts are for."""


def helm_program(name: str, config: pytest.Config) -> Path:
    """The path of a Helm, built first if it has to be; where that cannot be, the test is skipped, or fails."""
    try:
        return binaries.build((name,), aloud(config)) / name
    except CannotRunError as error:
        not_run(error)  # it raises
        raise


HELM_SECONDS = 300.0
"""It ends a Helm that hangs: most commands take one second."""


@dataclass(frozen=True)
class Helm:
    """A Helm program with a folder of its own for what it keeps, and perhaps a cluster."""

    program: Path
    home: Path
    kubeconfig: Path | None = None

    def run(self, *arguments: str | Path, seconds: float = HELM_SECONDS) -> subprocess.CompletedProcess[str]:
        """Run a command, whatever comes of it."""
        environment = {
            **os.environ,
            **{f"HELM_{kind}_HOME": str(self.home / kind.lower()) for kind in ("CACHE", "CONFIG", "DATA")},
            "KUBECONFIG": str(self.kubeconfig or os.devnull),
            "KUBECACHEDIR": str(self.home / "kube"),
        }
        return subprocess.run(
            [self.program, *arguments], capture_output=True, text=True, env=environment, timeout=seconds, check=False
        )

    def __call__(self, *arguments: str | Path, seconds: float = HELM_SECONDS) -> str:
        """What a command that must succeed prints. Raises RuntimeError with what Helm says."""
        done = self.run(*arguments, seconds=seconds)
        if done.returncode:
            raise RuntimeError(f"helm {' '.join(map(str, arguments))}: {done.stderr.strip()}")
        return done.stdout

    def template(self, chart: str, *arguments: str | Path, release: str = RELEASE, namespace: str = NAMESPACE) -> str:
        """The manifests of a chart of this repository."""
        return self("template", release, CHARTS / chart, "--namespace", namespace, *OLDEST, *KNOWN, *arguments)


def objects(manifests: str) -> list[dict[str, Any]]:
    """The objects in a text of manifests."""
    return [document for document in yaml.safe_load_all(manifests) if document is not None]


def of_kind(manifests: str, *kinds: str) -> list[dict[str, Any]]:
    """The objects of these kinds, in the order of the kinds."""
    found = objects(manifests)
    return [document for kind in kinds for document in found if document["kind"] == kind]


def path_of(document: dict[str, Any]) -> str:
    """Where an object is in the API, for the kinds that the charts make."""
    version, name = document["apiVersion"], document["metadata"]["name"]
    plural = document["kind"].lower() + "s"
    plural = plural[:-2] + "ies" if plural.endswith("ys") else plural
    root = f"/api/{version}" if "/" not in version else f"/apis/{version}"
    namespace = document["metadata"].get("namespace")
    return f"{root}/namespaces/{namespace}/{plural}/{name}" if namespace else f"{root}/{plural}/{name}"
