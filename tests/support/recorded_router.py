"""Recordings of the real router, and a model that says what a recording says."""

import asyncio
import json
import re
from collections.abc import AsyncGenerator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.images.tgi_contract.generation import Candidate, Token
from tests.images.tgi_contract.model import Asked, ModelError, Piece, TemplateError

RECORDINGS = Path(__file__).parents[1] / "golden" / "tgi"
TEMPLATE_END = "<|im_start|>assistant\n"
SPECIAL = re.compile(r"<\|\w+\|>|</?\w+>")


@dataclass(frozen=True)
class Recording:
    """A request and the real router's answer."""

    case: str
    request: bytes
    response: bytes

    @property
    def body(self) -> str:
        """The answer's body without framing."""
        _, _, rest = self.response.partition(b"\r\n\r\n")
        parts: list[bytes] = []
        while rest and b"transfer-encoding" in self.response:
            size, _, rest = rest.partition(b"\r\n")
            parts.append(rest[: int(size, 16)])
            rest = rest[int(size, 16) + 2 :]
        return (b"".join(parts) if parts else rest).decode()


def recordings(group: str) -> list[Recording]:
    """All cases of a file."""
    return [_recording(json.loads(line)) for line in (RECORDINGS / f"{group}.jsonl").read_text().splitlines()]


def _recording(case: Mapping[str, Any]) -> Recording:
    text, count = case.get("repeated", ["", 0])
    body = case["body"].replace("{{repeated}}", text * count).encode("latin-1")
    headers = [("Host", "127.0.0.1"), *case["headers"].items()]
    headers += [("Content-Length", str(len(body)))] if case["method"] == "POST" else []
    lines = [f"{case['method']} {case['path']} {case['http']}", *(f"{name}: {value}" for name, value in headers)]
    return Recording(case["case"], "\r\n".join([*lines, "", ""]).encode() + body, case["response"].encode("latin-1"))


@dataclass
class Script:
    """What the model is to say: the sequences in the order in which they are asked for."""

    sequences: list[list[Token]] = field(default_factory=list)
    turns: list[int] = field(default_factory=list)
    """In which order the sequences end. Empty: as they are asked for."""
    prompt_lengths: list[int] = field(default_factory=list)
    prompt: list[tuple[Piece, float | None]] = field(default_factory=list)
    failure: str | None = None
    has_template: bool = True
    is_healthy: bool = True
    seconds_per_token: float = 0.0


def script(recording: Recording) -> Script:
    """Read a script off the answer."""
    values = list(_values(recording.body))
    found = Script(is_healthy="unhealthy" not in recording.body)
    found.has_template = "template not found" not in recording.body
    failure = re.search(r"during generation: Server error: (.*?)\",\"(?:error_type|http)", recording.body)
    found.failure = failure.group(1) if failure else None
    given = re.search(r"Given: (\d+) `inputs`|tokens\. Given: (\d+)", recording.body)
    head = recording.response.partition(b"\r\n\r\n")[0].decode()
    prompt_tokens = re.search(r"x-prompt-tokens: (\d+)", head)
    if given:
        found.prompt_lengths = [int(given.group(1) or given.group(2))]
    elif prompt_tokens:
        found.prompt_lengths = [int(prompt_tokens.group(1))]
    for value in values:
        if isinstance(value, dict):
            _read(value, found, recording)
    if len(found.turns) > 1 and prompt_tokens:
        found.prompt_lengths = [found.prompt_lengths[0] - 1, 1]
    _read_tokenized(values, found)
    return found


def _values(body: str) -> Iterator[Any]:
    texts = [line.removeprefix("data: ") for line in body.split("\n") if line.startswith("data: ")] or [body]
    for text in texts:
        try:
            value = json.loads(text)
        except ValueError:
            continue
        yield from value if isinstance(value, list) else [value]


