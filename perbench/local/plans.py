"""What a run will do, from what the file says: stages, plans for the bench process, work to estimate. Pure."""

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from perbench.api.decimals import as_float
from perbench.api.defaults import Resolved, least_items
from perbench.api.tasks import TaskSpec
from perbench.local.estimate import StageWork
from perbench.plan import StageKey, stage_keys

if TYPE_CHECKING:
    from perbench_bench.tasks import ResolvedTask

FIRST_WARMUP_SECONDS = 10.0
"""The default warm-up after a start lasts so long, and for 2 x concurrency requests (measurement.md §1)."""


def with_absolute_file(task: TaskSpec, base: Path) -> TaskSpec:
    """The task as it travels in a plan: the bench process looks for files from another directory."""
    if task.dataset is None or task.dataset.file is None:
        return task
    dataset = task.dataset.model_copy(update={"file": str((base / task.dataset.file).absolute())})
    return task.model_copy(update={"dataset": dataset})


def too_few_items(tasks: "Iterable[ResolvedTask]", concurrency: int | None) -> tuple[str, ...]:
    """One line for each task that has not enough items; concurrency None: an open loop."""
    needed = least_items(concurrency)
    load = "an open loop" if concurrency is None else f"concurrency {concurrency}"
    cure = "raise items and limit" + ("" if concurrency is None else ", or lower load.concurrency")
    return tuple(
        f"TooFewItems: task {task.name} measures {task.count} items; {load} needs {needed}: {cure}"
        for task in tasks
        if task.count < needed
    )


def work_of(model: str, tasks: "Iterable[ResolvedTask]", resolved: Resolved) -> dict[StageKey, StageWork]:
    """What each stage of one launch amounts to. The default warm-up has its seconds only after the start."""
    by_name = {task.name: task for task in tasks}
    keys = stage_keys(by_name, resolved.repeats, unloaded=resolved.unloaded_requests is not None)
    return {
        (name, repeat): _stage_work(model, by_name[name], repeat, resolved, after_start=index == 0)
        for index, (name, repeat) in enumerate(keys)
    }


def measured_requests(tasks: "Iterable[ResolvedTask]", resolved: Resolved) -> int:
    """Measured requests of one launch."""
    return sum(task.count * resolved.repeats + (resolved.unloaded_requests or 0) for task in tasks)


def _stage_work(
    model: str, task: "ResolvedTask", repeat: int | None, resolved: Resolved, *, after_start: bool
) -> StageWork:
    warmup = resolved.warmup
    rate = as_float(resolved.rate) if resolved.rate is not None and repeat is not None else None
    concurrency = (resolved.concurrency or 0) if repeat is not None else 1
    measured = task.count if repeat is not None else resolved.unloaded_requests or 0
    warming = float(warmup.seconds) if warmup else FIRST_WARMUP_SECONDS if after_start else 0.0
    return StageWork(
        model=model,
        task=task.name,
        requests=(warmup.requests if warmup else 2 * concurrency) + measured + concurrency,
        output_tokens=task.max_tokens,
        least_seconds=warming + (measured / rate if rate else 0.0),
        most_seconds=float(resolved.max_seconds),
    )
