"""`execution.onModelFailure: Stop`: the run ends with the first model that fails, and says so of the others."""

from pathlib import Path

from tests.support.benchmarks import FIRST_STAGE, endpoint, write_benchmark
from tests.support.runs import run
from tests.support.servers import sport_server

STOP = {"onModelFailure": "Stop", "retries": 0}


def test_the_run_ends_with_the_first_model_that_fails(tmp_path: Path) -> None:
    with sport_server() as good, sport_server("refuse", after=FIRST_STAGE) as bad:
        models = [endpoint("later", good.url), endpoint("bad", bad.url), endpoint("never", good.url)]
        ended = run(write_benchmark(tmp_path / "stop.yaml", models, rounds=2, execution=STOP))
    assert (ended.exit_code, ended.failure) == (4, ("Target", "TargetUnreachable", "bad"))
    assert "not used on this machine: execution.retries\n" in ended.out
    assert ended.stages("later") == ["first", "second"]
    assert ended.stages("never") == []
    assert "never: not measured: bad failed (TargetUnreachable), and execution.onModelFailure is Stop\n" in ended.out
    reasons = {model.name: model.failure.reason for model in ended.results.models if model.failure}
    assert reasons == {"later": "RunStopped", "bad": "TargetUnreachable", "never": "RunStopped"}
    assert ended.results.completion_time is not None
    assert ended.status["phase"] == "Failed"
