"""`perbench-bench --attempt N` as a process: a truth server as the model, a double of the API for its objects."""

import asyncio
import base64
import json
import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from perbench.objects.budget import RESERVE
from perbench.objects.progress import KEY, BenchProgress, BenchState, read_progress
from perbench.objects.results import BUDGET, ModelObject, read_object
from perbench.plan import Plan
from perbench.resources import MemoryOrigin, MemoryQuality
from perbench.results import Outcome
from perbench_bench.cluster_mode import ClusterRun
from perbench_bench.config_maps import ConfigMaps
from perbench_bench.main import read_plan
from perbench_bench.truth import truth_server
from tests.support.config_map_api import NAMESPACE, Asked, ConfigMapApi, config_map_api
from tests.support.exposition import scrape
from tests.support.hub import Repository, hub
from tests.support.model_configs import LLAMA_3_8B, LLAMA_3_8B_TOKEN
from tests.support.processes import Process, patiently, wait_until
from tests.support.servers import sport_server

ITEMS = [{"input": f"question {i}", "answers": ["tok"] if i % 2 else ["other"]} for i in range(12)]
TASK = {"name": "words", "dataset": {"inline": ITEMS, "scoring": {"scorer": "Contains"}}, "limit": 8, "maxTokens": 4}
PLACE = {
    "namespace": NAMESPACE, "benchmark": "shop", "runtime": "TGI", "progress": "progress", "results": "results",
    "replicas": 1, "healthPath": "/health", "readySeconds": 30, "lingerSeconds": 0, "metricsPort": 0,
}  # fmt: skip

LIMITS = (
    "perbench_bench.metrics_watch.TIMEOUT_SECONDS", "perbench_bench.memory_replicas.TIMEOUT_SECONDS",
    "perbench_bench.memory_replicas.SHIFT_SECONDS", "perbench_bench.cluster_mode.FAREWELL_SECONDS",
    "perbench_bench.cluster_mode.HUB_SECONDS",
)  # fmt: skip
"""What a bench pod is given to wait for others."""


@pytest.fixture
def api(tmp_path: Path) -> Iterator[ConfigMapApi]:
    with config_map_api(tmp_path / "account") as double:
        double.create("progress")
        double.create("results")
        yield double


def write_plan(
    tmp_path: Path,
    url: str,
    protocol: str = "TGI",
    place: dict[str, Any] | None = None,
    seconds: float = 60,
    **changes: Any,
) -> Path:
    """`seconds`: for one request."""
    document = {
        "runId": "0123456789", "model": "m", "round": 0, "repeats": 2, "tasks": [TASK],
        "target": {"url": url, "protocol": protocol, "model": "m"},
        "load": {
            "concurrency": 2, "maxSeconds": 60, "warmup": {"requests": 2, "seconds": 0},
            "requestTimeoutSeconds": seconds,
        },
        "cluster": PLACE | (place or {}),
    } | changes  # fmt: skip
    path = tmp_path / "plan.json"
    path.write_text(Plan.model_validate(document).to_json())
    return path


def command(plan: Path, api: ConfigMapApi, attempt: int = 0, limits: tuple[str, ...] = LIMITS) -> list[str]:
    options = ["--attempt", str(attempt), "--service-account", str(api.folder)]
    return [*patiently("perbench_bench.main", *limits), str(plan), *options]


def environment(api: ConfigMapApi) -> dict[str, str]:
    return {**os.environ, **api.environment, "HF_HUB_OFFLINE": "1"}


def bench(plan: Path, api: ConfigMapApi, attempt: int = 0, **variables: str) -> subprocess.CompletedProcess[str]:
    environ = environment(api) | variables
    return subprocess.run(
        command(plan, api, attempt), env=environ, capture_output=True, text=True, timeout=300, check=False
    )


def said(api: ConfigMapApi) -> BenchProgress:
    found = read_progress(api.objects["progress"].get("data"))
    assert found is not None
    return found


def results(api: ConfigMapApi) -> ModelObject:
    found = read_object(api.objects["results"].get("binaryData"))
    assert found.unreadable == ()
    return found


