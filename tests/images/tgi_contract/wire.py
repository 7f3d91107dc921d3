"""Bodies, events and headers, byte for byte as the router of release 3.3.7 writes them. Pure.

Key order, absent and null members are those of the recordings in tests/golden/tgi.
"""

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from tests.images.tgi_contract.arguments import VERSION
from tests.images.tgi_contract.generation import Answer, Candidate, Step, Timings

SHA = "dfb3fbe78e0d1d69251bd33065591c61bafdfaa8"
DOCKER_LABEL = f"sha-{SHA[:7]}"
FINGERPRINT = f"{VERSION}-{DOCKER_LABEL}"
DONE = b"data: [DONE]\n\n"
KEEP_ALIVE = b":\n\n"
KEEP_ALIVE_SECONDS = 15.0

Json = dict[str, Any]
Headers = list[tuple[str, str]]


def dump(value: object) -> bytes:
    """JSON as the router writes it: compact, keys as they come, text unescaped."""
    return orjson.dumps(value)


def event(value: object) -> bytes:
    """One server-sent event."""
    return b"data: " + dump(value) + b"\n\n"


def single(value: float | None) -> float | None:
    """A single precision number as the shortest decimal that names it: -1.2420000076293945 becomes -1.242."""
    if value is None:
        return None
    packed = struct.pack("f", value)
    for digits in range(6, 10):
        short = float(f"{value:.{digits}g}")
        if struct.pack("f", short) == packed:
            return short
    return value


@dataclass(frozen=True)
class ApiError:
    """A refusal or a failure. `counted_as`: the `err` label of tgi_request_failure."""

    status: int
    message: str
    error_type: str
    counted_as: str | None = None

    def body(self) -> bytes:
        """The body of a response with `status`."""
        return dump({"error": self.message, "error_type": self.error_type})

    def tgi_event(self) -> bytes:
        """In a stream of TGI's own routes, under status 200."""
        return event({"error": self.message, "error_type": self.error_type})

    def openai_event(self) -> bytes:
        """In a stream of the OpenAI routes, under status 200. The router says 422 whatever happened."""
        return event({"error": {"message": self.message, "http_status_code": 422}})


OVERLOADED = ApiError(429, "Model is overloaded", "overloaded", "overloaded")
UNHEALTHY = ApiError(503, "unhealthy", "healthcheck")
NO_TEMPLATE = ApiError(422, "Template error: template not found", "template_error")
SUFFIX = ApiError(
    422,
    "Suffix is not supported and can be achieved by preprocessing the prompt.",
    "suffix not supported",
    "validation",
)


def batch_too_large(limit: int) -> ApiError:
    """More prompts in one request than the server takes."""
    message = f"Number of prompts exceeds the maximum allowed batch size of {limit}"
    return ApiError(422, message, "batch size exceeded", "validation")


def validation_failed(message: str, *, is_counted: bool = True) -> ApiError:
    """A request that is not acceptable."""
    return ApiError(422, message, "validation", "validation" if is_counted else None)


def generation_failed(reason: str) -> ApiError:
    """The model server failed."""
    message = f"Request failed during generation: Server error: {reason}"
    return ApiError(424, message, "generation", "generation")


def _token(token: Step | Candidate) -> Json:
    return {"id": token.id, "text": token.text, "logprob": single(token.logprob), "special": token.special}


def _prefill(answer: Answer) -> list[Json]:
    return [{"id": token.id, "text": token.text, "logprob": single(token.logprob)} for token in answer.prefill]


def _details(answer: Answer) -> Json:
    details: Json = {
        "finish_reason": answer.finish,
        "generated_tokens": len(answer.steps),
        "seed": answer.seed,
        "prefill": _prefill(answer),
        "tokens": [_token(step) for step in answer.steps],
    }
    if any(step.top is not None for step in answer.steps):
        details["top_tokens"] = [[_token(token) for token in step.top or ()] for step in answer.steps]
    return details


def generated(answers: Sequence[Answer], full_text_of: str, *, details: bool) -> Json:
    """The answer of /generate: the first of `answers`, with the others as best_of_sequences."""
    first, *others = answers
    body: Json = {"generated_text": full_text_of + first.text}
    if not details:
        return body
    body["details"] = _details(first)
    if others:
        body["details"]["best_of_sequences"] = [
            {"generated_text": full_text_of + answer.text, **_details(answer)} for answer in others
        ]
    return body


def stream_event(step: Step, end: Answer | None, full_text_of: str, *, details: bool) -> bytes:
    """An event of /generate_stream; `end` with the last token."""
    value: Json = {"index": step.index, "token": _token(step)}
    if step.top is not None:
        value["top_tokens"] = [_token(token) for token in step.top]
    value["generated_text"] = None if end is None else full_text_of + end.text
    value["details"] = None
    if end is not None and details:
        value["details"] = {
            "finish_reason": end.finish,
            "generated_tokens": len(end.steps),
            "seed": end.seed,
            "input_length": end.input_length,
        }
    return event(value)


def _usage(answers: Sequence[Answer]) -> Json:
    prompt, completion = sum(each.input_length for each in answers), sum(len(each.steps) for each in answers)
    return {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}