def _read(value: dict[str, Any], found: Script, recording: Recording) -> None:
    if "token" in value:
        found.sequences = found.sequences or [[]]
        found.sequences[0] += _tokens([{**value["token"], "top": value.get("top_tokens")}])
        if value["details"]:
            found.prompt_lengths = [value["details"]["input_length"]]
            _end(found.sequences[0], value["details"]["finish_reason"])
    elif "generated_text" in value:
        _read_generated(value, found, recording)
    elif "choices" in value:
        _read_openai(value, found)


def _read_generated(value: dict[str, Any], found: Script, recording: Recording) -> None:
    details = value.get("details")
    if details is None:
        count = int(recording.response.split(b"x-generated-tokens: ")[1].split(b"\r\n")[0])
        finish = "" if b"max_new_tokens" in recording.request else "stop"
        found.sequences = [_pieces(value["generated_text"].removeprefix("What is Deep Learning?"), count, finish)]
        return
    for each in [details, *details.get("best_of_sequences", [])]:
        tops = each.get("top_tokens") or [None] * len(each["tokens"])
        tokens = _tokens([{**token, "top": top} for token, top in zip(each["tokens"], tops, strict=True)])
        found.sequences.append(_end(tokens, each["finish_reason"]))
    found.prompt = [(Piece(each["id"], each["text"].encode()), each["logprob"]) for each in details["prefill"]]


def _read_openai(value: dict[str, Any], found: Script) -> None:
    usage = value.get("usage") or {}
    for choice in value["choices"]:
        logprobs = (choice.get("logprobs") or {}).get("content")
        if logprobs:
            listed = [{**each, "id": 9, "text": each["token"], "special": False} for each in logprobs]
            for each in listed:
                each["top"] = [{**top, "id": 9, "text": top["token"], "special": False} for top in each["top_logprobs"]]
            found.sequences = found.sequences or [[]]
            found.sequences[0] += _tokens(listed)
        elif "message" in choice:
            found.sequences = [
                _pieces(choice["message"]["content"], usage["completion_tokens"], choice["finish_reason"])
            ]
        elif "delta" in choice:
            found.sequences = found.sequences or [[]]
            is_end = choice["finish_reason"] == "stop"
            text = "<|im_end|>" if is_end else choice["delta"]["content"]
            found.sequences[0] += _tokens([{"id": 9, "text": text, "logprob": -1.0, "special": is_end}])
            _end(found.sequences[0], "eos_token" if is_end else "")
        else:
            _read_completion(choice, value, found)
    if usage and len(value["choices"]) <= 1:
        found.prompt_lengths.append(usage["prompt_tokens"])


def _read_completion(choice: dict[str, Any], value: dict[str, Any], found: Script) -> None:
    while len(found.sequences) <= choice["index"]:
        found.sequences.append([])
    usage, finish = value.get("usage") or {}, choice["finish_reason"]
    is_whole = usage.get("completion_tokens", 0) > 1 and not found.sequences[choice["index"]]
    if is_whole:
        count = usage["completion_tokens"] // len(value["choices"])
        found.sequences[choice["index"]] = _pieces(choice["text"], count, finish)
        found.turns.append(choice["index"])
        return
    special = bool(SPECIAL.fullmatch(choice["text"]))
    token = {"id": 9, "text": choice["text"], "logprob": -1.0, "special": special}
    found.sequences[choice["index"]] += _tokens([token])
    _end(found.sequences[choice["index"]], finish)


def _read_tokenized(values: Sequence[Any], found: Script) -> None:
    listed = values
    if values and isinstance(values[0], dict) and "tokenize_response" in values[0]:
        listed = values[0]["tokenize_response"]
    if not listed or not isinstance(listed[0], dict) or "start" not in listed[0]:
        return
    at = 0
    for index, each in enumerate(listed):
        shared = sum(1 for later in listed[index + 1 :] if later["start"] == each["start"] and later["stop"] > at)
        left = each["stop"] - at
        size = 1 if shared and left > 1 and each["stop"] == listed[index + 1]["stop"] else left
        found.prompt.append((Piece(each["id"], b"x" * size), None))
        at += size


