import os
import threading
from pathlib import Path

import pytest

from perbench.record import to_text
from perbench.report import render
from tests.support import results as runs
from tests.support.cli import Perbench, runner


@pytest.fixture
def perbench(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Perbench:
    return runner(monkeypatch, capsys, "report", "score")


@pytest.fixture
def results(tmp_path: Path) -> Path:
    path = tmp_path / "results.json"
    path.write_text(to_text(runs.succeeded()), encoding="utf-8")
    return path


def test_the_page_is_the_one_that_the_run_wrote(perbench: Perbench, results: Path, tmp_path: Path) -> None:
    page = tmp_path / "new" / "page.html"
    assert perbench("report", results, "-o", page) == (0, f"{page}: written\n", "")
    assert page.read_text(encoding="utf-8") == render(runs.succeeded())


def test_a_directory_and_the_default_name(
    perbench: Perbench, results: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("report.html").write_text("old", encoding="utf-8")
    assert perbench("report", results.parent) == (0, "report.html: written\n", "")
    assert Path("report.html").read_text(encoding="utf-8") == render(runs.succeeded())
    assert sorted(path.name for path in tmp_path.iterdir()) == ["report.html", "results.json"]


def test_a_dash_is_standard_output(perbench: Perbench, results: Path) -> None:
    assert perbench("report", results, "-o", "-") == (0, render(runs.succeeded()), "")


def test_a_pipe_stays_a_pipe(perbench: Perbench, results: Path, tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    read: list[str] = []
    reader = threading.Thread(target=lambda: read.append(pipe.read_text(encoding="utf-8")))
    reader.start()
    assert perbench("report", results, "-o", pipe)[0] == 0
    reader.join(timeout=60)
    assert read == [render(runs.succeeded())]
    assert pipe.is_fifo()


def test_a_page_that_cannot_be_written(perbench: Perbench, results: Path, tmp_path: Path) -> None:
    code, out, err = perbench("report", results, "-o", tmp_path)
    assert (code, out) == (2, "")
    assert err == f"perbench: {tmp_path}: cannot be written: Is a directory; choose another file\n"
    code, out, err = perbench("report", results, "-o", results / "page.html")
    assert (code, out) == (2, "")
    assert err.startswith(f"perbench: {results / 'page.html'}: cannot write page.html: ")


def test_bad_results_end_in_one_line(perbench: Perbench, tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    path.write_text('{"schemaVersion": 9}', encoding="utf-8")
    page = tmp_path / "page.html"
    code, out, err = perbench("report", path, "-o", page)
    assert (code, out) == (2, "")
    assert (
        err == f"perbench: {path}: schemaVersion 9 is newer than 1, the newest this perbench reads: upgrade perbench\n"
    )
    assert not page.exists()
