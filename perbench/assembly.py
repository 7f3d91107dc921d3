"""What is stored becomes `results.json`, and tells what is still to do. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import PurePath

from perbench.failures import Failure
from perbench.plan import StageKey
from perbench.results import LaunchRecord, ModelRecord, StageRecord
from perbench.schedule import Launch


def missing_stages(record: LaunchRecord | None, keys: Sequence[StageKey]) -> tuple[StageKey, ...]:
    """Which stages of a launch have not been measured, in the order they run."""
    measured = {(stage.task, stage.repeat) for stage in record.stages} if record else set()
    return tuple(key for key in keys if key not in measured)


def to_do(
    launches: Iterable[Launch], models: Mapping[str, ModelRecord], keys: Sequence[StageKey]
) -> tuple[tuple[Launch, tuple[StageKey, ...]], ...]:
    """Which launches still have stages to measure, and which. A model that has failed is not started again."""
    remaining = []
    for launch in launches:
        model = models[launch.model]
        if model.failure is not None:
            continue
        missing = missing_stages(launch_of(model, launch.round), keys)
        if missing:
            remaining.append((launch, missing))
    return tuple(remaining)


def launch_of(model: ModelRecord, number: int) -> LaunchRecord | None:
    """The launch of one round, if it has begun."""
    return next((launch for launch in model.launches if launch.round == number), None)


def with_launch(model: ModelRecord, record: LaunchRecord) -> ModelRecord:
    """The model with this launch in its round's place. A start that came to nothing keeps the former one's time."""
    before = launch_of(model, record.round)
    if before is not None and record.ready_seconds is None:
        record = record.model_copy(update={"ready_seconds": before.ready_seconds})
    others = [launch for launch in model.launches if launch.round != record.round]
    return model.model_copy(update={"launches": tuple(sorted([*others, record], key=lambda launch: launch.round))})


def with_stored(
    model: ModelRecord,
    previous: ModelRecord | None,
    stored: Mapping[int, tuple[StageRecord, ...]],
    launches: Iterable[Launch],
) -> ModelRecord:
    """The model with what an earlier command left: its stages from their files, the rest from its results."""
    if previous is not None:
        model = model.model_copy(
            update={
                "launches": previous.launches,
                "runtime_version": previous.runtime_version,
                "server_arguments": previous.server_arguments,
            }
        )
    for launch in launches:
        if launch.model != model.name or not (stages := stored.get(launch.round, ())):
            continue
        record = launch_of(model, launch.round) or LaunchRecord(round=launch.round, order=launch.order)
        model = with_launch(model, record.model_copy(update={"stages": stages}))
    return model


def without_home(failure: Failure, home: PurePath) -> Failure:
    """The failure without the user's home directory: servers' last words name files, and results are passed on."""
    if home == home.parent:
        return failure
    return failure.model_copy(update={"message": failure.message.replace(str(home), "~")})
