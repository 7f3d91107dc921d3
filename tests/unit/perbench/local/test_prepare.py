from pathlib import Path

import pytest

from perbench.api.serving import Runtime
from perbench.failures import UsageError
from perbench.local.prepare import prepare
from tests.support.benchmarks import endpoint, file_task, inline_task, write_benchmark

LLAMA = {"runtime": "LlamaCpp"}
LOCAL = {"name": "local", "model": "packaged:smollm2-135m"}


def test_a_good_file_is_ready_to_start(tmp_path: Path) -> None:
    tasks = [file_task("first", tmp_path), inline_task("second")]
    file = write_benchmark(tmp_path / "x.yaml", [LOCAL, endpoint("e", "http://h:1")], tasks, serving=LLAMA)
    prepared = prepare(file, None, with_key=False)
    assert list(prepared.models) == ["local", "e"]
    assert [model.is_started for model in prepared.models.values()] == [True, False]
    assert prepared.keys == (("first", 0), ("second", 0))
    assert prepared.tasks[0].count == 32
    dataset = prepared.plan_tasks[0].dataset
    assert dataset is not None
    assert dataset.file == str(tmp_path / "first.jsonl")


def test_the_run_id_does_not_depend_on_the_directory(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    files = [
        write_benchmark(directory / "x.yaml", [LOCAL], serving=LLAMA) for directory in (tmp_path, tmp_path / "other")
    ]
    first, second = (prepare(file, None, with_key=False).run_id for file in files)
    assert first == second


def test_all_mistakes_are_told_at_once_one_on_a_line(tmp_path: Path) -> None:
    models = [
        {"name": "no-file", "model": "./missing.gguf"},
        {"name": "bad-flag", "model": "packaged:smollm2-135m", "serving": {"args": ["--mlock", "1"]}},
    ]
    tasks = [
        {"name": "no-data", "dataset": {"file": "missing.jsonl", "scoring": {"scorer": "F1"}}},
        file_task("few", tmp_path, 8),
    ]
    file = write_benchmark(tmp_path / "x.yaml", models, tasks, serving=LLAMA)
    with pytest.raises(UsageError) as caught:
        prepare(file, None, with_key=False)
    lines = str(caught.value).splitlines()
    assert len(lines) == 4
    assert all(line.startswith(f"{file}: ") for line in lines)
    for expected in ("missing.jsonl", "TooFewItems: task few measures 8 items", "missing.gguf", "--mlock"):
        assert sum(expected in line for line in lines) == 1


def test_a_bad_template_is_found_before_anything_starts(tmp_path: Path) -> None:
    task = inline_task("first")
    dataset = task["dataset"]
    assert isinstance(dataset, dict)
    file = write_benchmark(tmp_path / "x.yaml", [LOCAL], [task | {"dataset": dataset | {"prompt": "{{ inptu }}"}}])
    with pytest.raises(UsageError, match="inptu"):
        prepare(file, Runtime.LLAMA_CPP, with_key=False)
