"""`serving.podPatch`: a pod that is merged into a model's.

Objects are merged field by field, and `null` takes a field away. Of the lists whose entries have a name, entries of the
same name are merged and others added: containers, init containers, volumes and variables by `name`, mounts by
`mountPath`, ports by `containerPort`. Every other list is replaced as a whole. What the operator finds its pods by
stays.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from perbench_operator.serving import Refused

KEYS: Mapping[str, str] = {
    "containers": "name",
    "initContainers": "name",
    "volumes": "name",
    "env": "name",
    "volumeMounts": "mountPath",
    "ports": "containerPort",
}
"""Lists that are merged entry by entry, and what tells their entries apart."""
PATCHED = ("metadata", "spec")
PATCHED_METADATA = ("labels", "annotations")
KEPT_CONTAINERS = ("containers", "initContainers")


def patched(template: Mapping[str, Any], patch: Mapping[str, Any], model: str) -> dict[str, Any]:
    """The template of a model's pod with the user's patch. Raises Refused where it takes away what perbench needs."""
    _check_fields(patch, model)
    result = _merged(template, patch)
    _check_kept(template, result, model)
    return result


def images(template: Mapping[str, Any]) -> tuple[str, ...]:
    """Every image that the pod would start, by whatever kind of container, or mount."""
    spec = template["spec"]
    containers = [each for kind in KEPT_CONTAINERS for each in _entries(spec, kind)]
    mounted = [volume["image"] for volume in _entries(spec, "volumes") if "image" in volume]
    references = [source.get("reference", "") if isinstance(source, Mapping) else source for source in mounted]
    return tuple(map(str, (*(each.get("image", "") for each in containers), *references)))


def _merged(base: Mapping[str, Any], patch: Mapping[str, Any]) -> dict[str, Any]:
    result = dict(base)
    for name, value in patch.items():
        own = result.get(name)
        if value is None:
            result.pop(name, None)
        elif isinstance(value, Mapping):
            result[name] = _merged(own if isinstance(own, Mapping) else {}, value)
        elif name in KEYS and _has_keys(value, KEYS[name]):
            result[name] = _merged_list(own or [], value, KEYS[name])
        else:
            result[name] = value
    return result


def _merged_list(base: Sequence[Mapping[str, Any]], patch: Sequence[Mapping[str, Any]], key: str) -> list[Any]:
    entries = {entry[key]: entry for entry in base}
    for change in patch:
        entries[change[key]] = _merged(entries.get(change[key], {}), change)
    return list(entries.values())


def _has_keys(value: object, key: str) -> bool:
    return isinstance(value, list) and all(
        isinstance(entry, Mapping) and isinstance(entry.get(key), str | int) for entry in value
    )


def _check_fields(patch: Mapping[str, Any], model: str) -> None:
    """Only what belongs to a pod's template."""
    strange = [name for name in patch if name not in PATCHED]
    metadata = patch.get("metadata") or {}
    if isinstance(metadata, Mapping):
        strange += [f"metadata.{name}" for name in metadata if name not in PATCHED_METADATA]
    for name in PATCHED:
        if name in patch and not isinstance(patch[name], Mapping):
            raise Refused("InvalidPodPatch", f"model {model}: serving.podPatch.{name} is not an object")
    if strange:
        message = f"model {model}: serving.podPatch.{strange[0]}: a patch may hold spec, and labels and annotations in"
        raise Refused("InvalidPodPatch", f"{message} metadata")


def _check_kept(before: Mapping[str, Any], after: Mapping[str, Any], model: str) -> None:
    """What the operator and its Service find the pod by, what it starts, and that the end of its server is its end."""
    old, new = before["metadata"], after.get("metadata") or {}
    for kind in PATCHED_METADATA:
        found = new.get(kind) or {}
        lost = [name for name, value in old[kind].items() if _is_ours(name) and found.get(name) != value]
        if lost:
            raise Refused("InvalidPodPatch", f"model {model}: serving.podPatch changes {kind} {lost[0]}: leave it")
    spec = after.get("spec") or {}
    for kind in KEPT_CONTAINERS:
        names = [each.get("name") for each in _entries(spec, kind)]
        lost = [each["name"] for each in _entries(before["spec"], kind) if each["name"] not in names]
        if lost:
            message = f"model {model}: serving.podPatch takes container {lost[0]} away: name it to change it"
            raise Refused("InvalidPodPatch", message)
    if spec.get("restartPolicy") != before["spec"]["restartPolicy"]:
        message = (
            f"model {model}: serving.podPatch.spec.restartPolicy: a server that ends is not started again: leave it"
        )
        raise Refused("InvalidPodPatch", message)


def _entries(spec: Mapping[str, Any], kind: str) -> Sequence[Mapping[str, Any]]:
    """What there is of a list; what is none of Kubernetes' own is for the API server to refuse."""
    found = spec.get(kind)
    return [each for each in found if isinstance(each, Mapping)] if isinstance(found, list) else []


def _is_ours(name: str) -> bool:
    return name.startswith(("perbench.dev/", "app.kubernetes.io/managed-by"))
