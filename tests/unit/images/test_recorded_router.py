"""The contract server answers the recorded requests as the real router did, byte for byte but for times and seeds."""

import asyncio
import re

import pytest

from tests.images.tgi_contract.engine import Engine, Settings
from tests.images.tgi_contract.metrics import Metrics
from tests.images.tgi_contract.routes import Identity, Routes
from tests.images.tgi_contract.server import listen
from tests.images.tgi_contract.validation import Rules
from tests.support.processes import until
from tests.support.recorded_router import Recording, ScriptedModel, recordings, script

GROUPS = ("generate", "stream", "compat", "chat", "completions", "errors", "get", "tokenize", "key", "failures")
CASES = [case for group in GROUPS for case in recordings(group)]
MEASURED = (
    (rb"(x-(?:compute|total|validation|queue|inference)-time|x-time-per-token): [0-9.]+", rb"\1: N"),
    (rb"date: [^\r]+", b"date: D"),
    (rb'"created":\d+', b'"created":N'),
)
RANDOM = ((rb'"seed":\d+', b'"seed":N'), (rb"content-length: \d+", b"content-length: N"))
"""Where the router draws a seed, its digits differ in number too."""


def served(recording: Recording, permits: int = 128, seconds_per_token: float = 0.0) -> Routes:
    narrow = recording.case.startswith("H-json-log")
    rules = Rules(
        max_best_of=2,
        max_stop_sequences=4,
        max_top_n_tokens=5,
        max_input_tokens=512 if narrow else 4095,
        max_total_tokens=768 if narrow else 4096,
        grammar_support=True,
    )
    said = script(recording)
    said.seconds_per_token = seconds_per_token
    model = ScriptedModel(said)
    settings = Settings(rules, permits, slots=32, batch_tokens=16384, prefill_logprobs=True)
    identity = Identity(
        model_id="/srv/tgi/model/tiny-llama",
        compute_type="cpu" if narrow else "gpu+optimized",
        max_client_batch_size=4,
        validation_workers=2,
        max_concurrent_requests=64 if narrow else permits,
        api_key="sesame" if recording.case.startswith("D-apikey") else None,
    )
    return Routes(identity, Engine(settings, model, Metrics(4095, 4096)), model)


async def exchange(routes: Routes, request: bytes) -> bytes:
    """Every byte that comes for a request."""
    server = await listen(routes, "127.0.0.1", 0, payload_limit=2_000_000)
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    try:
        writer.write(request)
        head = await reader.readuntil(b"\r\n\r\n")
        length = re.search(rb"content-length: (\d+)", head)
        if length:
            return head + await reader.readexactly(0 if request.startswith(b"HEAD") else int(length.group(1)))
        is_chunked = b"transfer-encoding: chunked" in head
        return head + await (reader.readuntil(b"\r\n0\r\n\r\n") if is_chunked else reader.read())
    finally:
        writer.close()
        assert await server.stop(seconds=60)


def normalised(response: bytes, recording: Recording) -> bytes:
    replaced: tuple[tuple[bytes, bytes], ...] = MEASURED
    if b'"do_sample": true' in recording.request and b'"seed"' not in recording.request:
        replaced = (*MEASURED, *RANDOM)
    for pattern, replacement in replaced:
        response = re.sub(pattern, replacement, response)
    return response


@pytest.mark.parametrize("recording", CASES, ids=lambda recording: recording.case)
def test_answers_as_the_router_did(recording: Recording) -> None:
    response = asyncio.run(exchange(served(recording), recording.request))
    assert normalised(response, recording) == normalised(recording.response, recording)


@pytest.mark.parametrize("recording", recordings("overload"), ids=lambda recording: recording.case)
def test_answers_as_the_router_did_with_both_permits_taken(recording: Recording) -> None:
    free = 2 if "3-prompts" in recording.case or recording.case == "C-overload/info" else 0
    response = normalised(asyncio.run(exchange(served(recording, permits=free), recording.request)), recording)
    expected = normalised(recording.response, recording)
    if recording.case.endswith("3-prompts-stream"):  # when the refused prompt's event comes is a matter of time
        assert sorted(response.split(b"\r\n")) == sorted(expected.split(b"\r\n"))
    else:
        assert response == expected


def test_what_runs_when_the_server_is_stopped_is_answered_and_the_connection_closed() -> None:
    (recording,) = recordings("shutdown")

    async def stopped() -> bytes:
        routes = served(recording, seconds_per_token=0.05)
        server = await listen(routes, "127.0.0.1", 0, payload_limit=2_000_000)
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(recording.request)
        model = routes._model
        assert isinstance(model, ScriptedModel)
        await until(lambda: model.asked > 0)
        assert await server.stop(seconds=60)
        response = await reader.read()
        writer.close()
        return response

    assert normalised(asyncio.run(stopped()), recording) == normalised(recording.response, recording)
