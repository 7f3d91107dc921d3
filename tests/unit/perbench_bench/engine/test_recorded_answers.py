"""Real servers' bytes, read whole and cut at every place."""

import json
from itertools import accumulate, pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perbench.api.models import Protocol
from perbench.results import Outcome
from perbench_bench.engine.http1 import ResponseReader
from perbench_bench.engine.protocols import PROTOCOLS, interpret
from perbench_bench.engine.reply import Ending, Reply

WIRE = Path(__file__).parents[3] / "golden" / "wire"

# case: protocol, outcome, finish, input tokens, output tokens, content events, start of the text
EXPECTED: dict[str, tuple[Protocol, Outcome, str | None, int | None, int | None, int, str]] = {
    "tgi-stream-length": (Protocol.TGI, Outcome.SUCCESS, "length", 6, 10, 10, " Deep learning is a subs"),
    "tgi-stream-eos": (Protocol.TGI, Outcome.SUCCESS, "stop", 14, 10, 9, " Deep learning is a subs"),
    "tgi-stream-only-eos": (Protocol.TGI, Outcome.SUCCESS, "stop", 19, 1, 0, ""),
    "tgi-stream-validation": (Protocol.TGI, Outcome.CLIENT_ERROR, None, None, None, 0, ""),
    "tgi-overload-stream": (Protocol.TGI, Outcome.OVERLOADED, None, None, None, 0, ""),
    "tgi-overload-chat-stream": (Protocol.OPENAI_CHAT, Outcome.OVERLOADED, None, None, None, 0, ""),
    "tgi-chat-stream-usage": (Protocol.OPENAI_CHAT, Outcome.SUCCESS, "stop", 37, 10, 9, " Deep learning is a subs"),
    "llama-chat-stream-usage": (Protocol.OPENAI_CHAT, Outcome.SUCCESS, "length", 38, 16, 16, "1. 1\n2. 2\n3. 3\n4"),
    "llama-chat-multibyte": (
        Protocol.OPENAI_CHAT,
        Outcome.SUCCESS,
        "length",
        None,
        None,
        20,
        "Repeat exactly: 😁🙂🙂\n\n🙂🙂\n",
    ),
    "llama-eos-first": (Protocol.OPENAI_CHAT, Outcome.SUCCESS, "stop", 831, 1, 0, ""),
    "llama-completions-stream": (Protocol.OPENAI, Outcome.SUCCESS, "length", 5, 12, 12, " Paris.\n\nThe United Stat"),
    "llama-array-prompt-stream": (Protocol.OPENAI, Outcome.SUCCESS, "length", 2, 4, 8, "-,tailed the test color,"),
    "llama-loading": (Protocol.OPENAI_CHAT, Outcome.OVERLOADED, None, None, None, 0, ""),
    "vllm-chat-256": (Protocol.OPENAI_CHAT, Outcome.SUCCESS, "length", 17, 256, 256, " parameters two paramete"),
    "vllm-chat-continuous": (Protocol.OPENAI_CHAT, Outcome.SUCCESS, "length", 17, 16, 16, " parameters two paramete"),
    "vllm-chat-usage": (Protocol.OPENAI_CHAT, Outcome.SUCCESS, "length", 17, 16, 16, " parameters two paramete"),
    "vllm-completions-usage": (Protocol.OPENAI, Outcome.SUCCESS, "length", 9, 12, 12, "ur escapeoundedgoryounde"),
    "vllm-over-long": (Protocol.OPENAI_CHAT, Outcome.CLIENT_ERROR, None, None, None, 0, ""),
    "tgi-stream-utf8": (Protocol.TGI, Outcome.SUCCESS, "stop", 15, 58, 30, " Grüße, 世界! 👋🏽 naïve — 日"),
    "tgi-special-tokens": (Protocol.TGI, Outcome.SUCCESS, "stop", 17, 9, 5, " one two three four"),
    "tgi-overload-in-the-middle": (Protocol.OPENAI, Outcome.OVERLOADED, "length", 6, 3, 6, " Deep Deep learning lear"),
    "tgi-wedge-neighbour": (Protocol.TGI, Outcome.SERVER_ERROR, None, None, None, 9, " Deep learning is a subs"),
    "tgi-wedge-silent": (Protocol.TGI, Outcome.TRUNCATED, None, None, None, 0, ""),
    "tgi-speculation": (Protocol.TGI, Outcome.SUCCESS, "length", 15, 16, 16, " Deep learning is a subs"),
    "tgi-chat-tool": (Protocol.OPENAI_CHAT, Outcome.SUCCESS, None, None, None, 32, '[{"index":0,"id":"0","ty'),
    "tgi-generation-error": (Protocol.TGI, Outcome.SERVER_ERROR, None, None, None, 5, " Deep learning is a subs"),
    "tgi-generation-error-chat": (Protocol.OPENAI_CHAT, Outcome.SERVER_ERROR, None, None, None, 5, " Deep learning is"),
    "tgi-generation-error-completions": (
        Protocol.OPENAI,
        Outcome.SERVER_ERROR,
        None,
        None,
        None,
        5,
        " Deep learning is",
    ),
    "tgi-keep-alive-lines": (Protocol.OPENAI_CHAT, Outcome.SUCCESS, "length", None, None, 3, " don"),
    "vllm-no-key": (Protocol.OPENAI_CHAT, Outcome.CLIENT_ERROR, None, None, None, 0, ""),
    "vllm-queue-full": (Protocol.OPENAI_CHAT, Outcome.OVERLOADED, None, None, None, 0, ""),
    "vllm-five-a-chunk": (Protocol.OPENAI_CHAT, Outcome.SUCCESS, "length", 17, 64, 14, " parameters two paramete"),
    "vllm-completions-continuous": (Protocol.OPENAI, Outcome.SUCCESS, "length", 9, 12, 12, "ur escapeoundedgoryounde"),
    "llama-over-long": (Protocol.OPENAI_CHAT, Outcome.CLIENT_ERROR, None, None, None, 0, ""),
    "llama-no-prompt": (Protocol.OPENAI, Outcome.CLIENT_ERROR, None, None, None, 0, ""),
    "llama-no-key": (Protocol.OPENAI_CHAT, Outcome.CLIENT_ERROR, None, None, None, 0, ""),
    "llama-stopped": (Protocol.OPENAI_CHAT, Outcome.TRUNCATED, None, None, None, 1, "In"),
}


