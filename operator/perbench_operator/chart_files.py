"""The generated parts of the charts, as text."""

import json
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import yaml
from pydantic import BaseModel, JsonValue

from perbench.api.crd import HEADER, PLURAL, crd_yaml
from perbench.api.resource import GROUP
from perbench.api.rules import ApiObject

SOURCE = "operator/perbench_operator/chart_values.py"
WIDTH = 110
END_OF_SCALAR = "...\n"
"""What PyYAML writes after a document of one scalar."""


@dataclass(frozen=True)
class Value:
    """One value of a chart: its path (`operator.resources`), description; `parts`: the values it is made of."""

    path: tuple[str, ...]
    default: JsonValue
    description: str
    parts: tuple["Value", ...] = ()


def values_of(model: BaseModel, at: tuple[str, ...] = ()) -> tuple[Value, ...]:
    """The values of a chart, in order, without Helm's own `global`."""
    found = []
    for name, info in type(model).model_fields.items():
        alias = info.alias or name
        if alias == "global":
            continue
        value, path = getattr(model, name), (*at, alias)
        description = " ".join((info.description or "").split())
        data = model.model_dump(mode="json", by_alias=True, exclude_none=True)[alias]
        # Objects of the API are one value: the API's own reference documents their fields.
        parts = values_of(value, path) if isinstance(value, BaseModel) and not isinstance(value, ApiObject) else ()
        found.append(Value(path, data, description, parts))
    return tuple(found)


def leaves(values: tuple[Value, ...]) -> Iterator[Value]:
    """The values that are no objects of others, in order."""
    for value in values:
        if value.parts:
            yield from leaves(value.parts)
        else:
            yield value


def values_yaml(model: BaseModel) -> str:
    """`values.yaml`: every value with its default, described."""
    lines = [f"# Generated from {SOURCE} by `make generate`. Do not edit; give your own with -f."]
    lines += _yaml_lines(values_of(model), "")
    return "\n".join(lines) + "\n"


def _yaml_lines(values: tuple[Value, ...], indent: str) -> Iterator[str]:
    for value in values:
        for line in textwrap.wrap(value.description, WIDTH - len(indent)):
            yield f"{indent}# {line}"
        if value.parts:
            yield f"{indent}{value.path[-1]}:"
            yield from _yaml_lines(value.parts, indent + "  ")
        else:
            yield from _default_lines(f"{indent}{value.path[-1]}:", value.default, indent + "  ")


def _default_lines(name: str, default: JsonValue, indent: str) -> Iterator[str]:
    """On one line if it fits."""
    flow = yaml.safe_dump(default, default_flow_style=True, sort_keys=False, width=1000)
    line = f"{name} {flow.removesuffix(END_OF_SCALAR).rstrip()}"
    if len(line) <= WIDTH or not isinstance(default, dict):
        yield line
    else:
        yield name
        yield textwrap.indent(yaml.safe_dump(default, default_flow_style=False, sort_keys=False), indent).rstrip()


def values_schema(model: type[BaseModel]) -> str:
    """`values.schema.json`: Helm refuses values that are not in it."""
    schema: dict[str, Any] = model.model_json_schema(by_alias=True)
    head = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$comment": f"Generated from {SOURCE} by `make generate`. Do not edit.",
    }
    return json.dumps(head | _without_noise(schema), indent=2, ensure_ascii=False) + "\n"


def _without_noise(part: Any) -> Any:  # noqa: ANN401  any piece of JSON
    """Descriptions on one line; without the titles that pydantic gives to every part, and what only a CRD may say."""
    if isinstance(part, list):
        return [_without_noise(entry) for entry in part]
    if not isinstance(part, dict):
        return part
    kept = {key: value for key, value in part.items() if not _is_noise(key, value)}
    if isinstance(kept.get("description"), str):
        kept["description"] = " ".join(kept["description"].split())
    return {key: _without_noise(value) for key, value in kept.items()}


def _is_noise(key: str, value: object) -> bool:
    return (key == "title" and isinstance(value, str)) or key.startswith("x-kubernetes-")


def crd_template() -> str:
    """The CRD as a template: the text of `crds/`, with an annotation that keeps it when the chart goes."""
    text = crd_yaml().replace("{{", '{{ "{{" }}')
    name = f"  name: {PLURAL}.{GROUP}\n"
    before, after = text.removeprefix(HEADER).split(name)
    keep = "  {{- if .Values.keep }}\n  annotations:\n    helm.sh/resource-policy: keep\n  {{- end }}\n"
    return HEADER + before + name + keep + after


def values_page(charts: dict[str, BaseModel]) -> str:
    """`docs/chart-values.md`: a table per chart."""
    lines = [f"<!-- Generated from {SOURCE} by `make generate`. Do not edit. -->", "# Values of the charts"]
    for name, model in charts.items():
        lines += ["", f"## {name}", "", "| value | default | meaning |", "|---|---|---|", *_rows(values_of(model))]
    return "\n".join(lines) + "\n"


def _rows(values: tuple[Value, ...]) -> Iterator[str]:
    """A line for each value, and before those of a group one that says what the group is."""
    for value in values:
        name = f"`{'.'.join(value.path)}`"
        if value.parts:
            yield f"| **{name}** | | {value.description} |"
            yield from _rows(value.parts)
        else:
            yield f"| {name} | `{json.dumps(value.default, ensure_ascii=False)}` | {value.description} |"
