from pathlib import Path

import pytest

from tests.support.golden import SWITCH, assert_golden, matches, merged

FAILED = pytest.fail.Exception


def test_equal_passes_and_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.txt"
    path.write_text("one\n<ANY> s\n")
    monkeypatch.setenv(SWITCH, "1")
    assert_golden(path, "one\n3.5 s\n")
    assert path.read_text() == "one\n<ANY> s\n"


@pytest.mark.parametrize("actual", ["two\n", "one", "one\n\n", "", "one\none\n"])
def test_different_fails(tmp_path: Path, actual: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(SWITCH, raising=False)
    path = tmp_path / "a.txt"
    path.write_text("one\n")
    with pytest.raises(AssertionError):
        assert_golden(path, actual)
    assert path.read_text() == "one\n"


def test_missing_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(SWITCH, raising=False)
    with pytest.raises(FAILED, match="is missing"):
        assert_golden(tmp_path / "a.txt", "one\n")


def test_the_rewriting_run_fails_and_the_next_passes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "deep" / "a.txt"
    monkeypatch.setenv(SWITCH, "1")
    with pytest.raises(FAILED, match="verify the diff, commit it"):
        assert_golden(path, "one\n")
    assert_golden(path, "one\n")


def test_a_wildcard_stays_within_its_line() -> None:
    assert matches("took <ANY> s\n", "took 3 s\n")
    assert not matches("took <ANY> s\n", "took 3 s\n1 s\n")
    assert not matches("took <ANY> s\n", "took 3 m\n")
    assert not matches("a.c\n", "abc\n")


def test_a_rewrite_keeps_wildcards_that_still_fit() -> None:
    assert merged("v <ANY>\nold\ntook <ANY> s\n", "new\nv 2\ntook 4 m\n") == "new\nv <ANY>\ntook 4 m\n"
