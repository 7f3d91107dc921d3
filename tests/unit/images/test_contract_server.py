"""The contract server as a process, over a real model."""

import asyncio
import http.client
import json
import math
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from huggingface_hub import AsyncInferenceClient

from tests.support.contract_server import JSON, MODEL, ContractServer, events, started
from tests.support.ports import free_port
from tests.support.processes import descendants, nothing_stays, wait_until

COUNTING = "1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11,"
"""The model does not end this by itself."""
SHORT = {"inputs": "x", "parameters": {"max_new_tokens": 1}}
STORY = {"inputs": "Once upon a time", "parameters": {"max_new_tokens": 8, "details": True}}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ContractServer]:
    with nothing_stays(), started(tmp_path_factory.mktemp("contract"), "--enable-prefill-logprobs") as running:
        running.wait_until_open()
        yield running


def test_generates_and_streams_the_same(server: ContractServer) -> None:
    status, body = server.post("/generate", STORY)
    whole = json.loads(body)
    status_of_stream, stream = server.post("/generate_stream", STORY)
    assert (status, status_of_stream) == (200, 200)
    listed = events(stream)
    assert [event["index"] for event in listed] == list(range(1, 9))
    assert "".join(event["token"]["text"] for event in listed) == whole["generated_text"]
    assert [event["token"] for event in listed] == whole["details"]["tokens"]
    assert listed[-1]["details"] == {"finish_reason": "length", "generated_tokens": 8, "seed": None, "input_length": 4}


def test_a_chat_ends_with_the_end_token_counted(server: ContractServer) -> None:
    chat = {"messages": [{"role": "user", "content": "Say OK."}], "max_tokens": 60, "temperature": 0}
    _, body = server.post("/v1/chat/completions", {**chat, "stream": True, "stream_options": {"include_usage": True}})
    assert body.endswith(b"data: [DONE]\n\n")
    *tokens, usage = events(body)
    assert tokens[-1]["choices"][0] == {
        "index": 0,
        "delta": {"role": "assistant", "content": ""},
        "logprobs": None,
        "finish_reason": "stop",
    }
    assert usage["usage"]["completion_tokens"] == len(tokens)


def test_a_character_of_several_tokens_comes_with_the_last_of_them(server: ContractServer) -> None:
    request = {"inputs": "Repeat: 世界世界世界世界世界", "parameters": {"max_new_tokens": 8, "details": True}}
    listed = events(server.post("/generate_stream", request)[1])
    texts = [event["token"]["text"] for event in listed]
    assert len(texts) == 8
    assert "" in texts
    assert "".join(texts).startswith(listed[-1]["generated_text"])
    tokens = json.loads(server.post("/tokenize", {"inputs": "".join(texts)})[1])
    complete = [event["token"]["id"] for event in listed][: len(tokens)]
    assert [token["id"] for token in tokens][:5] == complete[:5]


def test_prefill_logprobs_are_the_models_own(server: ContractServer) -> None:
    # What the model says of the next token is what a longer prompt says of the same token.
    asked = {"inputs": "The capital of", "parameters": {"max_new_tokens": 3, "details": True}}
    generated = json.loads(server.post("/generate", asked)[1])
    longer = "The capital of" + generated["generated_text"]
    parameters = {"max_new_tokens": 1, "decoder_input_details": True}
    prefill = json.loads(server.post("/generate", {"inputs": longer, "parameters": parameters})[1])["details"][
        "prefill"
    ]
    assert prefill[0]["logprob"] is None
    tokens = generated["details"]["tokens"]
    assert [each["id"] for each in prefill[-3:]] == [token["id"] for token in tokens]
    for each, token in zip(prefill[-3:], tokens, strict=True):
        assert math.isclose(each["logprob"], token["logprob"], abs_tol=0.1)


def test_prefill_logprobs_of_markup_and_of_parts_of_characters(server: ContractServer) -> None:
    parameters = {"max_new_tokens": 1, "decoder_input_details": True}
    request = {"inputs": "<|im_start|>user\n世<|im_end|>", "parameters": parameters}
    prefill = json.loads(server.post("/generate", request)[1])["details"]["prefill"]
    assert [each["text"] for each in prefill] == ["<|im_start|>", "user", "\n", "�", "�", "<|im_end|>"]
    assert all(each["logprob"] < 0 for each in prefill[1:])


