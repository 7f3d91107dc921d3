"""From the models to structural OpenAPI schemas, as a CRD wants them: no references, no unions."""

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

Schema = dict[str, Any]
"""A piece of JSON Schema."""

_KEPT = ("type", "format", "description", "enum", "pattern", "minLength", "maxLength", "minimum", "maximum")
_KEPT_CONTAINERS = ("minItems", "maxItems", "minProperties", "maxProperties", "required")
INT_OR_STRING = "x-kubernetes-int-or-string"
"""Marks a part that is a whole number or text; it has no `type`."""
PRESERVED = "x-kubernetes-preserve-unknown-fields"
"""Marks a part that keeps whatever it holds."""
_MAX_INT32 = 2**31 - 1


def structural_schema(model: type[BaseModel]) -> Schema:
    """The structural schema of `model`: names as in YAML, references resolved, no defaults.

    Objects have `properties`, and unknown fields are pruned or refused by the API server. Raises ValueError for what a
    structural schema cannot say.
    """
    raw = model.model_json_schema(by_alias=True, mode="validation")
    return _convert(raw, raw.get("$defs", {}), model.__name__)


def schema_at(schema: Schema, location: tuple[str | int, ...]) -> Schema | None:
    """The part of a structural schema that describes `location`. None: nothing is allowed there."""
    part: Schema | None = schema
    for step in location:
        if part is None:
            return None
        if isinstance(step, int):
            part = part.get("items")
        elif "properties" in part:
            part = part["properties"].get(step)
        else:
            part = part.get("additionalProperties")
    return part


def _convert(raw: Schema, definitions: Mapping[str, Schema], path: str) -> Schema:
    """One level; `path` is for errors."""
    source = _resolve(raw, definitions, path)
    result = {key: source[key] for key in _KEPT if key in source}
    if "description" in result:
        result["description"] = " ".join(str(result["description"]).split())
    if "const" in source:
        result |= {"type": "string", "enum": [source["const"]]}
    if result.get("type") == "integer":
        result["format"] = "int32" if result.get("maximum", 2**63) <= _MAX_INT32 else "int64"
    result |= {key: source[key] for key in _KEPT_CONTAINERS if key in source}
    result |= {key: value for key, value in source.items() if key.startswith("x-kubernetes-")}
    if "properties" in source:
        parts = source["properties"].items()
        result["properties"] = {name: _convert(part, definitions, f"{path}.{name}") for name, part in parts}
    elif isinstance(source.get("additionalProperties"), dict):
        result["additionalProperties"] = _convert(source["additionalProperties"], definitions, f"{path}[*]")
    if "items" in source:
        result.setdefault("x-kubernetes-list-type", "atomic")
        result["items"] = _convert(source["items"], definitions, f"{path}[]")
    if "type" not in result and INT_OR_STRING not in result:
        result[PRESERVED] = True
    return result


def _resolve(raw: Schema, definitions: Mapping[str, Schema], path: str) -> Schema:
    """`raw` without reference and `| None`. What stands beside a reference wins over what it refers to."""
    source = dict(raw)
    while "$ref" in source or "anyOf" in source:
        if "$ref" in source:
            target = definitions[source.pop("$ref").removeprefix("#/$defs/")]
        else:
            choices = [choice for choice in source.pop("anyOf") if choice.get("type") != "null"]
            if len(choices) != 1:
                raise ValueError(f"{path}: a structural schema has no unions")
            target = choices[0]
        source = {**target, **source}
    return source
