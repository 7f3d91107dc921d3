import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from perbench.failures import UsageError
from perbench_bench.tasks import rows
from perbench_bench.tasks.rows import file_rows

Write = Callable[..., Path]


@pytest.fixture
def lines(tmp_path: Path) -> Write:
    def write(*content: object) -> Path:
        path = tmp_path / "items.jsonl"
        encoded = [line if isinstance(line, bytes) else json.dumps(line).encode() for line in content]
        path.write_bytes(b"\n".join(encoded))
        return path

    return write


def test_rows_of_a_file(lines: Write) -> None:
    path = lines(
        b'\xef\xbb\xbf{"input": "one?", "answer": "1"}\r',
        b"",
        {"id": "two", "input": "zwei?", "answers": ["2", "two"], "hint": "ü"},
    )
    first, second = file_rows(path)
    assert (first.id, first.where, dict(first.columns), first.answers) == (
        "1", f"{path}:1", {"input": "one?"}, ("1",),
    )  # fmt: skip
    assert (second.id, second.where, dict(second.columns), second.answers) == (
        "two", f"{path}:3", {"input": "zwei?", "hint": "ü"}, ("2", "two"),
    )  # fmt: skip


def test_a_source_is_no_column(lines: Write) -> None:
    first, second = file_rows(lines({**GOOD, "source": "page 1"}, GOOD))
    assert (first.source, dict(first.columns)) == ("page 1", {"input": "x"})
    assert second.source is None


GOOD = {"input": "x", "answer": "y"}


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (b"{", "not a JSON object: Expecting property name"),
        (b"\xff", "not a JSON object: 'utf-8' codec can't decode"),
        (b'{"input": "x", "input": "y", "answer": "z"}', "not a JSON object: a name appears twice"),
        (b"[" * 100_000, "not a JSON object: "),
        (b'{"input": "x", "answer": "\\ud800"}', "'answer' has half of a surrogate pair"),
        (["x"], "a list instead of an object"),
        ({"answer": "y"}, "no text in 'input'; every row needs one"),
        ({"input": " ", "answer": "y"}, "no text in 'input'; every row needs one"),
        ({"input": 5, "answer": "y"}, "'input' is 5, not text; write it in quotes"),
        ({"input": "x"}, "exactly one of 'answer' (text) and 'answers' (list of texts) is needed"),
        ({"input": "x", "answer": "y", "answers": ["y"]}, "exactly one of 'answer'"),
        ({"input": "x", "answer": 42}, "'answer' is 42, not text"),
        ({"input": "x", "answer": None}, "'answer' is null, not text"),
        ({"input": "x", "answers": "y"}, "'answers' must be a list of 1 to 16 texts"),
        ({"input": "x", "answers": []}, "'answers' must be a list of 1 to 16 texts"),
        ({"input": "x", "answers": ["y"] * 17}, "'answers' must be a list of 1 to 16 texts"),
        ({"input": "x", "answers": ["y", 1]}, "'answers' is 1, not text"),
        ({**GOOD, "label": 3}, "'label' is 3, not text; write it in quotes"),
        ({**GOOD, "id": 7}, "'id' is 7, not text"),
        ({**GOOD, **{f"c{i}": "" for i in range(17)}}, "17 columns beside 'input', at most 16 are allowed"),
        ({**GOOD, "source": 7}, "'source' is 7, not text"),
        ({**GOOD, "source": " "}, "'source' is empty; name what the question shares with others"),
        ({**GOOD, "id": "1"}, "the id '1' was used at "),
    ],
)
def test_mistakes_name_file_and_line(lines: Write, line: object, message: str) -> None:
    path = lines(GOOD, line)
    with pytest.raises(UsageError) as caught:
        file_rows(path)
    assert str(caught.value).startswith(f"{path}:2: {message}")
    assert len(str(caught.value)) < 1000


def test_a_long_line_is_refused(lines: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rows, "LINE_LIMIT", 100)
    path = lines(GOOD, {"input": "x" * 100, "answer": "y"})
    with pytest.raises(UsageError, match=r"items.jsonl:2: the line is over"):
        file_rows(path)


def test_a_large_file_is_refused(lines: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rows, "FILE_LIMIT", 40)
    path = lines(GOOD, GOOD)
    with pytest.raises(UsageError, match=r"items.jsonl: over .* MiB; split it"):
        file_rows(path)


@pytest.mark.parametrize("content", [b"", b"\n \n"])
def test_an_empty_file_is_refused(lines: Write, content: bytes) -> None:
    with pytest.raises(UsageError, match="no rows; write one JSON object per line"):
        file_rows(lines(content))


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "missing.jsonl", tmp_path, tmp_path / "pipe", tmp_path / "nul\0byte"):
        with pytest.raises(UsageError, match="relative to the directory of the resource's file") as caught:
            file_rows(path)
        assert str(caught.value).startswith(f"{path}: ")


def test_a_directory_in_the_way_is_refused(lines: Write) -> None:
    with pytest.raises(UsageError, match=r"items.jsonl/more: "):
        file_rows(lines(GOOD) / "more")
