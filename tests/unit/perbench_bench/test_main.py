"""`perbench-bench` as a process, against truth servers."""

import json
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest

from perbench.failures import Failure
from perbench.plan import Plan
from perbench.progress import Progress, StagePhase
from perbench.results import CalibrationRecord, Outcome, StageRecord
from perbench_bench.truth import truth_server
from tests.support.processes import Process, patiently
from tests.support.servers import sport_server

ITEMS = [{"input": f"question {i}", "answers": ["tok"] if i % 2 else ["other"]} for i in range(12)]
TASK = {"name": "words", "dataset": {"inline": ITEMS, "scoring": {"scorer": "Contains"}}, "limit": 8, "maxTokens": 4}


def write_plan(directory: Path, url: str, protocol: str = "TGI", seconds: float = 60, **changes: Any) -> Path:
    """`seconds`: for one request."""
    document = {
        "runId": "0123456789", "model": "m", "round": 0, "repeats": 2, "tasks": [TASK],
        "target": {"url": url, "protocol": protocol, "model": "m"},
        "load": {
            "concurrency": 2, "maxSeconds": 60, "warmup": {"requests": 2, "seconds": 0},
            "requestTimeoutSeconds": seconds,
        },
    } | changes  # fmt: skip
    path = directory / "plan.json"
    path.write_text(Plan.model_validate(document).to_json())
    return path


def command(plan: Path, output: Path) -> list[str]:
    patient = patiently("perbench_bench.main", "perbench_bench.metrics_watch.TIMEOUT_SECONDS")
    return [*patient, str(plan), "--output", str(output)]


def bench(plan: Path, output: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command(plan, output), capture_output=True, text=True, timeout=180, check=False)


def failure(output: Path) -> Failure:
    return Failure.model_validate_json((output / "failure.json").read_text())


def test_every_stage_is_recorded_scored_and_told(tmp_path: Path) -> None:
    with truth_server() as server:
        done = bench(write_plan(tmp_path, server.url), tmp_path / "out")
    assert (done.returncode, done.stderr) == (0, "")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["words.0.json", "words.1.json"]
    record = StageRecord.model_validate_json((tmp_path / "out" / "words.0.json").read_text())
    rows = record.requests
    assert (record.key, len(rows.item), record.concurrency) == (("words", 0, 0), 8, 2)
    assert set(rows.outcome) == {Outcome.SUCCESS}
    assert set(rows.output_tokens) == {4}
    assert 0 < sum(score or 0 for score in rows.score) < 8, "some right, some wrong, all scored"
    assert record.window_seconds > 0
    assert record.client.concurrency_delivered
    said = [Progress.model_validate_json(line) for line in done.stdout.splitlines()]
    assert [p.repeat for p in said if p.phase is StagePhase.RECORDED] == [0, 1]
    assert said[-1].completed == said[-1].total == 8


def test_warm_up_and_filler_take_items_outside_the_measured_ones(tmp_path: Path) -> None:
    with truth_server(record_prompts=60) as server:
        bench(write_plan(tmp_path, server.url, repeats=1), tmp_path / "out")
        prompts = server.record.prompt
    record = StageRecord.model_validate_json((tmp_path / "out" / "words.0.json").read_text())
    assert record.warmup_requests >= 2
    by_count = sorted(prompts.count(f"question {i}") for i in range(12))
    # The preflight asks a measured item once more; the four spare ones carry warm-up and filler.
    assert sum(by_count) == 8 + 1 + record.warmup_requests + record.filler_requests
    assert by_count.count(1) >= 7


def test_finished_stages_never_run_again(tmp_path: Path) -> None:
    with truth_server() as server:
        plan = write_plan(tmp_path, server.url)
        bench(plan, tmp_path / "out")
        first = (tmp_path / "out" / "words.0.json").read_bytes()
        (tmp_path / "out" / "words.1.json").unlink()
        again = bench(plan, tmp_path / "out")
        assert again.returncode == 0
        assert (tmp_path / "out" / "words.0.json").read_bytes() == first
        assert (tmp_path / "out" / "words.1.json").exists()
        before = len(server.snapshot())
        assert bench(plan, tmp_path / "out").returncode == 0
        assert len(server.snapshot()) == before, "all recorded: the server is not even asked"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interruption_leaves_no_half_stage(tmp_path: Path, number: signal.Signals) -> None:
    with truth_server({"faults": [{"kind": "silence", "after": 8}]}) as server:  # the stage does not end by itself
        plan = write_plan(tmp_path, server.url)
        with Process(command(plan, tmp_path / "out"), stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout
            for line in process.stdout:
                if json.loads(line)["phase"] == "Measuring":
                    process.send_signal(number)
                    break
            assert process.wait(timeout=60) == 130
    assert list((tmp_path / "out").iterdir()) == []


def test_a_server_that_is_not_there(tmp_path: Path) -> None:
    done = bench(write_plan(tmp_path, "http://127.0.0.1:9"), tmp_path / "out")
    assert done.returncode == 4
    found = failure(tmp_path / "out")
    assert (found.blame.value, found.reason) == ("Target", "TargetUnreachable")
    assert "127.0.0.1:9" in found.message


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ("refuse", "TargetUnreachable"),
        ("exit", "TargetUnreachable"),
        ("silence", "TargetNotAnswering"),
        ("garbage", "AnswersMalformed"),
        ("bad-json", "AnswersMalformed"),
        ("half-chunk", "AnswersTruncated"),
        ("error-event", "TargetErrors"),
        ("too-many-requests", "TargetOverloaded"),
        ("unavailable", "TargetOverloaded"),
        ("no-usage", "AnswersMalformed"),
    ],
)
def test_a_server_that_goes_wrong_in_the_second_stage(tmp_path: Path, fault: str, reason: str) -> None:
    with sport_server(fault, after=14) as server:
        seconds = 1 if fault == "silence" else 60
        plan = write_plan(tmp_path, server.url, "OpenAIChat", seconds, tasks=[TASK | {"limit": 12}])
        done = bench(plan, tmp_path / "out")
    assert done.returncode == 4, done.stderr
    assert failure(tmp_path / "out").reason == reason, done.stderr
    assert "Traceback" not in done.stderr


