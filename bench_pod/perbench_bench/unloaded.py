"""The extra stage of one request at a time, for latency basis Unloaded (measurement.md §5). Pure.

In a closed loop latency is concurrency / throughput: only without load does it say something that throughput does not.
"""

from dataclasses import replace

from perbench.plan import LoadPlan
from perbench.results import StageRecord
from perbench_bench.tasks import ResolvedTask


def unloaded_task(task: ResolvedTask, requests: int) -> ResolvedTask:
    """The task as it is put without load: its first items, round and round where it has fewer than `requests`.

    Nothing is scored: accuracy is that of the stages under load.
    """
    items = tuple(task.items[index % task.count] for index in range(requests)) if task.items else ()
    return replace(task, items=items, scoring=None, count=requests)


def unloaded_load(load: LoadPlan) -> LoadPlan:
    """The same limits, one request at a time."""
    return load.model_copy(update={"concurrency": 1, "arrivals": None})


def with_items_of(record: StageRecord, task: ResolvedTask) -> StageRecord:
    """The record with its requests named by the items of the whole task."""
    item = tuple(index % task.count for index in record.requests.item)
    return record.model_copy(update={"requests": record.requests.model_copy(update={"item": item})})
