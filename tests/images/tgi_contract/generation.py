"""From the model's tokens to what the router says of them: texts, the end, the answer as a whole. Pure.

The rules are those of the model server behind the real router (3.3.7): a token's text is what it adds to the text so
far, and nothing while a character is incomplete; a stop sequence stays in the text; special tokens do not.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

REPLACEMENT = "�"
CONTEXT_PIECES = 5
"""So many tokens of the prompt are decoded together with the first generated ones."""
STOP_WINDOW, STOP_WINDOW_KEPT = 300, 200
"""Characters of generated text in which stop sequences are looked for, and what is kept of a longer one."""


@dataclass(frozen=True)
class Candidate:
    """A token that could have come, or one of the prompt. `logprob` None: not known."""

    id: int
    text: str
    logprob: float | None
    special: bool = False


@dataclass(frozen=True)
class Token:
    """What the model chose. `piece`: its bytes, which need not be whole characters."""

    id: int
    piece: bytes
    logprob: float | None
    special: bool = False
    is_end: bool = False
    top: tuple[Candidate, ...] | None = None


@dataclass(frozen=True)
class Step:
    """One generated token, as the client sees it. `finish`: why it was the last one."""

    index: int
    id: int
    text: str
    logprob: float | None
    special: bool
    top: tuple[Candidate, ...] | None = None
    finish: str | None = None
    begins_chunk: bool = False
    """The router asks the model anew from here."""


def decode(pieces: Sequence[bytes]) -> str:
    """Text of tokens, as a tokenizer decodes it: incomplete characters become U+FFFD."""
    return b"".join(pieces).decode("utf-8", "replace")


class Generation:
    """The state of one sequence. Feed tokens until a step has a finish."""

    def __init__(self, prompt: Sequence[bytes], chunks: Sequence[int], stop: Sequence[str]) -> None:
        self._pieces = list(prompt[-CONTEXT_PIECES:])
        self._decoded_from, self._read_to = 0, len(self._pieces)
        self._limit = sum(chunks)
        self._chunk_starts = frozenset(total + 1 for total in accumulate(chunks))
        self._stop = [re.compile(re.escape(text) + r"\Z") for text in stop]
        self._window = ""
        self._visible: list[bytes] = []
        self.steps: list[Step] = []

    def feed(self, token: Token) -> Step:
        """Take the next token."""
        self._pieces.append(token.piece)
        if not token.special:
            self._visible.append(token.piece)
        text = self._new_text()
        index = len(self.steps) + 1
        step = Step(
            index=index,
            id=token.id,
            text=text,
            logprob=token.logprob,
            special=token.special,
            top=token.top,
            finish=self._finish(token, index, text),
            begins_chunk=index in self._chunk_starts,
        )
        self.steps.append(step)
        return step

    def _new_text(self) -> str:
        before = decode(self._pieces[self._decoded_from : self._read_to])
        now = decode(self._pieces[self._decoded_from :])
        if len(now) <= len(before) or now.endswith(REPLACEMENT):
            return ""
        self._decoded_from, self._read_to = self._read_to, len(self._pieces)
        return now[len(before) :]

    def _finish(self, token: Token, index: int, text: str) -> str | None:
        if index >= self._limit:
            return "length"
        if token.is_end:
            return "eos_token"
        self._window += text
        if len(self._window) > STOP_WINDOW:
            self._window = self._window[-STOP_WINDOW_KEPT:]
        return "stop_sequence" if any(pattern.search(self._window) for pattern in self._stop) else None

    def text(self) -> str:
        """All generated text without special tokens; nothing where it ends inside a character."""
        text = decode(self._visible)
        return "" if text.endswith(REPLACEMENT) else text


@dataclass(frozen=True)
class Timings:
    """Seconds of one request."""

    validation: float = 0.0
    queue: float = 0.0
    inference: float = 0.0
    total: float = 0.0

    def __add__(self, other: "Timings") -> "Timings":
        return Timings(
            self.validation + other.validation,
            self.queue + other.queue,
            self.inference + other.inference,
            self.total + other.total,
        )


@dataclass(frozen=True)
class Answer:
    """One finished sequence."""

    text: str
    input_length: int
    steps: tuple[Step, ...]
    seed: int | None = None
    prefill: tuple[Candidate, ...] = ()
    timings: Timings = Timings()

    @property
    def finish(self) -> str:
        """Why it ended."""
        return self.steps[-1].finish or ""

    @property
    def mean_logprob(self) -> float:
        """What `best_of` ranks by."""
        return sum(step.logprob or 0.0 for step in self.steps) / len(self.steps)


def best_first(answers: Sequence[Answer]) -> list[Answer]:
    """The likeliest sequence, then the others in their order. `answers` is not empty."""
    best = max(answers, key=lambda answer: answer.mean_logprob)
    return [best, *(answer for answer in answers if answer is not best)]
