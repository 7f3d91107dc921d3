"""The truth server's bytes: in the shapes of real servers, and read back by the engine to exactly what was scripted."""

import json
from pathlib import Path
from typing import Any

import pytest

from perbench.api.models import Protocol
from perbench.results import Outcome
from tests.support.truth import planned, read_back, wire

WIRE = Path(__file__).parents[3] / "golden" / "wire"
CONTINUOUS = {"stream_options": {"include_usage": True, "continuous_usage_stats": True}}

GOLDEN = {
    Protocol.OPENAI: (
        b"HTTP/1.1 200 OK\r\nserver: perbench-truth\r\ncontent-type: text/event-stream; charset=utf-8\r\n"
        b"transfer-encoding: chunked\r\n\r\n"
        b'a6\r\ndata: {"id":"cmpl-truth","object":"text_completion","created":1750000000,"model":"truth","choices":'
        b'[{"index":0,"text":"tok ","logprobs":null,"finish_reason":null}]}\n\n\r\n'
        b'aa\r\ndata: {"id":"cmpl-truth","object":"text_completion","created":1750000000,"model":"truth","choices":'
        b'[{"index":0,"text":"tok ","logprobs":null,"finish_reason":"length"}]}\n\n\r\n'
        b'ab\r\ndata: {"id":"cmpl-truth","object":"text_completion","created":1750000000,"model":"truth","choices":'
        b'[],"usage":{"prompt_tokens":7,"total_tokens":9,"completion_tokens":2}}\n\n\r\n'
        b"e\r\ndata: [DONE]\n\n\r\n0\r\n\r\n"
    ),
    Protocol.OPENAI_CHAT: (
        b"HTTP/1.1 200 OK\r\nserver: perbench-truth\r\ncontent-type: text/event-stream; charset=utf-8\r\n"
        b"transfer-encoding: chunked\r\n\r\n"
        b'cc\r\ndata: {"id":"chatcmpl-truth","object":"chat.completion.chunk","created":1750000000,"model":"truth",'
        b'"choices":[{"index":0,"delta":{"role":"assistant","content":""},"logprobs":null,"finish_reason":null}]}\n\n\r\n'
        b'bd\r\ndata: {"id":"chatcmpl-truth","object":"chat.completion.chunk","created":1750000000,"model":"truth",'
        b'"choices":[{"index":0,"delta":{"content":"tok "},"logprobs":null,"finish_reason":null}]}\n\n\r\n'
        b'c1\r\ndata: {"id":"chatcmpl-truth","object":"chat.completion.chunk","created":1750000000,"model":"truth",'
        b'"choices":[{"index":0,"delta":{"content":"tok "},"logprobs":null,"finish_reason":"length"}]}\n\n\r\n'
        b'b5\r\ndata: {"id":"chatcmpl-truth","object":"chat.completion.chunk","created":1750000000,"model":"truth",'
        b'"choices":[],"usage":{"prompt_tokens":7,"total_tokens":9,"completion_tokens":2}}\n\n\r\n'
        b"e\r\ndata: [DONE]\n\n\r\n0\r\n\r\n"
    ),
    Protocol.TGI: (
        b"HTTP/1.1 200 OK\r\ncache-control: no-cache\r\nx-compute-type: truth\r\ncontent-type: text/event-stream\r\n"
        b"transfer-encoding: chunked\r\n\r\n"
        b'78\r\ndata: {"index":1,"token":{"id":101,"text":"tok ","logprob":-0.5,"special":false},'
        b'"generated_text":null,"details":null}\n\n\r\n'
        b'c6\r\ndata: {"index":2,"token":{"id":102,"text":"tok ","logprob":-0.5,"special":false},'
        b'"generated_text":"tok tok ","details":{"finish_reason":"length","generated_tokens":2,"seed":null,'
        b'"input_length":7}}\n\n\r\n0\r\n\r\n'
    ),
}


