"""The CustomResourceDefinition of PERBenchmark, made from the models."""

import json
from typing import Any

import yaml

from perbench.api.resource import API_VERSION, GROUP, KIND, VERSION, BenchmarkSpec, PERBenchmark
from perbench.api.rules import Location
from perbench.api.schema import INT_OR_STRING, Schema, structural_schema

PLURAL = "perbenchmarks"
SINGULAR = "perbenchmark"
SHORT_NAME = "perb"
CATEGORY = "perf"
HEADER = "# Generated from perbench/api by `make generate`. Do not edit.\n"

FREE_DURING_A_RUN = frozenset({"per", "capacity", "baselineRef", "execution"})
"""Fields of the spec that may change while a run is on: they interpret figures, they do not make them; of `execution`
only `rounds` makes figures."""

_RUNNING = "has(self.status) && has(self.status.startTime) && !has(self.status.completionTime)"


def custom_resource_definition() -> dict[str, Any]:
    """The CRD as data, ready for the API server."""
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{PLURAL}.{GROUP}"},
        "spec": {
            "group": GROUP,
            "names": {
                "categories": [CATEGORY],
                "kind": KIND,
                "listKind": f"{KIND}List",
                "plural": PLURAL,
                "shortNames": [SHORT_NAME],
                "singular": SINGULAR,
            },
            "scope": "Namespaced",
            "versions": [
                {
                    "name": VERSION,
                    "served": True,
                    "storage": True,
                    "additionalPrinterColumns": _columns(),
                    "schema": {"openAPIV3Schema": resource_schema()},
                    "subresources": {"status": {}},
                }
            ],
        },
    }


def crd_yaml() -> str:
    """The CRD as the text of `crds/perbench.dev_perbenchmarks.yaml`."""
    plain = json.loads(json.dumps(custom_resource_definition()))  # equal parts apart, so that YAML needs no anchors
    return HEADER + yaml.safe_dump(plain, sort_keys=False, width=120, allow_unicode=True)


def resource_schema() -> Schema:
    """The structural schema of the whole object, with the rules over spec and status."""
    schema = structural_schema(PERBenchmark)
    properties = dict(schema["properties"])
    for name in ("apiVersion", "kind"):
        properties[name] = {key: properties[name][key] for key in ("description", "type")}
    properties["metadata"] = {"type": "object"}
    return {
        "description": schema["description"],
        "type": "object",
        "required": ["spec"],
        "properties": properties,
        "x-kubernetes-validations": _immutable_during_a_run(),
    }


def editor_schema() -> Schema:
    """A JSON Schema for editors: completes and checks a PERBenchmark while it is written. No rules across fields."""
    schema = _strict(structural_schema(PERBenchmark))
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$comment": "Generated from perbench/api by `make generate`. Do not edit.",
        "title": f"{KIND} ({API_VERSION})",
        **schema,
    }


def fields(schema: Schema, at: Location = ()) -> list[tuple[str, Schema, bool]]:
    """Every field below `schema`, in order: path (`spec.models[].name`), schema, whether its object must have it."""
    found: list[tuple[str, Schema, bool]] = []
    required = schema.get("required", [])
    for name, part in schema.get("properties", {}).items():
        path = ".".join(str(step) for step in (*at, name))
        found.append((path, part, name in required))
        found += _below(part, path)
    return found


def _below(part: Schema, path: str) -> list[tuple[str, Schema, bool]]:
    if "properties" in part:
        return fields(part, (path,))
    if "properties" in part.get("items", {}):
        return fields(part["items"], (f"{path}[]",))
    return []


def _immutable_during_a_run() -> list[dict[str, str]]:
    """One rule per field of the spec, so that the message names the one that was changed."""
    rules = []
    for info in BenchmarkSpec.model_fields.values():
        name = info.alias
        if name in FREE_DURING_A_RUN:
            continue
        same = f"self.spec.{name} == oldSelf.spec.{name}"
        if not info.is_required():
            same = f"has(self.spec.{name}) == has(oldSelf.spec.{name}) && (!has(self.spec.{name}) || {same})"
        message = f"{name} cannot change while a run is on: wait for its end, or delete the benchmark"
        rules.append({"rule": f"!({_RUNNING}) || ({same})", "message": message, "fieldPath": f".spec.{name}"})
    both = ("self", "oldSelf")
    given = [f"has({side}.spec.execution) && has({side}.spec.execution.rounds)" for side in both]
    equal = "self.spec.execution.rounds == oldSelf.spec.execution.rounds"
    same = f"({given[0]}) == ({given[1]}) && (!({given[0]}) || {equal})"
    message = "execution.rounds cannot change while a run is on: wait for its end, or delete the benchmark"
    rules.append({"rule": f"!({_RUNNING}) || ({same})", "message": message, "fieldPath": ".spec.execution.rounds"})
    return rules


def _columns() -> list[dict[str, str]]:
    def condition(kind: str, key: str) -> str:
        return f'.status.conditions[?(@.type=="{kind}")].{key}'

    columns = (
        ("Phase", ".status.phase", "Where the run stands."),
        ("Progress", ".status.progress.message", "How far the run is."),
        ("Best", ".status.best.model", "The model that wins most tasks."),
        ("PER", ".status.best.referencePer", "Reference PER of the best model: 1 is the reference model."),
        ("Valid", condition("MeasurementValid", "status"), "Whether the measurement can be trusted."),
        ("Reason", condition("Succeeded", "reason"), "Why the run succeeded or did not."),
    )
    rows = [{"name": name, "type": "string", "description": text, "jsonPath": path} for name, path, text in columns]
    return [*rows, {"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"}]


def _strict(schema: Schema) -> Schema:
    """A structural schema as plain JSON Schema: unknown fields are refused, as strict field validation does."""
    result = {name: part for name, part in schema.items() if not name.startswith("x-kubernetes-")}
    if INT_OR_STRING in schema:
        result["type"] = ["integer", "string"]
    if "properties" in result:
        result["properties"] = {name: _strict(part) for name, part in result["properties"].items()}
        result["additionalProperties"] = False
    elif isinstance(result.get("additionalProperties"), dict):
        result["additionalProperties"] = _strict(result["additionalProperties"])
    if "items" in result:
        result["items"] = _strict(result["items"])
    return result
