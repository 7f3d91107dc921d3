"""Results objects in little memory, for who keeps those of many models at once."""

from collections.abc import Iterable
from dataclasses import replace
from hashlib import blake2b
from typing import Any

from perbench.objects.results import ModelObject
from perbench.results import RequestColumns, StageRecord


class ValuePool:
    """Holds equal values once, over all objects it has seen: rounded times have few values, and most counts repeat."""

    def __init__(self) -> None:
        self._columns: dict[str, dict[Any, Any]] = {name: {} for name in RequestColumns.model_fields}

    def compact(self, found: ModelObject) -> ModelObject:
        """The same figures. Of answers it is only asked whether they differ, so each has its digest in its place."""
        stages = {number: tuple(map(self._stage, stages)) for number, stages in found.stages.items()}
        return replace(found, stages=stages)

    def _stage(self, stage: StageRecord) -> StageRecord:
        rows = stage.requests.model_copy(update={"answer": tuple(map(_digest, stage.requests.answer))})
        columns = {name: _shared(getattr(rows, name), pool) for name, pool in self._columns.items()}
        return stage.model_copy(update={"requests": rows.model_copy(update=columns)})


def _digest(answer: str | None) -> str | None:
    return None if answer is None else blake2b(answer.encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()


def _shared(values: Iterable[Any], pool: dict[Any, Any]) -> tuple[Any, ...]:
    """The values, each the first of its kind in the pool; and so the whole column."""
    column = tuple(pool.setdefault(value, value) for value in values)
    shared: tuple[Any, ...] = pool.setdefault(column, column)
    return shared
