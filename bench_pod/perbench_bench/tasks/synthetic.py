"""Prompts without meaning, of a wanted length: a load without answers.

The words are common and short: for most tokenizers each is one token with the space before it. How many tokens a
prompt really has, only the server knows; `LengthFit` learns it from the server's own counts.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from statistics import fmean

import numpy as np
from numpy.typing import NDArray

GENERATOR = "words-512-v1"
"""Names the rule and the word list: prompts of another generator are another task."""

_VOCABULARY = 512
# A power of two: nine bits of a hash choose a word, each with the same probability.

MAX_PROMPTS = _VOCABULARY**3
"""Prompts of one seed that surely differ."""


def prompt(seed: int, index: int, words: int) -> str:
    """`words` words, always the same for the same arguments; 0 ≤ index < MAX_PROMPTS, words ≥ 1.

    512 consecutive indices begin with 512 different words, so no prompt shares a beginning with its neighbours that a
    prefix cache could keep. Beyond that the first word comes again, and the second or third differs.
    """
    if not 0 <= index < MAX_PROMPTS or words < 1:
        raise ValueError(f"no prompt {index} of {words} words")
    lead = own_words(seed, index)
    rest = max(words - len(lead), 0)
    drawn = hashlib.shake_256(f"{GENERATOR}:{seed}:{index}".encode()).digest(2 * rest)
    body = _word_array()[np.frombuffer(drawn, dtype=">u2") % _VOCABULARY].tolist()
    return " ".join((lead + body)[:words])


def own_words(seed: int, index: int) -> list[str]:
    """The first three words of a prompt, with which no other of the seed begins."""
    places = (index, index + index // _VOCABULARY, index + index // _VOCABULARY**2)
    return [_leads(seed, position)[place % _VOCABULARY] for position, place in enumerate(places)]


@dataclass(frozen=True)
class LengthFit:
    """Tokens of a prompt as a straight line over its words: `offset + slope · words`.

    The offset is what a template and a begin token add.
    """

    offset: float = 0.0
    slope: float = 1.0
    observations: int = 0

    @classmethod
    def of(cls, observations: Sequence[tuple[int, int]]) -> "LengthFit":
        """Least squares over (words sent, prompt tokens counted by the server).

        Of one length only, the slope is taken as one token per word, which the vocabulary is made for, and the rest
        as offset; fewer tokens than words mean no offset. Of nothing: one token per word.
        """
        usable = [(sent, counted) for sent, counted in observations if sent > 0 and counted > 0]
        if not usable:
            return cls()
        mean_sent, mean_counted = fmean(sent for sent, _ in usable), fmean(counted for _, counted in usable)
        spread = sum((sent - mean_sent) ** 2 for sent, _ in usable)
        common = sum((sent - mean_sent) * (counted - mean_counted) for sent, counted in usable)
        slope = common / spread if spread > 0 else 1.0
        offset = mean_counted - slope * mean_sent
        if slope <= 0 or offset < 0:  # no server drops words: a line through the origin is the nearest sensible one
            slope, offset = mean_counted / mean_sent, 0.0
        return cls(offset, slope, len(usable))

    def words_for(self, target: int) -> int:
        """Words to send for a prompt of `target` tokens; at least one."""
        return max(1, round((target - self.offset) / self.slope))


@lru_cache(maxsize=1)
def _words() -> tuple[str, ...]:
    file = resources.files("perbench_bench.tasks") / "data" / "words.txt"
    return tuple(file.read_text("ascii").split())


@lru_cache(maxsize=1)
def _word_array() -> NDArray[np.object_]:
    return np.array(_words(), dtype=np.object_)


@lru_cache(maxsize=16)
def _leads(seed: int, position: int) -> tuple[str, ...]:
    """The vocabulary in an order of the seed, another one for each of the first three words."""
    return tuple(sorted(_words(), key=lambda word: hashlib.sha256(f"{seed}:{position}:{word}".encode()).digest()))
