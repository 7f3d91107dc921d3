"""What the parts of results must have in common, beyond the form of each: signs, lengths, names, numbers of items.

`evaluate` relies on these. They are not in the models: a load generator that saw something odd must be able to write
it down, and it is the reader who must know.
"""

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from itertools import chain

from pydantic import BaseModel

from perbench.failures import shorten
from perbench.record.mistakes import Location, Mistake, place_of
from perbench.results import (
    Histogram,
    LaunchRecord,
    ModelRecord,
    RequestColumns,
    Results,
    StageRecord,
    TaskRecord,
)

LAST_BIN = 4096
"""Of a histogram: 32 powers of two with 128 bins each, after the one for what is below 1 µs."""

LARGEST = 1e15
"""Of any number: 30,000 years of milliseconds, a petabyte. Beyond it sums would leave the floats."""


def mistakes(results: Results) -> list[Mistake]:
    """Everything that is wrong, in the order of the file."""
    found = chain(
        _run(results),
        _tasks(results.tasks),
        *(_model(model, results, ("models", index)) for index, model in enumerate(results.models)),
    )
    return [Mistake(place_of(location), message) for location, message in found]


Found = Iterator[tuple[Location, str]]


def _run(results: Results) -> Found:
    if results.completion_time is not None and results.completion_time < results.start_time:
        yield ("completionTime",), "is before startTime"
    yield from _finite(results.spec, ("spec",))
    yield from _finite(results.provenance, ("provenance",))
    if not results.tasks:
        yield ("tasks",), "is empty; a run has at least one task"
    if not results.models:
        yield ("models",), "is empty; a run has at least one model"
    yield from _twice("tasks", (task.name for task in results.tasks))
    names = [model.name for model in results.models]
    yield from _twice("models", names)
    if names and results.resolved.reference not in names:
        yield ("resolved", "reference"), f"{_quoted(results.resolved.reference)} is none of the models"


def _twice(field: str, names: Iterable[str]) -> Found:
    for name, times in Counter(names).items():
        if times > 1:
            yield (field,), f"has {_quoted(name)} {times} times"


def _tasks(tasks: Iterable[TaskRecord]) -> Found:
    for index, task in enumerate(tasks):
        yield from _numbers(task, ("tasks", index))
        for field in ("items", "max_tokens"):
            if getattr(task, field) == 0:
                yield ("tasks", index, _alias(task, field)), "must be 1 or more, and is 0"
        if task.sources is not None and len(task.sources) != task.items:
            yield ("tasks", index, "sources"), f"has {len(task.sources)} entries where items is {task.items}"


def _model(model: ModelRecord, results: Results, at: Location) -> Found:
    if not model.name:
        yield (*at, "name"), "is empty"
    yield from _numbers(model, at)
    yield from _finite(model.source, (*at, "source"))
    yield from _finite(model.server_arguments, (*at, "serverArguments"))
    if model.units == 0:
        yield (*at, "units"), "must be 1 or more, and is 0"
    rounds = Counter(launch.round for launch in model.launches)
    for number, times in rounds.items():
        if times > 1:
            yield (*at, "launches"), f"has round {number} {times} times"
    tasks = {task.name: task for task in results.tasks}
    for index, launch in enumerate(model.launches):
        yield from _launch(launch, tasks, (*at, "launches", index))


def _launch(launch: LaunchRecord, tasks: Mapping[str, TaskRecord], at: Location) -> Found:
    yield from _numbers(launch, at)
    if launch.calibration is not None:
        yield from _numbers(launch.calibration, (*at, "calibration"))
    for key, times in Counter(stage.key for stage in launch.stages).items():
        if times > 1:
            yield (*at, "stages"), f"has repeat {key[2]} of task {_quoted(key[0])} {times} times"
    for index, stage in enumerate(launch.stages):
        here = (*at, "stages", index)
        if stage.round != launch.round:
            yield (*here, "round"), f"is {stage.round}, and that of its launch is {launch.round}"
        if stage.task not in tasks:
            yield (*here, "task"), f"{_quoted(stage.task)} is none of the tasks"
        else:
            yield from _items(stage, tasks[stage.task], here)
        yield from _stage(stage, here)


