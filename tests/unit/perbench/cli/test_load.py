"""`perbench load` as a user types it."""

import json
import signal
import subprocess
import sys
from dataclasses import replace

import pytest

from perbench.api.load import Arrival
from perbench.api.models import Protocol
from perbench.failures import UsageError
from perbench.plan import ArrivalPlan, LoadPlan, Target
from perbench.results import Outcome
from perbench_bench.load import LoadRequest, refuse_too_large, requests_needed, too_many_errors
from perbench_bench.truth import truth_server
from tests.support.processes import Process
from tests.support.servers import sport_server

KEYS = {
    "requests", "errors", "duration_s", "request_rate", "output_tokens", "output_token_rate", "ttft_ms", "ttft_sent_ms",
    "itl_ms", "tpot_ms", "e2e_ms", "in_flight_mean", "client_error_ms", "cpu_ms_per_request", "peak_rss_mb", "valid",
    "invalid_reasons", "findings", "outcomes", "error_samples", "chunk_gap_ms", "tokens_per_chunk",
    "tokens_per_chunk_ratio", "input_length", "output_length", "stopped_by_length_percent", "server",
    "request_parameters",
}  # fmt: skip


def load(url: str, *options: str, protocol: str = "tgi") -> subprocess.CompletedProcess[str]:
    arguments = {"--concurrency": "4", "--requests": "24", "--input-tokens": "40", "--output-tokens": "6"}
    arguments |= dict(zip(options[::2], options[1::2], strict=True))
    if "--rate" in options and "--concurrency" not in options:
        del arguments["--concurrency"]
    flat = [part for pair in arguments.items() for part in pair]
    command = [sys.executable, "-c", "from perbench.cli import main; main()", "load", "--url", url, "--model", "m"]
    return subprocess.run(
        [*command, "--protocol", protocol, *flat, "--json"], capture_output=True, text=True, timeout=180, check=False
    )


@pytest.mark.parametrize("protocol", ["tgi", "openai", "openai-chat"])
def test_the_fixed_keys_and_what_they_count(protocol: str) -> None:
    with truth_server(record_prompts=60) as server:
        done = load(server.url, "--warmup", "8", protocol=protocol)
        record = server.record
    assert done.returncode in {0, 3}, done.stderr
    figures = json.loads(done.stdout)
    assert set(figures) >= KEYS
    assert (figures["requests"], figures["errors"]) == (24, 0)
    assert set(figures["ttft_ms"]) >= {"mean", "p50", "p90", "p95", "p99", "max"}
    assert figures["ttft_ms"]["p50"] is not None, "24 requests are enough for a median"
    assert figures["ttft_ms"]["p95"] is None, "and not for a 95th percentile"
    assert figures["request_rate"] * figures["duration_s"] == pytest.approx(24, abs=8)
    assert figures["output_token_rate"] == pytest.approx(6 * figures["request_rate"], rel=0.35)
    assert len(record) >= 24 + 8
    prompts = {prompt for prompt in record.prompt if len(prompt) > 20}
    assert len(prompts) > 24, "every prompt is another one"


def test_prompts_have_the_asked_for_length_by_the_servers_own_count() -> None:
    with truth_server() as server:
        done = load(server.url, "--input-tokens", "200")
    findings = json.loads(done.stdout)["findings"]
    assert "InputLengthMissed" not in {finding["code"] for finding in findings}


def test_duration_ends_it_before_the_requests_do() -> None:
    with truth_server() as server:
        done = load(server.url, "--requests", "100000", "--duration", "1")
    figures = json.loads(done.stdout)
    assert figures["duration_s"] == pytest.approx(1.0)
    assert 0 < figures["requests"] < 100_000


def test_an_absent_server_is_exit_4_with_json() -> None:
    done = load("http://127.0.0.1:9")
    assert done.returncode == 4
    figures = json.loads(done.stdout)
    assert set(figures) >= KEYS
    assert (figures["requests"], figures["valid"]) == (0, False)
    assert figures["invalid_reasons"] == ["TargetUnreachable", "NothingMeasured"]
    assert "TargetUnreachable" in done.stderr


def test_a_server_that_refuses_in_the_middle_is_exit_4_and_keeps_what_was_measured() -> None:
    with sport_server("error-event", after=40) as server:
        done = load(server.url, "--requests", "100", protocol="openai-chat")
    assert done.returncode == 4
    figures = json.loads(done.stdout)
    assert figures["errors"] > 0
    assert figures["requests"] > figures["errors"]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--requests", "15"), "--requests 15: at least four times --concurrency"),
        (("--concurrency", "0"), "--concurrency"),
        (("--concurrency", "4", "--rate", "3"), "--rate"),
        (("--duration", "inf"), "perbench: --duration inf: give a number of seconds"),
        (("--model", " "), "perbench: --model is empty"),
    ],
)
def test_bad_usage_is_exit_2(options: tuple[str, ...], said: str) -> None:
    done = load("http://127.0.0.1:9", *options)
    assert done.returncode == 2
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_a_bad_url_is_exit_2() -> None:
    done = load("127.0.0.1:9")
    assert done.returncode == 2
    assert "is not a URL" in done.stderr


