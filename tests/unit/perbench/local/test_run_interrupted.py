"""Ctrl-C, SIGTERM and SIGHUP at each stage: 130, no process stays, and the same command goes on."""

import contextlib
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from perbench_bench.truth import TruthProcess
from tests.support.benchmarks import FIRST_STAGE, endpoint, file_task, write_benchmark
from tests.support.processes import nothing_stays, perbench, wait_until
from tests.support.runs import Ended, run
from tests.support.servers import sport_server


@pytest.fixture
def stuck() -> Iterator[TruthProcess]:
    """A server that falls silent in the middle of the second stage, so that a signal finds the run there."""
    with sport_server("silence", after=FIRST_STAGE + 10) as server:
        yield server


@pytest.fixture
def good() -> Iterator[str]:
    with sport_server() as server:
        yield server.url


def goes_on(file: Path, before: Ended, model: str = "a") -> Ended:
    """Run again: the run ends, and what was recorded is not measured again."""
    recorded = {stage.key: stage.started_at for stage in before.records(model)}
    after = run(file)
    assert after.exit_code in {0, 3}
    assert after.results.run_id == before.results.run_id
    assert after.results.start_time == before.results.start_time
    assert after.stages(model) == ["first", "second"] * after.results.resolved.rounds
    measured = {stage.key: stage.started_at for stage in after.records(model)}
    assert {key: measured[key] for key in recorded} == recorded
    assert not after.results.interrupted
    return after


def test_before_anything_is_started(tmp_path: Path) -> None:
    file = tmp_path / "pipe.yaml"
    os.mkfifo(file)
    held: list[int] = []
    with nothing_stays(), perbench("run", file.name, cwd=tmp_path) as process:
        wait_until(lambda: has_reader(file, held), "the file is read")
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    os.close(*held)
    assert (process.returncode, out, err) == (130, "", "perbench: interrupted before anything was measured\n")


def has_reader(pipe: Path, held: list[int]) -> bool:
    """What it reads does not end while this is held."""
    with contextlib.suppress(OSError):
        held.append(os.open(pipe, os.O_WRONLY | os.O_NONBLOCK))
    return bool(held)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_while_measuring(tmp_path: Path, stuck: TruthProcess, number: signal.Signals) -> None:
    file = write_benchmark(tmp_path / "x.yaml", [endpoint("a", stuck.url)])
    stopped = run(file, stop_at="second: 32 requests", number=number)
    assert stopped.exit_code == 130
    assert stopped.stages("a") == ["first"]
    assert stopped.results.interrupted
    assert stopped.results.completion_time is None
    assert "interrupted: 1 of 2 stages are recorded and kept; continue with: perbench run x.yaml\n" in stopped.out
    conditions = stopped.status["conditions"]
    assert isinstance(conditions, list)
    assert {"Interrupted"} == {c["reason"] for c in conditions if c["type"] in {"LoadFinished", "Succeeded"}}
    assert (stopped.directory / "report.html").exists()
    stuck.recover()
    again = goes_on(file, stopped)
    assert "an unfinished run continues after its last finished stage" in again.out
    assert "first: 32 requests" not in again.out


def test_in_the_warm_up(tmp_path: Path, good: str) -> None:
    file = write_benchmark(tmp_path / "x.yaml", [endpoint("a", good)], load={"warmup": {"requests": 0, "seconds": 600}})
    stopped = run(file, stop_at="first: 32 requests", number=signal.SIGINT)
    assert stopped.exit_code == 130
    assert stopped.stages("a") == []


def test_between_two_launches(tmp_path: Path, good: str) -> None:
    file = write_benchmark(tmp_path / "x.yaml", [endpoint("a", good)], rounds=2)
    stopped = run(file, stop_at="round 1/2  a  done", number=signal.SIGINT)
    assert stopped.exit_code == 130
    assert stopped.stages("a") == ["first", "second"]
    goes_on(file, stopped)


SIGNAL_IN_WRITE = """
import os, signal
synchronise = os.fsync
def interrupted(descriptor):
    name = os.readlink(f"/proc/self/fd/{{descriptor}}")
    if "{name}" in name and os.path.isdir(os.path.dirname(name) + "/stages/a/0"):
        os.kill(os.getpid(), signal.SIGINT)
    synchronise(descriptor)
os.fsync = interrupted
"""


@pytest.mark.parametrize("name", ["results.json", "status.yaml", "report.html"])
def test_while_writing(tmp_path: Path, good: str, name: str) -> None:
    file = write_benchmark(tmp_path / "x.yaml", [endpoint("a", good)])
    stopped = run(file, before=SIGNAL_IN_WRITE.format(name=name))
    assert stopped.exit_code == 130
    assert stopped.stages("a") == ["first", "second"]
    assert not [path for path in stopped.directory.iterdir() if path.name.startswith(f".{name}")]
    goes_on(file, stopped)


def test_when_killed_outright_what_was_measured_is_kept(tmp_path: Path, stuck: TruthProcess) -> None:
    file = write_benchmark(tmp_path / "x.yaml", [endpoint("a", stuck.url)])
    killed = run(file, stop_at="second: 32 requests", number=signal.SIGKILL)
    assert killed.exit_code == -signal.SIGKILL
    stuck.recover()
    after = run(file)
    assert after.stages("a") == ["first", "second"]
    assert "first: 32 requests" not in after.out


def test_twice_in_a_row_it_still_leaves_nothing_behind(tmp_path: Path, stuck: TruthProcess) -> None:
    file = write_benchmark(tmp_path / "x.yaml", [endpoint("a", stuck.url)])
    with nothing_stays(), perbench("run", file.name, cwd=tmp_path) as process:
        assert process.stdout is not None
        while "second: 32" not in process.stdout.readline():
            pass
        for _ in range(3):
            process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "continue with" in out
    assert err == ""


def test_changed_questions_start_a_new_run(tmp_path: Path, stuck: TruthProcess) -> None:
    """The spec is the same, as it names only the file; figures of other questions must not be mixed in."""
    tasks = [file_task("first", tmp_path), file_task("second", tmp_path)]
    file = write_benchmark(tmp_path / "x.yaml", [endpoint("a", stuck.url)], tasks)
    stopped = run(file, stop_at="second: 32 requests", number=signal.SIGINT)
    questions = tmp_path / "first.jsonl"
    questions.write_text(questions.read_text().replace("Question 0", "Another question"))
    stuck.recover()
    after = run(file)
    assert f"the unfinished run moved to {stopped.results.run_id}, as it differs in task first" in after.out
    assert (after.directory / stopped.results.run_id / "results.json").exists()
    assert "first: 32 requests" in after.out


def test_a_finished_run_moves_aside(tmp_path: Path, good: str) -> None:
    file = write_benchmark(tmp_path / "x.yaml", [endpoint("a", good)])
    first = run(file).results
    second = run(file)
    assert f"the finished run moved to {first.run_id}" in second.out
    moved = second.directory / first.run_id
    assert {path.name for path in moved.iterdir()} == {
        "logs",
        "report.html",
        "results.json",
        "stages",
        "status.yaml",
        "work",
    }
    assert first.run_id == second.results.run_id
    assert first.start_time < second.results.start_time
    run(file)
    assert (second.directory / f"{first.run_id}-2" / "results.json").exists()
