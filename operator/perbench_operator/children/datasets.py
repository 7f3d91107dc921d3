"""Datasets of a benchmark's own objects: where they stand in the bench pod."""

from collections.abc import Sequence
from typing import Any

from perbench.api.tasks import Dataset, TaskSpec
from perbench_operator.children.pods import claim_volume, mount
from perbench_operator.serving import Refused

DATASETS = "/etc/perbench/datasets"
"""One folder for each task that has a dataset of a ConfigMap or a volume."""
PATH_LIMIT = 1024
"""Characters of `dataset.file`."""
SIZE_LIMIT = 1000 * 1024
"""Bytes of all tasks in a plan: it is kept in a ConfigMap, which holds 1 MiB, and has a little more to say."""


def planned_tasks(tasks: Sequence[TaskSpec]) -> tuple[TaskSpec, ...]:
    """The tasks as they travel in a plan: what comes from a ConfigMap or a volume is a file there. Raises Refused."""
    planned = tuple(map(_planned, tasks))
    size = sum(len(task.model_dump_json(by_alias=True, exclude_unset=True).encode()) for task in planned)
    if size > SIZE_LIMIT:
        message = (
            f"the tasks take {size // 1024} KiB, and a plan has {SIZE_LIMIT // 1024} KiB for them: move inline items"
            " into dataset.configMap or dataset.volume"
        )
        raise Refused("InvalidDataset", message)
    return planned


def _planned(task: TaskSpec) -> TaskSpec:
    dataset = task.dataset
    if dataset is None or (dataset.config_map is None and dataset.volume is None):
        return task
    file = Dataset(file=_file(task, dataset), prompt=dataset.prompt, scoring=dataset.scoring)
    return task.model_copy(update={"dataset": file})


def dataset_volumes(tasks: Sequence[TaskSpec]) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Volumes and mounts of all tasks. A claim that several tasks use is one volume."""
    volumes: dict[str, dict[str, Any]] = {}
    mounts = []
    for task in tasks:
        dataset = task.dataset
        if dataset is None or (dataset.config_map is None and dataset.volume is None):
            continue
        key, volume = _volume(dataset, f"dataset-{len(volumes)}")
        mounts.append(mount(volumes.setdefault(key, volume)["name"], f"{DATASETS}/{task.name}", read_only=True))
    return list(volumes.values()), mounts


def _volume(dataset: Dataset, name: str) -> tuple[str, dict[str, Any]]:
    """What tells it from others, and the volume itself."""
    if dataset.config_map is not None:
        reference = dataset.config_map
        items = [{"key": reference.key, "path": reference.key}]
        return f"ConfigMap {reference.name} {reference.key}", {
            "name": name,
            "configMap": {"name": reference.name, "items": items},
        }
    claim = dataset.volume.claim_name if dataset.volume else ""
    return f"PersistentVolumeClaim {claim}", claim_volume(name, claim, read_only=True)


def _file(task: TaskSpec, dataset: Dataset) -> str:
    path = dataset.volume.path if dataset.volume else dataset.config_map.key if dataset.config_map else ""
    file = f"{DATASETS}/{task.name}/{path}"
    if len(file) > PATH_LIMIT:
        most = PATH_LIMIT - len(f"{DATASETS}/{task.name}/")
        raise Refused("InvalidDataset", f"task {task.name}: dataset.volume.path is over {most} characters: shorten it")
    return file