def openai_finish(finish: str) -> str:
    """The router calls only the end token "stop"."""
    return "stop" if finish == "eos_token" else finish


def _openai(kind: str, created: int, model: str) -> Json:
    return {"object": kind, "id": "", "created": created, "model": model, "system_fingerprint": FINGERPRINT}


def _chat_logprobs(steps: Sequence[Step]) -> Json:
    return {
        "content": [
            {
                "token": step.text,
                "logprob": single(step.logprob),
                "top_logprobs": [{"token": token.text, "logprob": single(token.logprob)} for token in step.top or ()],
            }
            for step in steps
        ]
    }


def chat(answer: Answer, created: int, model: str, *, logprobs: bool) -> Json:
    """The answer of a chat."""
    choice = {
        "index": 0,
        "message": {"role": "assistant", "content": answer.text},
        "logprobs": _chat_logprobs(answer.steps) if logprobs else None,
        "finish_reason": openai_finish(answer.finish),
    }
    return {**_openai("chat.completion", created, model), "choices": [choice], "usage": _usage([answer])}


def chat_event(step: Step, created: int, model: str, *, logprobs: bool) -> bytes:
    """An event of a streamed chat. Special tokens have no content here."""
    choice = {
        "index": 0,
        "delta": {"role": "assistant", "content": "" if step.special else step.text},
        "logprobs": _chat_logprobs([step]) if logprobs else None,
        "finish_reason": openai_finish(step.finish) if step.finish else None,
    }
    return event({**_openai("chat.completion.chunk", created, model), "choices": [choice], "usage": None})


def chat_usage_event(answer: Answer, created: int, model: str) -> bytes:
    """The event after the last token, where usage was asked for."""
    return event({**_openai("chat.completion.chunk", created, model), "choices": [], "usage": _usage([answer])})


def completion(answers: Sequence[tuple[int, Answer]], created: int, model: str) -> Json:
    """The answer of a completion: one choice for each prompt, with the number of the prompt."""
    choices = [
        {"index": index, "text": answer.text, "logprobs": None, "finish_reason": openai_finish(answer.finish)}
        for index, answer in answers
    ]
    usage = _usage([answer for _, answer in answers])
    return {**_openai("text_completion", created, model), "choices": choices, "usage": usage}


def completion_event(step: Step, index: int, end: Answer | None, created: int, model: str) -> bytes:
    """An event of a streamed completion. The last one of a prompt has another order of keys, and usage."""
    choice = {"index": index, "text": step.text, "logprobs": None, "finish_reason": step.finish or ""}
    if end is not None:
        common = _openai("text_completion", created, model)
        return event({**common, "choices": [choice], "usage": _usage([end])})
    return event(
        {
            "object": "text_completion",
            "id": "",
            "created": created,
            "choices": [choice],
            "model": model,
            "system_fingerprint": FINGERPRINT,
        }
    )


def _milliseconds(seconds: float) -> str:
    return str(int(seconds * 1000))


def answer_headers(compute_type: str, characters: int, answers: Sequence[Answer], *, with_time: bool = True) -> Headers:
    """What a 200 that is not streamed carries. /v1/completions has sums over its prompts and no x-compute-time."""
    timings = sum((answer.timings for answer in answers), Timings())
    per_token = sum(answer.timings.inference / len(answer.steps) for answer in answers)
    return [
        ("content-type", "application/json"),
        ("x-compute-type", compute_type),
        *([("x-compute-time", f"{timings.total:.9f}".rstrip("0"))] if with_time else []),
        ("x-compute-characters", str(characters)),
        ("x-total-time", _milliseconds(timings.total)),
        ("x-validation-time", _milliseconds(timings.validation)),
        ("x-queue-time", _milliseconds(timings.queue)),
        ("x-inference-time", _milliseconds(timings.inference)),
        ("x-time-per-token", _milliseconds(per_token)),
        ("x-prompt-tokens", str(sum(answer.input_length for answer in answers))),
        ("x-generated-tokens", str(sum(len(answer.steps) for answer in answers))),
    ]


def stream_headers(compute_type: str, characters: int) -> Headers:
    """What a stream carries, whatever comes of it."""
    return [
        ("content-type", "text/event-stream"),
        ("cache-control", "no-cache"),
        ("x-compute-type", compute_type),
        ("x-compute-characters", str(characters)),
        ("x-accel-buffering", "no"),
    ]


def tokenized(text: str, tokens: Sequence[tuple[int, bytes]]) -> list[Json]:
    """The answer of /tokenize: each token with the characters it touches, and where they stand in bytes."""
    data = text.encode()
    starts = [at for at in range(len(data)) if data[at] & 0xC0 != 0x80]
    listed, at = [], 0
    for token, piece in tokens:
        end = at + len(piece)
        start = max((place for place in starts if place <= at), default=0)
        stop = min((place for place in starts if place >= end), default=len(data))
        listed.append({"id": token, "text": data[start:stop].decode(), "start": start, "stop": stop})
        at = end
    return listed


def models(model: str) -> Json:
    """The answer of /v1/models."""
    return {"object": "list", "data": [{"id": model, "object": "model", "created": 0, "owned_by": model}]}
