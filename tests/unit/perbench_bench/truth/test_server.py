"""The truth server as a process: its record is what a bare client sees, and everything about it ends by itself."""

import asyncio
import http.client
import json
import os
import signal
import socket
import ssl
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import uvloop
from numpy.typing import NDArray

from perbench.api.models import Protocol
from perbench.failures import RunError, UsageError
from perbench_bench.truth import Script, TruthProcess, truth_server
from perbench_bench.truth.queueing import mean_wait
from perbench_bench.truth.reading import Record
from tests.bench.bare_client import Seen, ask_for, closed_loop, open_loop
from tests.support.processes import nothing_stays, wait_until
from tests.support.quiet import compared

TLS = Path(__file__).parents[3] / "golden" / "tls"


def load(server: TruthProcess, protocol: Protocol = Protocol.TGI, *, tokens: int = 4, seconds: float = 0.5) -> Seen:
    request = ask_for(server.url, protocol, "a b c", tokens)
    return uvloop.run(asyncio.wait_for(closed_loop(server.url, request, 4, seconds), 30))


def ask(server: TruthProcess, *, key: str | None = None, context: ssl.SSLContext | None = None) -> bytes:
    body = json.dumps({"inputs": "a b", "parameters": {"max_new_tokens": 2}}).encode()
    request = urllib.request.Request(f"{server.url}/generate_stream", body)
    if key:
        request.add_header("Authorization", f"Bearer {key}")
    with urllib.request.urlopen(request, timeout=60, context=context) as response:
        answer = response.read()
        assert isinstance(answer, bytes)
        return answer


def connected(server: TruthProcess) -> socket.socket:
    host, port = server.url.removeprefix("http://").split(":")
    return socket.create_connection((host, int(port)), timeout=60)


def metrics(server: TruthProcess) -> dict[str, float]:
    with urllib.request.urlopen(f"{server.url}/metrics", timeout=60) as response:
        lines = response.read().decode().splitlines()
    values: dict[str, float] = {}
    for line in lines:
        if not line.startswith("#"):
            name, value = line.split("{")[0], float(line.rsplit(" ", 1)[1])
            values[name.removeprefix("vllm:")] = values.get(name.removeprefix("vllm:"), 0.0) + value
    return values


@pytest.mark.parametrize("protocol", list(Protocol))
def test_the_record_is_what_a_bare_client_sees(protocol: Protocol) -> None:

    def measure() -> tuple[Record, NDArray[np.float64]]:
        """The record, and how long the client waited for each first chunk, in ms."""
        with truth_server({"timing": {"firstMs": 8, "gapMs": 3}}) as server:
            seen = load(server, protocol, tokens=5)
            record = server.record
        assert len(record) == len(seen.end)
        assert record.done.all()
        order = np.argsort(seen.sent)
        sent, first, end = (np.array(stamps)[order] for stamps in (seen.sent, seen.first, seen.end))
        # The stamps are of one clock: what was sent has come later, what was written has been read later.
        assert (record.arrival > sent).all()
        assert (np.sort(first) >= np.sort(record.first)).all()
        assert (np.sort(end) >= np.sort(record.end)).all()
        assert (np.diff(record.first_chunk) == 5).all()
        assert set(record.tokens) == {1}
        assert (record.written >= record.due).all(), "never early"
        assert (record.due.reshape(-1, 5) == record.arrival[:, None] + 1_000_000 * np.array([8, 11, 14, 17, 20])).all()
        assert record.in_flight.max() <= 4
        assert record.server["connections"] == 4
        assert set(record.gaps_ms()[1]) == {1}
        return record, (first - sent) / 1e6

    def compare(both: tuple[Record, NDArray[np.float64]]) -> None:
        record, waited = both
        assert np.percentile(waited - record.ttft_ms(), 10) < 3.0
        gaps, _ = record.gaps_ms()
        assert gaps.size == 4 * len(record)
        assert gaps.mean() == pytest.approx(3.0, abs=1.0)
        low, high = int(record.arrival.min()), int(record.end.max())
        assert record.mean_in_flight(low, high) == pytest.approx(4, rel=0.25)
        assert record.token_rate(low, high) == pytest.approx(5 * record.request_rate(low, high), rel=0.1)

    compared(measure, compare)


