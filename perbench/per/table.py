"""A table of ready figures as CSV: reading it, with the line of every mistake.

First line: column names, in any order. Needed: task, model, accuracy, throughput, latency_ms, memory_mb. Optional: kind
(generation, classification or synthetic; one per task) and per (the PER somebody published). An empty figure means
"not measured". params_billion is known and takes no part; other columns are not used, and the caller is told which.
UTF-8, comma-separated, fields quoted with double quotes where they need it.
"""

import csv
import difflib
import io
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from perbench.failures import UsageError
from perbench.per.measured import LARGEST, SMALLEST, Measured, is_figure

FIGURES = {"accuracy": "accuracy", "throughput": "throughput", "latency_ms": "latency", "memory_mb": "memory"}
"""Column to attribute of `Measured`."""
NEEDED = ("task", "model", *FIGURES)
OPTIONAL = ("kind", "per", "params_billion")
KINDS = ("generation", "classification", "synthetic")
MOST_MODELS = 1000
"""Models of one task: leave-one-out compares all pairs without each of them."""

# float() alone would also take 1_000, inf, nan and digits of other scripts.
_NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")


@dataclass(frozen=True, slots=True)
class TableRow:
    """One model on one task, as the table gives it."""

    line: int
    """Line in the file, from 1."""
    task: str
    kind: str | None
    measured: Measured
    published: float | None
    """The table's own PER. None: no such column, or the cell is empty."""


@dataclass(frozen=True, slots=True)
class Table:
    """A read table: at least one row, no model twice in a task."""

    name: str
    rows: tuple[TableRow, ...]
    has_published: bool
    unused_columns: tuple[str, ...]

    def tasks(self) -> dict[str, tuple[TableRow, ...]]:
        """Rows by task, both in the order of the file."""
        tasks: dict[str, list[TableRow]] = {}
        for row in self.rows:
            tasks.setdefault(row.task, []).append(row)
        return {task: tuple(rows) for task, rows in tasks.items()}


def read_table(path: Path) -> Table:
    """Read `path`. UsageError, one line with file and line, for everything that is wrong with it."""
    name = str(path) if str(path).isprintable() else repr(str(path))
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UsageError(f"{name}: cannot be read: {error.strerror or error}; give the path of a CSV table") from error
    return parse_table(data, name)


def parse_table(data: bytes, name: str) -> Table:
    """The table in `data`; `name` is what errors call the file."""
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise UsageError(f"{name}:{line}: is not UTF-8 text; save the table as UTF-8 CSV") from error
    lines = _lines(text, name)
    try:
        line, header = next(lines)
    except StopIteration:
        raise UsageError(f"{name}: is empty; the first line names the columns: {', '.join(NEEDED)}") from None
    columns = _columns(header, f"{name}:{line}")
    rows = [_row(cells, columns, name, line) for line, cells in lines]
    if not rows:
        raise UsageError(f"{name}: has column names and no rows; add one line per task and model")
    _check_rows(rows, name)
    unused = tuple(column for column in columns if column not in {*NEEDED, *OPTIONAL})
    return Table(name, tuple(rows), "per" in columns, unused)


def _lines(text: str, name: str) -> Iterator[tuple[int, list[str]]]:
    """Non-empty records, stripped, each with the line it begins on."""
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    line = 1
    while True:
        try:
            cells = next(reader, None)
        except csv.Error as error:
            raise UsageError(f"{name}:{line}: is not CSV: {error}; quote fields with double quotes only") from error
        if cells is None:
            return
        cells = [cell.strip() for cell in cells]
        if any(cells):
            yield line, cells
        line = reader.line_num + 1


def _columns(header: Sequence[str], where: str) -> tuple[str, ...]:
    for column in header:
        if header.count(column) > 1:
            raise UsageError(f"{where}: column {column!r} appears more than once; keep one")
        if not column.isprintable():
            raise UsageError(f"{where}: column name {column!r} has control characters; remove them")
    for column in NEEDED:
        if column not in header:
            others = [other for other in header if other not in {*NEEDED, *OPTIONAL}]
            near = difflib.get_close_matches(column, others, n=1)
            hint = f"rename {near[0]!r}" if near else f"add it beside {', '.join(header)[:120]}"
            raise UsageError(f"{where}: column {column!r} is missing; {hint}")
    return tuple(header)


def _row(cells: Sequence[str], columns: Sequence[str], name: str, line: int) -> TableRow:
    where = f"{name}:{line}"
    if len(cells) != len(columns):
        raise UsageError(f"{where}: has {len(cells)} fields where the first line names {len(columns)} columns")
    by_column = dict(zip(columns, cells, strict=True))
    for column in ("task", "model"):
        value = by_column[column]
        if not value or not value.isprintable():
            raise UsageError(f"{where}: {column} is {value!r}; give it a name of printable characters")
    kind = by_column.get("kind") or None
    if kind is not None and kind not in KINDS:
        raise UsageError(f"{where}: kind {kind[:40]!r} is unknown; it is one of {', '.join(KINDS)}")
    figures = {attribute: _number(by_column, column, where) for column, attribute in FIGURES.items()}
    measured = Measured(model=by_column["model"], **figures)
    return TableRow(line, by_column["task"], kind, measured, _number(by_column, "per", where))


def _number(by_column: Mapping[str, str], column: str, where: str) -> float | None:
    text = by_column.get(column, "")
    if not text:
        return None
    if not _NUMBER.fullmatch(text):
        raise UsageError(
            f"{where}: {column} {text[:40]!r} is not a number; write it like 0.58, or leave it empty if not measured"
        )
    number = float(text)
    if number < 0:
        raise UsageError(f"{where}: {column} {text[:40]} is negative; figures are 0 or more")
    if not is_figure(number):
        raise UsageError(
            f"{where}: {column} {text[:40]} is out of range; figures are 0 or within {SMALLEST} to {LARGEST}"
        )
    return number


def _check_rows(rows: Sequence[TableRow], name: str) -> None:
    """What concerns several rows: duplicates, kinds that differ within a task, tasks too large to compare."""
    seen: dict[tuple[str, str], int] = {}
    first: dict[str, TableRow] = {}
    models: dict[str, int] = {}
    for row in rows:
        key = (row.task, row.measured.model)
        where = f"{name}:{row.line}"
        if key in seen:
            raise UsageError(f"{where}: {' / '.join(key)} is already in line {seen[key]}; keep one of the two")
        seen[key] = row.line
        other = first.setdefault(row.task, row)
        if row.kind != other.kind:
            raise UsageError(
                f"{where}: task {row.task} is {row.kind or 'without kind'} here and {other.kind or 'without kind'}"
                f" in line {other.line}; throughput means one thing per task"
            )
        models[row.task] = models.get(row.task, 0) + 1
        if models[row.task] > MOST_MODELS:
            raise UsageError(f"{where}: task {row.task} has more than {MOST_MODELS} models; split the table")
