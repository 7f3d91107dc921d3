"""The three ways model servers are spoken to: request body out, reply in. Pure.

Sources: TGI 3.3.7 router, vLLM 0.32, llama-server b11669 as recorded; the OpenAI API reference for the field names.
"""

from collections.abc import Callable
from dataclasses import dataclass

import orjson
from pydantic import JsonValue

from perbench.api.models import Protocol
from perbench.results import Outcome
from perbench_bench.engine import sse
from perbench_bench.engine.http1 import HttpResponse
from perbench_bench.engine.reply import Ending, Reply, outcome_of_error, outcome_of_status

Json = dict[str, JsonValue]


@dataclass(frozen=True, slots=True)
class Sampling:
    """How answers are drawn: always greedily, so that two runs can be compared."""

    max_tokens: int
    seed: int
    force_length: bool
    """Ask the server to ignore the end token (synthetic loads)."""


@dataclass(frozen=True, slots=True)
class WireProtocol:
    """One protocol: its route, how a request is written and how one event of its stream is read."""

    path: str
    write: Callable[[str, str, Sampling], Json]
    read: Callable[[Reply, int, Json], None]
    done_marker: bool
    """Whether the stream ends with `data: [DONE]`."""

    def body(self, model: str, prompt: str, sampling: Sampling, extra: Json) -> bytes:
        """The request's JSON body; `extra` is what the runtime adds (cache_prompt, …)."""
        return orjson.dumps(self.write(model, prompt, sampling) | extra)


def interpret(protocol: WireProtocol, response: HttpResponse, ending: Ending, error: str = "") -> Reply:
    """Everything one response says, however it ended."""
    reply = Reply()
    if response.status and response.status != 200:
        reply.fail(outcome_of_status(response.status), f"HTTP {response.status}: {_message(response.body)}")
    elif ending is Ending.MALFORMED:
        reply.fail(Outcome.MALFORMED, error)
    elif ending is Ending.COMPLETE and response.content_type != b"text/event-stream":
        _read_unstreamed(reply, response)
    else:
        finished = _read_stream(protocol, reply, response, whole=ending is Ending.COMPLETE)
        _judge_ending(reply, ending, finished=finished, error=error)
    return reply


def _read_stream(protocol: WireProtocol, reply: Reply, response: HttpResponse, *, whole: bool) -> bool:
    """Read all events. True when the stream said that it is finished."""
    done = False
    for stamp, data in sse.events(response.pieces, flush=whole):
        if data == b"[DONE]":
            done = True
            continue
        try:
            event = orjson.loads(data)
        except orjson.JSONDecodeError:
            reply.fail(Outcome.MALFORMED, f"an event is not JSON: {data[:80].decode(errors='replace')}")
            continue
        if event is None:  # llama-server begins streams of array prompts so
            continue
        if not isinstance(event, dict):
            reply.fail(Outcome.MALFORMED, f"an event is not an object: {data[:80].decode(errors='replace')}")
        elif event.get("error") or event.get("object") == "error":
            _read_error(reply, event)
        else:
            try:
                protocol.read(reply, stamp, event)
            except (TypeError, AttributeError, KeyError, IndexError) as error:
                reply.fail(Outcome.MALFORMED, f"an event has an unexpected form ({error}): {data[:80]!r}")
    return reply.finish is not None or (protocol.done_marker and done)


def _judge_ending(reply: Reply, ending: Ending, *, finished: bool, error: str) -> None:
    if ending is Ending.TIMED_OUT:
        reply.fail(Outcome.TIMEOUT, error)
    elif ending is Ending.CLOSED and (not finished or reply.output_tokens is None):
        reply.fail(Outcome.TRUNCATED, error or "the connection closed before the answer was finished")
    elif ending is Ending.NOT_CONNECTED:
        reply.fail(Outcome.CONNECT_FAILED, error)
    elif ending in {Ending.NO_RESOURCES, Ending.HELD_BACK}:
        reply.fail(Outcome.DROPPED, error)
    elif not finished:
        reply.fail(Outcome.TRUNCATED, "the stream ended without a finish reason")


def _read_unstreamed(reply: Reply, response: HttpResponse) -> None:
    """A 200 that is no stream: an error object, or a server that does not stream at all."""
    try:
        body = orjson.loads(response.body)
    except orjson.JSONDecodeError:
        body = None
    if isinstance(body, dict) and body.get("error"):
        _read_error(reply, body)
    else:
        kind = response.content_type.decode(errors="replace") or "no content type"
        reply.fail(Outcome.MALFORMED, f"the answer is not an event stream but {kind}")


def _read_error(reply: Reply, event: Json) -> None:
    detail = event.get("error", event)
    if isinstance(detail, dict):
        kind, code = detail.get("type"), detail.get("http_status_code", detail.get("code"))
        message = str(detail.get("message", detail))
    else:
        kind, code, message = event.get("error_type"), event.get("code"), str(detail)
    reply.fail(outcome_of_error(kind, code, message), message)


