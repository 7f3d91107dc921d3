"""What must be alike in two results before a ratio of their figures means anything.

What is not known here is held to matter: a field that a later version records is compared as soon as it is there.
"""

import json
from collections.abc import Iterator, Mapping, Sequence

from pydantic import JsonValue

from perbench.comparison.values import Difference
from perbench.results import ModelRecord, Results, TaskRecord

HARMLESS_PROVENANCE = frozenset({"perbench", "python", "kernel", "packages"})
"""Said as a remark: they touch the client and the system, whose part in the figures is judged in every run. The model
server's own package is compared as `runtimeVersion`."""
MEMORY_SIZE = "memoryBytes"
MEMORY_SIZE_TOLERANCE = 0.01
"""What a kernel keeps of the machine's memory for itself changes from version to version."""

HARMLESS_SETTINGS = frozenset({"repeats", "rounds", "maxSeconds", "reference", "unloadedRequests", "validity"})
"""How often is measured, how long a stage may take, when it is none: intervals hold the first, verdicts the rest."""

SERVED_NAME = "model"
"""In a request: which model is meant. What its files are is a remark."""

ABSENT = "absent"
TEXT_LENGTH = 120
"""Characters of a value in a difference."""


def differences(baseline: Results, candidate: Results) -> tuple[Difference, ...]:
    """What forbids to compare: hardware, driver, server version and arguments, load, task revision.

    Only models and tasks that both have are looked at; a difference too where they share no task or no model.
    """
    return (
        *_provenance(baseline, candidate, harmless=False),
        *_load(baseline, candidate),
        *_tasks(baseline.tasks, candidate.tasks),
        *_models(baseline.models, candidate.models),
    )


def remarks(baseline: Results, candidate: Results) -> tuple[Difference, ...]:
    """What differs and does not forbid: versions of the client side, and what a model's files are."""
    found = list(_provenance(baseline, candidate, harmless=True))
    for first, second in _shared(baseline.models, candidate.models):
        found += _unlike(f"models.{first.name}.source", first.source, second.source)
    return tuple(found)


def _provenance(baseline: Results, candidate: Results, *, harmless: bool) -> Iterator[Difference]:
    first, second = baseline.provenance, candidate.provenance
    for key in _keys(first, second):
        if (key in HARMLESS_PROVENANCE) is harmless and not _same_size(key, first.get(key), second.get(key)):
            yield from _unlike(f"provenance.{key}", first.get(key), second.get(key))


def _same_size(key: str, first: JsonValue, second: JsonValue) -> bool:
    if key != MEMORY_SIZE or not isinstance(first, int | float) or not isinstance(second, int | float):
        return False
    return abs(first - second) <= MEMORY_SIZE_TOLERANCE * max(first, second)


def _load(baseline: Results, candidate: Results) -> Iterator[Difference]:
    settings = [results.resolved.model_dump(mode="json", by_alias=True) for results in (baseline, candidate)]
    # What the spec says of the load beside the settings that defaults resolve.
    written = [results.spec.get("load") for results in (baseline, candidate)]
    loads = [
        {
            **({key: value for key, value in load.items() if key not in resolved} if isinstance(load, dict) else {}),
            **{key: value for key, value in resolved.items() if value is not None},
        }
        for load, resolved in zip(written, settings, strict=True)
    ]
    for key in _keys(*loads):
        if key not in HARMLESS_SETTINGS:
            yield from _unlike(f"load.{key}", loads[0].get(key), loads[1].get(key))


def _tasks(baseline: Sequence[TaskRecord], candidate: Sequence[TaskRecord]) -> Iterator[Difference]:
    others = {task.name: task for task in candidate}
    shared = [(task, others[task.name]) for task in baseline if task.name in others]
    if not shared:
        yield Difference("tasks", _names(baseline), _names(candidate))
    for first, second in shared:
        for field in ("kind", "items", "max_tokens", "sha256"):
            name = f"tasks.{first.name}.{field if field != 'max_tokens' else 'maxTokens'}"
            yield from _unlike(name, getattr(first, field), getattr(second, field))


def _models(baseline: Sequence[ModelRecord], candidate: Sequence[ModelRecord]) -> Iterator[Difference]:
    shared = _shared(baseline, candidate)
    if not shared:
        yield Difference("models", _names(baseline), _names(candidate))
    for first, second in shared:
        where = f"models.{first.name}"
        yield from _unlike(f"{where}.runtime", first.runtime, second.runtime)
        yield from _unlike(f"{where}.runtimeVersion", first.runtime_version, second.runtime_version)
        yield from _unlike(f"{where}.substitutedFor", first.substituted_for, second.substituted_for)
        yield from _unlike(f"{where}.throughputUnit", first.throughput_unit, second.throughput_unit)
        yield from _unlike(f"{where}.units", first.units, second.units)
        yield from _unlike(f"{where}.memoryBasis", first.memory_basis, second.memory_basis)
        for key in _keys(first.server_arguments, second.server_arguments):
            own = (first.server_arguments.get(key), second.server_arguments.get(key))
            yield from _unlike(f"{where}.serverArguments.{key}", *own)
        yield from _requests(where, first, second)


def _requests(where: str, first: ModelRecord, second: ModelRecord) -> Iterator[Difference]:
    """What the requests of a task carried beside the prompt: sampling, cache settings."""
    then, now = _parameters(first), _parameters(second)
    for task in (task for task in then if task in now):
        for key in _keys(then[task], now[task]):
            if key != SERVED_NAME:
                yield from _unlike(f"{where}.requests.{task}.{key}", then[task].get(key), now[task].get(key))


def _parameters(model: ModelRecord) -> dict[str, Mapping[str, JsonValue]]:
    """By task: of any stage, since all stages of a task ask alike."""
    return {stage.task: stage.request_parameters for launch in model.launches for stage in launch.stages}


def _shared(baseline: Sequence[ModelRecord], candidate: Sequence[ModelRecord]) -> list[tuple[ModelRecord, ModelRecord]]:
    others = {model.name: model for model in candidate}
    return [(model, others[model.name]) for model in baseline if model.name in others]


def _keys(first: Mapping[str, JsonValue], second: Mapping[str, JsonValue]) -> list[str]:
    return list(dict.fromkeys((*first, *second)))


def _unlike(what: str, first: object, second: object) -> Iterator[Difference]:
    if first != second:
        yield Difference(what, _text(first), _text(second))


def _text(value: object) -> str:
    if value is None:
        return ABSENT
    text = value if isinstance(value, str) else json.dumps(value, default=str, sort_keys=True)
    return text if len(text) <= TEXT_LENGTH else f"{text[: TEXT_LENGTH - 2]} …"


def _names(records: Sequence[TaskRecord] | Sequence[ModelRecord]) -> str:
    return _text(", ".join(record.name for record in records) or None)
