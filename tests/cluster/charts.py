"""The charts of this repository, installed by Helm as a user would, with the images that the node has."""

import os
import subprocess
from pathlib import Path

from tests.cluster.api import Kubectl
from tests.cluster.cache import Say
from tests.cluster.images import IMAGES, REPOSITORY

NAMESPACE = "perbench-system"
CHARTS = ("perbench-crds", "perbench")
"""In the order of their installation."""
CHART_IMAGES = ("operator", "bench")
"""Images that the chart `perbench` has values for."""
WAIT = "300s"


def available() -> tuple[str, ...]:
    """The charts that this checkout has."""
    return tuple(name for name in CHARTS if (REPOSITORY / "charts" / name / "Chart.yaml").is_file())


def image_values() -> dict[str, str]:
    """Values by which the chart starts the images of the table, by path."""
    values = {}
    for name in CHART_IMAGES:
        registry, _, rest = IMAGES[name].tag.partition("/")
        repository, _, tag = rest.partition(":")
        values["imageRegistry"] = registry
        values |= {f"images.{name}.repository": repository, f"images.{name}.tag": tag}
    return values


def installed(helm: Path, kubectl: Kubectl) -> frozenset[str]:
    """The charts that are in the cluster."""
    names = run_helm(helm, kubectl.kubeconfig, "list", "--short", f"--namespace={NAMESPACE}").split()
    return frozenset(CHARTS) & frozenset(names)


def install(helm: Path, kubectl: Kubectl, say: Say) -> None:
    """Install or upgrade every chart, and wait until what it starts is ready. Raises RuntimeError with Helm's words."""
    for name in available():
        values = image_values() if name == "perbench" else {}
        command = ["upgrade", "--install", name, str(REPOSITORY / "charts" / name), f"--namespace={NAMESPACE}"]
        command += ["--create-namespace", "--wait", f"--timeout={WAIT}"]
        command += [f"--set-string={path}={value}" for path, value in values.items()]
        run_helm(helm, kubectl.kubeconfig, *command)
        say(f"chart {name} installed in {NAMESPACE}")


def restart(kubectl: Kubectl) -> None:
    """Let what the charts run take up new images of the same tag."""
    there = kubectl.in_namespace(NAMESPACE)
    if there("get", "deployments", "--output=name", "--ignore-not-found"):
        there("rollout", "restart", "deployment")
        there("rollout", "status", "deployment", f"--timeout={WAIT}", seconds=400)


def run_helm(helm: Path, kubeconfig: Path, *arguments: str) -> str:
    """What a helm command that must succeed prints; its caches and settings are in the cluster's folder."""
    home = kubeconfig.parent / "helm"
    folders = {f"HELM_{kind}_HOME": str(home / kind.lower()) for kind in ("CACHE", "CONFIG", "DATA")}
    environment = {**os.environ, **folders, "KUBECONFIG": str(kubeconfig)}
    done = subprocess.run([helm, *arguments], capture_output=True, text=True, env=environment, check=False)
    if done.returncode:
        raise RuntimeError(f"helm {' '.join(arguments[:3])}: {done.stderr.strip()}")
    return done.stdout
