"""What a truth server reads in a request: as little as it must. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass

import orjson

from perbench.api.models import Protocol
from perbench_bench.engine.protocols import PROTOCOLS

ROUTES: dict[bytes, Protocol] = {
    **{wire.path.encode(): protocol for protocol, wire in PROTOCOLS.items()},
    b"/": Protocol.TGI,  # where the hub's own client posts to
}

DEFAULT_TOKENS = {Protocol.OPENAI: 16, Protocol.OPENAI_CHAT: 100, Protocol.TGI: 100}
"""Tokens of an answer where the request gives no limit."""


class BadRequestError(Exception):
    """The body is not what the route takes."""


@dataclass(frozen=True, slots=True)
class Asked:
    """One request, understood."""

    protocol: Protocol
    limit: int
    """Tokens of the answer at most."""
    words: int
    prompt: str
    ignore_eos: bool
    wants_usage: bool
    """At the end: `include_usage`, or TGI's `details`."""
    wants_continuous: bool


def read_request(protocol: Protocol, body: bytes, *, strict: bool = False) -> Asked:
    """Raises BadRequestError. `strict`: also for a count of tokens with every chunk, which some servers do not know."""
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise BadRequestError(f"the body is not JSON: {error}") from error
    if not isinstance(document, dict):
        raise BadRequestError("the body is not an object")
    if protocol is Protocol.TGI:
        return _read_tgi(document)
    if not document.get("stream"):
        raise BadRequestError("only streams are answered: give stream: true")
    prompt = " ".join(_texts(document.get("messages" if protocol is Protocol.OPENAI_CHAT else "prompt")))
    limit = document.get("max_completion_tokens", document.get("max_tokens"))
    options = document.get("stream_options") or {}
    if strict and "continuous_usage_stats" in options:
        raise BadRequestError("stream_options.continuous_usage_stats: extra fields are not permitted")
    return Asked(
        protocol, _limit(protocol, limit), len(prompt.split()), prompt, bool(document.get("ignore_eos")),
        bool(options.get("include_usage")), bool(options.get("continuous_usage_stats")),
    )  # fmt: skip


def _read_tgi(document: dict[str, object]) -> Asked:
    if document.get("stream") is False:
        raise BadRequestError("only streams are answered: leave stream out, or give true")
    parameters = document.get("parameters") or {}
    if not isinstance(parameters, dict):
        raise BadRequestError("parameters is not an object")
    prompt, limit = str(document.get("inputs") or ""), _limit(Protocol.TGI, parameters.get("max_new_tokens"))
    return Asked(
        Protocol.TGI, limit, len(prompt.split()), prompt, ignore_eos=False,
        wants_usage=bool(parameters.get("details")), wants_continuous=False,
    )  # fmt: skip


def _limit(protocol: Protocol, limit: object) -> int:
    if limit is None:
        return DEFAULT_TOKENS[protocol]
    if not isinstance(limit, int) or isinstance(limit, bool) or not 1 <= limit <= 1_000_000:
        raise BadRequestError(f"the limit of tokens is {limit!r}: give a whole number from 1 to 1000000")
    return limit


def _texts(prompt: object) -> Iterator[str]:
    """The text in a prompt, a list of prompts, or messages; token ids count as words."""
    if isinstance(prompt, list):
        for part in prompt:
            yield from _texts(part)
    elif isinstance(prompt, dict):
        yield from _texts(prompt.get("content", prompt.get("text")))
    elif prompt is not None:
        yield str(prompt)