SAID = {
    "tgi-overload-in-the-middle": "Model is overloaded",
    "tgi-wedge-neighbour": "Incomplete generation stream",
    "tgi-generation-error-chat": "Request failed during generation: Server error: CUDA error: an illegal memory access",
    "vllm-no-key": "HTTP 401: Unauthorized",
    "vllm-queue-full": "HTTP 503: The engine is currently busy and cannot accept new requests.",
    "llama-over-long": "HTTP 400: request (3031 tokens) exceeds the available context size (1024 tokens)",
    "llama-no-key": "HTTP 401: Invalid API Key",
    "llama-stopped": "the connection closed before the answer was finished",
}
"""How the error begins that is told."""


def read(case: str, reads: list[bytes]) -> Reply:
    reader = ResponseReader()
    complete = False
    for stamp, data in enumerate(reads, start=1):
        complete = reader.feed(stamp, data)
    ending = Ending.COMPLETE if complete else Ending.CLOSED
    return interpret(PROTOCOLS[EXPECTED[case][0]], reader.response, ending)


def body_of(case: str) -> bytes | None:
    """The events of a case without framing; None where it is no whole stream."""
    reader = ResponseReader()
    whole = reader.feed(1, (WIRE / f"{case}.http").read_bytes())
    stream = reader.response.content_type == b"text/event-stream"
    return reader.response.body if whole and stream else None


BODIES = {case: body for case in EXPECTED if (body := body_of(case)) is not None}


