"""Pods that tests write, and waiting for what becomes of them."""

from tests.cluster.api import Kubectl

RESTRICTED = {
    "allowPrivilegeEscalation": False,
    "readOnlyRootFilesystem": True,
    "capabilities": {"drop": ["ALL"]},
}
"""A container's security context under the restricted standard."""


def container(image: str, **more: object) -> dict[str, object]:
    """The container `main` of an image that the node holds."""
    return {"name": "main", "image": image, "imagePullPolicy": "IfNotPresent", **more}


def pod(name: str, spec: dict[str, object], labels: dict[str, str] | None = None) -> dict[str, object]:
    """A pod that is not started again."""
    metadata = {"name": name, "labels": labels or {}}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": {"restartPolicy": "Never", **spec}}


def service(name: str, selector: dict[str, str], port: int) -> dict[str, object]:
    """A Service at port 80 for pods that listen at `port`."""
    spec = {"selector": selector, "ports": [{"port": 80, "targetPort": port}]}
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": spec}


def wait_for(pods: Kubectl, what: str, state: str, seconds: int = 300) -> None:
    """Wait until `what` (`pod/web`) is in a state as `kubectl wait --for` names it. Raises RuntimeError."""
    pods("wait", what, f"--for={state}", f"--timeout={seconds}s", seconds=seconds + 60)
