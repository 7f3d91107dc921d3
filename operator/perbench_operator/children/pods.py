"""What the pods of a run have in common."""

from collections.abc import Iterable, Mapping
from typing import Any

from perbench.api.pods import ObjectRef, Resources, SecretKeyRef
from perbench.api.resource import to_data
from perbench.runtimes.base import NOBODY, SCRATCH
from perbench_operator.platform import Platform

SCRATCH_VOLUME = "scratch"
PROTECTING_LABELS = {
    "sidecar.istio.io/inject": "false",
    "istio.io/dataplane-mode": "none",
}
PROTECTING_ANNOTATIONS = {
    "cluster-autoscaler.kubernetes.io/safe-to-evict": "false",
    "karpenter.sh/do-not-disrupt": "true",
    "linkerd.io/inject": "disabled",
}
"""No autoscaler moves a pod in the middle of a stage, and no mesh puts a proxy into what is measured."""


def protected(about: dict[str, Any], platform: Platform) -> dict[str, Any]:
    """The metadata of a pod's template, with what keeps others away where the owner of the cluster wants that."""
    template = {"labels": about["labels"], "annotations": about["annotations"]}
    if not platform.protect_pods:
        return template
    return {
        "labels": {**template["labels"], **PROTECTING_LABELS},
        "annotations": {**template["annotations"], **PROTECTING_ANNOTATIONS},
    }


FILES_GROUP = NOBODY
"""The group that volumes are given to. The same for all pods: servers of several users may share a claim of models."""


def pod_security(user: int, *, shares_files: bool = False) -> dict[str, Any]:
    """Of a pod in which everything runs as one user. `shares_files`: it writes to a volume that outlives it.

    What a server of another user has made there since the last start is its own group's to read only. So the kubelet
    looks at all of it at each start, not at its root alone, and opens it to the group.
    """
    return {
        "runAsUser": user,
        "runAsGroup": user,
        "runAsNonRoot": user != 0,
        "fsGroup": FILES_GROUP,
        "fsGroupChangePolicy": "Always" if shares_files else "OnRootMismatch",
        "seccompProfile": {"type": "RuntimeDefault"},
    }


def container_security(*, read_only: bool) -> dict[str, Any]:
    """Of a container: nothing beyond what its user may do. `read_only`: its own files cannot be changed."""
    context: dict[str, Any] = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
    return context | ({"readOnlyRootFilesystem": True} if read_only else {})


def scratch_mount() -> dict[str, Any]:
    """Where a container may write."""
    return {"name": SCRATCH_VOLUME, "mountPath": SCRATCH}


def scratch_volume() -> dict[str, Any]:
    """The room behind it, as long as the pod lives."""
    return {"name": SCRATCH_VOLUME, "emptyDir": {}}


def claim_volume(name: str, claim: str, *, read_only: bool) -> dict[str, Any]:
    """A PersistentVolumeClaim."""
    source: dict[str, Any] = {"claimName": claim}
    return {"name": name, "persistentVolumeClaim": source | ({"readOnly": True} if read_only else {})}


def mount(volume: str, path: str, *, read_only: bool) -> dict[str, Any]:
    """Where a volume stands in a container."""
    return {"name": volume, "mountPath": path, **({"readOnly": True} if read_only else {})}


def variables(values: Mapping[str, str]) -> list[dict[str, Any]]:
    """Environment variables of a container."""
    return [{"name": name, "value": value} for name, value in values.items()]


def secret_variable(name: str, reference: SecretKeyRef) -> dict[str, Any]:
    """A variable that the kubelet takes from a Secret; nobody else reads it."""
    return {"name": name, "valueFrom": {"secretKeyRef": {"name": reference.name, "key": reference.key}}}


def quantities(resources: Resources | None) -> dict[str, Any]:
    """Requests and limits as a container has them."""
    return to_data(resources) if resources else {}


def pull_secrets(*names: Iterable[str | ObjectRef]) -> dict[str, Any]:
    """The pod's field for them, each once; no field without any."""
    every = [each if isinstance(each, str) else each.name for group in names for each in group]
    return {"imagePullSecrets": [{"name": name} for name in dict.fromkeys(every)]} if every else {}


def given(**fields: object) -> dict[str, Any]:
    """The fields that have a value."""
    return {name: value for name, value in fields.items() if value not in (None, [], {}, "")}