def sent(body: bytes) -> bytes:
    """The same events in a response of known length."""
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\nContent-Length: %d\r\n\r\n"
    return head % len(body) + body


def check(case: str, reply: Reply) -> None:
    _, outcome, finish, input_tokens, output_tokens, events, start = EXPECTED[case]
    assert (reply.outcome, reply.finish) == (outcome, finish)
    assert (reply.input_tokens, reply.output_tokens) == (input_tokens, output_tokens)
    assert sum(reply.events) == events
    assert reply.text.startswith(start)
    assert reply.stamps == sorted(set(reply.stamps)), "one chunk per read, in order"


@pytest.mark.parametrize("case", EXPECTED)
def test_whole_in_one_read(case: str) -> None:
    reply = read(case, [(WIRE / f"{case}.http").read_bytes()])
    check(case, reply)
    assert len(reply.stamps) <= 1


@pytest.mark.parametrize("case", EXPECTED)
def test_a_byte_at_a_time(case: str) -> None:
    data = (WIRE / f"{case}.http").read_bytes()
    check(case, read(case, [data[i : i + 1] for i in range(len(data))]))


@pytest.mark.parametrize("end", [b"\r\n", b"\r"])
@pytest.mark.parametrize("case", BODIES)
def test_other_line_ends_say_the_same(case: str, end: bytes) -> None:
    data = sent(BODIES[case].replace(b"\n", end))
    check(case, read(case, [data]))
    check(case, read(case, [data[i : i + 1] for i in range(len(data))]))


@pytest.mark.parametrize("comment", [b":\n\n", b": keep-alive\n\n", b":\r\n\r\n", b"event: message\nid: 7\nretry: 5\n"])
@pytest.mark.parametrize("case", BODIES)
def test_comments_and_other_fields_say_nothing(case: str, comment: bytes) -> None:
    check(case, read(case, [sent(comment + BODIES[case].replace(b"\n\ndata:", b"\n\n" + comment + b"data:"))]))


@pytest.mark.parametrize("case", EXPECTED)
@given(cuts=st.lists(st.floats(0, 1, exclude_max=True), max_size=12))
@settings(max_examples=25, deadline=None)
def test_any_cuts(case: str, cuts: list[float]) -> None:
    """Inside of characters, line ends, chunk sizes and headers, several at once."""
    data = (WIRE / f"{case}.http").read_bytes()
    places = sorted({0, len(data), *(int(cut * len(data)) for cut in cuts)})
    check(case, read(case, [data[a:b] for a, b in pairwise(places)]))


@pytest.mark.parametrize("case", SAID)
def test_what_is_told_of_a_failure(case: str) -> None:
    error = read(case, [(WIRE / f"{case}.http").read_bytes()]).error
    assert error
    assert error.startswith(SAID[case])


@pytest.mark.parametrize("case", [case for case in EXPECTED if case != "vllm-chat-256"])
def test_cut_at_every_place_into_two_reads(case: str) -> None:
    data = (WIRE / f"{case}.http").read_bytes()
    for cut in range(1, len(data)):
        check(case, read(case, [data[:cut], data[cut:]]))


