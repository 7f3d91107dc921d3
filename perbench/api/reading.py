"""Reads benchmarks from files, and says what is wrong with them: where, what is allowed, what was perhaps meant."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from pydantic import JsonValue, ValidationError

from perbench.api.messages import mistakes, nearest, shown
from perbench.api.resource import API_VERSION, KIND, PERBenchmark
from perbench.api.rules import STORED
from perbench.api.yamltext import MAX_BYTES, Place, Problem, YamlDocument, path_text, read_documents
from perbench.failures import UsageError


@dataclass(frozen=True)
class Checked:
    """One document of a file: the benchmark, or what keeps it from being one."""

    benchmark: PERBenchmark | None
    problems: tuple[Problem, ...] = ()


def read_file(path: Path) -> PERBenchmark:
    """The one benchmark in a file. Raises UsageError, one line: the first problem, and how to see the others."""
    checked = check_text(read_text(path))
    problems = [problem for document in checked for problem in document.problems]
    if problems:
        others = f" ({len(problems) - 1} more: see perbench validate {path})" if len(problems) > 1 else ""
        raise UsageError(f"{describe(path, problems[0])}{others}")
    benchmarks = [document.benchmark for document in checked if document.benchmark]
    if len(benchmarks) != 1:
        raise UsageError(f"{path}: holds {len(benchmarks)} benchmarks; one run takes a file with one")
    return benchmarks[0]


def read_text(path: Path) -> str:
    """The text of a file. Raises UsageError where there is none to read."""
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise UsageError(f"{path}: cannot be read: {error.strerror or error}") from error
    if len(content) > MAX_BYTES:
        raise UsageError(f"{path}: larger than {MAX_BYTES} bytes, which no API server stores")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UsageError(f"{path}: not a text file in UTF-8 (byte {error.start})") from error


def describe(path: Path, problem: Problem) -> str:
    """`FILE:LINE:COLUMN: FIELD: MESSAGE`, on one line."""
    return " ".join(f"{path}:{'' if problem.place else ' '}{problem}".split())


def check_text(text: str) -> tuple[Checked, ...]:
    """Every document of a YAML text, checked. A text without any gives one problem."""
    checked = tuple(_check(document) for document in read_documents(text))
    return checked or (Checked(None, (Problem("holds nothing: expected a PERBenchmark"),)),)


def _check(document: YamlDocument) -> Checked:
    if document.data is None:
        return Checked(None, tuple(document.problems))
    misplaced = tuple(_wrong_kind(document.data, document))
    if misplaced:
        return Checked(None, misplaced)
    try:
        benchmark = parse(document.data)
    except ValidationError as error:
        return Checked(None, _in_order([*document.problems, *_new_problems(error, document)]))
    return Checked(None if document.problems else benchmark, _in_order(document.problems))


def parse(data: JsonValue, *, stored: bool = False) -> PERBenchmark:
    """A benchmark from plain data, as strict as the API server. Raises pydantic's ValidationError.

    `stored`: one that the API server has, of which a run may be on already, or have ended.
    """
    context = STORED if stored else None
    return PERBenchmark.model_validate_json(
        json.dumps(data), strict=True, context=context, by_alias=True, by_name=False
    )


def _wrong_kind(data: JsonValue, document: YamlDocument) -> Iterable[Problem]:
    """What tells that this is not a PERBenchmark at all; its other fields are then not looked at."""
    if not isinstance(data, dict):
        yield Problem("must be an object with apiVersion, kind, metadata and spec", document.place)
        return
    for name, expected in (("apiVersion", API_VERSION), ("kind", KIND)):
        given = data.get(name)
        if given is None:
            yield Problem(f"is missing: write {name}: {expected}", document.place, name)
        elif given != expected:
            hint = nearest(given, [expected]) if isinstance(given, str) else ""
            message = f"{shown(given)} is not known here.{hint or f' Expected {expected}'}"
            yield Problem(message, document.place_of((name,)), name)


def _new_problems(error: ValidationError, document: YamlDocument) -> Iterable[Problem]:
    """pydantic's findings, less those about a place, or around one, where the YAML itself was already found wrong."""
    known = [problem.field for problem in document.problems]
    for mistake in mistakes(error):
        field = path_text(mistake.location)
        if not any(wrong.startswith(field) for wrong in known):
            yield Problem(mistake.message, document.place_of(mistake.location, key=mistake.key), field)


def _in_order(problems: Iterable[Problem]) -> tuple[Problem, ...]:
    start = Place(0, 0)
    return tuple(sorted(problems, key=lambda p: ((p.place or start).line, (p.place or start).column)))
