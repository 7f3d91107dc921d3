"""YAML text to data, with the place of every value.

Reads what `kubectl` reads and in the same way (`y` and `off` are booleans, `010` is 8, dates are text), minus what
surprises: repeated keys, keys that are not text, values without content. Bounded in size, depth and number of values,
so that a small file cannot grow into a large one through aliases.
"""

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field

import yaml
from pydantic import JsonValue
from typing_extensions import override

from perbench.api.rules import Location
from perbench.failures import shorten

MAX_BYTES = 1_500_000
"""A larger object does not fit into etcd (1.5 MiB with what the API server adds)."""
MAX_DEPTH = 32
MAX_VALUES = 100_000

_TAG = "tag:yaml.org,2002:"


@dataclass(frozen=True)
class Place:
    """Line and column, from 1."""

    line: int
    column: int


@dataclass(frozen=True)
class Problem:
    """One mistake in a file. `field` is the path inside the object, "" where there is none."""

    message: str
    place: Place | None = None
    field: str = ""

    @override
    def __str__(self) -> str:
        """`LINE:COLUMN: FIELD: MESSAGE`, without the parts that are not known."""
        where = f"{self.place.line}:{self.place.column}: " if self.place else ""
        return where + (f"{self.field}: " if self.field else "") + self.message


@dataclass
class YamlDocument:
    """One document of a file. `keys` holds where a key starts, `values` where its value does."""

    data: JsonValue
    place: Place
    keys: dict[Location, Place] = field(default_factory=dict)
    values: dict[Location, Place] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    def place_of(self, location: Location, *, key: bool = False) -> Place:
        """Where `location` is in the file; for one that is not there, the nearest object around it."""
        while location:
            known = (self.keys if key else self.values).get(location) or self.values.get(location)
            if known is not None:
                return known
            location = location[:-1]
        return self.place


def path_text(location: Location) -> str:
    """`("spec", "models", 0, "name")` as `spec.models[0].name`."""
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in location)
    return text.removeprefix(".")


def read_documents(text: str) -> Iterator[YamlDocument]:
    """Every document of a YAML text that has content.

    Ends where the text stops being YAML, with a document that has no data and a problem that says so.
    """
    try:
        loader = _Loader(text)
        while loader.check_node():
            node = loader.get_node()
            if node is not None and not _is_null(node):
                yield _Builder().build(node)
    except yaml.MarkedYAMLError as error:
        yield _unreadable(error)
    except yaml.reader.ReaderError as error:
        before = text[: error.position]
        place = Place(before.count("\n") + 1, error.position - before.rfind("\n"))
        problem = Problem("not YAML: a control character; is this a text file?", place)
        yield YamlDocument(None, place, problems=[problem])


class _Loader(yaml.SafeLoader):
    """PyYAML's composer with a bound on depth, and the plain scalars of kubectl's YAML reader."""

    depth = 0

    @override
    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            mark = parent.start_mark if parent else None
            raise yaml.composer.ComposerError(None, None, f"nested deeper than {MAX_DEPTH} levels", mark)
        try:
            return super().compose_node(parent, index)
        finally:
            self.depth -= 1


_TRUE = "y|Y|yes|Yes|YES|true|True|TRUE|on|On|ON"
_FALSE = "n|N|no|No|NO|false|False|FALSE|off|Off|OFF"
_PLAIN = {
    "bool": (f"(?:{_TRUE}|{_FALSE})", "yYnNtTfFoO"),
    "int": ("[-+]?(?:0b[01_]+|0x[0-9a-fA-F_]+|0o?[0-7_]+|0|[1-9][0-9_]*)", "-+0123456789"),
    "float": (
        r"[-+]?(?:(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?|\.(?:inf|Inf|INF))|\.(?:nan|NaN|NAN)",
        "-+0123456789.",
    ),
    "null": ("(?:~|null|Null|NULL|)", ["~", "n", "N", ""]),
    "merge": ("<<", "<"),
}
"""Plain scalars that are not text: the whole form, and the characters it may begin with."""

_Loader.yaml_implicit_resolvers = {}  # its own: the base class keeps those of YAML 1.1
for _kind, (_form, _beginnings) in _PLAIN.items():
    _Loader.add_implicit_resolver(_TAG + _kind, re.compile(f"(?:{_form})$"), list(_beginnings))