def test_the_lag_of_the_server_is_in_its_record() -> None:
    with truth_server({"timing": {"firstMs": 2, "gapMs": 1}}) as server:
        load(server)
        record = server.record
    lag = record.lag_ms()
    said = record.server["lagMs"]
    assert said["p50"] == pytest.approx(np.median(lag))
    assert said["max"] == pytest.approx(lag.max())
    assert 0 <= said["p50"] <= said["p99"] <= said["max"]
    assert record.server["readDelayMs"]["p50"] >= 0
    assert record.server["runQueueWaitMs"] is None or record.server["runQueueWaitMs"] >= 0


def test_requests_wait_for_slots_as_in_the_theory_of_queues() -> None:
    script = {"timing": {"firstMs": "exponential:10", "gapMs": 0}, "answer": {"tokens": 1}, "queue": {"slots": 1}}

    def measure() -> Record:
        with truth_server(script) as server:
            request = ask_for(server.url, Protocol.TGI, "a", 1)
            uvloop.run(asyncio.wait_for(open_loop(server.url, request, 60, 5), 60))
            record = server.record
        assert (record.end >= record.arrival).all()
        order = np.argsort(record.arrival)
        assert (np.diff(record.turn[order]) >= 0).all(), "first come, first served"
        return record

    def compare(record: Record) -> None:
        # Arrivals at equal distances wait less than Poisson's: M/M/1 is above, no queue at all is below.
        assert 0.5 < np.nanmean(record.wait_ms()) < mean_wait(1, 60, 0.010) * 1e3

    compared(measure, compare)


def test_who_finds_no_room_is_refused() -> None:
    queue = {"slots": 1, "limit": 1, "overload": "overload-event"}
    script = {"timing": {"firstMs": 100, "gapMs": 0}, "queue": queue}
    with truth_server(script) as server:
        load(server, tokens=1)
        counted = metrics(server)
        record = server.record
    assert record.outcome.count("refused") > 0
    done = [index for index, outcome in enumerate(record.outcome) if outcome == "done"]
    assert counted["request_success_total"] == len(done)
    assert np.diff(record.turn[done]).min() >= 100_000_000, "one at a time"


def test_metrics_count_what_was_served_or_what_the_script_says() -> None:
    with truth_server({"answer": {"cachedShare": 0.5}}) as server:
        load(server)
        counted = metrics(server)
        served = len(server.record)
    assert counted["request_success_total"] == served
    assert counted["generation_tokens_total"] == 4 * served
    assert (counted["prompt_tokens_total"], counted["prompt_tokens_cached_total"]) == (6 * served, 3 * served)
    with truth_server({"metrics": {"extraRequests": 1, "tokenFactor": 0.5}}) as server:
        load(server)
        counted = metrics(server)
        served = len(server.record)
    assert counted["request_success_total"] == 2 * served
    assert counted["generation_tokens_total"] == 4 * served


def test_a_client_that_leaves_is_recorded_as_such() -> None:
    with truth_server({"timing": {"firstMs": 1, "gapMs": 60_000}}) as server:
        request = ask_for(server.url, Protocol.TGI, "a", 3)
        with connected(server) as connection:
            connection.sendall(request)
            came = b""
            while b"tok" not in came:
                came += connection.recv(100_000)
        wait_until(lambda: metrics(server)["num_requests_running"] == 0, "the slot is free")
        record = server.record
    assert record.outcome == ("abandoned",)
    assert len(record.written) == 1


def test_what_is_under_way_at_the_end_is_unfinished() -> None:
    with truth_server({"timing": {"firstMs": 60_000}}) as server, connected(server) as connection:
        connection.sendall(ask_for(server.url, Protocol.TGI, "a", 3))
        wait_until(lambda: metrics(server)["num_requests_running"] == 1, "the request has come")
        record = server.record
    assert (record.outcome, record.end.tolist(), record.first.tolist()) == (("unfinished",), [-1], [-1])


def test_a_snapshot_is_the_record_so_far() -> None:
    with truth_server({"timing": {"firstMs": 1, "gapMs": 0}}, record_prompts=3) as server:
        load(server, seconds=0.2)
        first = server.snapshot()
        load(server, seconds=0.2)
        second = server.record
    assert 0 < len(first) < len(second)
    assert (first.written == second.written[: first.written.size]).all()
    assert set(second.prompt) == {"a b"}


