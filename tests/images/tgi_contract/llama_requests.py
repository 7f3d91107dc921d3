"""What llama.cpp's server is asked, and how its answers are read. Pure.

Seen on xllamacpp 2026.10.11549, with special tokens shown: every token is an event of its own with its log-probability,
the end token too; while a character is incomplete there is no event, and the next one counts more than one token.
A grammar of token numbers forces a continuation whose log-probabilities are then the model's own, but it refuses
special tokens and parts of characters: the former are forced by a bias, the latter looked up among all tokens.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from functools import cache
from typing import Any

from tests.images.tgi_contract.generation import Candidate
from tests.images.tgi_contract.model import Asked, Piece

Json = dict[str, Any]

ALL_TOKENS = 1 << 20
"""More than any vocabulary holds."""
FORCING_BIAS = 10_000.0
RUN_LIMIT = 256
"""Tokens forced by one grammar."""


def generation(asked: Asked, *, cache_prompt: bool) -> Json:
    """The body of a streamed generation."""
    sampling = asked.sampling
    body: Json = {
        "prompt": list(asked.prompt),
        "n_predict": asked.limit,
        "stream": True,
        "return_tokens": True,
        "n_probs": max(1, asked.top),
        "cache_prompt": cache_prompt,
        "samplers": ["penalties", "temperature", "top_k", "top_p", "typ_p"],
        "temperature": sampling.temperature if sampling.do_sample else 0.0,
        "top_k": sampling.top_k,
        "top_p": sampling.top_p,
        "typical_p": sampling.typical_p,
        "repeat_penalty": sampling.repetition_penalty,
        "repeat_last_n": len(asked.prompt) + asked.limit,
        "frequency_penalty": sampling.frequency_penalty,
        "seed": asked.seed % 2**32,
    }
    return {**body, "json_schema": asked.schema} if asked.schema is not None else body


def _one_token(prompt: Sequence[int], **others: Any) -> Json:
    return {"prompt": list(prompt), "n_predict": 1, "temperature": 0.0, "cache_prompt": True, **others}


def unseen(asked: Asked, so_far: Sequence[int], count: int) -> Json:
    """The next `count` tokens, where no event told them: they end inside a character."""
    body = generation(asked, cache_prompt=True)
    return {**body, "prompt": [*asked.prompt, *so_far], "n_predict": count, "stream": False}


class Way(Enum):
    """How the log-probability of a token of the prompt is found."""

    GRAMMAR = "grammar"
    BIAS = "bias"
    LOOKUP = "lookup"


@dataclass(frozen=True)
class Question:
    """Tokens from `start` on whose log-probabilities one request tells."""

    way: Way
    start: int
    ids: tuple[int, ...]


def questions(prompt: Sequence[Piece], special: Sequence[bool]) -> list[Question]:
    """How to ask for every token but the first. `special`: for each token of the prompt."""
    asked: list[Question] = []
    for index, (piece, is_special) in enumerate(zip(prompt, special, strict=True)):
        if index == 0:
            continue
        way = Way.BIAS if is_special else Way.GRAMMAR if _is_text(piece.data) else Way.LOOKUP
        last = asked[-1] if asked else None
        if last and last.way is way is Way.GRAMMAR and len(last.ids) < RUN_LIMIT:
            asked[-1] = Question(way, last.start, (*last.ids, piece.id))
        else:
            asked.append(Question(way, index, (piece.id,)))
    return asked


def _is_text(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


def question_body(question: Question, prompt: Sequence[int], plain: int) -> Json:
    """The request. `plain`: any token that is whole text, which is generated where only the candidates matter."""
    before = prompt[: question.start]
    match question.way:
        case Way.GRAMMAR:
            grammar = "root ::= " + " ".join(f"<[{token}]>" for token in question.ids)
            return {**_one_token(before, n_probs=1, grammar=grammar), "n_predict": len(question.ids)}
        case Way.BIAS:
            return _one_token(before, n_probs=1, logit_bias=[[question.ids[0], FORCING_BIAS]])
        case Way.LOOKUP:
            return _one_token(before, n_probs=ALL_TOKENS, logit_bias=[[plain, FORCING_BIAS]])


def question_answer(question: Question, body: Json) -> list[float]:
    """The log-probabilities of the question's tokens. Raises ValueError where the answer is about others."""
    listed = body.get("completion_probabilities", [])
    if question.way is Way.LOOKUP:
        listed = [each for each in (listed[0]["top_logprobs"] if listed else []) if each["id"] == question.ids[0]]
    if [each["id"] for each in listed] != list(question.ids):
        raise ValueError(f"asked for tokens {question.ids}, told about {[each['id'] for each in listed]}")
    return [each["logprob"] for each in listed]


def vocabulary_body() -> Json:
    """A request whose answer lists every token with its bytes."""
    return _one_token([0], n_probs=ALL_TOKENS)


def vocabulary(body: Json) -> dict[int, bytes]:
    """Every token's bytes."""
    return {each["id"]: bytes(each["bytes"]) for each in body["completion_probabilities"][0]["top_logprobs"]}


def candidates(event: Json, pieces: Mapping[int, bytes], top: int) -> tuple[Candidate, ...] | None:
    """The likeliest tokens that an event tells, where they were asked for."""
    if top == 0:
        return None
    listed = event["completion_probabilities"][0]["top_logprobs"][:top]
    return tuple(
        Candidate(each["id"], pieces[each["id"]].decode("utf-8", "replace"), each["logprob"]) for each in listed
    )


def split(data: bytes, count: int, ids: Mapping[bytes, int]) -> list[int] | None:
    """Tokens whose bytes are `data`, `count` of them, long ones first. None where there are none."""

    @cache
    def from_here(start: int, left: int) -> tuple[int, ...] | None:
        if left == 0:
            return () if start == len(data) else None
        for end in range(len(data) - left + 1, start, -1):
            token = ids.get(data[start:end])
            rest = from_here(end, left - 1) if token is not None else None
            if token is not None and rest is not None:
                return (token, *rest)
        return None

    found = from_here(0, count)
    return None if found is None else list(found)