@pytest.mark.parametrize("protocol", list(Protocol))
def test_an_answer_byte_for_byte(protocol: Protocol) -> None:
    assert wire(planned({}, protocol, tokens=2)) == GOLDEN[protocol]


def events(data: bytes) -> list[dict[str, Any]]:
    lines = [line[6:] for line in data.splitlines() if line.startswith(b"data: {")]
    return [json.loads(line) for line in lines]


def keys(value: object) -> object:
    """The names in an event, without its values."""
    if isinstance(value, dict):
        return {name: keys(within) for name, within in value.items()}
    return [keys(within) for within in value] if isinstance(value, list) else None


def within(ours: object, theirs: object) -> bool:
    """Every name of ours is one of theirs."""
    if isinstance(ours, dict):
        return isinstance(theirs, dict) and all(n in theirs and within(v, theirs[n]) for n, v in ours.items())
    if isinstance(ours, list) and ours:
        return isinstance(theirs, list) and within(ours[0], theirs[0])
    return True


def test_tgis_events_have_the_names_of_real_ones() -> None:
    ours, theirs = events(wire(planned({}, Protocol.TGI))), events((WIRE / "tgi-stream-length.http").read_bytes())
    assert keys(ours[0]) == keys(theirs[0])
    assert keys(ours[-1]) == keys(theirs[-1])


@pytest.mark.parametrize(
    ("protocol", "case"),
    [(Protocol.OPENAI_CHAT, "vllm-chat-usage"), (Protocol.OPENAI, "vllm-completions-usage")],
)
def test_openais_events_have_names_of_vllms(protocol: Protocol, case: str) -> None:
    ours, theirs = events(wire(planned({}, protocol))), events((WIRE / f"{case}.http").read_bytes())
    for place in (0, 1, -2, -1):
        assert within(keys(ours[place]), keys(theirs[place]))


SCRIPTS: dict[str, dict[str, Any]] = {
    "plain": {},
    "bundles": {"answer": {"tokensPerChunk": 4}},
    "a first chunk of its own size": {"answer": {"tokensPerChunk": 3, "firstChunkTokens": 5}},
    "several events in a write": {"stream": {"chunksPerWrite": 3}},
    "CRLF": {"stream": {"crlf": True}},
    "events without text": {"stream": {"emptyEvery": 2}},
    "comments": {"stream": {"commentsMs": 10}, "timing": {"gapMs": 25}},
    "writes in parts": {"stream": {"splitAt": [1, 7, 40]}},
    "cut in a character": {"stream": {"splitInCharacter": True}, "answer": {"texts": ["Grüße ", "日本 ", "a"]}},
    "headers late": {"stream": {"headers": "with-first-token"}},
    "role early": {"stream": {"role": "at-once"}},
    "no role": {"stream": {"role": "never"}},
    "all of it": {
        "stream": {
            "crlf": True, "emptyEvery": 1, "commentsMs": 10, "splitAt": [20, 90], "chunksPerWrite": 2,
            "headers": "with-slot",
        },
        "answer": {"tokensPerChunk": 2, "texts": ["😀", "ß"]},
        "timing": {"gapMs": 30},
    },
}  # fmt: skip


@pytest.mark.parametrize("usage", ["end", "continuous"])
@pytest.mark.parametrize("name", SCRIPTS)
@pytest.mark.parametrize("protocol", list(Protocol))
def test_the_engine_reads_back_what_was_scripted(protocol: Protocol, name: str, usage: str) -> None:
    document = SCRIPTS[name] | {"answer": {**SCRIPTS[name].get("answer", {}), "usage": usage, "cachedShare": 0.5}}
    plan = planned(document, protocol, tokens=12)
    reply = read_back(plan, protocol)
    assert (reply.outcome, reply.error, reply.finish) == (Outcome.SUCCESS, None, "length")
    assert (reply.input_tokens, reply.output_tokens) == (7, 12)
    assert reply.cached_tokens == (None if protocol is Protocol.TGI else 3)
    texts = document["answer"].get("texts", ["tok "])
    assert reply.text == "".join(texts[turn % len(texts)] for turn in range(12))
    carrying = [number for number, tokens in enumerate(plan.tokens, start=1) if tokens]
    assert reply.stamps == carrying, "a chunk is there when its last part is"
    if protocol is Protocol.TGI or usage == "continuous":
        assert reply.tokens == [tokens for tokens in plan.tokens if tokens]
    else:
        assert reply.tokens is None
    assert list(plan.offsets) == sorted(plan.offsets)


