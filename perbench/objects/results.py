"""The results object of a model and run: a ConfigMap with one compressed document per key.

The operator makes it with `model` in it, how the model is served, and writes a key per ended launch; bench pods write
`tasks`, a key per round for `facts` and for `calibration`, and one per finished stage. What is there stays: a finished
stage is never measured again. `budget` decides how much of a stage there is room for.
"""

import gzip
import zlib
from base64 import b64decode, b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field

from pydantic import BaseModel, Field, JsonValue, TypeAdapter, ValidationError

from perbench.base import Document
from perbench.failures import Failure
from perbench.plan import StageKey
from perbench.planning import is_commit
from perbench.results import CalibrationRecord, ModelRecord, StageRecord, TaskRecord

BUDGET = 700 * 1024
"""Compressed bytes that one object holds at most: with base64 and metadata under etcd's 1.5 MiB."""
MODEL = "model"
TASKS = "tasks"
DETAIL = "detail"
LARGEST_DOCUMENT = 8 * 1024 * 1024
LARGEST_OBJECT = 16 * 1024 * 1024
"""Bytes that a document, and all of an object, unpack to at most. Whoever may write a ConfigMap could else fill the
operator's memory; the rows that fit into the budget take four MiB, and answers that take more give way (`budget`)."""
_TASKS = TypeAdapter(tuple[TaskRecord, ...])


class LaunchEnd(Document):
    """What the operator knows of a launch that has ended."""

    round: int
    order: int
    ready_seconds: float | None = None
    """From the model's pods running to all of them ready. None: it never was ready, or an endpoint."""
    failure: Failure | None = None
    """Why it came to no good end."""
    node: str | None = None
    accelerator: str | None = None
    """Product and number, such as `2 x NVIDIA-A100-SXM4-80GB`."""
    image: str | None = None
    image_digest: str | None = None


class ModelFacts(Document):
    """What the bench pod learnt of a model before it loaded it."""

    source: Mapping[str, JsonValue] = Field(default_factory=dict)
    """What identifies it: revision, licence, bytes …; as in `results.json`."""
    runtime_version: str | None = None
    """As the server says it."""
    server_arguments: Mapping[str, JsonValue] = Field(default_factory=dict)
    """In effect, as far as the server says."""
    warnings: tuple[str, ...] = ()
    """What could not be learnt, and why. None of it spoils a measurement."""


class Detail(Document):
    """How much of each request is kept: the same for all stages of the object, so that they compare."""

    answers: bool = True
    """Whether the models' answers are kept. Without them `answer` is None in every row."""
    digits: int | None = Field(ge=1, le=17, default=None)
    """Significant digits of the times in each row. None: all."""


FULL = Detail()


@dataclass(frozen=True)
class ModelObject:
    """The contents of one results object."""

    model: ModelRecord | None = None
    """How the model is served, as it was settled when the object was made: without launches, and without what bench
    pods learn. None: somebody changed the object."""
    tasks: tuple[TaskRecord, ...] = ()
    facts: Mapping[int, ModelFacts] = field(default_factory=dict)
    """By round: what the bench pod learnt of the model."""
    calibrations: Mapping[int, CalibrationRecord] = field(default_factory=dict)
    """By round: how exactly the machine of the bench pod measured."""
    detail: Detail = FULL
    stages: Mapping[int, tuple[StageRecord, ...]] = field(default_factory=dict)
    """By round, in the order they were measured."""
    ends: Mapping[int, LaunchEnd] = field(default_factory=dict)
    """By round."""
    unreadable: tuple[str, ...] = ()
    """Keys that hold nothing that can be read."""

    def recorded(self, number: int) -> tuple[StageKey, ...]:
        """The stages of one round that are here."""
        return tuple((stage.task, stage.repeat) for stage in self.stages.get(number, ()))

    def commit(self, number: int) -> str | None:
        """The commit of the hub that was loaded in one round. None: nobody said it."""
        revision = self.facts[number].source.get("revision") if number in self.facts else None
        return revision if isinstance(revision, str) and is_commit(revision) else None

    @property
    def first_commit(self) -> str | None:
        """That of the first round in which it was said."""
        return next((commit for number in sorted(self.facts) if (commit := self.commit(number))), None)


def stage_name(number: int, key: StageKey) -> str:
    """The key of a stage: `stage.ROUND.TASK.REPEAT`, with `unloaded` for the extra stage."""
    task, repeat = key
    return f"stage.{number}.{task}.{'unloaded' if repeat is None else repeat}"


def name_of(stage: StageRecord) -> str:
    """The key that a stage is kept under."""
    return stage_name(stage.round, (stage.task, stage.repeat))


def is_stage(name: str) -> bool:
    """Whether a key is that of a stage."""
    return name.startswith("stage.")