def test_an_interruption_is_one_line_and_exit_130() -> None:
    with truth_server() as server:
        command = [sys.executable, "-c", "from perbench.cli import main; main()", "load", "--url", server.url]
        options = "--model m --protocol tgi --concurrency 2 --requests 100000 --input-tokens 8 --output-tokens 4"
        arguments = [*command, *options.split()]
        with Process(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
            while len(server.snapshot()) < 30:
                assert process.poll() is None
            process.send_signal(signal.SIGTERM)
            out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (130, "")
    assert err == "perbench: interrupted; there are figures only at the end of a load\n"


def test_too_many_failures_say_which_and_over_what_limit() -> None:
    faults = [{"kind": "error-event", "share": 0.05}]
    with truth_server({"faults": faults}) as server:
        done = load(server.url, "--requests", "100", protocol="openai")
    assert done.returncode == 4
    found = json.loads(done.stdout)
    outcomes = found["outcomes"]
    assert sum(outcomes.values()) == found["requests"]
    assert outcomes["ServerError"] == found["errors"] > 1
    assert found["error_samples"]["ServerError"]
    assert not found["valid"], "valid is what ends with 0"
    assert "TooManyErrors" in found["invalid_reasons"]
    [line] = done.stderr.splitlines()
    assert line.startswith(f"perbench: TooManyErrors: {found['errors']} of 100 requests failed")
    assert "more than 1 %" in line
    assert found["error_samples"]["ServerError"] in line


def test_what_was_not_sent_for_want_of_our_own_means_is_no_error_of_the_server() -> None:
    outcomes = {Outcome.SUCCESS: 55, Outcome.DROPPED: 5}
    assert too_many_errors(outcomes, {}, 5, 1.0) is None
    failure = too_many_errors(outcomes, {}, 2, 1.0)
    assert failure is not None
    assert failure.message == "3 of 58 requests failed (3 Dropped), more than 1 %"


def test_memory_does_not_grow_with_the_text_of_answers() -> None:
    """Nothing scores them. Each answer is 3 MiB and more."""
    with truth_server({"faults": [{"kind": "huge-chunks"}], "timing": {"firstMs": 1, "gapMs": 0}}) as server:
        few, many = (
            json.loads(load(server.url, "--concurrency", "1", "--requests", count, "--output-tokens", "3").stdout)
            for count in ("10", "60")
        )
    assert (few["errors"], many["errors"]) == (0, 0)
    assert many["peak_rss_mb"] < few["peak_rss_mb"] + 50, "as much as 17 answers"


def test_what_was_delivered_is_told_beside_what_was_asked_for() -> None:
    with truth_server({"answer": {"tokens": 3}}) as server:
        done = load(server.url, "--output-tokens", "100", "--input-tokens", "60")
    found = json.loads(done.stdout)
    assert found["output_length"] | {"p50": 3.0} == found["output_length"]
    assert (found["output_length"]["asked"], found["output_length"]["mean"]) == (100, 3.0)
    assert (found["input_length"]["asked"], found["input_length"]["mean"]) == (60, pytest.approx(60, abs=3))
    assert found["stopped_by_length_percent"] == 0.0
    assert "OutputLengthUnmet" in {finding["code"] for finding in found["findings"]}
    assert found["server"]["kind"] == "vllm", "by the names of its metrics"
    assert found["server"]["requests_counted"] >= 24
    assert found["request_parameters"]["parameters"]["max_new_tokens"] == 100


def test_bundled_tokens_leave_the_gaps_between_chunks() -> None:
    script = {"answer": {"tokensPerChunk": 4, "usage": "end"}}
    with truth_server(script) as server:
        done = load(server.url, "--output-tokens", "16", protocol="openai")
    found = json.loads(done.stdout)
    assert found["itl_ms"]["mean"] is None
    assert found["chunk_gap_ms"]["p50"] >= 4.0
    assert (found["tokens_per_chunk"], found["tokens_per_chunk_ratio"]) == ("Estimated", 4.0)
    assert "TokensBundled" in {finding["code"] for finding in found["findings"]}


@pytest.mark.parametrize("loop", [("--concurrency", "4"), ("--rate", "40")])
def test_more_requests_than_the_duration_can_need_are_not_waited_for(loop: tuple[str, str]) -> None:
    with truth_server() as server:
        done = load(server.url, "--requests", "10000000", "--duration", "1", "--input-tokens", "500", *loop)
    assert done.returncode in {0, 3}, done.stderr
    figures = json.loads(done.stdout)
    assert figures["duration_s"] == pytest.approx(1.0)
    assert 4 < figures["requests"] < 10_000


def test_more_requests_than_memory_has_room_for_are_refused() -> None:
    plan = LoadPlan(concurrency=4, max_seconds=60)
    target = Target(url="http://h", protocol=Protocol.TGI, model="m")
    request = LoadRequest(target, plan, requests=10_000_000, input_tokens=8, output_tokens=8)
    refuse_too_large(request, 10_000_000, bytes_left=64 * 10**9)
    refuse_too_large(request, 10_000_000, bytes_left=None)
    with pytest.raises(UsageError, match=r"^--requests 10000000: their figures need about 10 GB of memory, and 4 GB"):
        refuse_too_large(request, 10_000_000, bytes_left=4 * 10**9)
    for_a_while = replace(request, duration_seconds=10.0)
    assert requests_needed(for_a_while) == 200_000, "no more are sent in ten seconds"
    refuse_too_large(for_a_while, 200_000, bytes_left=4 * 10**9)


def test_of_an_open_loop_those_that_are_due_are_needed() -> None:
    plan = LoadPlan(arrivals=ArrivalPlan(rate=40, process=Arrival.CONSTANT), max_seconds=60)
    target = Target(url="http://h", protocol=Protocol.TGI, model="m")
    request = LoadRequest(target, plan, 10_000_000, 8, 8, duration_seconds=1.01)
    assert requests_needed(request) == 41, "and one more, so that time ends the window"
    assert requests_needed(replace(request, requests=30)) == 30
    assert requests_needed(replace(request, duration_seconds=None)) == 10_000_000
