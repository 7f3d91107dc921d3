import json
import os
import threading
from pathlib import Path

import pytest

from perbench.api.capacity import CapacitySpec
from perbench.api.per import PerSpec
from perbench.evaluation import evaluate, settings_of
from perbench.record import to_text
from perbench.report.terminal import table
from tests.support import results as runs
from tests.support.cli import Perbench, runner
from tests.support.pages import Page
from tests.support.per_rows import STUDY


@pytest.fixture
def perbench(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Perbench:
    return runner(monkeypatch, capsys, "score", "report")


@pytest.fixture
def results(tmp_path: Path) -> Path:
    path = tmp_path / "results.json"
    path.write_text(to_text(runs.succeeded()), encoding="utf-8")
    return path


def scored(perbench: Perbench, *arguments: object) -> dict[tuple[str, str], dict[str, object]]:
    code, out, _ = perbench("score", *arguments, "--json")
    assert code == 0
    return {(entry["task"], entry["model"]): entry for entry in json.loads(out)}


def test_the_text_is_that_of_the_run(perbench: Perbench, results: Path) -> None:
    assert perbench("score", results) == (0, table(evaluate(runs.succeeded())), "")


def test_json_has_the_keys_of_a_table_and_intervals(perbench: Perbench, results: Path) -> None:
    entries = scored(perbench, results)
    assert len(entries) == 8
    entry = entries["topics", "four-slots"]
    row = evaluate(runs.succeeded()).tasks[0].row("four-slots")
    assert row.scores.reference is not None
    assert row.scores.uncertainty is not None
    assert row.scores.uncertainty.reference_per is not None
    assert entry["reference_per"] == row.scores.reference.value
    assert entry["reference_per_low"] == row.scores.uncertainty.reference_per.low
    assert entry["reference_per_high"] == row.scores.uncertainty.reference_per.high
    assert entry["pareto_optimal"] is True
    assert set(scored(perbench, STUDY)["gsm8k", "Phi-3.5"]) - {"published", "mismatch"} <= set(entry)


def test_another_reference(perbench: Perbench, results: Path) -> None:
    before, after = scored(perbench, results), scored(perbench, results, "--reference", "two-threads")
    assert after["topics", "two-threads"]["reference_per"] == 1.0
    ratio = before["topics", "four-slots"]["reference_per"] / before["topics", "two-threads"]["reference_per"]
    assert after["topics", "four-slots"]["reference_per"] == pytest.approx(ratio)
    assert "two-threads gives the most" in perbench("score", results, "--reference", "two-threads")[1]
    assert "two-threads       1.000" in perbench("score", results, "--reference", "two-threads")[1]


def test_a_quality_floor(perbench: Perbench, results: Path) -> None:
    entries = scored(perbench, results, "--quality-floor", "0.72")
    assert entries["topics", "small-cache"]["reference_per"] is None
    assert entries["topics", "four-slots"]["reference_per"] is not None
    assert {entries["answers", name]["reference_per"] for name in runs.NAMES} == {None}


def test_settings_of_the_spec_stay_where_no_flag_replaces_them(perbench: Perbench, tmp_path: Path) -> None:
    made = runs.results(runs.four_models(), per={"reference": "four-slots"})
    path = tmp_path / "r.json"
    path.write_text(to_text(made), encoding="utf-8")
    entries = scored(perbench, path, "--quality-floor", "0.72")
    assert entries["topics", "four-slots"]["reference_per"] == 1.0
    assert entries["topics", "small-cache"]["reference_per"] is None


def settings_file(directory: Path, **parts: object) -> Path:
    """A benchmark of other models than the results', with these parts of a spec."""
    spec = {
        "models": [{"name": name, "model": "packaged:smollm2-135m"} for name in ("x", *runs.NAMES[1:])],
        "serving": {"runtime": "LlamaCpp"},
        "tasks": [{"name": "other", "preset": "PackagedTopics"}],
        **parts,
    }
    path = directory / "settings.yaml"
    document = {"apiVersion": "perbench.dev/v1alpha1", "kind": "PERBenchmark", "metadata": {"name": "x"}, "spec": spec}
    path.write_text(json.dumps(document), encoding="utf-8")
    return path


def test_the_settings_of_a_file_replace_those_of_the_run(perbench: Perbench, tmp_path: Path) -> None:
    run = runs.with_every_setting()
    results = tmp_path / "results.json"
    results.write_text(to_text(run), encoding="utf-8")
    per = {"weights": {"memory": 0}, "reference": "two-threads"}
    capacity = {"prices": [{"unit": "server", "dollarsPerHour": "3"}]}
    file = settings_file(tmp_path, per=per, capacity=capacity)
    wanted = evaluate(run, settings_of(run, PerSpec.model_validate(per), CapacitySpec.model_validate(capacity)))
    assert perbench("score", results, "--settings", file) == (0, table(wanted), "")
    assert table(wanted) != table(evaluate(run))
    page = tmp_path / "page.html"
    assert perbench("score", results, "--settings", file, "--report", page)[0] == 0
    yaml = Page.of(page.read_text(encoding="utf-8")).raw["code"][1]
    assert "reference: two-threads" in yaml
    assert "dollarsPerHour: '3'" in yaml
    assert "qualityFloor" not in yaml


def test_a_file_without_settings_gives_the_defaults(perbench: Perbench, tmp_path: Path) -> None:
    run = runs.results(runs.four_models(), per={"reference": "four-slots", "qualityFloor": "0.72"})
    path = tmp_path / "r.json"
    path.write_text(to_text(run), encoding="utf-8")
    plain = table(evaluate(runs.succeeded()))
    assert perbench("score", path)[1] != plain
    assert perbench("score", path, "--settings", settings_file(tmp_path)) == (0, plain, "")


def test_options_replace_what_the_file_of_settings_says(perbench: Perbench, results: Path, tmp_path: Path) -> None:
    file = settings_file(tmp_path, per={"reference": "two-threads", "qualityFloor": "0.9", "weights": {"memory": 0}})
    options = ("--reference", "four-slots", "--quality-floor", "0.72")
    entries = scored(perbench, results, "--settings", file, *options)
    assert entries["topics", "four-slots"]["reference_per"] == 1.0
    assert entries["topics", "small-cache"]["reference_per"] is None
    without = scored(perbench, results, *options)
    assert without["topics", "two-threads"]["reference_per"] != entries["topics", "two-threads"]["reference_per"]


def test_settings_that_do_not_fit_are_one_line(perbench: Perbench, results: Path, tmp_path: Path) -> None:
    file = settings_file(tmp_path, per={"reference": "x"})
    code, out, err = perbench("score", results, "--settings", file)
    assert (code, out) == (2, "")
    assert f"the results have no model 'x' for per.reference of {file}; its models are one-slot," in err
    assert err.count("\n") == 1
    code, out, err = perbench("score", STUDY, "--settings", file)
    assert (code, out) == (2, "")
    assert err == (
        f"perbench: {STUDY}: --settings is for a results.json; a table takes --reference and --quality-floor\n"
    )
    code, _, err = perbench("score", results, "--settings", tmp_path / "none.yaml")
    assert (code, err) == (2, f"perbench: {tmp_path / 'none.yaml'}: cannot be read: No such file or directory\n")


def test_the_page_of_other_settings_says_how_to_get_it(perbench: Perbench, results: Path, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    assert perbench("score", results, "--reference", "two-threads", "--quality-floor", "0.5", "--report", page)[0] == 0
    found = Page.of(page.read_text(encoding="utf-8"))
    assert "reference: two-threads" in found.raw["code"][1]
    assert "qualityFloor: '0.5'" in found.raw["code"][1]
    assert "two-threads = 1" in found.text


def test_the_page_of_a_table(perbench: Perbench, tmp_path: Path) -> None:
    page = tmp_path / "study.html"
    code, out, _ = perbench("score", STUDY, "--quality-floor", "0.5", "--report", page)
    assert code == 0
    assert out.startswith("gsm8k (generation): 16 models")
    found = Page.of(page.read_text(encoding="utf-8"))
    assert found.raw["code"] == ["perbench score per_published.csv --quality-floor 0.5 --report report.html"]
    assert "5 cells differ" in found.text


def test_warnings_go_to_standard_error_beside_json(perbench: Perbench, tmp_path: Path) -> None:
    path = tmp_path / "r.json"
    path.write_text(to_text(runs.with_invalid_stage()), encoding="utf-8")
    code, out, err = perbench("score", path, "--json")
    assert code == 0
    assert len(json.loads(out)) == 8
    assert err.startswith("perbench: LoadGeneratorSaturated (four-slots on answers): in 1 of 3 stages: ")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--reference", "two-thread"], "the results have no model 'two-thread' for --reference; did you mean"),
        (["--reference", "x"], "for --reference; its models are one-slot, four-slots, small-cache, two-threads"),
        (["--quality-floor", "1.5"], "--quality-floor 1.5 is not within 0 to 1"),
        (["--quality-floor", "nan"], "--quality-floor nan is not within 0 to 1"),
    ],
)
def test_wrong_settings(perbench: Perbench, results: Path, arguments: list[str], said: str) -> None:
    code, out, err = perbench("score", results, *arguments)
    assert (code, out) == (2, "")
    assert said in err
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    ("name", "data", "said"),
    [
        ("results.json", b"", "is empty; it was not written"),
        ("cut.txt", b'\xef\xbb\xbf {"schemaVersion": 1, "na', "ends in the middle"),
        ("list.json", b"[1]", "it has no schemaVersion"),
        ("table.csv", b"task,model\n", "column 'accuracy' is missing"),
    ],
)
def test_what_it_is_is_told_by_name_or_content(
    perbench: Perbench, tmp_path: Path, name: str, data: bytes, said: str
) -> None:
    path = tmp_path / name
    path.write_bytes(data)
    code, out, err = perbench("score", path)
    assert (code, out) == (2, "")
    assert said in err


@pytest.mark.parametrize("text", [to_text(runs.succeeded()), STUDY.read_text(encoding="utf-8")])
def test_a_pipe_is_read_once(perbench: Perbench, tmp_path: Path, text: str) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_text, args=(text, "utf-8"))
    writer.start()
    code, out, err = perbench("score", pipe)
    writer.join(timeout=60)
    assert (code, err) == (0, "")
    assert "Qwen2.5-0.5B" in out or "two-threads" in out


def test_a_missing_file(perbench: Perbench, tmp_path: Path) -> None:
    for name in ("x.csv", "x.json"):
        code, _, err = perbench("score", tmp_path / name)
        assert code == 2
        assert f"{name}: cannot be read: No such file or directory" in err
