"""Real servers' bytes, read whole and cut at every place."""

import json
from pathlib import Path

import pytest

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
}


def read(case: str, reads: list[bytes]) -> Reply:
    reader = ResponseReader()
    complete = False
    for stamp, data in enumerate(reads, start=1):
        complete = reader.feed(stamp, data)
    ending = Ending.COMPLETE if complete else Ending.CLOSED
    return interpret(PROTOCOLS[EXPECTED[case][0]], reader.response, ending)


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
