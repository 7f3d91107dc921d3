"""Golden files: what a piece of perbench should say, kept as text under tests/golden. See its README."""

import os
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent / "golden"
SWITCH = "PERBENCH_UPDATE_GOLDEN"
ANY = "<ANY>"


def assert_golden(path: Path, actual: str) -> None:
    """Fail unless `actual` is what the golden file says; `<ANY>` in it stands for any text within a line.

    With PERBENCH_UPDATE_GOLDEN=1 a file that differs is rewritten, and the test fails all the same: a rewritten file
    proves nothing until somebody has read the difference.
    """
    __tracebackhide__ = True
    expected = path.read_text(encoding="utf-8") if path.is_file() else None
    if expected is not None and matches(expected, actual):
        return
    if os.environ.get(SWITCH) == "1":
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(merged(expected or "", actual), encoding="utf-8")
        pytest.fail(f"{path} rewritten: verify the diff, commit it", pytrace=False)
    if expected is None:
        pytest.fail(f"{path} is missing; {SWITCH}=1 writes it. Actual:\n{actual}", pytrace=False)
    assert actual == expected, f"differs from {path}; {SWITCH}=1 rewrites it"


def matches(expected: str, actual: str) -> bool:
    """Whether every line of `actual` is the line of `expected` at its place."""
    expected_lines, actual_lines = expected.splitlines(keepends=True), actual.splitlines(keepends=True)
    return len(expected_lines) == len(actual_lines) and all(map(_line_matches, expected_lines, actual_lines))


def merged(expected: str, actual: str) -> str:
    """`actual`, in which lines that `expected` describes with a wildcard keep it."""
    old = [line for line in expected.splitlines(keepends=True) if ANY in line]
    return "".join(
        next((line for line in old if _line_matches(line, new)), new) for new in actual.splitlines(keepends=True)
    )


def _line_matches(expected: str, actual: str) -> bool:
    return re.fullmatch(".*".join(map(re.escape, expected.split(ANY))), actual) is not None