def states(api: ConfigMapApi) -> list[BenchState]:
    """The states that were written, in order."""
    found = [read_progress(asked.body["data"]) for asked in api.asked if asked.body and "data" in asked.body]
    states = [progress.state for progress in found if progress is not None]
    return [state for number, state in enumerate(states) if states[number - 1 : number] != [state]]


def failure(api: ConfigMapApi) -> tuple[str, str]:
    progress = said(api)
    assert progress.state is BenchState.FAILED
    assert progress.failure is not None
    assert "\n" not in progress.failure.message
    return progress.failure.blame.value, progress.failure.reason


@pytest.mark.parametrize("protocol", ["TGI", "OpenAIChat", "OpenAI"])
def test_every_stage_is_recorded_before_it_is_told(tmp_path: Path, api: ConfigMapApi, protocol: str) -> None:
    with truth_server() as server:
        done = bench(write_plan(tmp_path, server.url, protocol), api)
        requests = len(server.record)
    assert done.returncode == 0, done.stderr
    assert states(api) == [BenchState.WAITING, BenchState.MEASURING, BenchState.FINISHED]
    final, held = said(api), results(api)
    assert (final.recorded, final.attempt, final.failure) == (2, 0, None)
    assert final.first_request_at is not None
    assert [stage.key for stage in held.stages[0]] == [("words", 0, 0), ("words", 0, 1)]
    assert final.first_request_at >= held.stages[0][0].started_at
    assert [task.name for task in held.tasks] == ["words"]
    assert list(held.facts) == [0]
    assert held.facts[0].warnings == ()
    stage = held.stages[0][0]
    assert set(stage.requests.outcome) == {Outcome.SUCCESS}
    assert "tok" in (stage.requests.answer[0] or "")
    sent = sum(8 + stage.warmup_requests + stage.filler_requests for stage in held.stages[0])
    by_the_hubs_client = 0 if protocol == "OpenAI" else 1
    assert requests >= sent + 1 + by_the_hubs_client
    told = [
        progress.recorded
        for asked in api.asked
        if asked.body and "data" in asked.body and (progress := read_progress(asked.body["data"]))
    ]
    writes = [asked for asked in api.asked if asked.method == "PATCH"]
    kept = [
        number for number, asked in enumerate(writes) if "stage.0.words.0" in str((asked.body or {}).get("binaryData"))
    ]
    first_told = next(
        n for n, a in enumerate(writes) if a.body and '"recorded":1' in a.body.get("data", {}).get(KEY, "")
    )
    assert kept[0] < first_told
    assert told == sorted(told)


def test_a_later_attempt_measures_only_what_is_missing(tmp_path: Path, api: ConfigMapApi) -> None:
    with truth_server() as server:
        plan = write_plan(tmp_path, server.url)
        assert bench(plan, api).returncode == 0
        first = api.objects["results"]["binaryData"]["stage.0.words.0"]
        api.patch("results", {"binaryData": {"stage.0.words.1": None}})
        assert bench(plan, api, attempt=1).returncode == 0
        assert api.objects["results"]["binaryData"]["stage.0.words.0"] == first
        assert len(results(api).stages[0]) == 2
        assert (said(api).attempt, said(api).recorded) == (1, 2)
        before = len(server.snapshot())
        assert bench(plan, api, attempt=2).returncode == 0
        assert len(server.snapshot()) == before, "all recorded: the server is not even asked"
    assert (said(api).attempt, said(api).state) == (2, BenchState.FINISHED)


def test_an_earlier_attempt_says_nothing_once_a_later_one_has(tmp_path: Path, api: ConfigMapApi) -> None:
    later = BenchProgress(round=0, attempt=1, state=BenchState.MEASURING, recorded=0, updated_at=datetime.now(UTC))
    api.patch("progress", {"data": later.data()})
    with truth_server() as server:
        done = bench(write_plan(tmp_path, server.url), api)
        assert len(server.record) == 0
    assert done.returncode == 4
    assert "attempt 1 has taken over" in done.stderr
    assert said(api) == later
    assert "binaryData" not in api.objects["results"]