@pytest.mark.parametrize("protocol", list(Protocol))
@pytest.mark.parametrize("counts", [True, False])
def test_answers_that_end_by_themselves(protocol: Protocol, counts: bool) -> None:
    document = {"answer": {"tokens": 5, "countsEndToken": counts}, "timing": {"firstMs": 9, "gapMs": 2}}
    plan = planned(document, protocol, tokens=12)
    reply = read_back(plan, protocol)
    assert (reply.outcome, reply.finish, reply.output_tokens) == (Outcome.SUCCESS, "stop", 6 if counts else 5)
    assert reply.text == "tok " * 5
    end_step = counts or protocol is not Protocol.TGI
    assert plan.offsets[-1] == (9 + (5 if end_step else 4) * 2) * 1_000_000, "the end token takes a step"
    assert plan.stops


@pytest.mark.parametrize(("limit", "force"), [(5, False), (3, False), (9, True)])
def test_answers_that_are_cut_at_the_requests_limit(limit: int, force: bool) -> None:
    """An end token that is counted needs room too; whoever ignores it gets what was asked for."""
    plan = planned({"answer": {"tokens": 5, "countsEndToken": True}}, Protocol.OPENAI, limit, force=force)
    reply = read_back(plan, Protocol.OPENAI)
    assert (reply.finish, reply.output_tokens, reply.text) == ("length", limit, "tok " * limit)


@pytest.mark.parametrize(
    ("usage", "extra", "counted", "per_chunk"),
    [
        ("as-asked", {}, 6, None),
        ("as-asked", CONTINUOUS, 6, [1] * 6),
        ("as-asked", {"stream_options": {}}, None, None),
        ("end", CONTINUOUS, 6, None),
        ("continuous", {"stream_options": {}}, 6, [1] * 6),
        ("never", CONTINUOUS, None, None),
    ],
)
def test_usage_as_the_script_gives_it(
    usage: str, extra: dict[str, Any], counted: int | None, per_chunk: list[int] | None
) -> None:
    reply = read_back(planned({"answer": {"usage": usage}}, Protocol.OPENAI, 6, extra), Protocol.OPENAI)
    assert (reply.output_tokens, reply.tokens) == (counted, per_chunk)


def test_gaps_per_token_and_per_chunk() -> None:
    answer = {"tokensPerChunk": 3, "firstChunkTokens": 1}
    per_token = planned({"answer": answer, "timing": {"firstMs": 10, "tokenMs": 2}}, Protocol.TGI, 8)
    assert [offset / 1e6 for offset in per_token.offsets] == [10, 16, 22, 24]
    per_chunk = planned({"answer": answer, "timing": {"firstMs": 10, "gapMs": [2, 5]}}, Protocol.TGI, 8)
    assert [offset / 1e6 for offset in per_chunk.offsets] == [10, 12, 17, 19]
    assert per_chunk.tokens == per_token.tokens == (1, 3, 3, 1)


def test_prompts_are_counted_by_the_scripts_line() -> None:
    plan = planned({"prompt": {"offset": 10, "slope": 2.5}}, Protocol.OPENAI_CHAT)
    assert read_back(plan, Protocol.OPENAI_CHAT).input_tokens == plan.prompt_tokens == 20
