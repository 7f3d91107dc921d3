"""/metrics of the contract server has the real router's series, and counts as it does."""

import asyncio
import json
import re
from collections.abc import Mapping
from typing import Any

import pytest

from tests.images.tgi_contract.engine import Engine, Settings
from tests.images.tgi_contract.generation import Timings, Token
from tests.images.tgi_contract.http1 import Request
from tests.images.tgi_contract.metrics import Metrics
from tests.images.tgi_contract.routes import Identity, Routes
from tests.images.tgi_contract.validation import Rules
from tests.support.recorded_router import RECORDINGS, Script, ScriptedModel

# What the real router counted for one request each (request-count-deltas.json of the recordings).
GENERATE: dict[str, Any] = {"inputs": "x", "parameters": {"max_new_tokens": 2}}
INVALID: dict[str, Any] = {"inputs": "x", "parameters": {"max_new_tokens": 0}}
CHAT: dict[str, Any] = {"messages": [{"role": "user", "content": "x"}], "max_tokens": 2}
COMPLETION: dict[str, Any] = {"prompt": "x", "max_tokens": 2}
COUNTED = {
    "generate": ("/generate", GENERATE, 1, 1, None),
    "stream": ("/generate_stream", GENERATE, 1, 1, None),
    "compat": ("/", GENERATE, 1, 1, None),
    "best-of": ("/generate", {"inputs": "x", "parameters": {"best_of": 2, "do_sample": True}}, 1, 1, None),
    "chat": ("/v1/chat/completions", CHAT, 2, 1, None),
    "chat-stream": ("/v1/chat/completions", {**CHAT, "stream": True}, 2, 1, None),
    "completions": ("/v1/completions", COMPLETION, 2, 1, None),
    "completions-stream": ("/v1/completions", {**COMPLETION, "stream": True}, 2, 1, None),
    "completions-3-prompts": ("/v1/completions", {**COMPLETION, "prompt": ["x", "y", "z"]}, 4, 3, None),
    "tokenize": ("/tokenize", {"inputs": "x"}, 0, 0, None),
    "chat-tokenize": ("/chat_tokenize", CHAT, 1, 0, None),
    "invocations": ("/invocations", GENERATE, 1, 1, None),
    "validation": ("/generate", INVALID, 1, 0, "validation"),
    "validation-stream": ("/generate_stream", INVALID, 1, 0, "validation"),
    "validation-chat": ("/v1/chat/completions", {**CHAT, "max_tokens": 0}, 2, 0, "validation"),
    "validation-chat-stream": ("/v1/chat/completions", {**CHAT, "max_tokens": 0, "stream": True}, 2, 0, "validation"),
    "best-of-stream": ("/generate_stream", {"inputs": "x", "parameters": {"best_of": 2}}, 1, 0, "validation"),
    "best-of-3": ("/generate", {"inputs": "x", "parameters": {"best_of": 3, "do_sample": True}}, 1, 0, None),
    "types": ("/generate", {"inputs": 5}, 0, 0, None),
    "suffix": ("/v1/completions", {**COMPLETION, "suffix": "x"}, 1, 0, "validation"),
    "two-chunks": ("/generate", {"inputs": "x", "parameters": {"max_new_tokens": 1100}}, 1, 1, None),
}


def served(script: Script, permits: int = 128) -> Routes:
    rules = Rules(2, 4, 5, max_input_tokens=4095, max_total_tokens=4096, grammar_support=True)
    model, settings = ScriptedModel(script), Settings(rules, permits, 32, 16384, prefill_logprobs=True)
    identity = Identity("model", "gpu+optimized", 4, 2, permits, api_key=None)
    return Routes(identity, Engine(settings, model, Metrics(4095, 4096)), model)


async def ask(routes: Routes, path: str, body: Mapping[str, Any]) -> bytes:
    """The whole body."""
    headers = {"content-type": "application/json"}
    response = await routes.answer(Request("POST", path, headers, json.dumps(body).encode()))
    return response.body if isinstance(response.body, bytes) else b"".join([part async for part in response.body])


async def figures(routes: Routes) -> dict[str, float]:
    response = await routes.answer(Request("GET", "/metrics"))
    assert isinstance(response.body, bytes)
    lines = [line.rpartition(" ") for line in response.body.decode().splitlines() if line and line[0] != "#"]
    return {name: float(value) for name, _, value in lines}


async def counted(path: str, body: Mapping[str, Any], script: Script) -> dict[str, float]:
    routes = served(script)
    await ask(routes, path, body)
    return await figures(routes)