def test_perbench_measures_it(server: ContractServer) -> None:
    for protocol in ("tgi", "openai-chat"):
        command = [str(Path(sys.executable).with_name("perbench")), "load", "--url", server.url, "--protocol", protocol]
        command += ["--model", "tgi", "--concurrency", "2", "--requests", "8", "--input-tokens", "16"]
        command += ["--output-tokens", "6", "--json"]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
        assert done.returncode in {0, 3}, done.stdout + done.stderr
        report = json.loads(done.stdout)
        assert (report["requests"], report["errors"]) == (8, 0), done.stdout
        assert set(report["invalid_reasons"]) <= {"LoadGeneratorSaturated", "NotSteady"}, "the machine's own affairs"


def test_the_hubs_client_understands_it(server: ContractServer) -> None:
    async def generate() -> tuple[str, list[str]]:
        async with AsyncInferenceClient(model=server.url, timeout=60) as client:
            options = {"max_new_tokens": 5, "return_full_text": False}
            whole = await client.text_generation("Once upon a time", **options)
            stream = await client.text_generation("Once upon a time", stream=True, details=True, **options)
            return whole, [event.token.text async for event in stream]

    whole, tokens = asyncio.run(generate())
    assert len(tokens) == 5
    assert whole == "".join(tokens)


def test_metrics_after_generations(server: ContractServer) -> None:
    server.post("/generate", STORY)
    _, body = server.get("/metrics")
    assert b"# TYPE tgi_request_duration histogram\n" in body
    assert b'tgi_batch_inference_count{method="prefill"}' in body


def test_a_request_with_an_expectation_and_a_broken_one(server: ContractServer) -> None:
    with socket.create_connection(("127.0.0.1", server.port), 60) as connection:
        connection.sendall(b"POST /tokenize HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 14\r\n")
        connection.sendall(b"Content-Type: application/json\r\n\r\n")
        assert connection.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(b'{"inputs":"x"}')
        assert connection.recv(1000).startswith(b"HTTP/1.1 200 OK\r\n")
        connection.sendall(b"nonsense\r\n\r\n")
        assert connection.recv(1000).startswith(b"HTTP/1.1 400 Bad Request\r\n")


def test_too_large_a_body_is_refused(server: ContractServer) -> None:
    status, body = server.post("/generate", {"inputs": "x" * 2_000_001})
    assert (status, body) == (413, b"Failed to buffer the request body: length limit exceeded")


def test_overload_is_429_and_an_event(tmp_path: Path) -> None:
    with nothing_stays(), started(tmp_path, MAX_CONCURRENT_REQUESTS="1") as server:
        server.wait_until_open()
        assert server.get("/metrics") == (200, b"")
        holder = server.connect()
        long = {"inputs": COUNTING, "parameters": {"max_new_tokens": 1000}}
        holder.request("POST", "/generate_stream", json.dumps(long), JSON)
        response = holder.getresponse()
        assert response.readline().startswith(b"data: ")
        status, body = server.post("/generate", SHORT)
        assert (status, body) == (429, b'{"error":"Model is overloaded","error_type":"overloaded"}')
        status, body = server.post("/generate_stream", SHORT)
        assert (status, body) == (200, b'data: {"error":"Model is overloaded","error_type":"overloaded"}\n\n')
        holder.close()
        wait_until(lambda: server.post("/generate", SHORT)[0] == 200, "the permit is back")
        assert b'tgi_request_failure{err="dropped"} 1\n' in server.get("/metrics")[1]


def test_the_port_opens_when_the_model_is_ready_and_sigterm_lets_streams_end(tmp_path: Path) -> None:
    began = time.monotonic()
    with nothing_stays(), started(tmp_path, "--json-output", TGI_CONTRACT_LOAD_SECONDS="10") as server:
        wait_until(lambda: "Starting shard" in server.log.read_text(), "it starts")
        assert not server.is_open()
        server.wait_until_open()
        assert time.monotonic() - began > 10
        assert server.get("/health") == (200, b"")
        idle, busy = server.connect(), server.connect()
        idle.request("GET", "/health")
        idle.getresponse().read()
        request = {"inputs": COUNTING, "parameters": {"max_new_tokens": 40, "details": True}}
        busy.request("POST", "/generate_stream", json.dumps(request), JSON)
        response = busy.getresponse()
        first = response.readline()
        server.process.send_signal(signal.SIGTERM)
        wait_until(lambda: not server.is_open(), "no new connection is taken")
        assert idle.sock.recv(10) == b""
        server.process.send_signal(signal.SIGTERM)
        listed = events(first + response.read())
        assert listed[-1]["details"]["generated_tokens"] == 40
        assert server.process.wait(60) == 0
        idle.close()
        busy.close()
    lines = [json.loads(line) for line in server.log.read_text().splitlines()]
    messages = [line.get("message") or line["fields"]["message"] for line in lines]
    assert messages[0].startswith("Args {\n")
    assert messages[-1] == "shard terminated"
    assert messages.index("Connected") < messages.index("signal received, starting graceful shutdown")