def test_a_stage_of_an_attempt_that_was_replaced_is_not_kept(tmp_path: Path, api: ConfigMapApi) -> None:
    later = BenchProgress(round=0, attempt=1, state=BenchState.WAITING, recorded=0, updated_at=datetime.now(UTC))

    def as_it_measures(_asked: Asked) -> bool:
        """The later attempt is there before the first thing that is asked once it measures."""
        if said_so(api, BenchState.MEASURING):
            api.merge("progress", {"data": later.data()})
        return False

    api.away = as_it_measures
    with truth_server({"timing": {"firstMs": 100}}) as server:
        done = bench(write_plan(tmp_path, server.url), api)
    assert done.returncode == 4
    assert "attempt 1 has taken over" in done.stderr
    assert said(api) == later
    assert results(api).stages == {}


def said_so(api: ConfigMapApi, state: BenchState) -> bool:
    found = read_progress(api.objects["progress"].get("data"))
    return found is not None and found.state is state


def test_a_model_that_does_not_get_ready(tmp_path: Path, api: ConfigMapApi) -> None:
    began = time.monotonic()
    done = bench(write_plan(tmp_path, "http://127.0.0.1:9", place={"readySeconds": 1.5}), api)
    assert done.returncode == 0
    assert failure(api) == ("Target", "NotReady")
    assert time.monotonic() - began > 1.5


def test_a_name_that_is_never_known(tmp_path: Path, api: ConfigMapApi) -> None:
    done = bench(write_plan(tmp_path, "http://no-such-model.invalid:80", place={"readySeconds": 0.1}), api)
    assert done.returncode == 0
    assert failure(api) == ("Target", "NotReady")


def test_too_few_replicas(tmp_path: Path, api: ConfigMapApi) -> None:
    with truth_server() as server:
        done = bench(write_plan(tmp_path, server.url, place={"readySeconds": 0.1, "replicas": 2}), api)
    assert done.returncode == 0
    assert failure(api) == ("Target", "NotReady")
    assert "1 of 2 addresses" in str(said(api).failure)


@pytest.mark.parametrize("protocol", ["TGI", "OpenAIChat", "OpenAI"])
def test_a_wedged_server_is_healthy_and_gives_no_answer(tmp_path: Path, api: ConfigMapApi, protocol: str) -> None:
    with sport_server("silence") as server:
        done = bench(write_plan(tmp_path, server.url, protocol, seconds=2), api)
    assert done.returncode == 0
    assert failure(api) == ("Target", "NoAnswer")
    assert "within 2 s" in str(said(api).failure)


def test_a_server_that_never_counts_tokens(tmp_path: Path, api: ConfigMapApi) -> None:
    with sport_server("no-usage") as server:
        bench(write_plan(tmp_path, server.url, "OpenAIChat"), api)
    assert failure(api) == ("Target", "NoTokenCounts")


def test_a_server_that_goes_away_in_the_second_stage_leaves_the_first(tmp_path: Path, api: ConfigMapApi) -> None:
    with sport_server("exit", after=20) as server:
        done = bench(write_plan(tmp_path, server.url, "OpenAI", tasks=[TASK | {"limit": 12}]), api)
    assert done.returncode == 0, done.stderr
    assert failure(api) == ("Target", "TargetUnreachable")
    assert said(api).recorded == len(results(api).stages[0]) == 1


def test_too_few_items_are_recorded_before_any_load(tmp_path: Path, api: ConfigMapApi) -> None:
    assert bench(write_plan(tmp_path, "http://127.0.0.1:9", tasks=[TASK | {"limit": 7}]), api).returncode == 0
    assert failure(api) == ("Measurement", "TooFewItems")


def test_a_bad_plan_is_recorded_before_any_load(tmp_path: Path, api: ConfigMapApi) -> None:
    assert bench(write_plan(tmp_path, "http://127.0.0.1:9/v1", "OpenAI"), api).returncode == 0
    assert failure(api) == ("Measurement", "PlanRefused")