def test_faults_end_when_told() -> None:
    with truth_server({"faults": [{"kind": "refuse", "after": 1}]}) as server:
        assert b"tok" in ask(server)
        with pytest.raises((urllib.error.URLError, ConnectionError)):
            ask(server)
        with pytest.raises(urllib.error.URLError, match="refused"):
            ask(server)
        server.recover()
        wait_until(lambda: listens(server), "it listens again")
        assert b"tok" in ask(server)
        record = server.record
    assert list(zip(record.outcome, record.fault, strict=True)) == [("done", None), ("reset", "refuse"), ("done", None)]


def listens(server: TruthProcess) -> bool:
    host, port = server.url.removeprefix("http://").split(":")
    with socket.socket() as probe:
        return probe.connect_ex((host, int(port))) == 0


def test_a_reset_is_a_reset() -> None:
    with truth_server({"faults": [{"kind": "reset"}]}) as server, pytest.raises(ConnectionResetError):
        ask(server)


def test_a_process_that_ends_by_a_fault_leaves_its_record() -> None:
    with truth_server({"faults": [{"kind": "exit", "after": 1}]}) as server:
        ask(server)
        with pytest.raises((http.client.IncompleteRead, OSError)):
            ask(server)
        record = server.record
    assert list(zip(record.outcome, record.fault, strict=True)) == [("done", None), ("closed", "exit")]


def test_a_key_is_wanted() -> None:
    with truth_server(api_key="let-me-in") as server:
        for wrong in (None, "let-me-out"):
            with pytest.raises(urllib.error.HTTPError) as refused:
                ask(server, key=wrong)
            with refused.value as answer:
                assert (answer.code, answer.read()) == (401, b'{"error":"Unauthorized"}')
        assert b"tok" in ask(server, key="let-me-in")
        assert len(server.record) == 1


def test_tls() -> None:
    with truth_server(tls_certificate=TLS / "certificate.pem", tls_key=TLS / "key.pem") as server:
        assert server.url.startswith("https://")
        assert b"tok" in ask(server, context=ssl.create_default_context(cafile=TLS / "certificate.pem"))
        assert server.record.done.all()


@pytest.mark.parametrize(
    ("path", "body", "code"),
    [("/nothing", None, 404), ("/generate_stream", None, 405), ("/v1/chat/completions", b"{}", 400),
     ("/generate_stream", b"[", 400), ("/generate_stream", b'{"parameters": {"max_new_tokens": 0}}', 400)],
)  # fmt: skip
def test_what_it_cannot_answer_it_refuses(path: str, body: bytes | None, code: int) -> None:
    with truth_server() as server:
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(server.url + path, body, timeout=60)
        refused.value.close()
        assert refused.value.code == code
        for aside in ("/health", "/v1/models"):
            with urllib.request.urlopen(server.url + aside, timeout=60) as response:
                assert response.status == 200


def test_it_ends_at_its_limits() -> None:
    with truth_server(max_requests=3) as server:
        for _ in range(3):
            ask(server)
        wait_until(lambda: not listens(server), "it has ended")
        assert len(server.record) == 3
    with truth_server(max_seconds=0.2) as server:
        wait_until(lambda: not listens(server), "it has ended")
        assert len(server.record) == 0


def test_it_ends_with_its_parent() -> None:
    program = (
        "import os, sys, time\nfrom perbench_bench.truth import truth_server\n"
        "with truth_server() as server:\n    print(server.url, flush=True)\n    os.kill(os.getpid(), 9)\n"
    )
    with nothing_stays():
        command = [sys.executable, "-c", program]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == -signal.SIGKILL
        assert done.stdout.startswith("http://127.0.0.1:")


@pytest.mark.parametrize(
    ("script", "serving", "error"),
    [
        ({"answer": {"tokens": 1, "tokensPerChunk": 2}}, {}, UsageError),
        ({}, {"host": "203.0.113.1"}, RunError),
        ({}, {"tls_key": "key.pem"}, RunError),
    ],
)
def test_one_that_cannot_start_says_so(script: dict[str, Any], serving: dict[str, Any], error: type[Exception]) -> None:
    with pytest.raises(error), truth_server(script, **serving):
        pass


def test_a_script_may_be_given_as_a_value() -> None:
    with truth_server(Script(model="other")) as server:
        with urllib.request.urlopen(f"{server.url}/v1/models", timeout=60) as response:
            assert json.load(response)["data"][0]["id"] == "other"
        assert os.getpgid(server.pid) == os.getpgid(0)
