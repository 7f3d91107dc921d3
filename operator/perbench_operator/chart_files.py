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
        parts = values_of(value, path) if isinstance(value, BaseModel) else ()
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
            default = yaml.safe_dump(value.default, default_flow_style=True, sort_keys=False, width=WIDTH)
            yield f"{indent}{value.path[-1]}: {default.removesuffix(END_OF_SCALAR).rstrip()}"


def values_schema(model: type[BaseModel]) -> str:
    """`values.schema.json`: Helm refuses values that are not in it."""
    schema: dict[str, Any] = model.model_json_schema(by_alias=True)
    head = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$comment": f"Generated from {SOURCE} by `make generate`. Do not edit.",
    }
    return json.dumps(head | _without_titles(schema), indent=2, ensure_ascii=False) + "\n"


def _without_titles(part: Any) -> Any:  # noqa: ANN401  any piece of JSON
    """pydantic titles every part with its name; descriptions are put on one line."""
    if isinstance(part, list):
        return [_without_titles(entry) for entry in part]
    if not isinstance(part, dict):
        return part
    kept = {key: value for key, value in part.items() if not (key == "title" and isinstance(value, str))}
    if isinstance(kept.get("description"), str):
        kept["description"] = " ".join(kept["description"].split())
    return {key: _without_titles(value) for key, value in kept.items()}


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
        rows = [
            f"| `{'.'.join(value.path)}` | `{json.dumps(value.default, ensure_ascii=False)}` | {value.description} |"
            for value in leaves(values_of(model))
        ]
        lines += ["", f"## {name}", "", "| value | default | meaning |", "|---|---|---|", *rows]
    return "\n".join(lines) + "\n"
