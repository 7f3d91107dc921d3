"""Which stages make one replicate: those of a launch, or, where every model was started once, those of a repeat."""

from collections.abc import Sequence
from dataclasses import dataclass

from perbench.per import Basis
from perbench.results import ModelRecord, RequestColumns, StageRecord


@dataclass(frozen=True)
class Group:
    """One replicate of a model on a task."""

    number: int
    """Of the round or repeat, from 0."""
    stages: tuple[StageRecord, ...]
    """Under load."""
    unloaded: tuple[StageRecord, ...]
    """One request at a time. Of the one such stage of a single launch each repeat has its part of the requests."""


def groups(model: ModelRecord, task: str, basis: Basis) -> tuple[Group, ...]:
    """The replicates, in order of rounds or repeats."""
    by_number: dict[int, list[StageRecord]] = {}
    for stage in model.stages(task):
        number = stage.round if basis is Basis.LAUNCHES else stage.repeat
        if number is not None:
            by_number.setdefault(number, []).append(stage)
    numbers = sorted(by_number)
    unloaded = _unloaded(model.unloaded_stages(task), basis, numbers)
    return tuple(
        Group(number, tuple(by_number[number]), apart) for number, apart in zip(numbers, unloaded, strict=True)
    )


def _unloaded(stages: Sequence[StageRecord], basis: Basis, numbers: Sequence[int]) -> list[tuple[StageRecord, ...]]:
    if basis is Basis.LAUNCHES:
        return [tuple(stage for stage in stages if stage.round == number) for number in numbers]
    return [tuple(_part(stage, place, len(numbers)) for stage in stages) for place in range(len(numbers))]


def _part(stage: StageRecord, place: int, parts: int) -> StageRecord:
    """Every `parts`-th request of a stage, from `place` on."""
    columns = {name: getattr(stage.requests, name)[place::parts] for name in RequestColumns.model_fields}
    return stage.model_copy(update={"requests": stage.requests.model_copy(update=columns)})
