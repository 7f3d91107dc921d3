"""`perbench run` with latency basis Unloaded, against a truth server; and a run that is asked for it half-way."""

from pathlib import Path

import pytest
import yaml

from perbench.assembly import missing_stages
from perbench.evaluation import evaluate
from perbench.plan import stage_keys
from perbench.results import LaunchRecord
from tests.support.benchmarks import endpoint, inline_task, write_benchmark
from tests.support.results import ONE_SLOT, TOPICS, stage
from tests.support.runs import run
from tests.support.servers import sport_server


def test_each_round_has_a_stage_without_load_and_the_status_its_latency(tmp_path: Path) -> None:
    with sport_server() as server:
        file = write_benchmark(tmp_path / "alone.yaml", [endpoint("m", server.url)], [inline_task("first")], rounds=2)
        document = yaml.safe_load(file.read_text())
        document["spec"]["per"] = {"latencyBasis": "Unloaded"}
        file.write_text(yaml.safe_dump(document))
        ended = run(file)
    assert [record.repeat for record in ended.records("m")] == [0, None, 0, None]
    assert [record.concurrency for record in ended.records("m")] == [8, 1, 8, 1]
    assert "first unloaded: 24 requests" in ended.out
    assert ended.status["run"]["resolved"]["unloadedRequests"] == 24
    assert ended.status["progress"] == {"completed": 4, "total": 4}
    unloaded = [record for record in ended.records("m") if record.repeat is None]
    times = [time for record in unloaded for time in record.requests.e2e_ms if time is not None]
    tokens = sum(count or 0 for record in unloaded for count in record.requests.output_tokens)
    latency = evaluate(ended.results).tasks[0].row("m").cell.figures.latency_ms
    assert latency == pytest.approx(sum(times) / tokens)


def test_a_run_that_is_asked_for_it_half_way_measures_what_is_then_missing() -> None:
    recorded = LaunchRecord(round=0, order=0, stages=(stage(TOPICS, ONE_SLOT["topics"]),))
    assert missing_stages(recorded, stage_keys(["topics"], 1, unloaded=False)) == ()
    assert missing_stages(recorded, stage_keys(["topics"], 1, unloaded=True)) == (("topics", None),)
    alone = recorded.stages[0].model_copy(update={"repeat": None})
    both = recorded.model_copy(update={"stages": (*recorded.stages, alone)})
    assert missing_stages(both, stage_keys(["topics"], 1, unloaded=True)) == ()
    assert missing_stages(both, stage_keys(["topics"], 2, unloaded=False)) == (("topics", 1),)