def _items(stage: StageRecord, task: TaskRecord, at: Location) -> Found:
    for row, item in enumerate(stage.requests.item):
        if item >= task.items:
            yield (
                (*at, "requests", "item", row),
                f"is {item}, and task {_quoted(task.name)} has {task.items} items, counted from 0",
            )


def _stage(stage: StageRecord, at: Location) -> Found:
    yield from _numbers(stage, at)
    yield from _columns(stage.requests, (*at, "requests"))
    for field in ("itl", "chunk_gap"):
        yield from _histogram(getattr(stage, field), (*at, _alias(stage, field)))
    if stage.memory is not None:
        yield from _numbers(stage.memory, (*at, "memory"))
    if stage.use is not None:
        yield from _numbers(stage.use, (*at, "use"))
        if (share := stage.use.accelerator_utilization) is not None and 1 < share <= LARGEST:
            yield (*at, "use", "acceleratorUtilization"), f"must be within 0 and 1, and is {share:g}"
    if stage.server is not None:
        yield from _numbers(stage.server, (*at, "server"))
    yield from _numbers(stage.client, (*at, "client"))


def _columns(columns: RequestColumns, at: Location) -> Found:
    rows = len(columns.item)
    for field in RequestColumns.model_fields:
        here = (*at, _alias(columns, field))
        column = getattr(columns, field)
        if len(column) != rows:
            yield here, f"has {len(column)} entries where item has {rows}"
    yield from _numbers(columns, at)
    for row, score in enumerate(columns.score):
        if score is not None and score > 1:
            yield (*at, "score", row), f"must be within 0 and 1, and is {score:g}"


def _histogram(histogram: Histogram, at: Location) -> Found:
    yield from _numbers(histogram, at)
    if len(histogram.bins) != len(histogram.counts):
        yield (*at, "counts"), f"has {len(histogram.counts)} entries where bins has {len(histogram.bins)}"
    if any(after <= before for before, after in zip(histogram.bins, histogram.bins[1:], strict=False)):
        yield (*at, "bins"), "must rise from entry to entry"
    if histogram.bins and histogram.bins[-1] > LAST_BIN:
        yield (*at, "bins"), f"has bin {histogram.bins[-1]}, and the last there is is {LAST_BIN}"
    if histogram.total != sum(histogram.counts):
        yield (*at, "total"), f"is {histogram.total}, and counts add up to {sum(histogram.counts)}"


def _numbers(record: BaseModel, at: Location) -> Found:
    """Numbers that cannot be among the fields of one object, and among the entries of its lists."""
    for field in type(record).model_fields:
        value = getattr(record, field)
        if isinstance(value, tuple):
            for row, entry in enumerate(value):
                if isinstance(entry, int | float) and not 0 <= entry <= LARGEST:
                    yield (*at, _alias(record, field), row), _impossible(entry)
        elif isinstance(value, int | float) and not 0 <= value <= LARGEST:
            yield (*at, _alias(record, field)), _impossible(value)


def _impossible(number: float) -> str:
    return f"must not be negative, and is {number:g}" if number < 0 else f"must be {LARGEST:g} at most, not {number:g}"


def _finite(value: object, at: Location) -> Found:
    """NaN and infinity in what is kept as it came: JSON has neither."""
    if isinstance(value, Mapping):
        for key, entry in value.items():
            yield from _finite(entry, (*at, key))
    elif isinstance(value, list):
        for index, entry in enumerate(value):
            yield from _finite(entry, (*at, index))
    elif isinstance(value, float) and not math.isfinite(value):
        yield at, f"must be a finite number, not {value}"


def _alias(record: BaseModel, field: str) -> str:
    return type(record).model_fields[field].alias or field


def _quoted(name: str) -> str:
    return f'"{shorten(name, 60)}"'