def test_items_that_changed_since_the_former_attempt_end_it(tmp_path: Path, api: ConfigMapApi) -> None:
    assert bench(write_plan(tmp_path, "http://127.0.0.1:9", tasks=[TASK | {"limit": 7}]), api).returncode == 0
    assert (
        bench(write_plan(tmp_path, "http://127.0.0.1:9", tasks=[TASK | {"limit": 6}]), api, attempt=1).returncode == 0
    )
    assert failure(api) == ("Measurement", "TasksDiffer")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interruption_drops_the_stage_and_marks_nothing_as_failed(
    tmp_path: Path, api: ConfigMapApi, number: signal.Signals
) -> None:
    with truth_server({"faults": [{"kind": "silence", "after": 8}]}) as server:  # the stage does not end by itself
        plan = write_plan(tmp_path, server.url)
        with Process(command(plan, api), env=environment(api)) as process:
            wait_until(lambda: said_so(api, BenchState.MEASURING), "it measures")
            wait_until(lambda: said(api).first_request_at is not None, "its load has begun")
            process.send_signal(number)
            assert process.wait(timeout=60) == 130
    assert (said(api).state, said(api).message, said(api).failure) == (BenchState.MEASURING, "interrupted", None)
    assert results(api).stages == {}


def test_an_interruption_does_not_wait_for_an_api_that_is_away(tmp_path: Path, api: ConfigMapApi) -> None:
    plan = write_plan(tmp_path, "http://127.0.0.1:9", place={"readySeconds": 600})
    with Process(command(plan, api, limits=()), env=environment(api), stderr=subprocess.DEVNULL) as process:
        wait_until(lambda: said_so(api, BenchState.WAITING), "it waits")
        api.faults = [503] * 10_000
        process.terminate()
        assert process.wait(timeout=90) == 130, "it would be tried for half an hour"
    assert said(api).state is BenchState.WAITING


