"""What is wrong with the form of a results file, in words: pydantic's errors with the place of each."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from perbench.api.messages import shown

Location = tuple[str | int, ...]


@dataclass(frozen=True)
class Mistake:
    """One mistake."""

    place: str
    """`models[0].launches[1].stages[0].windowSeconds`; empty for the whole file."""
    message: str
    unknown_field: bool = False


def place_of(location: Location) -> str:
    """A location as people write it, without what could not be one line."""
    parts = [f"[{step}]" if isinstance(step, int) else f".{_printable(step)}" for step in location]
    return "".join(parts).removeprefix(".")


def form_mistakes(error: ValidationError) -> list[Mistake]:
    """Every mistake in `error`, in the order of the file's fields."""
    found = []
    for detail in error.errors(include_url=False):
        template = _MESSAGES.get(detail["type"])
        message = template(detail["input"], detail.get("ctx", {})) if template else _otherwise(detail["msg"])
        found.append(Mistake(place_of(detail["loc"]), message, detail["type"] == "extra_forbidden"))
    return found


def _printable(step: str) -> str:
    return "".join(c if c.isprintable() else "�" for c in step[:60])


def _otherwise(message: str) -> str:
    """Pydantic's own words, as part of a sentence."""
    return message[:1].lower() + message[1:]


_TIME = "a time with its zone, like 2026-04-02T09:30:00Z"


def _must_be(what: str) -> Callable[[object, Mapping[str, Any]], str]:
    return lambda value, _: f"must be {what}, not {shown(value) if value is not None else 'null'}"


_MESSAGES: Mapping[str, Callable[[object, Mapping[str, Any]], str]] = {
    "missing": lambda _, __: "is missing",
    "extra_forbidden": lambda _, __: "is a field that is not known here",
    "int_type": _must_be("a whole number"),
    "int_from_float": _must_be("a whole number"),
    "float_type": _must_be("a number"),
    "finite_number": _must_be("a finite number"),
    "bool_type": _must_be("true or false"),
    "string_type": _must_be("text"),
    "tuple_type": _must_be("a list"),
    "dict_type": _must_be("an object"),
    "mapping_type": _must_be("an object"),
    "model_type": _must_be("an object"),
    "datetime_type": _must_be(_TIME),
    "datetime_parsing": _must_be(_TIME),
    "datetime_from_date_parsing": _must_be(_TIME),
    "timezone_aware": _must_be(_TIME),
    "enum": lambda v, c: f"{shown(v)} is not one of {c['expected']}",
    "greater_than_equal": lambda v, c: f"must be {c['ge']:g} or more, not {shown(v)}",
    "less_than_equal": lambda v, c: f"must be {c['le']:g} or less, not {shown(v)}",
}
"""By pydantic's error type: what to say, given the wrong value and the error's details."""
