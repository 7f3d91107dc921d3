"""Which run a benchmark asks for: the run id.

`runID` = the first 10 hexadecimal digits of SHA-256 over the canonical JSON of

    {"request": VALUE OF THE ANNOTATION perbench.dev/run, OR NULL, "spec": WHAT IS MEASURED, "uid": UID OF THE OBJECT}

*What is measured* is the spec as it was written, without `per`, `capacity` and `baselineRef` (which only interpret
figures) and without `execution`, except `execution.rounds` (the rest of it says how to get there).
*As it was written* means that a field left out and the same field with its default value are two specs with two ids.
If defaults were filled in first, a new default in a later version would change the id of every stored benchmark, and an
upgrade would start runs that nobody asked for. Objects without any field (`load: {}`) say nothing and are left out,
but for `emptyDir`, which is a choice by being there. Objects of Kubernetes' own kind (`affinity`, `tolerations[]`,
`podPatch`) have no schema here: they stay as they were written, their lists in their order.

*Canonical JSON*: keys sorted by code point, no spaces, no escapes beyond those JSON demands, UTF-8. Whole numbers are
written without a fraction, as the API server stores them. Lists whose entries have a key (models, tasks, environment
variables) are sorted by it, and sets (choices) by value, because to the API server such lists are equal in any order;
other lists stay as they are. So the order in which models are written does not matter here, although the first is the
default reference: that is a matter of `per`.
"""

import hashlib
import json
from functools import cache

from pydantic import JsonValue

from perbench.api.resource import BenchmarkSpec, to_data
from perbench.api.schema import PRESERVED, Schema, schema_at, structural_schema

LENGTH = 10
INTERPRETATION = ("per", "capacity", "baselineRef")
"""Fields that change what figures mean, not the figures."""
CHOICES = frozenset({"emptyDir"})
"""Fields that say something by being there."""


def run_id(uid: str, spec: BenchmarkSpec, request: str | None = None) -> str:
    """The id of the run that `spec` asks for.

    `uid` is the object's (in local mode `local`), `request` the value of its annotation `perbench.dev/run`.
    """
    content = canonical_json({"uid": uid, "spec": measured_part(spec), "request": request})
    return hashlib.sha256(content.encode()).hexdigest()[:LENGTH]


def measured_part(spec: BenchmarkSpec) -> dict[str, JsonValue]:
    """What decides the figures: see above."""
    data = {name: value for name, value in to_data(spec).items() if name not in INTERPRETATION}
    execution = data.pop("execution", None)
    if isinstance(execution, dict) and "rounds" in execution:
        data["execution"] = {"rounds": execution["rounds"]}
    return {name: kept for name, value in data.items() if (kept := _canonical(value, _schema()[name])) != {}}


def canonical_json(value: JsonValue) -> str:
    """`value` as canonical JSON. Raises ValueError for NaN and infinity, which JSON does not have."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def _canonical(value: JsonValue, schema: Schema) -> JsonValue:
    """`value` without objects that have no field, and with its unordered lists sorted."""
    if schema.get(PRESERVED):
        return _plain(value)
    if isinstance(value, list):
        return _canonical_list(value, schema)
    if isinstance(value, dict):
        parts = {name: _canonical(part, schema_at(schema, (name,)) or {}) for name, part in value.items()}
        return {name: part for name, part in parts.items() if part != {} or _is_choice(name, schema)}
    return value


def _is_choice(name: str, schema: Schema) -> bool:
    """Whether a field says something even where it is an object without fields."""
    part = schema_at(schema, (name,)) or {}
    return name in CHOICES or bool(part.get(PRESERVED))


def _plain(value: JsonValue) -> JsonValue:
    """What has no schema, as the API server gives it back: `2.0` is stored as `2`."""
    if isinstance(value, list):
        return [_plain(entry) for entry in value]
    if isinstance(value, dict):
        return {name: _plain(part) for name, part in value.items()}
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _canonical_list(entries: list[JsonValue], schema: Schema) -> list[JsonValue]:
    parts = [_canonical(entry, schema["items"]) for entry in entries]
    if schema["x-kubernetes-list-type"] == "atomic":
        return parts
    keys = schema.get("x-kubernetes-list-map-keys", ())
    return sorted(parts, key=lambda part: [str(part[key]) for key in keys] if isinstance(part, dict) else str(part))


@cache
def _schema() -> dict[str, Schema]:
    """The schemas of the spec's fields: they know which lists have an order."""
    fields: dict[str, Schema] = structural_schema(BenchmarkSpec)["properties"]
    return fields
