"""Which run a benchmark asks for: the run id.

`runID` = the first 10 hexadecimal digits of SHA-256 over the canonical JSON of

    {"request": VALUE OF THE ANNOTATION perbench.dev/run, OR NULL, "spec": WHAT IS MEASURED, "uid": UID OF THE OBJECT}

*What is measured* is the spec as it was written, without `per`, `capacity` and `baselineRef` (which only interpret
figures) and without `execution`, except `execution.rounds` (the rest of it says how to get there).
*As it was written* means that a field left out and the same field with its default value are two specs with two ids.
If defaults were filled in first, a new default in a later version would change the id of every stored benchmark, and an
upgrade would start runs that nobody asked for. Objects without any field (`load: {}`) say nothing and are left out.

*Canonical JSON*: keys sorted by code point, no spaces, no escapes beyond those JSON demands, UTF-8. Specs hold no
fractions, so numbers need no rule. The order of keys does not matter; the order of list entries does.
"""

import hashlib
import json

from pydantic import JsonValue

from perbench.api.resource import BenchmarkSpec, to_data

LENGTH = 10
INTERPRETATION = ("per", "capacity", "baselineRef")
"""Fields that change what figures mean, not the figures."""


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
    pruned = _without_empty(data)
    return pruned if isinstance(pruned, dict) else {}


def canonical_json(value: JsonValue) -> str:
    """`value` as canonical JSON. Raises ValueError for NaN and infinity, which JSON does not have."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def _without_empty(value: JsonValue) -> JsonValue:
    """`value` without objects that have no field, at any depth."""
    if isinstance(value, list):
        return [_without_empty(entry) for entry in value]
    if isinstance(value, dict):
        kept = {name: _without_empty(entry) for name, entry in value.items()}
        return {name: entry for name, entry in kept.items() if entry != {}}
    return value