@pytest.mark.parametrize("case", [case for case, row in EXPECTED.items() if row[1] is Outcome.SUCCESS])
def test_a_stream_that_stops_early_is_truncated(case: str) -> None:
    data = (WIRE / f"{case}.http").read_bytes()
    last_events = data[: len(data) * 3 // 5]
    assert read(case, [last_events]).outcome is Outcome.TRUNCATED


def test_reads_give_each_chunk_its_own_stamp() -> None:
    data = (WIRE / "tgi-stream-length.http").read_bytes()
    head, *events = data.split(b"data:")
    reads = [head, *(b"data:" + event for event in events)]
    # The chunk size line of the next event rides at the end of each piece, as it may on a real socket.
    reply = read("tgi-stream-length", reads)
    assert reply.stamps == list(range(2, 12))
    assert reply.tokens == [1] * 10


def test_half_characters_count_with_the_chunk_that_completes_them() -> None:
    reply = read("tgi-stream-utf8", [(WIRE / "tgi-stream-utf8.http").read_bytes()])
    assert reply.tokens == [57]
    assert reply.output_tokens == 58, "the end token is counted by the server and is in no chunk"


def test_continuous_usage_says_how_many_tokens_a_chunk_has() -> None:
    data = (WIRE / "vllm-chat-continuous.http").read_bytes()
    reply = read("vllm-chat-continuous", [data[i : i + 1] for i in range(len(data))])
    assert reply.tokens == [1] * 16


def test_several_tokens_a_chunk_are_counted_by_the_server() -> None:
    """vLLM with --stream-interval 5: tokens over events would say 4.6 for every chunk, also for the first."""
    data = (WIRE / "vllm-five-a-chunk.http").read_bytes()
    reply = read("vllm-five-a-chunk", [data[i : i + 1] for i in range(len(data))])
    assert reply.tokens == [1, *[5] * 12, 3]


def test_events_of_one_read_are_one_chunk() -> None:
    """TGI with speculation writes up to three tokens at once: recorded reads of 331, 129, 385 … bytes."""
    data = (WIRE / "tgi-speculation.http").read_bytes()
    ends = list(accumulate([331, 129, 385, 390, 390, 395, 555]))
    reply = read("tgi-speculation", [data[a:b] for a, b in pairwise([0, *ends])])
    assert (reply.stamps, reply.tokens) == ([2, 3, 4, 5, 6, 7], [1, 3, 3, 3, 3, 3])


def test_keep_alive_lines_are_no_chunks() -> None:
    """TGI: two comments in 33 s before the first token."""
    data = (WIRE / "tgi-keep-alive-lines.http").read_bytes()
    assert data.count(b"\r\n:\n\n\r\n") == 2
    first = data.index(b"data:")
    reply = read("tgi-keep-alive-lines", [data[:first], data[first:]])
    assert reply.stamps == [2]


def test_tool_calls_and_reasoning_are_content() -> None:
    reader = ResponseReader()
    reader.feed(1, b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n")
    deltas = [
        {"role": "assistant"},
        {"reasoning_content": "hm"},
        {"reasoning": "so"},
        {"tool_calls": [{"id": "1"}]},
        {},
    ]
    for stamp, delta in enumerate(deltas, start=2):
        reader.feed(stamp, b"data: " + json.dumps({"choices": [{"delta": delta}]}).encode() + b"\n\n")
    reply = interpret(PROTOCOLS[Protocol.OPENAI_CHAT], reader.response, Ending.CLOSED)
    assert reply.stamps == [3, 4, 5]


def test_tokens_of_a_chunk_without_text_count_with_the_next() -> None:
    """vLLM sends such chunks for half a character."""
    reader = ResponseReader()
    reader.feed(1, b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n")
    for stamp, (text, tokens) in enumerate([("", 0), ("a", 1), ("", 2), ("b", 3)], start=2):
        event = {"choices": [{"delta": {"content": text}}], "usage": {"completion_tokens": tokens}}
        reader.feed(stamp, b"data: " + json.dumps(event).encode() + b"\n\n")
    reply = interpret(PROTOCOLS[Protocol.OPENAI_CHAT], reader.response, Ending.CLOSED)
    assert (reply.stamps, reply.tokens) == ([3, 5], [1, 2])


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"<html>\n  <h1>Bad\r\n gateway</h1>\n</html>\n", "HTTP 502: <html> <h1>Bad gateway</h1> </html>"),
        (b'{"error": {"message": "no\\nroom"}}', "HTTP 502: no room"),
        (b" \n", "HTTP 502: no message"),
    ],
)
def test_an_error_body_is_told_on_one_line(body: bytes, said: str) -> None:
    reader = ResponseReader()
    assert reader.feed(1, b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))
    assert interpret(PROTOCOLS[Protocol.TGI], reader.response, Ending.COMPLETE).error == said