@contextmanager
def running(plan: Path, api: ConfigMapApi, attempt: int = 0) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """A pod that shows its metrics, and at which port."""
    with Process(command(plan, api, attempt), env=environment(api), stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        line = process.stderr.readline()
        assert "metrics at port" in line
        try:
            yield process, int(line.split()[-1])
        finally:
            process.terminate()
            process.communicate(timeout=60)


def test_metrics_are_shown_from_the_first_moment_to_the_last(tmp_path: Path, api: ConfigMapApi) -> None:
    memory = {"sidecarPort": 9}  # nobody answers there
    with truth_server({"timing": {"firstMs": 20}}) as server:
        os.kill(server.pid, signal.SIGSTOP)  # not ready before the first scrape
        plan = write_plan(tmp_path, server.url, place={"lingerSeconds": 3600, "readySeconds": 300}, memory=memory)
        with running(plan, api) as (process, port):
            wait_until(lambda: said_so(api, BenchState.WAITING), "it waits")
            first = scrape(port)
            os.kill(server.pid, signal.SIGCONT)
            assert first.one("perbench_progress_ratio", task="words") == 0
            about = {"run_id": "0123456789", "round": "0", "attempt": "0", "runtime": "TGI"}
            whose = {"benchmark_namespace": NAMESPACE, "benchmark": "shop", "model": "m"}
            assert first.one("perbench_run_info", **about, **whose) == 1
            wait_until(lambda: said_so(api, BenchState.FINISHED), "it has finished")
            last = scrape(port)
            process.terminate()
            assert process.wait(timeout=60) == 0
    stages = results(api).stages[0]
    sent = sum(8 + stage.warmup_requests + stage.filler_requests for stage in stages)
    assert sum(last.of("perbench_requests_total", task="words", **whose).values()) == sent
    assert last.one("perbench_time_to_first_token_seconds_count", task="words") == 16
    assert last.one("perbench_progress_ratio", task="words") == 1
    scores = [score for stage in stages for score in stage.requests.score if score is not None]
    assert last.one("perbench_accuracy_ratio", task="words") == sum(scores) / len(scores)
    assert not [name for name, _ in last.values if "memory" in name], "nobody answered: there is nothing to show"


def test_a_later_attempt_shows_what_is_done_and_counts_only_what_it_sends(tmp_path: Path, api: ConfigMapApi) -> None:
    with truth_server() as server:
        assert bench(write_plan(tmp_path, server.url), api).returncode == 0
        api.patch("results", {"binaryData": {"stage.0.words.1": None}})
        plan = write_plan(tmp_path, server.url, place={"lingerSeconds": 3600})
        with running(plan, api, attempt=1) as (_, port):
            wait_until(lambda: said(api).attempt == 1 and said_so(api, BenchState.FINISHED), "it has finished")
            found = scrape(port)
    assert found.one("perbench_progress_ratio", task="words") == 1
    assert found.one("perbench_request_duration_seconds_count", task="words") == 8
    assert found.one("perbench_accuracy_ratio", task="words") == 0.5


def test_a_port_that_cannot_be_had_is_a_warning(tmp_path: Path, api: ConfigMapApi) -> None:
    with truth_server() as server, socket.create_server(("", 0)) as taken:
        port = taken.getsockname()[1]
        done = bench(write_plan(tmp_path, server.url, repeats=1, place={"metricsPort": port}), api)
    assert done.returncode == 0, done.stderr
    assert results(api).facts[0].warnings == (f"no metrics: port {port}: Address already in use",)


def test_lingering_ends_with_the_pod(tmp_path: Path, api: ConfigMapApi) -> None:
    with truth_server() as server:
        plan = write_plan(tmp_path, server.url, place={"lingerSeconds": 3600}, repeats=1)
        with Process(command(plan, api), env=environment(api)) as process:
            wait_until(lambda: said_so(api, BenchState.FINISHED), "it has finished")
            assert process.poll() is None
            process.terminate()
            assert process.wait(timeout=60) == 0
    assert said(api).state is BenchState.FINISHED


@pytest.mark.parametrize(("name", "said_of_it"), [("progress", "HTTP 403"), ("results", "HTTP 403")])
def test_an_object_that_may_not_be_written_is_one_line(
    tmp_path: Path, api: ConfigMapApi, name: str, said_of_it: str
) -> None:
    api.forbidden = {name}
    done = bench(write_plan(tmp_path, "http://127.0.0.1:9"), api)
    assert said_of_it in done.stderr
    assert "Traceback" not in done.stderr
    if name == "progress":
        assert done.returncode == 4
    else:
        assert done.returncode == 0
        assert failure(api) == ("Infrastructure", "ApiRefused")


def test_an_api_that_fails_now_and_then_costs_nothing(tmp_path: Path, api: ConfigMapApi) -> None:
    api.faults = [500, 429]
    with truth_server() as server:
        done = bench(write_plan(tmp_path, server.url, repeats=1), api)
    assert done.returncode == 0
    assert said(api).state is BenchState.FINISHED
    assert len(results(api).stages[0]) == 1


def attempt(plan: Path, api: ConfigMapApi, number: int, patience: float) -> int:
    """An attempt in this process, which does not wait long for an answer; its exit code."""

    async def run() -> int:
        document = read_plan(plan)
        assert document.cluster is not None
        maps = ConfigMaps(api.access, NAMESPACE, 0.2)
        return await ClusterRun(document, plan.parent, document.cluster, number, maps, patience).run()

    return asyncio.run(run())


def is_a_stage(asked: Asked) -> bool:
    return "stage." in str((asked.body or {}).get("binaryData"))


def test_a_stage_outlasts_an_api_that_is_away_when_it_ends(
    tmp_path: Path, api: ConfigMapApi, capsys: pytest.CaptureFixture[str]
) -> None:
    left = iter(range(4))
    gone: list[Asked] = []

    def away(asked: Asked) -> bool:
        """From when the first stage is to be stored, for four requests."""
        if is_a_stage(asked):
            gone.append(asked)
        return bool(gone) and next(left, None) is not None

    api.away = away
    with truth_server() as server:
        assert attempt(write_plan(tmp_path, server.url), api, 0, patience=60) == 0
    assert said(api).state is BenchState.FINISHED
    assert len(results(api).stages[0]) == 2
    assert "not stored yet: the API server did not answer" in capsys.readouterr().err


def test_an_attempt_that_gives_the_api_up_marks_nothing_as_failed_and_the_next_goes_on(
    tmp_path: Path, api: ConfigMapApi, capsys: pytest.CaptureFixture[str]
) -> None:
    stages: list[Asked] = []

    def away(asked: Asked) -> bool:
        """From when the second stage is to be stored."""
        if is_a_stage(asked):
            stages.append(asked)
        return len(stages) > 1

    api.away = away
    with truth_server() as server:
        plan = write_plan(tmp_path, server.url)
        assert attempt(plan, api, 0, patience=0.5) == 4
        assert "not recorded: ApiUnavailable" in capsys.readouterr().err
        assert said(api).state is BenchState.MEASURING
        first = api.objects["results"]["binaryData"]["stage.0.words.0"]
        api.away = lambda _asked: False
        assert attempt(plan, api, 1, patience=60) == 0
    assert api.objects["results"]["binaryData"]["stage.0.words.0"] == first
    assert (said(api).state, said(api).recorded) == (BenchState.FINISHED, 2)


def test_the_machine_is_calibrated_while_the_model_starts(tmp_path: Path, api: ConfigMapApi) -> None:
    with truth_server() as server:
        done = bench(write_plan(tmp_path, server.url, repeats=1, calibrateSeconds=5), api)
    assert done.returncode == 0, done.stderr
    assert states(api)[0] is BenchState.CALIBRATING
    assert states(api)[1] is BenchState.WAITING
    assert list(results(api).calibrations) == [0]
    assert results(api).calibrations[0].advice


def test_an_interruption_does_not_wait_for_the_calibration(tmp_path: Path, api: ConfigMapApi) -> None:
    plan = write_plan(tmp_path, "http://127.0.0.1:9", calibrateSeconds=120)
    with Process(command(plan, api), env=environment(api)) as process:
        wait_until(lambda: said_so(api, BenchState.CALIBRATING), "it calibrates")
        time.sleep(0.5)
        process.terminate()
        assert process.wait(timeout=60) == 130
    assert (said(api).state, said(api).message) == (BenchState.CALIBRATING, "interrupted")


def test_an_endpoint_is_not_waited_for(tmp_path: Path, api: ConfigMapApi) -> None:
    place = {"replicas": 0, "healthPath": None}
    assert bench(write_plan(tmp_path, "http://127.0.0.1:9", place=place), api).returncode == 0
    assert failure(api) == ("Target", "TargetUnreachable")


def test_memory_is_read_in_the_models_pod(tmp_path: Path, api: ConfigMapApi) -> None:
    proc = tmp_path / "proc"
    proc.mkdir()
    patient = patiently("perbench_bench.memory_sidecar", "perbench_bench.cpu_series.LONGEST_GAP_SECONDS")
    reader = [*patient, "--port", "0", "--proc", str(proc)]
    with truth_server() as server, Process(reader, stderr=subprocess.PIPE, text=True) as sidecar:
        assert sidecar.stderr is not None
        port = int(sidecar.stderr.readline().split()[-1])
        (proc / str(server.pid)).symlink_to(f"/proc/{server.pid}")
        done = bench(write_plan(tmp_path, server.url, memory={"sidecarPort": port}), api)
        sidecar.terminate()
    assert done.returncode == 0, done.stderr
    for stage in results(api).stages[0]:
        assert stage.memory is not None
        assert stage.memory.reason is None
        assert stage.memory.footprint_bytes is not None
        assert stage.memory.footprint_bytes > 5 * 1024 * 1024
        assert stage.use is not None
        assert stage.use.cpu_seconds is not None, stage.use.cpu_reason
        assert "perbench-memory beside the server" in (stage.use.cpu_source or "")


def test_a_memory_reader_that_is_not_there_is_a_reason_and_no_failure(tmp_path: Path, api: ConfigMapApi) -> None:
    with truth_server() as server:
        assert bench(write_plan(tmp_path, server.url, repeats=1, memory={"sidecarPort": 9}), api).returncode == 0
    memory, use = results(api).stages[0][0].memory, results(api).stages[0][0].use
    assert memory is not None
    assert use is not None
    assert (memory.footprint_bytes, memory.reserved_bytes) == (None, None)
    assert "does not answer" in (memory.reason or "")
    assert (use.cpu_seconds, use.cpu_reason) == (None, memory.reason)


def test_metrics_of_pods_are_asked_for_beside_a_memory_reader_that_is_not_there(
    tmp_path: Path, api: ConfigMapApi
) -> None:
    """With the account of the bench pod. A stage as short as this one has no figure, and both reasons."""
    api.pod_metrics = lambda pod: (403, {"message": f'pods.metrics.k8s.io "{pod}" is forbidden'})
    pods = {"namespace": NAMESPACE, "pods": ["server-1"], "container": "model"}
    with truth_server() as server:
        plan = write_plan(tmp_path, server.url, repeats=1, memory={"sidecarPort": 9, "podMetrics": pods})
        done = bench(plan, api)
    assert done.returncode == 0, done.stderr
    memory = results(api).stages[0][0].memory
    assert memory is not None
    assert (memory.footprint_bytes, memory.origin) == (None, MemoryOrigin.PROCESSES)
    first, second = (memory.reason or "").split("; metrics.k8s.io: ")
    assert "does not answer" in first
    assert second.startswith('server-1: HTTP 403 pods.metrics.k8s.io "server-1" is forbidden; 0 samples lie within')


DEVICE = {"device": {"accelerators": 1}}


def test_memory_of_accelerators_is_computed_from_what_the_hub_has(tmp_path: Path, api: ConfigMapApi) -> None:
    files = {"config.json": json.dumps(LLAMA_3_8B).encode(), "model.safetensors": bytes(1000)}
    with truth_server() as server, hub({"org/name": Repository(files)}) as endpoint:
        plan = write_plan(tmp_path, server.url, "OpenAI", repeats=1, memory=DEVICE, hubModel={"id": "org/name"})
        done = bench(plan, api, HF_HUB_OFFLINE="0", HF_ENDPOINT=endpoint)
    assert done.returncode == 0, done.stderr
    memory = results(api).stages[0][0].memory
    assert memory is not None
    assert (memory.origin, memory.quality) == (MemoryOrigin.DEVICE, MemoryQuality.MODELLED)
    assert memory.weights_bytes == 1000
    assert memory.kv_used_tokens
    assert memory.footprint_bytes == 1000 + memory.kv_used_tokens * LLAMA_3_8B_TOKEN


def test_memory_of_accelerators_without_a_source_is_a_reason_and_no_failure(tmp_path: Path, api: ConfigMapApi) -> None:
    with truth_server() as server:
        assert bench(write_plan(tmp_path, server.url, repeats=1, memory=DEVICE), api).returncode == 0
    memory = results(api).stages[0][0].memory
    assert memory is not None
    assert (memory.footprint_bytes, memory.reserved_bytes) == (None, None)
    assert "the model's files are not at the hub" in (memory.reason or "")


def test_results_that_do_not_fit_leave_what_is_stored(tmp_path: Path, api: ConfigMapApi) -> None:
    room = base64.b64encode(random.Random(1).randbytes(BUDGET - RESERVE - 2500)).decode()
    api.create("results", binaryData={"stage.0.words.9": room})
    with truth_server() as server:
        done = bench(write_plan(tmp_path, server.url, repeats=3), api)
    assert done.returncode == 0
    assert failure(api) == ("Measurement", "ResultsTooLarge")
    assert api.objects["results"]["binaryData"]["stage.0.words.9"] == room
    assert 0 < said(api).recorded < 3


def test_a_model_of_the_hub_that_cannot_be_asked_is_a_warning(tmp_path: Path, api: ConfigMapApi) -> None:
    with truth_server() as server:
        plan = write_plan(tmp_path, server.url, repeats=1, hubModel={"id": "org/name", "revision": "abc"})
        assert bench(plan, api).returncode == 0
    facts = results(api).facts[0]
    assert facts.source == {"kind": "Hub", "model": "org/name", "revision": "abc"}
    assert any("HF_HUB_OFFLINE" in warning for warning in facts.warnings)
    assert said(api).state is BenchState.FINISHED


def test_the_two_ways_of_ending_are_not_mixed(tmp_path: Path, api: ConfigMapApi) -> None:
    plan = write_plan(tmp_path, "http://127.0.0.1:9")
    done = subprocess.run(
        [sys.executable, "-m", "perbench_bench.main", str(plan), "--output", str(tmp_path / "out")],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert "give --attempt for a plan with `cluster`" in done.stderr
    assert api.asked == []
