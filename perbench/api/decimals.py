"""Numbers with decimals in the spec: a whole number, or text such as "0.5".

YAML's own fractions are floats, which clients round each in their way, so they are refused (as Kubernetes advises).
"""

import re
from dataclasses import dataclass
from typing import Annotated

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError, PydanticKnownError, core_schema

from perbench.api.text import NUMBER, PERCENT, PERCENT_UNDER_100, POSITIVE, SHARE

MAX_LENGTH = 16
"""Characters of a number given as text."""


@dataclass(frozen=True)
class IntOrString:
    """A number from `minimum` to `maximum`, kept as it was written."""

    pattern: str
    maximum: int
    minimum: int = 0

    def _check(self, value: object) -> int | str:
        if isinstance(value, int) and not isinstance(value, bool):
            if value < self.minimum:
                raise PydanticKnownError("greater_than_equal", {"ge": self.minimum})
            if value > self.maximum:
                raise PydanticKnownError("less_than_equal", {"le": self.maximum})
            return value
        if not isinstance(value, str):
            raise PydanticCustomError("decimal_type", "must be a whole number or text")
        if len(value) > MAX_LENGTH:
            raise PydanticKnownError("string_too_long", {"max_length": MAX_LENGTH})
        if not re.fullmatch(self.pattern, value, re.ASCII):
            raise PydanticKnownError("string_pattern_mismatch", {"pattern": self.pattern})
        return value

    def __get_pydantic_core_schema__(self, source: object, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Check by one function: pydantic's unions complain of each of their sides."""
        return core_schema.no_info_plain_validator_function(self._check)

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """What the API server checks: a number within its limits, or text of this form."""
        return {
            "x-kubernetes-int-or-string": True,
            "minimum": self.minimum,
            "maximum": self.maximum,
            "maxLength": MAX_LENGTH,
            "pattern": self.pattern,
        }


Number = Annotated[int | str, IntOrString(NUMBER, 10**12)]
"""0 upwards."""
PositiveNumber = Annotated[int | str, IntOrString(POSITIVE, 10**6, minimum=1)]
"""Above 0."""
Percent = Annotated[int | str, IntOrString(PERCENT, 100)]
"""0 to 100."""
PercentUnder100 = Annotated[int | str, IntOrString(PERCENT_UNDER_100, 99)]
"""0 to under 100."""
Share = Annotated[int | str, IntOrString(SHARE, 1)]
"""0 to 1."""


def as_float(value: int | str) -> float:
    """The number that was written."""
    return float(value)