def test_a_server_that_never_counts_tokens(tmp_path: Path) -> None:
    with sport_server("no-usage") as server:
        done = bench(write_plan(tmp_path, server.url, "OpenAIChat"), tmp_path / "out")
    assert done.returncode == 4
    assert failure(tmp_path / "out").reason == "NoTokenCounts"


def stage_of(tmp_path: Path, script: dict[str, object]) -> StageRecord:
    with truth_server(script) as server:
        done = bench(write_plan(tmp_path, server.url, "OpenAIChat", repeats=1), tmp_path / "out")
    assert done.returncode == 0, done.stderr
    return StageRecord.model_validate_json((tmp_path / "out" / "words.0.json").read_text())


def codes(record: StageRecord) -> set[str]:
    """What was found, beside the machine's own affairs."""
    return {finding.code for finding in record.findings} - {"LoadGeneratorSaturated", "NotSteady"}


def test_the_servers_metrics_agree_with_ours(tmp_path: Path) -> None:
    record = stage_of(tmp_path, {"timing": {"firstMs": 250, "gapMs": 20}, "queue": {"slots": 1}})
    server = record.server
    assert server
    all_roles = 8 + record.warmup_requests + record.filler_requests
    assert (server.kind, server.reason) == ("vllm", None)
    assert server.requests_counted == server.requests_sent == all_roles
    assert server.output_tokens_counted == server.output_tokens_seen
    assert server.input_tokens_counted == server.input_tokens_seen
    assert server.readings >= 2
    assert (server.saturated, server.queue_peak, server.running_peak) == (True, 1, 1)
    assert codes(record) == set()


@pytest.mark.parametrize(
    ("script", "code"),
    [
        ({"metrics": {"extraRequests": 1}}, "OtherTraffic"),
        ({"metrics": {"tokenFactor": 3}}, "TokenCountMismatch"),
        ({"answer": {"cachedShare": 0.5}}, "PrefixCacheActive"),
    ],
)
def test_the_servers_metrics_tell_on_it(tmp_path: Path, script: dict[str, object], code: str) -> None:
    record = stage_of(tmp_path, script)
    assert code in codes(record)
    assert not record.valid


@pytest.mark.parametrize(("usage", "source"), [("as-asked", "Reported"), ("end", "Estimated")])
def test_tokens_per_chunk_are_asked_for_where_they_are_given(tmp_path: Path, usage: str, source: str) -> None:
    record = stage_of(tmp_path, {"answer": {"usage": usage}})
    assert record.tokens_per_chunk == source
    options = record.request_parameters["stream_options"]
    assert isinstance(options, dict)
    assert options.get("continuous_usage_stats", False) is (usage == "as-asked")


def test_too_few_items_are_refused_before_any_load(tmp_path: Path) -> None:
    done = bench(write_plan(tmp_path, "http://127.0.0.1:9", tasks=[TASK | {"limit": 7}]), tmp_path / "out")
    assert done.returncode == 4
    found = failure(tmp_path / "out")
    assert (found.blame.value, found.reason) == ("Measurement", "TooFewItems")


def test_a_bad_plan_is_one_line(tmp_path: Path) -> None:
    path = tmp_path / "plan.json"
    path.write_text("{}")
    done = bench(path, tmp_path / "out")
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "not a plan" in done.stderr


@pytest.mark.parametrize(
    ("url", "said"), [("foo", "is not a URL"), ("http://h:80/v1", "leave out /v1"), ("http://a..b", "is not a URL")]
)
def test_a_plan_with_a_bad_url_is_one_line(tmp_path: Path, url: str, said: str) -> None:
    done = bench(write_plan(tmp_path, url, "OpenAIChat"), tmp_path / "out")
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert said in done.stderr


def test_a_place_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    done = bench(write_plan(tmp_path, "http://127.0.0.1:9"), tmp_path / "file" / "out")
    assert done.returncode == 4
    assert done.stderr.count("\n") == 1
    assert "WriteFailed" in done.stderr


def test_the_machine_is_calibrated_once_where_the_plan_asks_for_it(tmp_path: Path) -> None:
    with truth_server() as server:
        plan = write_plan(tmp_path, server.url, "OpenAIChat", repeats=1, calibrateSeconds=5)
        assert bench(plan, tmp_path / "out").returncode == 0
        file = tmp_path / "out" / "calibration.json"
        found = CalibrationRecord.model_validate_json(file.read_bytes())
        written = file.stat().st_mtime_ns
        assert bench(plan, tmp_path / "out").returncode == 0
    assert found.advice
    assert (found.ttft_error_ms is None) == (found.rate_trusted is found.concurrency_trusted is None)
    assert file.stat().st_mtime_ns == written
