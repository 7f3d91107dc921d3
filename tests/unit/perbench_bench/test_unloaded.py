"""The extra stage of one request at a time, by `perbench-bench` as a process against a truth server."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from perbench.plan import Plan
from perbench.progress import Progress
from perbench.results import Outcome, StageRecord
from perbench_bench.truth import Record, truth_server

REQUESTS = 10
ITEMS = [{"input": f"question {i}", "answers": ["tok"]} for i in range(8)]
WORDS = {"name": "words", "dataset": {"inline": ITEMS, "scoring": {"scorer": "Contains"}}, "maxTokens": 2}
RANDOM = {"name": "random", "synthetic": {"inputTokens": 20, "outputTokens": 2}, "limit": 8}


@pytest.fixture(scope="module")
def ended(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Record, list[Progress]]:
    """A plan of two tasks under load and without: its output, what the server did, what was said."""
    folder = tmp_path_factory.mktemp("unloaded")
    with truth_server({"timing": {"firstMs": 2, "gapMs": 1}}, record_prompts=60) as server:
        plan = Plan.model_validate(
            {
                "runId": "0123456789", "model": "m", "round": 1, "repeats": 1, "unloadedRequests": REQUESTS,
                "tasks": [WORDS, RANDOM], "target": {"url": server.url, "protocol": "TGI", "model": "m"},
                "load": {"concurrency": 2, "maxSeconds": 60, "warmup": {"requests": 0, "seconds": 0}},
            }
        )  # fmt: skip
        (folder / "plan.json").write_text(plan.to_json())
        command = [sys.executable, "-m", "perbench_bench.main", str(folder / "plan.json"), "--output", str(folder)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
        served = server.record
    return folder, served, [Progress.model_validate_json(line) for line in done.stdout.splitlines()]


def record(folder: Path, name: str) -> StageRecord:
    return StageRecord.model_validate_json((folder / name).read_text())


def test_each_task_has_one_after_its_repeats(ended: tuple[Path, Record, list[Progress]]) -> None:
    folder, _, said = ended
    stages = {"words.0.json", "words.unloaded.json", "random.0.json", "random.unloaded.json"}
    assert {path.name for path in folder.glob("*.*.json")} == stages
    assert list(dict.fromkeys((line.task, line.repeat) for line in said)) == [
        ("words", 0), ("words", None), ("random", 0), ("random", None),
    ]  # fmt: skip


def test_one_request_at_a_time(ended: tuple[Path, Record, list[Progress]]) -> None:
    folder, served, _ = ended
    for name in ("words", "random"):
        stage = record(folder, f"{name}.unloaded.json")
        assert (stage.key, stage.concurrency, stage.filler_requests) == ((name, 1, None), 1, 0)
        assert stage.requests.outcome == (Outcome.SUCCESS,) * REQUESTS
        assert all(time is not None for time in stage.requests.e2e_ms)
    assert set(served.in_flight[-REQUESTS:]) == {1}
    assert served.in_flight.max() == 2


def test_items_come_round_and_are_not_scored_again(
    ended: tuple[Path, Record, list[Progress]],
) -> None:
    folder, _, _ = ended
    rows = record(folder, "words.unloaded.json").requests
    assert rows.item == (0, 1, 2, 3, 4, 5, 6, 7, 0, 1)
    assert rows.score == (None,) * REQUESTS
    assert record(folder, "words.0.json").requests.score == (1.0,) * 8


def test_synthetic_prompts_are_new_ones(ended: tuple[Path, Record, list[Progress]]) -> None:
    _, served, _ = ended
    prompts = [prompt for prompt in served.prompt if not prompt.startswith("question")]
    assert len(prompts) >= 8 + REQUESTS
    assert len(set(prompts)) == len(prompts)


def test_the_record_is_plain_json(ended: tuple[Path, Record, list[Progress]]) -> None:
    folder, _, _ = ended
    assert json.loads((folder / "words.unloaded.json").read_text())["repeat"] is None
