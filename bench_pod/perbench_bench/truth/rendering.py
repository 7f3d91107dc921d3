"""The bytes of answers, in the shapes of real servers (tests/golden/wire): vLLM for OpenAI's routes, TGI for its own.

Everything an answer needs is rendered before its first byte is due and kept for the next answer of the same shape.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import orjson

from perbench.api.models import Protocol
from perbench_bench.truth.script import Moment, Script

CREATED = 1_750_000_000
"""The time in every event: a constant, so that equal scripts give equal bytes."""

DONE = b"[DONE]"
LAST_CHUNK = b"0\r\n\r\n"
TOO_BUSY = "Model is overloaded"
BROKEN = "CUDA out of memory"

Event = dict[str, object]


@dataclass(frozen=True, slots=True)
class Shape:
    """What tells one answer's bytes from another's, beside the script."""

    protocol: Protocol
    sizes: tuple[int, ...]
    """Tokens of each chunk."""
    texts: tuple[str, ...]
    """Texts of the tokens, in turn."""
    counted: int
    """Tokens as the server counts them."""
    stops: bool
    """It ends by itself, not by a limit."""
    prompt_tokens: int
    cached_tokens: int | None
    usage_at_end: bool
    usage_always: bool


@dataclass(frozen=True, slots=True)
class Rendered:
    """One answer. `writes` holds one entry per chunk and, where an end token or its event is sent, one for that."""

    early: bytes
    """The chunk with the role, where it does not wait for the first token."""
    writes: tuple[bytes, ...]
    tail: bytes
    """What follows the last write at once: usage, the end."""


class Renderer:
    """Renders the answers of one script."""

    def __init__(self, script: Script) -> None:
        self._model = script.model
        self._stream = script.stream
        self._eol = b"\r\n" if script.stream.crlf else b"\n"
        self.comment = chunk(b":" + self._eol * 2)
        self.answer: Callable[[Shape], Rendered] = lru_cache(maxsize=256)(self._answer)

    def event(self, data: bytes) -> bytes:
        """One event in a chunk of its own."""
        return chunk(b"data: " + data + self._eol * 2)

    def end(self, protocol: Protocol) -> bytes:
        """The end of a stream."""
        return LAST_CHUNK if protocol is Protocol.TGI else self.event(DONE) + LAST_CHUNK

    def error(self, protocol: Protocol, *, overloaded: bool) -> bytes:
        """An error inside a stream, and its end. TGI says 422 for overload on OpenAI's routes."""
        message = TOO_BUSY if overloaded else BROKEN
        if protocol is Protocol.TGI:
            error: Event = {"error": message, "error_type": "overloaded" if overloaded else "generation"}
        elif overloaded:
            error = {"error": {"message": message, "http_status_code": 422}}
        else:
            error = {"error": {"message": message, "type": "InternalServerError", "param": None, "code": 500}}
        return self.event(orjson.dumps(error)) + self.end(protocol)

    def _answer(self, shape: Shape) -> Rendered:
        render = self._tgi if shape.protocol is Protocol.TGI else self._openai
        return render(shape)

    # --- TGI: one event per token

    def _tgi(self, shape: Shape) -> Rendered:
        total, writes, index = sum(shape.sizes), [], 0
        end_token = shape.stops and shape.counted > total
        for number, size in enumerate(shape.sizes, start=1):
            events = [self._empty(shape, index)] if self._is_empty(number) else []
            for _ in range(size):
                index += 1
                token: Event = {
                    "id": 100 + index % 31_000,
                    "text": _text(shape, index),
                    "logprob": -0.5,
                    "special": False,
                }
                last = index == total and not end_token
                events.append(self._tgi_event(shape, index, token, last=last))
            writes.append(b"".join(events))
        if end_token:
            end: Event = {"id": 2, "text": "</s>", "logprob": -0.5, "special": True}
            writes.append(self._tgi_event(shape, index + 1, end, last=True))
        return Rendered(b"", tuple(writes), LAST_CHUNK)

    def _tgi_event(self, shape: Shape, index: int, token: Event, *, last: bool) -> bytes:
        event: Event = {"index": index, "token": token, "generated_text": None, "details": None}
        if last:
            event["generated_text"] = "".join(_text(shape, turn) for turn in range(1, sum(shape.sizes) + 1))
            if shape.usage_at_end or shape.usage_always:
                ended = "eos_token" if shape.counted > sum(shape.sizes) else "stop_sequence"
                event["details"] = {
                    "finish_reason": ended if shape.stops else "length",
                    "generated_tokens": shape.counted, "seed": None, "input_length": shape.prompt_tokens,
                }  # fmt: skip
        return self.event(orjson.dumps(event))

    # --- OpenAI: completions and chat

    def _openai(self, shape: Shape) -> Rendered:
        role = b""
        if shape.protocol is Protocol.OPENAI_CHAT and self._stream.role is not Moment.NEVER:
            role = self._openai_event(shape, {"role": "assistant", "content": ""}, 0)
        early, before = (b"", role) if self._stream.role is Moment.WITH_FIRST_TOKEN else (role, b"")
        writes, index = [], 0
        for number, size in enumerate(shape.sizes, start=1):
            data = before + (self._empty(shape, index) if self._is_empty(number) else b"")
            before = b""
            text = "".join(_text(shape, turn) for turn in range(index + 1, index + size + 1))
            index += size
            finish = "length" if number == len(shape.sizes) and not shape.stops else None
            writes.append(data + self._openai_event(shape, text, index, finish))
        if shape.stops:
            writes.append(self._openai_event(shape, "", shape.counted, "stop"))
        tail = self._usage(shape) if shape.usage_at_end or shape.usage_always else b""
        return Rendered(early, tuple(writes), tail + self.end(shape.protocol))

    def _openai_event(self, shape: Shape, delta: str | Event, tokens: int, finish: str | None = None) -> bytes:
        choice: Event = {"index": 0}
        if shape.protocol is Protocol.OPENAI_CHAT:
            choice["delta"] = {"content": delta} if isinstance(delta, str) else delta
        else:
            choice["text"] = delta
        event = self._envelope(shape, [choice | {"logprobs": None, "finish_reason": finish}])
        if shape.usage_always:
            event["usage"] = _counts(shape, tokens)
        return self.event(orjson.dumps(event))

    def _envelope(self, shape: Shape, choices: list[Event]) -> Event:
        chat = shape.protocol is Protocol.OPENAI_CHAT
        return {
            "id": "chatcmpl-truth" if chat else "cmpl-truth",
            "object": "chat.completion.chunk" if chat else "text_completion",
            "created": CREATED, "model": self._model, "choices": choices,
        }  # fmt: skip

    def _usage(self, shape: Shape) -> bytes:
        return self.event(orjson.dumps(self._envelope(shape, []) | {"usage": _counts(shape, shape.counted)}))

    # --- both

    def _is_empty(self, number: int) -> bool:
        every = self._stream.empty_every
        return every is not None and number % every == 0

    def _empty(self, shape: Shape, tokens: int) -> bytes:
        """An event without text and without a token."""
        if shape.protocol is Protocol.TGI:
            return self.event(b"{}")
        return self._openai_event(shape, "", tokens)


