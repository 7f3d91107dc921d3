"""How the figures of a run are read: `spec.per` and `spec.capacity`, with nothing left open."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from pydantic import JsonValue, ValidationError

from perbench.api.capacity import CapacitySpec
from perbench.api.decimals import as_float
from perbench.api.defaults import LATENCY_BASIS, MEMORY_BASIS
from perbench.api.per import BoundsSpec, Ends, LatencyBasis, MemoryBasis, PerSpec
from perbench.api.rules import ApiObject
from perbench.failures import UsageError, shorten
from perbench.per import Axis, Bounds
from perbench.per.uncertainty import Settings as ScaleSettings
from perbench.results import ModelRecord, Results, TaskKind

Part = TypeVar("Part", bound=ApiObject)

MEBIBYTE = 1024 * 1024


@dataclass(frozen=True)
class Bases:
    """What the axes of one model are made of."""

    latency: LatencyBasis = LATENCY_BASIS
    memory: MemoryBasis = MEMORY_BASIS
    weight_bytes: int | None = None
    """Size of its files. None: not known."""


@dataclass(frozen=True)
class Settings:
    """How figures become PER and costs."""

    reference: str
    """The reference model."""
    latency_basis: LatencyBasis = LATENCY_BASIS
    memory_basis: MemoryBasis = MEMORY_BASIS
    bounds: BoundsSpec | None = None
    weights: Mapping[Axis, float] = field(default_factory=dict)
    """Axes that are not named have 1."""
    quality_floor: float | None = None
    prices: Mapping[str, float] = field(default_factory=dict)
    """Dollars per hour, by unit of throughput."""

    def bases(self, model: ModelRecord) -> Bases:
        """What the axes of `model` are made of."""
        size = model.source.get("bytes")
        return Bases(self.latency_basis, self.memory_basis, size if isinstance(size, int) and size > 0 else None)

    def scale(self, kind: TaskKind, reference: str) -> ScaleSettings:
        """For the scales of PER on a task of this kind, among the models ranked with `reference`."""
        return ScaleSettings(
            reference=reference,
            bounds=self._bounds(kind) or None,
            weights=self.weights or None,
            quality_floor=self.quality_floor,
        )

    def _bounds(self, kind: TaskKind) -> Bounds:
        """In the units of `perbench.per`: memory in bytes."""
        if self.bounds is None:
            return {}
        by_items = kind is TaskKind.CLASSIFICATION
        given = self.bounds
        ends = {
            Axis.ACCURACY: _ends(given.accuracy),
            Axis.THROUGHPUT: _ends(given.items_per_second if by_items else given.tokens_per_second),
            Axis.MEMORY: _ends(given.memory_mebibytes, MEBIBYTE),
            Axis.LATENCY: _ends(given.milliseconds_per_item if by_items else given.milliseconds_per_token),
        }
        return {axis: pair for axis, pair in ends.items() if pair is not None}


def settings_of(results: Results, per: PerSpec | None = None, capacity: CapacitySpec | None = None) -> Settings:
    """The settings that the results' own spec has; `per` and `capacity` replace the whole of theirs.

    UsageError where the spec of the results holds none that this perbench understands, or the reference is no model.
    """
    per = _part(results.spec, "per", PerSpec) if per is None else per
    capacity = _part(results.spec, "capacity", CapacitySpec) if capacity is None else capacity
    names = [model.name for model in results.models]
    if per.reference is not None and per.reference not in names:
        raise UsageError(f"per.reference: {per.reference} is none of the models: {', '.join(names)}")
    weights = {} if per.weights is None else {axis: getattr(per.weights, axis.value) for axis in Axis}
    return Settings(
        reference=per.reference or results.resolved.reference,
        latency_basis=per.latency_basis or LATENCY_BASIS,
        memory_basis=per.memory_basis or MEMORY_BASIS,
        bounds=per.bounds,
        weights={axis: as_float(weight) for axis, weight in weights.items() if weight is not None},
        quality_floor=None if per.quality_floor is None else as_float(per.quality_floor),
        prices={price.unit: as_float(price.dollars_per_hour) for price in capacity.prices or ()},
    )


def _part(spec: Mapping[str, JsonValue], name: str, kind: type[Part]) -> Part:
    try:
        return kind.model_validate(spec.get(name) or {})
    except ValidationError as error:
        detail = error.errors(include_url=False)[0]
        place = ".".join(str(step) for step in (name, *detail["loc"]))
        raise UsageError(f"spec.{place} of the results: {shorten(detail['msg'], 200)}") from error


def _ends(ends: Ends | None, factor: float = 1.0) -> tuple[float, float] | None:
    return None if ends is None else (as_float(ends.low) * factor, as_float(ends.high) * factor)
