"""JSON read as the router's library (serde_json) reads it: with its words and positions for what is wrong. Pure.

Positions count bytes: the column is the number of bytes of the line up to and with the one that was at fault.
"""

import re
from dataclasses import dataclass

import orjson


class JsonSyntaxError(Exception):
    """The text is no JSON. The message is the router's, with the position."""


@dataclass(frozen=True)
class Node:
    """A value with the place where it ends. Objects hold their members in order, a repeated key twice."""

    value: "str | int | float | bool | list[Node] | list[tuple[str, Node]] | None"
    is_object: bool
    end: int
    """Offset after its last byte."""


WHITESPACE = re.compile(rb"[ \t\r\n]*")
NUMBER = re.compile(rb"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?")
STRING = re.compile(rb'"([^"\\\x00-\x1f]|\\(.|$))*')
LITERALS = ((b"true", True), (b"false", False), (b"null", None))
DEPTH_LIMIT = 128


def read(text: bytes) -> Node:
    """The value in `text`. Raises JsonSyntaxError."""
    reader = _Reader(text)
    node = reader.value("", 0, 0)
    start = reader.skip(node.end)
    if start < len(text):
        raise reader.error("trailing characters", start + 1)
    return node


def position(text: bytes, consumed: int) -> str:
    """Where `consumed` bytes lead to, in the library's words."""
    newline = b"\n"
    line, start = text.count(newline, 0, consumed) + 1, text.rfind(newline, 0, consumed) + 1
    return f"line {line} column {consumed - start}"


class _Reader:
    def __init__(self, text: bytes) -> None:
        self.text = text

    def error(self, message: str, consumed: int, path: str = "") -> JsonSyntaxError:
        consumed = min(consumed, len(self.text))
        return JsonSyntaxError(f"{path + ': ' if path else ''}{message} at {position(self.text, consumed)}")

    def skip(self, at: int) -> int:
        match = WHITESPACE.match(self.text, at)
        return match.end() if match else at

    def value(self, path: str, at: int, depth: int) -> Node:
        at = self.skip(at)
        first = self.text[at : at + 1]
        if not first:
            raise self.error("EOF while parsing a value", at, path)
        if depth >= DEPTH_LIMIT:
            raise self.error("recursion limit exceeded", at + 1, path)
        if first == b"{":
            return self.object(path, at + 1, depth + 1)
        if first == b"[":
            return self.array(path, at + 1, depth + 1)
        if first == b'"':
            string, end = self.string(path, at)
            return Node(string, False, end)
        for word, literal in LITERALS:
            if word[:1] == first:
                if self.text[at : at + len(word)] != word:
                    raise self.error("expected ident", at + 2, path)
                return Node(literal, False, at + len(word))
        number = NUMBER.match(self.text, at)
        if number is None:
            raise self.error("expected value" if first != b"-" else "invalid number", at + 1, path)
        whole = number.group(2) is None and number.group(3) is None
        return Node(int(number.group()) if whole else float(number.group()), False, number.end())

    def string(self, path: str, at: int) -> tuple[str, int]:
        match = STRING.match(self.text, at)
        assert match
        end = match.end()
        if end >= len(self.text):
            raise self.error("EOF while parsing a string", len(self.text), path)
        if self.text[end] != ord('"'):
            raise self.error("control character (\\u0000-\\u001F) found while parsing a string", end + 1, path)
        raw = self.text[at : end + 1]
        try:
            raw.decode()
        except UnicodeDecodeError:
            raise self.error("invalid unicode code point", end + 1, path) from None
        try:
            return str(orjson.loads(raw)), end + 1
        except orjson.JSONDecodeError:
            raise self.error("invalid escape", end, path) from None

    def array(self, path: str, at: int, depth: int) -> Node:
        items: list[Node] = []
        at = self.skip(at)
        if self.text[at : at + 1] == b"]":
            return Node(items, False, at + 1)
        while True:
            if not self.text[self.skip(at) :]:
                raise self.error("EOF while parsing a list" if not items else "EOF while parsing a value", at, path)
            items.append(self.value(f"{path}[{len(items)}]", at, depth))
            at = self.skip(items[-1].end)
            match self.text[at : at + 1]:
                case b",":
                    at += 1
                case b"]":
                    return Node(items, False, at + 1)
                case b"":
                    raise self.error("EOF while parsing a list", at, path)
                case _:
                    raise self.error("expected `,` or `]`", at + 1, path)

    def object(self, path: str, at: int, depth: int) -> Node:
        members: list[tuple[str, Node]] = []
        while True:
            at = self.skip(at)
            first = self.text[at : at + 1]
            if not first:
                raise self.error("EOF while parsing a value" if members else "EOF while parsing an object", at, path)
            if first == b"}" and not members:
                return Node(members, True, at + 1)
            if first != b'"':
                raise self.error("trailing comma" if first == b"}" else "key must be a string", at + 1, path)
            key, at = self.string(path, at)
            at = self.skip(at)
            if self.text[at : at + 1] != b":":
                at_end = at >= len(self.text)
                raise self.error("EOF while parsing an object" if at_end else "expected `:`", at + 1, path)
            node = self.value(f"{path}.{key}" if path else key, at + 1, depth)
            members.append((key, node))
            at = self.skip(node.end)
            match self.text[at : at + 1]:
                case b",":
                    at += 1
                case b"}":
                    return Node(members, True, at + 1)
                case b"":
                    raise self.error("EOF while parsing an object", at, path)
                case _:
                    raise self.error("expected `,` or `}`", at + 1, path)
