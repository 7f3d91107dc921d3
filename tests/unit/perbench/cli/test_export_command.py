from pathlib import Path

import pytest

from perbench.evaluation import evaluate
from perbench.export import llmd_reports, to_csv
from perbench.record import to_text
from tests.support import results as runs
from tests.support.cli import Perbench, runner


@pytest.fixture
def perbench(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Perbench:
    return runner(monkeypatch, capsys, "export", "score")


@pytest.fixture
def results(tmp_path: Path) -> Path:
    path = tmp_path / "results.json"
    path.write_text(to_text(runs.succeeded()), encoding="utf-8")
    return path


def test_csv_on_standard_output_and_in_a_file(perbench: Perbench, results: Path, tmp_path: Path) -> None:
    expected = to_csv(evaluate(runs.succeeded()))
    assert perbench("export", results) == (0, expected, "")
    assert perbench("export", results, "--format", "csv", "-o", tmp_path / "t.csv") == (0, "", "")
    assert (tmp_path / "t.csv").read_text(encoding="utf-8") == expected


def test_llmd_reports_in_a_directory(perbench: Perbench, results: Path, tmp_path: Path) -> None:
    out = tmp_path / "reports"
    assert perbench("export", results, "--format", "llm-d", "-o", out) == (0, f"{out}: 8 reports written\n", "")
    written = {path.name: path.read_text(encoding="utf-8") for path in out.iterdir()}
    assert written == llmd_reports(evaluate(runs.succeeded()))


@pytest.mark.parametrize("place", [[], ["-o", "-"], ["-o", "results.json"]])
def test_llmd_reports_need_a_directory(
    perbench: Perbench, results: Path, place: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(results.parent)
    code, out, err = perbench("export", "results.json", "--format", "llm-d", *place)
    assert (code, out) == (2, "")
    assert err == "perbench: --format llm-d writes one file per model and task: give a directory with -o\n"


def test_a_run_without_a_stage_has_nothing_to_export(perbench: Perbench, tmp_path: Path) -> None:
    path = tmp_path / "r.json"
    path.write_text(to_text(runs.results([runs.failed_model("m", runs.OUT_OF_MEMORY)])), encoding="utf-8")
    code, _, err = perbench("export", path, "--format", "llm-d", "-o", tmp_path / "x")
    assert (code, err) == (2, f"perbench: {path}: no stage is recorded, so there is nothing to export\n")
    assert not (tmp_path / "x").exists()


def test_an_unknown_format_names_those_there_are(perbench: Perbench, results: Path) -> None:
    code, _, err = perbench("export", results, "--format", "xml")
    assert code == 2
    assert "'csv', 'llm-d'" in err
