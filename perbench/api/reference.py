"""`docs/reference.md`: every field of the resource, with its limits, its meaning and the test that proves it."""

from collections.abc import Mapping

from perbench.api.crd import fields, resource_schema
from perbench.api.resource import API_VERSION, KIND, RUN_ANNOTATION
from perbench.api.schema import INT_OR_STRING, PRESERVED, Schema
from perbench.api.text import MEANINGS

Proofs = Mapping[str, str]
"""From the path of a field (`spec.models[].name`) to the pytest id of the test that proves it."""

_HEAD = f"""\
<!-- Generated from perbench/api and tests/proofs.yaml by `make generate`. Do not edit. -->

# {KIND}, {API_VERSION}

{{description}}

The same file works for `kubectl apply` and for `perbench run`; `perbench validate FILE` checks it. Unknown fields are
refused. `[]` marks the entries of a list; a field in **bold** must be given. The last column names the test that proves
what the field promises.

While a run is on (`status.startTime` is set, `status.completionTime` is not), nothing in `spec` can change but `per`,
`capacity` and `baselineRef`, which only say how figures are read, and `execution` (not its `rounds`), which only says
how to get there: an edit of them measures nothing again. After its end any other edit starts a new run, and so does a
new value of the annotation `{RUN_ANNOTATION}`. Writing out a default is an edit too.
"""


def api_fields() -> list[tuple[str, Schema, bool]]:
    """Every field of spec and status: path, schema, whether it must be given."""
    schema = resource_schema()
    wanted = {name: schema["properties"][name] for name in ("spec", "status")}
    return fields({"properties": wanted, "required": schema["required"]})


def reference(proofs: Proofs) -> str:
    """The page. Raises KeyError for a field without a proof."""
    rows = api_fields()
    by_path = {path: schema for path, schema, _ in rows}
    parts = [_HEAD.format(description=resource_schema()["description"])]
    for parent in _objects(rows):
        name = parent.removesuffix("[]")
        schema = by_path[name]["items"] if parent.endswith("[]") else by_path[name]
        children = [row for row in rows if row[0].rpartition(".")[0] == parent]
        parts.append(_section(parent, by_path[name], schema, children, proofs))
    return "\n".join(parts)


def _objects(rows: list[tuple[str, Schema, bool]]) -> list[str]:
    """Paths of the objects that have fields, in the order they come."""
    return list(dict.fromkeys(parent for path, _, _ in rows if (parent := path.rpartition(".")[0])))


def _section(
    parent: str, field: Schema, schema: Schema, children: list[tuple[str, Schema, bool]], proofs: Proofs
) -> str:
    about: str = (schema if parent.endswith("[]") else field).get("description") or ""
    lines = [f"## {parent}", "", about, ""]
    lines += ["| Field | Type | Meaning | Proved by |", "|---|---|---|---|"]
    for path, part, required in children:
        name = path.rpartition(".")[2]
        shown = f"**`{name}`**" if required else f"`{name}`"
        meaning = _cell(part.get("description", ""))
        lines.append(f"| {shown} | {_cell(_type(part))} | {meaning} | `{proofs[path]}` |")
    rules = [rule["message"] for rule in schema.get("x-kubernetes-validations", [])]
    if rules:
        lines += ["", "Rules:", "", *(f"- {rule}" for rule in rules)]
    return "\n".join([*lines, ""])


def _type(part: Schema) -> str:
    """Type and limits in words."""
    kind = part.get("type", "any")
    if "enum" in part:
        return " or ".join(f"`{value}`" for value in part["enum"])
    if kind == "array":
        key = part.get("x-kubernetes-list-map-keys")
        unique = f", one per `{key[0]}`" if key else ", no repeats" if part["x-kubernetes-list-type"] == "set" else ""
        return f"list, {_range(part, 'Items')} entries{unique}: {_type(part['items'])}"
    if kind == "object":
        return _object_type(part)
    if INT_OR_STRING in part:
        return f"whole number or text: {MEANINGS[part['pattern']]}"
    if kind == "string":
        return _text_type(part)
    return f"whole number, {part['minimum']} to {part['maximum']}" if kind == "integer" else str(kind)


def _object_type(part: Schema) -> str:
    if PRESERVED in part:
        return "object, as Kubernetes has it"
    values = part.get("additionalProperties")
    return f"map, {_range(part, 'Properties')} entries: {_type(values)}" if values else "object"


def _text_type(part: Schema) -> str:
    if part.get("format") == "date-time":
        return "time (RFC 3339)"
    form = MEANINGS.get(part.get("pattern", ""))
    return f"text, {_range(part, 'Length')} characters" + (f": {form}" if form else "")


def _range(part: Schema, what: str) -> str:
    low, high = part.get(f"min{what}", 0), part[f"max{what}"]
    return f"{low} to {high}" if low else f"up to {high}"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
