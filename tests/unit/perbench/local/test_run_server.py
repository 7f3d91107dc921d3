"""`perbench run` with a model it starts itself: the packaged one, on a task of four short answers."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.benchmarks import endpoint, inline_task, write_benchmark
from tests.support.runs import run, when_said
from tests.support.servers import sport_server

PACKAGED = {"name": "local", "model": "packaged:smollm2-135m"}
LLAMA = {"runtime": "LlamaCpp", "args": ["-c", "512"]}
SMALL = (inline_task("first", 4, max_tokens=2), inline_task("second", 4, max_tokens=2))
ONE_AT_A_TIME = {"concurrency": 1, "api": "Chat"}


@pytest.fixture
def good() -> Iterator[str]:
    with sport_server() as server:
        yield server.url


def write(path: Path, *models: dict[str, object], serving: dict[str, object] | None = None) -> Path:
    return write_benchmark(path, models, SMALL, load=ONE_AT_A_TIME, serving=serving or LLAMA)


def test_a_model_is_started_measured_and_stopped(tmp_path: Path) -> None:
    ended = run(write(tmp_path / "x.yaml", PACKAGED))
    (model,) = ended.results.models
    assert ended.exit_code in {0, 3}
    assert (model.runtime, model.throughput_unit, model.substituted_for) == ("LlamaCpp", "server", None)
    assert model.runtime_version
    assert model.server_arguments["--ctx-size"] == 512
    assert model.source["sha256"]
    assert model.launches[0].ready_seconds is not None
    for stage in ended.records("local"):
        assert stage.memory is not None
        assert stage.memory.footprint_bytes is not None
        assert stage.memory.footprint_bytes > 50 * 1024 * 1024
        assert stage.use is not None
        assert stage.use.cpu_seconds is not None, stage.use.cpu_reason
        assert 0 < stage.use.cpu_seconds <= stage.window_seconds * (os.cpu_count() or 1) * 1.2
    assert "ready after" in ended.out
    assert (ended.directory / "logs" / "local.0.server.log").stat().st_size > 0
    everything = (ended.directory / "results.json").read_text()
    assert str(Path.home()) + "/" not in everything
    assert str(tmp_path) not in everything


def test_the_default_runtime_is_refused_and_its_substitute_recorded(tmp_path: Path) -> None:
    file = write(tmp_path / "x.yaml", PACKAGED, serving={"args": ["-c", "512"]})
    refused = run(file)
    assert refused.exit_code == 2
    assert "serving.runtime TGI cannot be started on this machine" in refused.err
    assert "--runtime LlamaCpp" in refused.err
    assert not refused.directory.exists()
    stopped = run(file, "--runtime", "LlamaCpp", stop_at="ready after", number=signal.SIGTERM)
    assert stopped.exit_code == 130
    assert stopped.results.models[0].substituted_for == "TGI"
    assert "continue with: perbench run x.yaml --runtime LlamaCpp\n" in stopped.out


KILL_SERVER = "os.kill(int(open(f'/proc/self/task/{os.getpid()}/children').read().split()[0]), 9)"
"""The oldest child of the command."""


def test_a_server_that_dies_is_to_blame_and_the_others_go_on(tmp_path: Path, good: str) -> None:
    tasks = (inline_task("first", 4, max_tokens=2), inline_task("second", 64, max_tokens=16))
    models = (PACKAGED, endpoint("good", good))
    file = write_benchmark(tmp_path / "x.yaml", models, tasks, load=ONE_AT_A_TIME, serving=LLAMA)
    ended = run(file, before=when_said("second: 64 requests", KILL_SERVER))
    assert ended.exit_code == 4
    assert ended.failure == ("Target", "ServerExited", "local")
    assert ended.stages("local") == ["first"]
    assert ended.stages("good") == ["first", "second"]


def test_a_model_that_cannot_be_loaded_fails_before_any_load(tmp_path: Path, good: str) -> None:
    (tmp_path / "broken.gguf").write_bytes(b"GGUF" + bytes(1000))
    broken = {"name": "broken", "model": "./broken.gguf"}
    ended = run(write(tmp_path / "x.yaml", broken, endpoint("good", good)))
    assert ended.exit_code == 4
    assert ended.failure == ("Target", "ServerExited", "broken")
    assert ended.stages("good") == ["first", "second"]


def test_interrupted_while_the_model_starts(tmp_path: Path) -> None:
    file = write(tmp_path / "x.yaml", PACKAGED)
    stopped = run(file, stop_at="starting", number=signal.SIGINT)
    assert stopped.exit_code == 130
    assert stopped.stages("local") == []
    assert "0 of 2 stages are recorded and kept" in stopped.out
    after = run(file)
    assert after.stages("local") == ["first", "second"]


def test_killed_outright_while_measuring_nothing_stays(tmp_path: Path) -> None:
    killed = run(write(tmp_path / "x.yaml", PACKAGED), stop_at="second: 4 requests", number=signal.SIGKILL)
    assert killed.exit_code == -signal.SIGKILL