def test_streams_are_cut_off_when_the_time_for_a_graceful_end_is_over(tmp_path: Path) -> None:
    with nothing_stays(), started(tmp_path, "--graceful-termination-timeout", "1") as server:
        server.wait_until_open()
        busy = server.connect()
        request = {"inputs": COUNTING, "parameters": {"max_new_tokens": 1000}}
        busy.request("POST", "/generate_stream", json.dumps(request), JSON)
        response = busy.getresponse()
        assert response.readline().startswith(b"data: ")
        server.process.send_signal(signal.SIGTERM)
        with pytest.raises((ConnectionResetError, http.client.IncompleteRead)):
            response.read()
        assert server.process.wait(60) == 0
        busy.close()


def test_sigterm_while_the_model_loads_is_an_end(tmp_path: Path) -> None:
    with nothing_stays(), started(tmp_path, TGI_CONTRACT_LOAD_SECONDS="600") as server:
        wait_until(lambda: "Starting shard" in server.log.read_text(), "it starts")
        assert server.stop() == 0


def test_the_key_is_asked_for(tmp_path: Path) -> None:
    with nothing_stays(), started(tmp_path, API_KEY="sesame") as server:
        server.wait_until_open()
        assert server.post("/generate", SHORT) == (401, b"")
        assert server.get("/health") == (200, b"")


def test_it_ends_with_the_shard(tmp_path: Path) -> None:
    with nothing_stays(), started(tmp_path) as server:
        server.wait_until_open()
        for pid in descendants(server.process.pid):
            os.kill(pid, signal.SIGKILL)
        assert server.process.wait(60) == 1
    assert server.log.read_text().endswith("Error: ShardFailed\n")


def test_the_shard_ends_with_it(tmp_path: Path) -> None:
    with nothing_stays(), started(tmp_path) as server:
        server.wait_until_open()
        server.process.kill()


@pytest.mark.parametrize(
    ("words", "environment", "code", "end"),
    [
        (["--nonsense"], {}, 2, "For more information, try '--help'.\n"),
        ([], {"MODEL_ID": "nobody/nothing"}, 1, "Error: DownloadError\n"),
        ([], {"TGI_CONTRACT_DOWNLOAD_ERROR": "Cannot access gated repo"}, 1, "Error: DownloadError\n"),
        (["--quantize", "awq", "--dtype", "float16"], {}, 1, "Error: ShardCannotStart\n"),
        (["--max-total-tokens", "50000"], {}, 1, "Error: WebserverFailed\n"),
        (
            ["--max-input-tokens", "9", "--max-total-tokens", "9"],
            {},
            1,
            'Error: ArgumentValidation("`max_input_tokens`(9) must be < `max_total_tokens`(9)")\n',
        ),
    ],
    ids=["flag", "model", "download", "shard", "memory", "limits"],
)
def test_starts_that_fail(tmp_path: Path, words: list[str], environment: dict[str, str], code: int, end: str) -> None:
    with nothing_stays(), started(tmp_path, *words, **environment) as server:
        assert server.process.wait(60) == code
    assert server.log.read_text().endswith(end)


@pytest.mark.parametrize("taken", ["PORT", "PROMETHEUS_PORT"])
def test_a_taken_port_is_an_end(taken: str) -> None:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        ports = {"PORT": str(free_port()), "PROMETHEUS_PORT": str(free_port()), taken: str(holder.getsockname()[1])}
        command = [sys.executable, "-m", "tests.images.tgi_contract", "--hostname", "127.0.0.1"]
        environment = {**os.environ, "MODEL_ID": MODEL, **ports}
        root = Path(__file__).parents[3]
        done = subprocess.run(
            command, env=environment, cwd=root, capture_output=True, text=True, timeout=60, check=False
        )
    assert (done.returncode, done.stderr.splitlines()[-1]) == (1, "Error: WebserverFailed")
    assert "Address already in use (os error 98)" in done.stdout
