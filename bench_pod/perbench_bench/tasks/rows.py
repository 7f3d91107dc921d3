"""Rows of a task, before a prompt is made of them: from the resource, from a JSON Lines file, from the package."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from perbench.api.tasks import InlineItem
from perbench.failures import UsageError

FILE_LIMIT = 64 * 1024 * 1024
"""Bytes of a dataset file."""

LINE_LIMIT = 1024 * 1024
"""Bytes of one line of it."""

_OWN = ("id", "answer", "answers", "source")
_MAX_ANSWERS = 16
_MAX_COLUMNS = 16


@dataclass(frozen=True)
class Row:
    """One question. `where` names it in errors; `columns` are what a prompt template can use, `input` first; `source`
    is what it shares with other questions, None: nothing."""

    id: str
    where: str
    columns: Mapping[str, str]
    answers: tuple[str, ...]
    source: str | None = None


def inline_rows(items: tuple[InlineItem, ...]) -> tuple[Row, ...]:
    """Rows written in the resource itself."""
    return tuple(
        Row(
            str(number),
            f"dataset.inline[{number - 1}]",
            {"input": item.input, **item.fields},
            item.answers,
            item.source,
        )
        for number, item in enumerate(items, start=1)
    )


def file_rows(path: Path) -> tuple[Row, ...]:
    """Rows of a JSON Lines file: `input`, `answers` (or `answer`), optionally `id` and `source`, other columns of text.

    Raises UsageError with file and line.
    """
    rows = tuple(_parse(_read(path), str(path)))
    if not rows:
        raise UsageError(f"{path}: no rows; write one JSON object per line")
    seen: dict[str, str] = {}
    for row in rows:
        if row.id in seen:
            raise UsageError(f"{row.where}: the id {row.id!r} was used at {seen[row.id]}; ids are unique")
        seen[row.id] = row.where
    return rows


def packaged_rows(name: str) -> tuple[Row, ...]:
    """Rows of a file that comes with the package."""
    file = resources.files("perbench_bench.tasks") / "data" / f"{name}.jsonl"
    return tuple(_parse(file.read_bytes(), f"{name}.jsonl"))


def _read(path: Path) -> bytes:
    advice = "dataset.file is relative to the directory of the resource's file"
    try:
        if not path.is_file():  # also keeps away from devices and pipes, which never end
            raise UsageError(f"{path}: no such file; {advice}")
        with path.open("rb") as file:
            content = file.read(FILE_LIMIT + 1)
    except (OSError, ValueError) as error:
        raise UsageError(f"{path}: cannot be read: {getattr(error, 'strerror', None) or error}; {advice}") from None
    if len(content) > FILE_LIMIT:
        raise UsageError(f"{path}: over {FILE_LIMIT // 1024**2} MiB; split it, or keep the rows you measure")
    return content


def _parse(content: bytes, name: str) -> Iterator[Row]:
    for number, line in enumerate(content.removeprefix(b"\xef\xbb\xbf").split(b"\n"), start=1):
        if line.strip():
            yield _row(line, number, f"{name}:{number}")


def _row(line: bytes, number: int, where: str) -> Row:
    if len(line) > LINE_LIMIT:
        raise UsageError(f"{where}: the line is over {LINE_LIMIT // 1024} KiB; shorten it")
    try:
        value = json.loads(line.decode(), object_pairs_hook=_unique)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{where}: not a JSON object: {error}") from None
    if not isinstance(value, dict):
        raise UsageError(
            f"{where}: a {type(value).__name__} instead of an object; write {{'input': …, 'answers': […]}}"
        )
    answers = _answers(value, where)
    columns = {key: _text(value[key], key, where) for key in value if key not in _OWN}
    if not columns.get("input", "").strip():
        raise UsageError(f"{where}: no text in 'input'; every row needs one")
    if len(columns) > _MAX_COLUMNS + 1:
        raise UsageError(f"{where}: {len(columns) - 1} columns beside 'input', at most {_MAX_COLUMNS} are allowed")
    identity = _text(value.get("id", str(number)), "id", where)
    return Row(identity, where, columns, answers, _source(value, where))


def _source(value: Mapping[str, object], where: str) -> str | None:
    if "source" not in value:
        return None
    source = _text(value["source"], "source", where)
    if not source.strip():
        raise UsageError(f"{where}: 'source' is empty; name what the question shares with others, or leave it out")
    return source


def _answers(value: Mapping[str, object], where: str) -> tuple[str, ...]:
    if ("answer" in value) == ("answers" in value):
        raise UsageError(f"{where}: exactly one of 'answer' (text) and 'answers' (list of texts) is needed")
    if "answer" in value:
        return (_text(value["answer"], "answer", where),)
    answers = value["answers"]
    if not isinstance(answers, list) or not 1 <= len(answers) <= _MAX_ANSWERS:
        raise UsageError(f"{where}: 'answers' must be a list of 1 to {_MAX_ANSWERS} texts")
    return tuple(_text(answer, "answers", where) for answer in answers)


def _text(value: object, column: str, where: str) -> str:
    if not isinstance(value, str):
        raise UsageError(f"{where}: {column!r} is {json.dumps(value)[:40]}, not text; write it in quotes")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise UsageError(f"{where}: {column!r} has half of a surrogate pair; write the whole character") from None
    return value


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    value = dict(pairs)
    if len(value) < len(pairs):
        raise ValueError("a name appears twice")
    return value
