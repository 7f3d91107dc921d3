"""`spec.per`: how the Performance-Efficiency Ratio is computed. Changing it recomputes, and measures nothing again."""

from enum import StrEnum
from typing import ClassVar

from perbench.api.decimals import Number, Share, as_float
from perbench.api.rules import ApiObject, Rule
from perbench.api.text import Name

EVEN_WEIGHT = 1.0
"""Of an axis that is not named."""


class LatencyBasis(StrEnum):
    """What the latency axis is."""

    REQUEST = "Request"
    RECIPROCAL = "Reciprocal"
    UNLOADED = "Unloaded"


class MemoryBasis(StrEnum):
    """What the memory axis is."""

    FOOTPRINT = "Footprint"
    RESERVED = "Reserved"
    WEIGHTS = "Weights"


class Ends(ApiObject):
    """Two ends of an axis. A figure beyond an end counts as at that end."""

    low: Number
    """The lower end: a whole number, or text such as "0.5"."""
    high: Number
    """The upper end."""

    RULES: ClassVar[tuple[Rule, ...]] = (
        Rule(
            message="low must be less than high",
            cel="double(self.low) < double(self.high)",
            holds=lambda e: as_float(e.low) < as_float(e.high),
        ),
    )


class BoundsSpec(ApiObject):
    """Fixed ends of axes, by the unit in which the status gives them."""

    accuracy: Ends | None = None
    """Ends of accuracy, which lies within 0 and 1."""
    tokens_per_second: Ends | None = None
    """Ends of throughput, for tasks that count tokens."""
    items_per_second: Ends | None = None
    """Ends of throughput, for classification."""
    milliseconds_per_token: Ends | None = None
    """Ends of latency, for tasks that count tokens."""
    milliseconds_per_item: Ends | None = None
    """Ends of latency, for classification."""
    memory_mebibytes: Ends | None = None
    """Ends of memory."""


class WeightsSpec(ApiObject):
    """How much each axis counts, in relation to the others: its exponent in the geometric mean."""

    accuracy: Number | None = None
    """Weight of accuracy. Default 1; 0 leaves the axis out."""
    throughput: Number | None = None
    """Weight of throughput. Default 1; 0 leaves the axis out."""
    memory: Number | None = None
    """Weight of memory. Default 1; 0 leaves the axis out."""
    latency: Number | None = None
    """Weight of latency. Default 1; 0 leaves the axis out."""

    RULES: ClassVar[tuple[Rule, ...]] = (
        Rule(
            message="all weights are 0: at least one axis must count",
            cel="["
            + ", ".join(
                f"has(self.{axis}) ? double(self.{axis}) : {EVEN_WEIGHT}"
                for axis in ("accuracy", "throughput", "memory", "latency")
            )
            + "].exists(weight, weight > 0.0)",
            holds=lambda w: any(
                weight is None or as_float(weight) > 0 for weight in (w.accuracy, w.throughput, w.memory, w.latency)
            ),
        ),
    )


class PerSpec(ApiObject):
    """How the Performance-Efficiency Ratio is computed. Changing it recomputes, and measures nothing again."""

    reference: Name | None = None
    """The model that the others are compared with on the Reference scale (its own value there is 1).
    Default: the first model."""
    bounds: BoundsSpec | None = None
    """Fixed ends of axes on the Published scale, in place of the worst and the best of the compared models. With one
    for every axis that takes part, PER does not depend on who is compared, and any number of models is enough."""
    weights: WeightsSpec | None = None
    """How much each axis counts, on both scales. Default: all alike."""
    latency_basis: LatencyBasis | None = None
    """What the latency axis is. `Request`: time of requests under the load, per token or item. `Reciprocal`: 1 / work
    per second of the whole server, as in the study. `Unloaded`: as Request, in an extra stage of 24 requests, one at a
    time; asked for before the run starts. Default Request."""
    memory_basis: MemoryBasis | None = None
    """What the memory axis is. `Footprint`: peak of what the server really used within the window. `Reserved`: peak of
    what its processes held. `Weights`: bytes of the model's files. Default Footprint."""
    quality_floor: Share | None = None
    """Models whose accuracy on a task is less than this, 0 to 1, have no Reference PER there. Default: no floor."""