def _pieces(text: str, count: int, finish: str) -> list[Token]:
    """So many tokens that say the text; an end token after it where that is why it ended."""
    is_ended = finish == "stop"
    letters, rest = text[: count - 1 - is_ended], text[count - 1 - is_ended :]
    tokens = [Token(9, letter.encode(), -1.0) for letter in [*letters, rest]]
    return [*tokens, Token(2, b"<|im_end|>", -1.0, special=True, is_end=True)] if is_ended else tokens


def _tokens(listed: Sequence[Mapping[str, Any]]) -> list[Token]:
    return [
        Token(
            id=each["id"],
            piece=each["text"].encode(),
            logprob=each["logprob"],
            special=each["special"],
            top=None if each.get("top") is None else tuple(_candidate(top) for top in each["top"]),
        )
        for each in listed
    ]


def _candidate(listed: Mapping[str, Any]) -> Candidate:
    return Candidate(listed["id"], listed["text"], listed["logprob"], listed["special"])


def _end(tokens: list[Token], finish: str) -> list[Token]:
    if finish == "eos_token" and tokens:
        last = tokens[-1]
        tokens[-1] = Token(last.id, last.piece, last.logprob, last.special, is_end=True, top=last.top)
    return tokens


def with_characters_split(tokens: Sequence[Token]) -> list[Token]:
    """Tokens without text are the first bytes of the character that the next one with text begins with."""
    whole: list[Token] = []
    empty: list[Token] = []
    for token in tokens:
        if not token.piece:
            empty.append(token)
            continue
        data = token.piece
        if data.startswith("�".encode()):
            data = b"\xf0\x9f\x91" + data[3:]
        for before in empty:
            whole.append(Token(before.id, data[:1], before.logprob, before.special, top=before.top))
            data = data[1:]
        empty = []
        whole.append(Token(token.id, data, token.logprob, token.special, token.is_end, token.top))
    starts = "界".encode()
    return whole + [
        Token(each.id, starts[index : index + 1], each.logprob, each.special) for index, each in enumerate(empty)
    ]


class ScriptedModel:
    """Says what its script says, whatever it is asked."""

    def __init__(self, said: Script) -> None:
        self._script = said
        self.asked = 0
        """Sequences so far."""
        self._over = [asyncio.Event() for _ in range(max(1, len(said.turns)))]
        """By turn: it has ended."""
        self._lengths = list(said.prompt_lengths)

    async def tokenize(self, text: str, *, special: bool) -> tuple[Piece, ...]:
        del special
        if self._script.prompt:
            return tuple(piece for piece, _ in self._script.prompt)
        length = self._lengths.pop(0) if len(self._lengths) > 1 else (self._lengths or [len(text.split())])[0]
        return (Piece(7, b" x"),) * length

    async def template(self, messages: Sequence[Mapping[str, str]]) -> str:
        if not self._script.has_template:
            raise TemplateError("template not found")
        turns = [f"<|im_start|>{each['role']}\n{each['content']}<|im_end|>\n" for each in messages]
        return "".join([*turns, TEMPLATE_END])

    async def generate(self, asked: Asked) -> AsyncGenerator[Token, None]:
        index, self.asked = self.asked, self.asked + 1
        turn = self._script.turns.index(index) if len(self._script.turns) > 1 else 0
        if turn:
            await self._over[turn - 1].wait()
        scripted = self._script.sequences
        tokens = scripted[index] if index < len(scripted) else [Token(9, b" x", -1.0)] * asked.limit
        try:
            for token in with_characters_split([] if self._script.failure and not scripted else tokens):
                await asyncio.sleep(self._script.seconds_per_token)  # sequences take turns, as those of one batch do
                yield token
            if self._script.failure:
                raise ModelError(self._script.failure.replace('\\"', '"'))
        finally:
            self._over[turn].set()

    async def logprobs(self, prompt: Sequence[Piece]) -> list[float | None]:
        del prompt
        return [logprob for _, logprob in self._script.prompt]

    async def is_special(self, piece: Piece) -> bool:
        return bool(SPECIAL.fullmatch(piece.data.decode("utf-8", "replace")))

    async def is_healthy(self) -> bool:
        return self._script.is_healthy
