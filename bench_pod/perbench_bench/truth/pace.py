"""When the chunks of an answer are due: sizes, gaps and offsets from the moment its turn has come. Pure."""

from functools import lru_cache
from itertools import accumulate
from random import Random

from perbench_bench.truth.delay import DelayScript, Distribution, constant
from perbench_bench.truth.script import Answer, Script, Timing

DEFAULT_GAP = constant(5)


@lru_cache(maxsize=1024)
def chunk_sizes(answer: Answer, tokens: int) -> tuple[int, ...]:
    """Tokens of each chunk of an answer of `tokens` ≥ 1."""
    first = min(answer.first_chunk_tokens or answer.tokens_per_chunk, tokens)
    full, rest = divmod(tokens - first, answer.tokens_per_chunk)
    return (first, *([answer.tokens_per_chunk] * full), *([rest] if rest else []))


def gap_of(timing: Timing) -> DelayScript:
    """The delay between chunks or, where that is what the script gives, per token."""
    return timing.gap_ms or timing.token_ms or DEFAULT_GAP


def mean_service_ms(script: Script) -> float | None:
    """How long an answer holds its slot on average; None where that depends on the requests."""
    first, gap = script.timing.first_ms.mean_ms, gap_of(script.timing)
    if gap.mean_ms == 0:
        return first
    tokens = script.answer.tokens
    if tokens is None:
        return None
    sizes = chunk_sizes(script.answer, tokens)
    steps = sum(sizes[1:]) if script.timing.token_ms else len(sizes) - 1
    return first + (steps + 1) * gap.mean_ms  # the end token is a step of its own


class Pace:
    """Draws the offsets of one answer after the other, in ns."""

    def __init__(self, timing: Timing, seed: int) -> None:
        self._first = timing.first_ms
        self._gap = gap_of(timing)
        self._per_token = timing.token_ms is not None
        self._random = Random(seed)
        self._answers = 0
        self._fixed: dict[tuple[tuple[int, ...], bool], tuple[int, ...]] = {}
        self._always_same = {self._first.distribution, self._gap.distribution} == {Distribution.CONSTANT}

    def offsets(self, sizes: tuple[int, ...], *, end_step: bool) -> tuple[int, ...]:
        """When each chunk is due; with `end_step` also when the end token is, one gap after the last chunk."""
        if self._always_same:
            found = self._fixed.get((sizes, end_step))
            if found is None:
                found = self._fixed[sizes, end_step] = self._draw(sizes, end_step=end_step)
            return found
        return self._draw(sizes, end_step=end_step)

    def _draw(self, sizes: tuple[int, ...], *, end_step: bool) -> tuple[int, ...]:
        random, gap = self._random, self._gap
        first = self._first.nanoseconds(self._answers, random)
        self._answers += 1
        steps = (*sizes[1:], 1) if end_step else sizes[1:]
        factors = steps if self._per_token else (1,) * len(steps)
        gaps = (factor * gap.nanoseconds(turn, random) for turn, factor in enumerate(factors))
        return tuple(accumulate(gaps, initial=first))
