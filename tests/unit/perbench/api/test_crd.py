"""The CRD keeps the conventions of structural schemas, and its rules speak of fields that exist."""

import re
from typing import Any

import pytest
import yaml

from perbench.api.crd import FREE_DURING_A_RUN, HEADER, crd_yaml, custom_resource_definition, editor_schema, fields
from perbench.api.resource import BenchmarkSpec, PERBenchmark
from perbench.api.schema import INT_OR_STRING, PRESERVED, Schema, schema_at, structural_schema

CRD = custom_resource_definition()
VERSION = CRD["spec"]["versions"][0]
ROOT = VERSION["schema"]["openAPIV3Schema"]
SIZE_LIMIT = 200 * 1024
KUBERNETES_OBJECTS = {
    f"{parent}.{name}"
    for parent in (".spec.serving", ".spec.models[].serving")
    for name in ("affinity", "tolerations[]", "podPatch")
} | {".spec.load.client.tolerations[]"}
"""What has no schema, because Kubernetes has it."""


def parts(schema: Schema, path: str = "") -> list[tuple[str, Schema]]:
    found = [(path, schema)]
    for name, part in schema.get("properties", {}).items():
        found += parts(part, f"{path}.{name}")
    for key in ("items", "additionalProperties"):
        if key in schema:
            found += parts(schema[key], f"{path}[]")
    return found


PARTS = [(path, part) for path, part in parts(ROOT) if path not in {"", ".metadata", ".apiVersion", ".kind"}]


def test_names() -> None:
    assert CRD["metadata"] == {"name": "perbenchmarks.perbench.dev"}
    assert CRD["spec"]["names"] == {
        "categories": ["perf"],
        "kind": "PERBenchmark",
        "listKind": "PERBenchmarkList",
        "plural": "perbenchmarks",
        "shortNames": ["perb"],
        "singular": "perbenchmark",
    }
    assert CRD["spec"]["scope"] == "Namespaced"
    assert VERSION["name"] == "v1alpha1"
    assert VERSION["subresources"] == {"status": {}}


def test_columns_read_fields_that_exist() -> None:
    columns = VERSION["additionalPrinterColumns"]
    assert [column["name"] for column in columns] == ["Phase", "Progress", "Best", "PER", "Valid", "Reason", "Age"]
    for column in columns[:-1]:
        steps = re.sub(r"\[\?\(.*?\)\]", "[]", column["jsonPath"]).strip(".").replace("[]", ".0").split(".")
        location = tuple(int(step) if step == "0" else step for step in steps)
        part = schema_at(ROOT, location)
        assert part is not None
        assert part["type"] == column["type"]
    kinds = ROOT["properties"]["status"]["properties"]["conditions"]["items"]["properties"]["type"]["enum"]
    assert {re.findall('"(.*)"', column["jsonPath"])[0] for column in columns if "?" in column["jsonPath"]} <= set(
        kinds
    )


def test_size() -> None:
    assert len(crd_yaml().encode()) <= SIZE_LIMIT


def test_the_yaml_says_it_is_generated_and_is_the_crd() -> None:
    assert crd_yaml().startswith(HEADER)
    assert yaml.safe_load(crd_yaml()) == CRD
    assert not re.search(r"[:-] [&*]", crd_yaml())


@pytest.mark.parametrize(("path", "part"), PARTS, ids=[path for path, _ in PARTS])
def test_every_part_is_structural_and_limited(path: str, part: Schema) -> None:
    assert not {"$ref", "anyOf", "oneOf", "allOf", "not", "default", "title", "const", "nullable"} & set(part)
    kind = part.get("type", "int or string")
    needed = {
        "int or string": {INT_OR_STRING, "minimum", "maximum", "maxLength", "pattern"} <= part.keys(),
        "string": part.keys() & {"maxLength", "enum", "format"},
        "integer": {"minimum", "maximum", "format"} <= part.keys(),
        "array": {"maxItems", "items", "x-kubernetes-list-type"} <= part.keys(),
        "object": "properties" in part
        or {"additionalProperties", "maxProperties"} <= part.keys()
        or (part.get(PRESERVED) is True and path in KUBERNETES_OBJECTS),
        "boolean": True,
    }
    assert needed[kind], path
    assert not isinstance(part.get("exclusiveMinimum"), int)
    if path.rpartition(".")[2].isidentifier():
        assert len(part["description"]) > 10
        assert part["description"].rstrip().endswith(".")


def test_lists_that_are_maps_require_their_key() -> None:
    maps = [(path, part) for path, part in PARTS if part.get("x-kubernetes-list-type") == "map"]
    assert {path for path, _ in maps} >= {".spec.models", ".spec.tasks", ".spec.serving.env", ".status.conditions"}
    for _, part in maps:
        assert set(part["x-kubernetes-list-map-keys"]) <= set(part["items"]["required"])


def test_rules_name_fields_that_exist() -> None:
    rules = [(path, part, rule) for path, part in parts(ROOT) for rule in part.get("x-kubernetes-validations", [])]
    assert len(rules) >= 18
    for path, part, rule in rules:
        named = re.findall(r"(?:self|oldSelf)\.([A-Za-z.]+)", re.sub(r"'[^']*'", "''", rule["rule"]))
        assert named or "self" in rule["rule"]
        for dotted in named:
            steps = [step for step in dotted.split(".") if step not in {"startsWith", "all", "exists"}]
            assert schema_at(part, tuple(steps)) is not None, f"{path}: {rule['rule']}"
        if "fieldPath" in rule:
            assert schema_at(part, tuple(rule["fieldPath"].strip(".").split("."))) is not None
        assert rule["rule"].count("(") == rule["rule"].count(")")
        assert rule["message"][0].islower()


def test_what_makes_figures_is_immutable_during_a_run() -> None:
    """Of the execution, that is the rounds: the rest of it says how to get there."""
    rules = {rule["fieldPath"]: rule for rule in ROOT["x-kubernetes-validations"]}
    assert set(FREE_DURING_A_RUN) == {"per", "capacity", "baselineRef", "execution"}
    whole = {
        f".spec.{info.alias}" for info in BenchmarkSpec.model_fields.values() if info.alias not in FREE_DURING_A_RUN
    }
    assert set(rules) == whole | {".spec.execution.rounds"}
    for path, rule in rules.items():
        assert "has(self.status.startTime) && !has(self.status.completionTime)" in rule["rule"]
        assert f"self{path} == oldSelf{path}" in rule["rule"]
        assert path.removeprefix(".spec.") in rule["message"]


def test_unions_are_refused() -> None:
    class Union(PERBenchmark):
        either: int | str = 1

    with pytest.raises(ValueError, match=r"Union\.either: a structural schema has no unions"):
        structural_schema(Union)


def test_the_editor_schema_refuses_unknown_fields_everywhere() -> None:
    def objects(schema: Any) -> list[dict[str, Any]]:
        if isinstance(schema, list):
            return [found for entry in schema for found in objects(entry)]
        if not isinstance(schema, dict):
            return []
        own = [schema] if schema.get("type") == "object" and "properties" in schema else []
        return own + [found for part in schema.values() for found in objects(part)]

    found = objects(editor_schema())
    assert len(found) > 20
    assert all(schema["additionalProperties"] is False for schema in found)


def test_fields_lists_every_leaf_once() -> None:
    paths = [path for path, _, _ in fields(ROOT)]
    assert len(paths) == len(set(paths))
    assert {"spec.models[].serving.env[].name", "status.models[].tasks[].per"} <= set(paths)
