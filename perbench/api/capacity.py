"""`spec.capacity`: what hardware costs. Changing it recomputes, and measures nothing again."""

from typing import Annotated

from pydantic import Field

from perbench.api.decimals import Number
from perbench.api.rules import ApiObject, ListMap
from perbench.api.text import PRICED_UNIT


class Price(ApiObject):
    """What one unit of throughput costs while it runs."""

    unit: Annotated[str, Field(pattern=PRICED_UNIT, min_length=1, max_length=16)]
    """What is paid for, as `throughputUnit` names it: `server`, `accelerator` or `endpoint`; unique in the list."""
    dollars_per_hour: Number
    """Its price: a whole number, or text such as "0.40"."""


class CapacitySpec(ApiObject):
    """What hardware costs. Changing it recomputes, and measures nothing again."""

    prices: Annotated[tuple[Price, ...] | None, Field(max_length=3), ListMap("unit")] = None
    """Prices of units. Where the unit of a model's throughput has one, its cost per million output tokens and per
    correct answer is given."""
