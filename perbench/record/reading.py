"""results.json, read: its version first, then its form, then what its parts must have in common.

Whatever is wrong ends in one line: which file, where in it, what. A file that passes can be evaluated and shown.
"""

import json
from collections.abc import Mapping
from typing import NoReturn

from pydantic import JsonValue, ValidationError

from perbench.failures import UsageError, shorten
from perbench.record import rules
from perbench.record.migrations import STEPS, Document, Step, migrate
from perbench.record.mistakes import Mistake, form_mistakes
from perbench.results import SCHEMA_VERSION, Results

MOST_DIGITS = 18
"""Of a whole number: more is no count of anything, and no longer fits the machine's integers."""

LONGEST_WORD = len("-Infinity")

CUT = "it was not written or copied to its end"
HINT = "give the results.json that perbench run writes into its output directory"


def parse(data: bytes, name: str, current: int = SCHEMA_VERSION, steps: Mapping[int, Step] = STEPS) -> Results:
    """The results in `data`; `name` is what errors call the file. Raises UsageError, one line.

    `current` and `steps` are the format of this perbench and the way to it from older ones.
    """
    text = _text(data, name)
    document = _document(text, name)
    version = _version(document, name, current)
    if version < current:
        text = json.dumps(migrate(document, version, current, steps))
    try:
        results = Results.model_validate_json(text, strict=True, by_alias=True, by_name=False)
    except ValidationError as error:
        _refuse(form_mistakes(error), name, document)
    if broken := rules.mistakes(results):
        _refuse(broken, name, document)
    return results


def _text(data: bytes, name: str) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        if error.reason == "unexpected end of data":
            raise UsageError(f"{name}: ends in the middle; {CUT}") from error
        raise UsageError(f"{name}: not text in UTF-8 (byte {error.start}); {HINT}") from error


def _document(text: str, name: str) -> Document:
    try:
        found: JsonValue = json.loads(text, parse_int=_whole_number)
    except json.JSONDecodeError as error:
        if not text.strip():
            raise UsageError(f"{name}: is empty; {CUT}") from error
        if _is_cut(text, error):
            raise UsageError(f"{name}: ends in the middle; {CUT}") from error
        raise UsageError(f"{name}:{error.lineno}:{error.colno}: not JSON: {error.msg}; {HINT}") from error
    except _EndlessNumberError as error:
        raise UsageError(f"{name}: not the results of a run: it holds {error}; {HINT}") from error
    except RecursionError as error:
        raise UsageError(f"{name}: not the results of a run: nested without end; {HINT}") from error
    if not isinstance(found, dict) or "schemaVersion" not in found:
        raise UsageError(f"{name}: not the results of a run: it has no schemaVersion; {HINT}")
    return found


def _is_cut(text: str, error: json.JSONDecodeError) -> bool:
    """Whether an object begins, and the mistake is that its text ends: in a string, a word, a number, an escape."""
    at_the_end = error.msg.startswith("Unterminated string") or error.pos >= len(text.rstrip()) - LONGEST_WORD
    return text.lstrip().startswith("{") and at_the_end


class _EndlessNumberError(Exception):
    """A whole number that nothing here can be."""


def _whole_number(digits: str) -> int:
    if len(digits) > MOST_DIGITS + 1:
        raise _EndlessNumberError(f"a whole number of {len(digits)} digits")
    return int(digits)


def _version(document: Document, name: str, current: int) -> int:
    version = document["schemaVersion"]
    if not isinstance(version, int) or isinstance(version, bool) or version < 1:
        raise UsageError(
            f"{name}: schemaVersion: must be a whole number up to {current}, not {shorten(json.dumps(version), 40)};"
            f" {HINT}"
        )
    if version > current:
        raise UsageError(
            f"{name}: schemaVersion {version} is newer than {current}, the newest this perbench reads"
            f"{_written_by(document)}: upgrade perbench"
        )
    return version


def _refuse(mistakes: list[Mistake], name: str, document: Document) -> NoReturn:
    first = mistakes[0]
    others = f" ({len(mistakes) - 1} more)" if len(mistakes) > 1 else ""
    hint = f"{_written_by(document)}: a newer perbench may know it" if first.unknown_field else ""
    line = f"{name}: {first.place}: {first.message}{hint}{others}" if first.place else f"{name}: {first.message}"
    raise UsageError(" ".join(line.split()))


def _written_by(document: Document) -> str:
    provenance = document.get("provenance")
    version = provenance.get("perbench") if isinstance(provenance, dict) else None
    return f" (written by perbench {shorten(version, 20)})" if isinstance(version, str) else ""
