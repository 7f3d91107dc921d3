"""Each way a model server goes wrong: exit code, blame and reason, what is kept, and that no process stays."""

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.benchmarks import FIRST_STAGE, endpoint, write_benchmark
from tests.support.runs import run
from tests.support.servers import sport_server


@pytest.fixture
def good() -> Iterator[str]:
    with sport_server() as server:
        yield server.url


def test_a_run_without_faults_ends_as_its_stages_say(tmp_path: Path, good: str) -> None:
    ended = run(write_benchmark(tmp_path / "fine.yaml", [endpoint("a", good), endpoint("b", good)], rounds=2))
    stages = ended.records("a") + ended.records("b")
    # On a machine with others on it the client may truly be disturbed: then, and only then, the run is not valid.
    expected = {True: (0, "Succeeded"), False: (3, "Failed")}[all(stage.valid for stage in stages)]
    assert (ended.exit_code, ended.status["phase"]) == expected
    assert ended.err == ""
    assert ended.stages("a") == ended.stages("b") == ["first", "second"] * 2
    assert [launch.order for model in ended.results.models for launch in model.launches] == [0, 1, 1, 0]
    assert ended.results.completion_time is not None
    assert (ended.directory / "report.html").read_text().lower().startswith("<!doctype html>")
    assert "\x1b" not in ended.out


def test_the_key_of_an_endpoint_is_written_nowhere(tmp_path: Path, good: str) -> None:
    secret = "do-not-tell-anybody"
    file = write_benchmark(tmp_path / "key.yaml", [endpoint("a", good)])
    ended = run(file, before=f"import os; os.environ['PERBENCH_API_KEY'] = {secret!r}")
    assert ended.stages("a") == ["first", "second"]
    files = [path for path in ended.directory.rglob("*") if path.is_file()]
    assert len(files) > 5
    assert not [path for path in files if secret in path.read_text()]
    assert secret not in ended.out + ended.err


@pytest.mark.parametrize("closing", ["os.close(1)", "r, w = os.pipe(); os.close(r); os.dup2(w, 1)"])
def test_a_run_does_not_end_with_the_reader_of_its_output(tmp_path: Path, good: str, closing: str) -> None:
    file = write_benchmark(tmp_path / "quiet.yaml", [endpoint("a", good)])
    ended = run(file, before=f"import os; {closing}")
    assert ended.exit_code in {0, 3}
    assert ended.err == ""
    assert ended.stages("a") == ["first", "second"]


REASONS = {
    "exit": "TargetUnreachable",
    "refuse": "TargetUnreachable",
    "garbage": "AnswersMalformed",
    "bad-json": "AnswersMalformed",
    "half-chunk": "AnswersTruncated",
    "error-event": "TargetErrors",
    "too-many-requests": "TargetOverloaded",
    "unavailable": "TargetOverloaded",
}


@pytest.mark.parametrize(("fault", "reason"), REASONS.items())
def test_a_server_that_goes_wrong_fails_and_the_others_go_on(
    tmp_path: Path, good: str, fault: str, reason: str
) -> None:
    with sport_server(fault, after=FIRST_STAGE) as bad:
        ended = run(write_benchmark(tmp_path / "faulty.yaml", [endpoint("bad", bad.url), endpoint("good", good)]))
    assert (ended.exit_code, ended.failure) == (4, ("Target", reason, "bad"))
    assert ended.stages("bad") == ["first"]
    assert ended.stages("good") == ["first", "second"]
    assert f"failed: {reason} (Target)" in ended.out


def test_a_server_that_hangs_is_given_up_after_the_requests_time_limit(tmp_path: Path, good: str) -> None:
    shorter = "import perbench.planning as planning; planning.REQUEST_TIMEOUT_SECONDS = 5.0"
    with sport_server("silence", after=FIRST_STAGE) as bad:
        file = write_benchmark(tmp_path / "hangs.yaml", [endpoint("bad", bad.url), endpoint("good", good)])
        ended = run(file, before=shorter)
    assert (ended.exit_code, ended.failure) == (4, ("Target", "TargetNotAnswering", "bad"))
    assert ended.stages("bad") == ["first"]
    assert ended.stages("good") == ["first", "second"]


def test_an_endpoint_that_is_down_fails_before_any_load(tmp_path: Path, good: str) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{closed.getsockname()[1]}"
        ended = run(write_benchmark(tmp_path / "down.yaml", [endpoint("bad", url), endpoint("good", good)]))
    assert (ended.exit_code, ended.failure) == (4, ("Target", "TargetUnreachable", "bad"))
    assert ended.stages("bad") == []
    assert ended.stages("good") == ["first", "second"]


def test_a_server_without_token_counts_cannot_be_measured(tmp_path: Path, good: str) -> None:
    with sport_server("no-usage") as bad:
        ended = run(write_benchmark(tmp_path / "usage.yaml", [endpoint("bad", bad.url), endpoint("good", good)]))
    assert (ended.exit_code, ended.failure) == (4, ("Target", "NoTokenCounts", "bad"))


def test_a_model_that_failed_is_not_tried_again_in_later_rounds(tmp_path: Path, good: str) -> None:
    with sport_server("unavailable") as bad:
        file = write_benchmark(tmp_path / "rounds.yaml", [endpoint("bad", bad.url), endpoint("good", good)], rounds=2)
        ended = run(file)
    assert ended.exit_code == 4
    assert len(next(model for model in ended.results.models if model.name == "bad").launches) == 1
    assert ended.stages("good") == ["first", "second"] * 2


def test_a_load_generator_that_dies_is_to_blame_itself(tmp_path: Path, good: str) -> None:
    broken = "import perbench.local.bench_process as b; b.BENCH = ['-c', 'import sys; sys.exit(\"no more memory\")']"
    ended = run(write_benchmark(tmp_path / "bench.yaml", [endpoint("a", good)]), before=broken)
    assert (ended.exit_code, ended.failure) == (4, ("LoadGenerator", "BenchExited", "a"))
    assert "no more memory" in ended.out