def _message(body: bytes) -> str:
    """The human part of an error body, whatever its form, on one line."""
    return " ".join(_detail(body).split())[:200] or "no message"


def _detail(body: bytes) -> str:
    try:
        parsed = orjson.loads(body)
    except orjson.JSONDecodeError:
        return body.decode(errors="replace")
    detail = parsed.get("error", parsed) if isinstance(parsed, dict) else parsed
    if isinstance(detail, dict):
        detail = detail.get("message", detail)
    return str(detail)


def _count(value: JsonValue) -> int | None:
    """A token count as the server gave it; anything but a non-negative integer is none."""
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


# --- OpenAI: completions and chat


def _write_completion(model: str, prompt: str, sampling: Sampling) -> Json:
    return _openai(model, sampling) | {"prompt": prompt}


def _write_chat(model: str, prompt: str, sampling: Sampling) -> Json:
    return _openai(model, sampling) | {"messages": [{"role": "user", "content": prompt}]}


def _openai(model: str, sampling: Sampling) -> Json:
    body: Json = {
        "model": model,
        "max_tokens": sampling.max_tokens,
        "temperature": 0,
        "seed": sampling.seed,
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    if sampling.force_length:
        body["ignore_eos"] = True
    return body


def _read_completion(reply: Reply, stamp: int, event: Json) -> None:
    for choice in _choices(event):
        _openai_content(reply, stamp, event, choice.get("text"), choice)


def _read_chat(reply: Reply, stamp: int, event: Json) -> None:
    choices = _choices(event)
    for choice in choices:
        delta = choice.get("delta") or {}
        content = None
        if isinstance(delta, dict):
            content = delta.get("content") or delta.get("reasoning_content") or delta.get("reasoning")
            if not content and delta.get("tool_calls"):
                content = orjson.dumps(delta["tool_calls"]).decode()
        _openai_content(reply, stamp, event, content, choice)


def _choices(event: Json) -> list[Json]:
    choices = event.get("choices")
    if not choices:
        return [{}] if "usage" in event else []
    return [choice for choice in choices if isinstance(choice, dict)] if isinstance(choices, list) else []


def _openai_content(reply: Reply, stamp: int, event: Json, content: JsonValue, choice: Json) -> None:
    usage = event.get("usage")
    if isinstance(usage, dict):
        before = reply.output_tokens or 0
        _openai_usage(reply, usage)
        further = (reply.output_tokens or 0) - before
        if further > 0:
            reply.pending_tokens += further
    if content:
        if not reply.stamps and isinstance(usage, dict):
            reply.tokens = []  # the server counts along (continuous_usage_stats), from the first chunk on
        elif usage is None:
            reply.tokens = None
        reply.add_content(stamp, str(content))
        reply.add_tokens(reply.pending_tokens)
        reply.pending_tokens = 0
    if choice.get("finish_reason"):
        reply.finish = _finish(str(choice["finish_reason"]))


def _openai_usage(reply: Reply, usage: Json) -> None:
    reply.input_tokens = _count(usage.get("prompt_tokens"))
    reply.output_tokens = _count(usage.get("completion_tokens"))
    details = usage.get("prompt_tokens_details")
    if isinstance(details, dict):
        reply.cached_tokens = _count(details.get("cached_tokens"))


def _finish(reason: str) -> str:
    """TGI's completions route says eos_token and stop_sequence where OpenAI's says stop."""
    return "stop" if reason in {"eos_token", "stop_sequence"} else reason


# --- TGI


def _write_tgi(_model: str, prompt: str, sampling: Sampling) -> Json:
    # No temperature: TGI refuses 0, and is greedy when nothing is said. It cannot be told to ignore the end token.
    return {"inputs": prompt, "parameters": {"max_new_tokens": sampling.max_tokens, "details": True}}


def _read_tgi(reply: Reply, stamp: int, event: Json) -> None:
    """One event per token. A token without text of its own (half a character, a special one) counts with the next."""
    token = event.get("token")
    if isinstance(token, dict):
        if reply.tokens is None:
            reply.tokens = []
        reply.pending_tokens += 1
        if token.get("text") and not token.get("special"):
            reply.add_content(stamp, str(token["text"]))
            reply.add_tokens(reply.pending_tokens)
            reply.pending_tokens = 0
    details = event.get("details")
    if isinstance(details, dict):
        reply.output_tokens = _count(details.get("generated_tokens"))
        reply.input_tokens = _count(details.get("input_length"))
        reply.finish = _finish(str(details.get("finish_reason")))
    elif event.get("generated_text") is not None:
        reply.finish = "unknown"


PROTOCOLS: dict[Protocol, WireProtocol] = {
    Protocol.OPENAI: WireProtocol("/v1/completions", _write_completion, _read_completion, done_marker=True),
    Protocol.OPENAI_CHAT: WireProtocol("/v1/chat/completions", _write_chat, _read_chat, done_marker=True),
    Protocol.TGI: WireProtocol("/generate_stream", _write_tgi, _read_tgi, done_marker=False),
}
