"""docs/results.md: every field of results.json, with its type and meaning, written from the models."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from perbench.results import SCHEMA_VERSION, Results

Schema = Mapping[str, Any]

PAGE = """\
<!-- Generated from perbench/results.py by perbench/record/reference.py. Do not edit. -->

# results.json, version {version}

What `perbench run` measured: the one file that status, report, PER and comparisons are computed from, also years later
and elsewhere. One JSON object in UTF-8, without NaN or infinity.

Times are milliseconds, sizes bytes, rates per second, unless a name says otherwise. `null` is "not measured", never 0.
A field in **bold** is always there. `[]` marks the entries of a list.

**Versions.** `schemaVersion` is read first. It rises when a field is removed, renamed, or changes its meaning; a new
field alone does not raise it. An older file is led to the present version when it is read, step by step, and stays as
it is on the disk. A newer one is refused, with both versions in the message. Files of every released version are kept
in `tests/golden/results` and stay readable.

**What is refused.** Unknown fields, text for a number, figures that are negative or beyond 1e15, columns of unequal
lengths, items a task does not have, stages of unknown tasks, two stages of one task and repeat in one launch, times
without a zone. The message is one line and names file, place and reason: `results.json:
models[1].launches[0].stages[1].requests.ttftMs: has 1 entries where item has 24`.
"""


def reference() -> str:
    """The page."""
    schema = Results.model_json_schema(by_alias=True, mode="validation")
    definitions: Mapping[str, Schema] = schema["$defs"]
    parts = [PAGE.format(version=SCHEMA_VERSION)]
    for path, part in _objects("", schema, definitions):
        parts.append("\n".join(_section(path, part, definitions)) + "\n")
    return "\n".join(parts)


def _objects(path: str, part: Schema, definitions: Mapping[str, Schema]) -> Iterator[tuple[str, Schema]]:
    """Every object with fields and where it stands, each kind once: the second histogram is like the first."""
    seen: set[str] = set()

    def below(path: str, part: Schema) -> Iterator[tuple[str, Schema]]:
        yield path, part
        for name, field in part["properties"].items():
            named = _named(field)
            if named and named not in seen and "properties" in definitions[named]:
                seen.add(named)
                marker = "[]" if _plain(field).get("type") == "array" else ""
                yield from below(f"{path}.{name}{marker}".removeprefix("."), definitions[named])

    yield from below(path, part)


def _section(path: str, part: Schema, definitions: Mapping[str, Schema]) -> Iterator[str]:
    yield f"## {path or 'The file'}"
    yield ""
    if path and part.get("description"):
        yield _line(part["description"])
        yield ""
    yield "| Field | Type | Meaning |"
    yield "|---|---|---|"
    required = part.get("required", ())
    for name, field in part["properties"].items():
        shown = f"**`{name}`**" if name in required else f"`{name}`"
        yield f"| {shown} | {_type(field, definitions)} | {_line(_meaning(field, definitions))} |"


def _meaning(field: Schema, definitions: Mapping[str, Schema]) -> str:
    """What a field says of itself; where it says the same as its type, the schema has it only there."""
    named = _named(field)
    own: str = field.get("description", "")
    return own or (definitions[named].get("description", "") if named else "")


def _type(field: Schema, definitions: Mapping[str, Schema]) -> str:
    plain = _plain(field)
    null = " or null" if plain is not field and "anyOf" in field else ""
    kind = plain.get("type")
    if "$ref" in plain:
        target = definitions[plain["$ref"].removeprefix("#/$defs/")]
        values = ", ".join(f"`{value}`" for value in target.get("enum", ()))
        return (f"one of {values}" if values else "object") + null
    if kind == "array":
        return f"list of {_plural(_type(plain['items'], definitions).removeprefix('one of '))}{null}"
    if kind == "string":
        return ("time" if plain.get("format") == "date-time" else "text") + null
    return {"integer": "whole number", "number": "number", "boolean": "true or false"}.get(str(kind), "object") + null


def _plural(text: str) -> str:
    first, separator, rest = text.partition(" or ")
    several = {"object": "objects", "text": "texts", "number": "numbers", "whole number": "whole numbers"}
    return several.get(first, first) + separator + rest


def _plain(field: Schema) -> Schema:
    """The field without `| None`."""
    choices = [choice for choice in field.get("anyOf", ()) if choice.get("type") != "null"]
    return choices[0] if choices else field


def _named(field: Schema) -> str | None:
    """The definition a field or the entries of a list refer to."""
    plain = _plain(field)
    reference = plain.get("$ref") or plain.get("items", {}).get("$ref")
    return str(reference).removeprefix("#/$defs/") if reference else None


def _line(text: str) -> str:
    """A docstring as a cell: in JSON, None is null."""
    return re.sub(r"\bNone\b", "`null`", " ".join(text.split())).replace("|", "\\|")