def test_series_and_buckets_are_the_routers() -> None:
    metrics = Metrics(4095, 4096)
    metrics.increment("tgi_request_count", by=2)
    for gauge in ("tgi_queue_size", "tgi_batch_current_size", "tgi_batch_current_max_tokens"):
        metrics.set(gauge, 0)
    metrics.scheduled(6, 12)
    metrics.forward("prefill", 0.040202136, 0.000230312)
    for _ in range(11):
        metrics.forward("decode", 0.0201, 0.0001)
    for _ in range(12):
        metrics.token()
    metrics.succeeded(Timings(0.000277141, 0.00008764, 0.281021593, 0.281386154), 12)
    shown, recorded = sections(metrics.exposition().decode()), sections((RECORDINGS / "metrics.txt").read_text())
    assert shown.keys() == recorded.keys()
    measured = {name for name in recorded if re.search("batch_.*_duration", name)}
    for name in recorded:
        if name in measured:  # the batch's own times, in two orders of labels
            assert {without_value(line) for line in shown[name]} == {without_value(line) for line in recorded[name]}
        else:
            assert sorted(shown[name]) == sorted(recorded[name])


def sections(text: str) -> dict[str, list[str]]:
    """Lines by the name of the metric."""
    found = [section.splitlines() for section in text.split("\n\n") if section.strip()]
    return {next(line for line in lines if line.startswith("# TYPE")).split()[2]: lines for lines in found}


def without_value(line: str) -> str:
    return line if line.startswith("#") else line.rpartition(" ")[0]


def test_nothing_is_shown_before_the_first_generation() -> None:
    async def shown() -> bytes:
        routes = served(Script())
        await ask(routes, "/tokenize", {"inputs": "x"})
        return Metrics(4095, 4096).exposition() + (b"" if not await figures(routes) else b"something")

    assert asyncio.run(shown()) == b""


@pytest.mark.parametrize("case", COUNTED)
def test_requests_are_counted_as_the_router_does(case: str) -> None:
    path, body, requests, successes, failure = COUNTED[case]
    found = asyncio.run(counted(path, body, Script()))
    assert found.get("tgi_request_count", 0) == requests
    assert found.get("tgi_request_success", 0) == successes
    failures = {name: value for name, value in found.items() if name.startswith("tgi_request_failure")}
    assert failures == ({f'tgi_request_failure{{err="{failure}"}}': 1} if failure else {})


def test_a_failure_of_the_model_is_counted() -> None:
    found = asyncio.run(counted("/generate", GENERATE, Script(failure="out of memory")))
    assert found['tgi_request_failure{err="generation"}'] == 1
    assert found["tgi_batch_current_size"] == 0


def test_more_than_1024_tokens_are_asked_for_in_pieces_of_1024() -> None:
    # One request of 1100 moved the real router's figures by this (A-main/stream/max-1100-metrics-*).
    script = Script(sequences=[[Token(9, b" x", -1.0)] * 3000], prompt_lengths=[13])
    found = asyncio.run(counted("/generate", {"inputs": "x", "parameters": {"max_new_tokens": 1100}}, script))
    assert found["tgi_request_max_new_tokens_sum"] == 2048
    assert found["tgi_request_max_new_tokens_count"] == 2
    assert found["tgi_request_input_length_sum"] == 13 + 13 + 1024
    assert found["tgi_request_generated_tokens_sum"] == 2048
    assert found['tgi_batch_inference_count{method="prefill"}'] == 2
    assert found['tgi_batch_inference_count{method="decode"}'] == 2046


def test_a_client_that_leaves_is_counted_and_its_permit_is_back() -> None:
    async def leave() -> dict[str, float]:
        routes = served(Script(sequences=[[Token(9, b" x", -1.0)] * 100]), permits=1)
        headers = {"content-type": "application/json"}
        body = json.dumps({"inputs": "x", "parameters": {"max_new_tokens": 50}}).encode()
        response = await routes.answer(Request("POST", "/generate_stream", headers, body))
        assert not isinstance(response.body, bytes)
        assert (await anext(response.body)).startswith(b"data:")
        assert b"overloaded" in await ask(routes, "/generate", GENERATE)
        await response.body.aclose()
        assert b"generated_text" in await ask(routes, "/generate", GENERATE)
        return await figures(routes)

    found = asyncio.run(leave())
    assert found['tgi_request_failure{err="dropped"}'] == 1
    assert found['tgi_request_failure{err="overloaded"}'] == 1
    assert found["tgi_batch_current_size"] == 0
