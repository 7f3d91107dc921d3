"""Bodies as typed values: which fields a route knows, and the router's words for a wrong type. Pure.

A field the router does not know is ignored, as the router does.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.images.tgi_contract.json_reader import JsonSyntaxError, Node, position, read


class BodyError(Exception):
    """The body is refused before the route sees it: an HTTP status and a plain text."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status, self.text = status, text


class _TypeMismatchError(Exception):
    def __init__(self, message: str, at: int) -> None:
        super().__init__(message)
        self.at = at


@dataclass(frozen=True)
class Field:
    """A field of a body. `type` is a scalar, `struct`, `strings`, or `any` (which a check after this one looks at)."""

    type: str
    required: bool = False
    default: object = None
    """Of a field that may be left out; None stands for the router's own None, and then null is accepted."""
    fields: "Mapping[str, Field]" = field(default_factory=dict)
    struct: str = ""


UNSIGNED = {"u32": 2**32, "u64": 2**64, "usize": 2**64}
EXPECTED = {"f32": "f32", "bool": "a boolean", "string": "a string", "strings": "a sequence"}


def deserialize(text: bytes, struct: Field) -> dict[str, Any]:
    """The body's fields by name, defaults filled in. Raises BodyError."""
    try:
        node = read(text)
    except JsonSyntaxError as error:
        raise BodyError(400, f"Failed to parse the request body as JSON: {error}") from None
    try:
        value = _typed(node, struct, "")
    except _TypeMismatchError as error:
        where = position(text, error.at)
        message = f"Failed to deserialize the JSON body into the target type: {error} at {where}"
        raise BodyError(422, message) from None
    assert isinstance(value, dict)
    return value


def _typed(node: Node, kind: Field, path: str) -> object:
    if node.value is None and kind.default is None and not kind.required:
        return None
    match kind.type:
        case "any":
            return plain(node)
        case "struct" if node.is_object:
            return _struct(node, kind, path)
        case "strings" if isinstance(node.value, list) and not node.is_object:
            return [_typed(item, Field("string", True), f"{path}[{index}]") for index, item in enumerate(_items(node))]
        case _:
            return _scalar(node, kind, path)


def _scalar(node: Node, kind: Field, path: str) -> object:
    value, limit = node.value, UNSIGNED.get(kind.type)
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if (kind.type == "string" and isinstance(value, str)) or (kind.type == "bool" and isinstance(value, bool)):
        return value
    if kind.type == "f32" and is_number and isinstance(value, int | float):
        return float(value)
    if limit and is_number and isinstance(value, int):
        if 0 <= value < limit:
            return value
        raise _mismatch(f"invalid value: integer `{value}`, expected {kind.type}", path, node)
    expected = EXPECTED.get(kind.type, f"struct {kind.struct}" if kind.type == "struct" else kind.type)
    raise _mismatch(f"invalid type: {_description(node)}, expected {expected}", path, node)


def _struct(node: Node, kind: Field, path: str) -> dict[str, object]:
    found: dict[str, object] = {}
    for key, member in _members(node):
        known = kind.fields.get(key)
        if known is None:
            continue
        if key in found:
            raise _mismatch(f"duplicate field `{key}`", path, member)
        found[key] = _typed(member, known, f"{path}.{key}" if path else key)
    for name, known in kind.fields.items():
        if name not in found and known.required:
            raise _mismatch(f"missing field `{name}`", path, node)
    return {name: found[name] if name in found else _default(known) for name, known in kind.fields.items()}


def _default(kind: Field) -> object:
    if kind.type == "struct" and kind.default is not None:
        return {name: _default(member) for name, member in kind.fields.items()}
    return kind.default


def plain(node: Node) -> Any:
    """The value alone."""
    if node.is_object:
        return {key: plain(member) for key, member in _members(node)}
    if isinstance(node.value, list):
        return [plain(item) for item in _items(node)]
    return node.value


def _items(node: Node) -> list[Node]:
    assert isinstance(node.value, list)
    return [item for item in node.value if isinstance(item, Node)]


def _members(node: Node) -> list[tuple[str, Node]]:
    assert isinstance(node.value, list)
    return [member for member in node.value if isinstance(member, tuple)]


def _mismatch(message: str, path: str, node: Node) -> _TypeMismatchError:
    return _TypeMismatchError(f"{path}: {message}" if path else message, node.end)


def _description(node: Node) -> str:
    match node.value:
        case bool(value):
            return f"boolean `{str(value).lower()}`"
        case str(value):
            return f'string "{value}"'
        case int(value):
            return f"integer `{value}`"
        case float(value):
            return f"floating point `{value}`"
        case None:
            return "null"
        case _:
            return "map" if node.is_object else "sequence"
