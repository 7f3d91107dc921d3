"""What must be alike in two results before a ratio of their figures means anything.

What is not known here is held to matter: a field that a later version records is compared as soon as it is there.
"""

import json
from collections.abc import Collection, Iterator, Mapping, Sequence

from pydantic import JsonValue

from perbench.api.per import MemoryBasis
from perbench.comparison.values import Difference
from perbench.resources import MemoryQuality
from perbench.results import SIZED_AT_START, ModelRecord, Results, TaskRecord

HARMLESS_PROVENANCE = frozenset({"perbench", "benchImage", "python", "kernel", "packages"})
"""Said as a remark: they touch the client and the system, whose part in the figures is judged in every run. The model
server's own package is compared as `runtimeVersion`."""
MEMORY_SIZE = "memoryBytes"
MEMORY_SIZE_TOLERANCE = 0.01
"""What a kernel keeps of the machine's memory for itself changes from version to version."""

HARMLESS_SETTINGS = frozenset(
    {"client", "repeats", "rounds", "maxSeconds", "reference", "unloadedRequests", "validity"}
)
"""How often is measured, how long a stage may take, when it is none, where the
load generator runs: intervals hold the first, verdicts the rest."""

MODEL_FILES = frozenset({"model_id", "model_sha", "model_path", "revision", "model_ftype"})
"""Of what servers say of themselves: what their model's files are."""
HARMLESS_ARGUMENTS = MODEL_FILES | {SIZED_AT_START}
"""Remarks. Where a flag says a size, it is among the arguments that the server was given, and they are compared."""

IMAGE = "image"
"""Among arguments, as it was asked for: the digest, where it is known, says what a tag or another registry does not."""
SERVED_NAME = "model"
"""In a request: which model is meant. What its files are is a remark."""

ABSENT = "absent"
TEXT_LENGTH = 120
"""Characters of a value in a difference."""
CONTEXT_LENGTH = 24
"""Of them, what is shown before the first character that differs."""


def differences(baseline: Results, candidate: Results, compared: Collection[str]) -> tuple[Difference, ...]:
    """What forbids to compare: hardware, driver, server version and arguments, load, task revision.

    `compared`: the models that have figures worth comparing in both; of others, which may have failed before anything
    was learnt of them, nothing is asked. A difference too where the two share no task or no model.
    """
    shared = set(_names(baseline.models)) & set(_names(candidate.models))
    return (
        *_provenance(baseline, candidate, harmless=False),
        *_load(baseline, candidate),
        *_tasks(baseline.tasks, candidate.tasks),
        *(() if shared else _unlike("models", _joined(baseline.models), _joined(candidate.models))),
        *_models(_both(baseline, candidate, compared), held=_compares_what_is_held(baseline)),
    )


def remarks(baseline: Results, candidate: Results, compared: Collection[str]) -> tuple[Difference, ...]:
    """What differs and does not forbid: versions of the client side; of models in `compared` what their files are, and
    what their servers made for the memory that they found."""
    found = list(_provenance(baseline, candidate, harmless=True))
    for first, second in _both(baseline, candidate, compared):
        found += _unlike(f"models.{first.name}.source", first.source, second.source)
        found += _arguments(first, second, harmless=True)
        found += _images(first, second, known=True)
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
    if baseline and candidate and not shared:  # without any, no model has got so far: all have failed
        yield from _unlike("tasks", _joined(baseline), _joined(candidate))
    for first, second in shared:
        for field in ("kind", "items", "max_tokens", "sha256"):
            name = f"tasks.{first.name}.{field if field != 'max_tokens' else 'maxTokens'}"
            yield from _unlike(name, getattr(first, field), getattr(second, field))


def _compares_what_is_held(baseline: Results) -> bool:
    """Whether memory basis Reserved is that of the baseline, which holds for both."""
    per = baseline.spec.get("per")
    return isinstance(per, Mapping) and per.get("memoryBasis") == MemoryBasis.RESERVED


def _models(pairs: Sequence[tuple[ModelRecord, ModelRecord]], *, held: bool) -> Iterator[Difference]:
    for first, second in pairs:
        where = f"models.{first.name}"
        yield from _unlike(f"{where}.runtime", first.runtime, second.runtime)
        yield from _unlike(f"{where}.runtimeVersion", first.runtime_version, second.runtime_version)
        yield from _images(first, second, known=False)
        yield from _unlike(f"{where}.substitutedFor", first.substituted_for, second.substituted_for)
        yield from _unlike(f"{where}.throughputUnit", first.throughput_unit, second.throughput_unit)
        yield from _unlike(f"{where}.units", first.units, second.units)
        yield from _unlike(f"{where}.memoryBasis", first.memory_basis, second.memory_basis)
        yield from _unlike(f"{where}.accelerators", _accelerators(first), _accelerators(second))
        kinds = (_held(first), _held(second)) if held else (_memory(first), _memory(second))
        yield from _unlike(f"{where}.memory", *kinds) if all(kinds) else ()
        yield from _arguments(first, second, harmless=False)
        yield from _requests(where, first, second)


