"""What is wrong with an object, said to the person who wrote it: pydantic's errors in the project's words."""

import difflib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from perbench.api.resource import PERBenchmark, counted
from perbench.api.rules import Location
from perbench.api.schema import Schema, schema_at, structural_schema
from perbench.api.text import MEANINGS
from perbench.failures import shorten

SHOWN = 60
"""Characters of a wrong value that a message repeats."""


@dataclass(frozen=True)
class Mistake:
    """One mistake: where in the object, and what."""

    location: Location
    message: str
    key: bool = False
    """The field's name is wrong, not its value."""
    rule: bool = False
    """A rule between fields is broken; each by itself may be right."""


def mistakes(error: ValidationError) -> Iterator[Mistake]:
    """Every mistake in `error`, in the order of the object's fields."""
    for detail in error.errors(include_url=False):
        location = tuple(detail["loc"])
        context = detail.get("ctx", {})
        if detail["type"] == "rules":
            yield from (Mistake((*location, *place), message, rule=True) for place, message in context["found"])
        elif detail["type"] == "extra_forbidden":
            yield Mistake(location, _unknown_field(location), key=True)
        elif detail["type"] == "too_short" and _is_long_enough(detail["input"], context):
            continue  # pydantic counts the entries without mistakes; theirs are reported already
        else:
            yield Mistake(location, _message(detail, context))


def _is_long_enough(value: object, context: Mapping[str, Any]) -> bool:
    return isinstance(value, list) and len(value) >= context["min_length"]


def nearest(wrong: str, allowed: Sequence[str]) -> str:
    """` Did you mean "X"?` with the nearest of `allowed`, whatever its case; "" where none is near."""
    by_lower = {name.lower(): name for name in allowed}
    found = difflib.get_close_matches(wrong.lower(), by_lower, n=1, cutoff=0.6)
    return f' Did you mean "{by_lower[found[0]]}"?' if found else ""


def _message(detail: ErrorDetails, context: Mapping[str, Any]) -> str:
    template = _MESSAGES.get(detail["type"])
    if template is None:
        return detail["msg"]
    return template(detail["input"], context)


def _unknown_field(location: Location) -> str:
    parent = schema_at(_schema(), location[:-1]) or {}
    allowed = sorted(parent.get("properties", {}))
    return f"unknown field.{nearest(str(location[-1]), allowed)} Allowed: {', '.join(allowed)}"


@cache
def _schema() -> Schema:
    """Built only when there is something to complain of."""
    return structural_schema(PERBenchmark)


def _expected(context: Mapping[str, Any]) -> list[str]:
    """The values in pydantic's `'A', 'B' or 'C'`."""
    return [part.strip().strip("'") for part in str(context["expected"]).replace(" or ", ", ").split(",")]


def shown(value: object) -> str:
    """A wrong value as it may be repeated: short, and without control characters."""
    if isinstance(value, str):
        return f'"{shorten(value, SHOWN)}"'
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return "a list"
    if isinstance(value, dict):
        return "an object"
    return shorten(str(value), SHOWN)


def _not_allowed(value: object, context: Mapping[str, Any]) -> str:
    allowed = _expected(context)
    hint = nearest(value, allowed) if isinstance(value, str) else ""
    return f"{shown(value)} is not allowed.{hint} Allowed: {', '.join(allowed)}"


def _bad_pattern(value: object, context: Mapping[str, Any]) -> str:
    pattern = context["pattern"]
    given = "this" if "@" in str(value) else shown(value)  # what stands before an @ may be a password
    return f"{given} does not fit: {MEANINGS.get(pattern, pattern)}"


def _not_text(value: object, _: Mapping[str, Any]) -> str:
    if isinstance(value, bool):
        return f"must be text, not {shown(value)} (as YAML reads true, false, yes, no, on, off): put it in quotes"
    hint = ": put it in quotes" if isinstance(value, int | float) else ""
    return f"must be text, not {shown(value)}{hint}"


def _not_a_decimal(value: object, _: Mapping[str, Any]) -> str:
    hint = ": put it in quotes" if isinstance(value, float) else ""
    return f'must be a whole number, or text such as "0.5", not {shown(value)}{hint}'


_MESSAGES: dict[str, Callable[[object, Mapping[str, Any]], str]] = {
    "missing": lambda _, __: "is missing",
    "enum": _not_allowed,
    "literal_error": _not_allowed,
    "string_pattern_mismatch": _bad_pattern,
    "string_type": _not_text,
    "string_too_long": lambda _, c: f"is too long: {counted(c['max_length'], 'character')} at most",
    "string_too_short": lambda _, c: f"is too short: {counted(c['min_length'], 'character')} at least",
    "too_long": lambda _, c: f"has too many entries: {c['max_length']} at most",
    "too_short": lambda _, c: f"needs at least {c['min_length']} {'entry' if c['min_length'] == 1 else 'entries'}",
    "int_type": lambda v, _: f"must be a whole number, not {shown(v)}",
    "int_from_float": lambda v, _: f"must be a whole number, not {shown(v)}",
    "decimal_type": _not_a_decimal,
    "bool_type": lambda v, _: f"must be true or false, not {shown(v)}",
    "greater_than_equal": lambda v, c: f"must be {c['ge']} or more, not {shown(v)}",
    "less_than_equal": lambda v, c: f"must be {c['le']} or less, not {shown(v)}",
    "model_type": lambda v, _: f"must be an object with fields, not {shown(v)}",
    "dict_type": lambda v, _: f"must be an object with fields, not {shown(v)}",
    "tuple_type": lambda v, _: f"must be a list, not {shown(v)}",
}
"""By pydantic's error type: what to say, given the wrong value and the error's details."""