def is_document(name: str) -> bool:
    """Whether a key is one of those that are read; one that a later perbench may write is left alone."""
    return name in {MODEL, TASKS, DETAIL} or name.startswith(("facts.", "calibration.", "stage.", "launch."))


def launch_name(number: int) -> str:
    """The key of an ended launch."""
    return f"launch.{number}"


def facts_name(number: int) -> str:
    """The key of what the bench pod of a round learnt of the model."""
    return f"facts.{number}"


def calibration_name(number: int) -> str:
    """The key of how exactly the bench pod's machine measured in a round."""
    return f"calibration.{number}"


def encoded(document: BaseModel) -> str:
    """A document as a value of `binaryData`. Equal documents give equal texts."""
    return _packed(document.model_dump_json(by_alias=True).encode())


def encoded_tasks(tasks: tuple[TaskRecord, ...]) -> str:
    """The tasks as a value of `binaryData`."""
    return _packed(_TASKS.dump_json(tasks, by_alias=True))


def read_stage(name: str, value: str) -> StageRecord:
    """The stage kept under `name`. Raises ValueError: it cannot be read, or is another one."""
    return _stage(name, _unpacked(value, LARGEST_DOCUMENT))


def document_bytes(value: str) -> bytes:
    """A value of ours, unpacked. Raises ValueError (also for what is no gzip): it cannot be read."""
    try:
        return _unpacked(value, LARGEST_DOCUMENT)
    except zlib.error as error:
        raise ValueError(str(error)) from error


def unpacked_size(value: str) -> int:
    """Bytes that a value of ours unpacks to, as it says itself (RFC 1952: the last four)."""
    return int.from_bytes(b64decode(value)[-4:], "little")


def _stage(name: str, content: bytes) -> StageRecord:
    stage = StageRecord.model_validate_json(content)
    if name_of(stage) != name:
        raise ValueError(f"{name} holds the stage {name_of(stage)}")
    return stage


def read_object(binary_data: Mapping[str, str] | None) -> ModelObject:
    """Everything in a results object. What cannot be read is named, and counts as not measured."""
    contents = _Contents()
    for name, value in sorted((binary_data or {}).items()):
        try:
            contents.take(name, value)
        except (ValueError, ValidationError, zlib.error):
            contents.unreadable.append(name)
    stages = {
        number: tuple(sorted(found, key=lambda stage: stage.started_at)) for number, found in contents.stages.items()
    }
    return ModelObject(
        contents.model, contents.tasks, contents.facts, contents.calibrations, contents.detail, stages, contents.ends,
        tuple(contents.unreadable),
    )  # fmt: skip


class _Contents:
    """What has been read so far."""

    def __init__(self) -> None:
        self.model: ModelRecord | None = None
        self._room = LARGEST_OBJECT
        self.tasks: tuple[TaskRecord, ...] = ()
        self.facts: dict[int, ModelFacts] = {}
        self.calibrations: dict[int, CalibrationRecord] = {}
        self.detail = FULL
        self.stages: dict[int, list[StageRecord]] = {}
        self.ends: dict[int, LaunchEnd] = {}
        self.unreadable: list[str] = []

    def take(self, name: str, value: str) -> None:
        """One key; one that a later perbench may write is left alone."""
        if name == MODEL:
            self.model = ModelRecord.model_validate_json(self._unpacked(value))
        elif name == TASKS:
            self.tasks = _TASKS.validate_json(self._unpacked(value))
        elif name.startswith("facts."):
            self.facts[int(name.removeprefix("facts."))] = ModelFacts.model_validate_json(self._unpacked(value))
        elif name.startswith("calibration."):
            self.calibrations[int(name.removeprefix("calibration."))] = CalibrationRecord.model_validate_json(
                self._unpacked(value)
            )
        elif name == DETAIL:
            self.detail = Detail.model_validate_json(self._unpacked(value))
        elif is_stage(name):
            stage = _stage(name, self._unpacked(value))
            self.stages.setdefault(stage.round, []).append(stage)
        elif name.startswith("launch."):
            end = LaunchEnd.model_validate_json(self._unpacked(value))
            if launch_name(end.round) != name:
                raise ValueError(f"{name} holds the end of launch {end.round}")
            self.ends[end.round] = end

    def _unpacked(self, value: str) -> bytes:
        content = _unpacked(value, min(LARGEST_DOCUMENT, self._room))
        self._room -= len(content)
        return content


def _packed(content: bytes) -> str:
    return b64encode(gzip.compress(content, 9, mtime=0)).decode()


def _unpacked(value: str, limit: int) -> bytes:
    reader = zlib.decompressobj(wbits=16 + zlib.MAX_WBITS)
    content = reader.decompress(b64decode(value, validate=True), max(1, limit))  # 0 would be no limit
    if not reader.eof or reader.unused_data:
        raise ValueError("cut off, too large, or followed by something else")
    return content