def _arguments(first: ModelRecord, second: ModelRecord, *, harmless: bool) -> Iterator[Difference]:
    then, now = first.server_arguments, second.server_arguments
    digests = _digest(first) and _digest(second)
    for key in _keys(then, now):
        if (key in HARMLESS_ARGUMENTS) is harmless and not (key == IMAGE and digests):
            yield from _unlike(f"models.{first.name}.serverArguments.{key}", then.get(key), now.get(key))


def _images(first: ModelRecord, second: ModelRecord, *, known: bool) -> Iterator[Difference]:
    """Other images. Where both servers said their version (`known`) that is what counts, and the image may be the same
    server packed anew; where one did not, the image is all that is known of which server it was."""
    digests = (_digest(first), _digest(second))
    told = first.runtime_version is not None and second.runtime_version is not None
    if all(digests) and told is known:
        yield from _unlike(f"models.{first.name}.imageDigest", *digests)


def _digest(model: ModelRecord) -> str:
    """Of the images of its launches. Empty: not known."""
    return ", ".join(sorted({launch.image_digest for launch in model.launches if launch.image_digest}))


def _accelerators(model: ModelRecord) -> str | None:
    """All kinds that its launches had."""
    return ", ".join(sorted({launch.accelerator for launch in model.launches if launch.accelerator})) or None


def _memory(model: ModelRecord) -> str | None:
    """What kinds of memory figures its stages have. None: they have none, which its axis says."""
    stages = [stage for launch in model.launches for stage in launch.stages]
    found = {
        f"{stage.memory.origin.value} {(stage.memory.quality or MemoryQuality.MEASURED).value}"
        for stage in stages
        if stage.memory is not None and stage.memory.footprint_bytes is not None
    }
    return ", ".join(sorted(found)) or None


def _held(model: ModelRecord) -> str | None:
    """Whose memory it was that was held. None: it is not known of any stage."""
    records = [stage.memory for launch in model.launches for stage in launch.stages if stage.memory is not None]
    known = [record for record in records if record.reserved_bytes is not None]
    return ", ".join(sorted({(record.reserved_origin or record.origin).value for record in known})) or None


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


def _both(baseline: Results, candidate: Results, names: Collection[str]) -> list[tuple[ModelRecord, ModelRecord]]:
    others = {model.name: model for model in candidate.models}
    return [(model, others[model.name]) for model in baseline.models if model.name in names and model.name in others]


def _keys(first: Mapping[str, JsonValue], second: Mapping[str, JsonValue]) -> list[str]:
    return list(dict.fromkeys((*first, *second)))


def _unlike(what: str, first: object, second: object) -> Iterator[Difference]:
    """Mappings entry by entry, so that what is shown is what differs."""
    mappings = [value for value in (first, second) if isinstance(value, Mapping)]
    if mappings and all(value is None or isinstance(value, Mapping) for value in (first, second)):
        for key in dict.fromkeys(key for mapping in mappings for key in mapping):
            yield from _unlike(f"{what}.{key}", *(_entry(value, key) for value in (first, second)))
    elif first != second:
        yield Difference(what, *_shown(_text(first), _text(second)))


def _entry(value: object, key: str) -> object:
    return value.get(key) if isinstance(value, Mapping) else None


def _shown(first: str, second: str) -> tuple[str, str]:
    """Both texts, at most `TEXT_LENGTH` characters of each: from shortly before the first one that differs on."""
    longest = max(len(first), len(second))
    pairs = enumerate(zip(first, second, strict=False))
    alike = next((at for at, (one, other) in pairs if one != other), min(len(first), len(second)))
    start = 0 if longest <= TEXT_LENGTH or alike < TEXT_LENGTH // 2 else alike - CONTEXT_LENGTH
    return _cut(first, start), _cut(second, start)


def _cut(text: str, start: int) -> str:
    rest = f"… {text[start:]}" if start else text
    return rest if len(rest) <= TEXT_LENGTH else f"{rest[: TEXT_LENGTH - 2]} …"


def _text(value: object) -> str:
    if value is None:
        return ABSENT
    return value if isinstance(value, str) else json.dumps(value, default=str, sort_keys=True)


def _names(records: Sequence[TaskRecord] | Sequence[ModelRecord]) -> list[str]:
    return [record.name for record in records]


def _joined(records: Sequence[TaskRecord] | Sequence[ModelRecord]) -> str | None:
    return ", ".join(_names(records)) or None