def _text(shape: Shape, index: int) -> str:
    return shape.texts[(index - 1) % len(shape.texts)]


def _counts(shape: Shape, tokens: int) -> Event:
    counts: Event = {
        "prompt_tokens": shape.prompt_tokens, "total_tokens": shape.prompt_tokens + tokens, "completion_tokens": tokens,
    }  # fmt: skip
    if shape.cached_tokens is not None:
        counts["prompt_tokens_details"] = {"cached_tokens": shape.cached_tokens}
    return counts


def chunk(data: bytes) -> bytes:
    """One chunk of HTTP's chunked coding (RFC 9112 §7.1)."""
    return b"%x\r\n%b\r\n" % (len(data), data)


STREAM_HEADS = {
    protocol: b"HTTP/1.1 200 OK\r\n%bcontent-type: text/event-stream%b\r\ntransfer-encoding: chunked\r\n\r\n" % kind
    for protocol, kind in {
        Protocol.OPENAI: (b"server: perbench-truth\r\n", b"; charset=utf-8"),
        Protocol.OPENAI_CHAT: (b"server: perbench-truth\r\n", b"; charset=utf-8"),
        Protocol.TGI: (b"cache-control: no-cache\r\nx-compute-type: truth\r\n", b""),
    }.items()
}

REASONS = {
    200: "OK", 400: "Bad Request", 401: "Unauthorized", 404: "Not Found", 405: "Method Not Allowed",
    429: "Too Many Requests", 503: "Service Unavailable",
}  # fmt: skip


def plain(status: int, body: bytes, content_type: str = "application/json") -> bytes:
    """A response of known length."""
    head = f"HTTP/1.1 {status} {REASONS[status]}\r\ncontent-type: {content_type}\r\ncontent-length: {len(body)}\r\n\r\n"
    return head.encode("ascii") + body


def refusal(status: int, message: str, protocol: Protocol | None = None) -> bytes:
    """An error as the whole response, in the protocol's form."""
    if protocol is Protocol.TGI:
        kind = "overloaded" if status in {429, 503} else "validation"
        return plain(status, orjson.dumps({"error": message, "error_type": kind}))
    return plain(
        status, orjson.dumps({"error": {"message": message, "type": REASONS[status], "param": None, "code": status}})
    )