class _Builder:
    """Nodes to data. One per document."""

    def __init__(self) -> None:
        self._left = MAX_VALUES
        self._document = YamlDocument(None, Place(1, 1))

    def build(self, root: yaml.Node) -> YamlDocument:
        self._document.place = _place(root)
        try:
            self._document.data = self._value(root, ())
        except _TooLargeError as error:
            self._document.problems.append(Problem(str(error), _place(root)))
        return self._document

    def _value(self, node: yaml.Node, at: Location) -> JsonValue:
        self._left -= 1
        if self._left < 0:
            raise _TooLargeError(f"more than {MAX_VALUES} values (aliases count each time they are used)")
        if len(at) > MAX_DEPTH:
            raise _TooLargeError("an alias contains itself")
        self._document.values.setdefault(at, _place(node))
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, at)
        if isinstance(node, yaml.SequenceNode):
            return [self._value(entry, (*at, index)) for index, entry in enumerate(node.value)]
        return self._scalar(node, at)

    def _mapping(self, node: yaml.MappingNode, at: Location) -> JsonValue:
        result: dict[str, JsonValue] = {}
        merged: list[yaml.Node] = []
        for key, value in node.value:
            if key.tag == _TAG + "merge":
                merged += value.value if isinstance(value, yaml.SequenceNode) else [value]
            elif key.tag != _TAG + "str":
                text = key.value if isinstance(key, yaml.ScalarNode) else "this"
                self._refuse(key, at, f"a key is text: quote {text}")
            elif key.value in result:
                first = self._document.keys[*at, key.value].line
                self._refuse(key, (*at, key.value), f"this key is there already, on line {first}")
            else:
                self._document.keys.setdefault((*at, key.value), _place(key))
                result[key.value] = self._value(value, (*at, key.value))
        for other in merged:
            inherited = self._value(other, at)
            if not isinstance(inherited, dict):
                self._refuse(other, at, "'<<' takes over an object's keys; this is not an object")
                continue
            result = inherited | result
        return result

    def _scalar(self, node: yaml.Node, at: Location) -> JsonValue:
        kind = node.tag.removeprefix(_TAG)
        text: str = node.value
        if kind == "str":
            return text
        if kind == "null":
            return self._refuse(node, at, "has no value: give one, or leave the field out")
        if kind == "bool":
            return text in _TRUE.split("|")
        if kind in {"int", "float"}:
            try:
                return _whole(text) if kind == "int" else _fraction(text)
            except ValueError:
                return self._refuse(node, at, f"{shorten(text, 40)} is not a number that an object can hold")
        return self._refuse(node, at, f"the tag {node.tag.replace(_TAG, '!!')} is not known here")

    def _refuse(self, node: yaml.Node, at: Location, message: str) -> JsonValue:
        self._document.problems.append(Problem(message, _place(node), path_text(at)))
        return None


class _TooLargeError(Exception):
    """The document's values cannot be counted out."""


def _whole(text: str) -> int:
    """Decimal, 0x, 0b, 0o, or octal with a leading 0. Raises ValueError, also for thousands of digits."""
    digits = text.replace("_", "").lstrip("+-").lower()
    base = {"0b": 2, "0o": 8, "0x": 16}.get(digits[:2])
    if base is not None:
        digits = digits[2:]
    elif digits.startswith("0"):
        base = 8
    value = int(digits, base or 10)
    return -value if text.startswith("-") else value


def _fraction(text: str) -> int | float:
    """A float, or an integer where it is one: 3.0 is 3 in JSON. Raises ValueError for NaN and infinity."""
    value = float(text.lower().replace(".inf", "inf").replace(".nan", "nan"))
    if not math.isfinite(value):
        raise ValueError(text)
    return int(value) if value.is_integer() else value


def _unreadable(error: yaml.MarkedYAMLError) -> YamlDocument:
    mark = error.problem_mark or error.context_mark
    place = Place(mark.line + 1, mark.column + 1) if mark else Place(1, 1)
    what = " ".join(part for part in (error.context, error.problem) if part)
    return YamlDocument(None, place, problems=[Problem(f"not YAML: {what}", place)])


def _is_null(node: yaml.Node) -> bool:
    return isinstance(node, yaml.ScalarNode) and node.tag == _TAG + "null"


def _place(node: yaml.Node) -> Place:
    return Place(node.start_mark.line + 1, node.start_mark.column + 1)
