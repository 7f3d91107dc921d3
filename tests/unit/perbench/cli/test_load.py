"""`perbench load` as a user types it."""

import json
import signal
import subprocess
import sys

import pytest

from perbench_bench.truth import truth_server
from tests.support.processes import Process
from tests.support.servers import sport_server

KEYS = {
    "requests", "errors", "duration_s", "request_rate", "output_tokens", "output_token_rate", "ttft_ms", "ttft_sent_ms",
    "itl_ms", "tpot_ms", "e2e_ms", "in_flight_mean", "client_error_ms", "cpu_ms_per_request", "peak_rss_mb", "valid",
    "invalid_reasons",
}  # fmt: skip


def load(url: str, *options: str, protocol: str = "tgi") -> subprocess.CompletedProcess[str]:
    arguments = {"--concurrency": "4", "--requests": "24", "--input-tokens": "40", "--output-tokens": "6"}
    arguments |= dict(zip(options[::2], options[1::2], strict=True))
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
        (("--rate", "3"), "--rate"),
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
