"""The requests of one stage, written before it starts: while the clock runs, strings are put together at most."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import overload

from typing_extensions import override

from perbench.api.defaults import least_items
from perbench.failures import Blame, Failure, RunError
from perbench_bench.engine.feed import Role, Ticket
from perbench_bench.engine.reply import Reply
from perbench_bench.session import Session
from perbench_bench.tasks import ResolvedTask
from perbench_bench.tasks.synthetic import MAX_PROMPTS, LengthFit, own_words, prompt

SPARE_SYNTHETIC = 64
"""Different prompts for warm-up and filler of a synthetic load; they come round again."""
KEPT_PROMPTS = 4096
"""Prompts of a stage that are wholly their own; they are made before it starts."""
KEPT_WORDS = 2_000_000
"""Words of all of them: fewer prompts are made where they are long."""
LEAST_KEPT = 4
END_OF_HEAD = b"\r\n\r\n"
MARK = "perbench-puts-the-prompt-here"
FIT_REQUESTS = 3
FIT_GOOD_PERCENT = 1.0


@dataclass(frozen=True, slots=True)
class StageRequests:
    """Bytes of every request of a stage: the measured ones in order, and the spare ones for warm-up and filler."""

    measured: Sequence[bytes]
    spare: Sequence[bytes]

    def of(self, ticket: Ticket) -> bytes:
        """The bytes that a ticket stands for."""
        if ticket.role is Role.MEASURED:
            return self.measured[ticket.index]
        return self.spare[ticket.index % len(self.spare)]


def requests_of_items(session: Session, task: ResolvedTask) -> StageRequests:
    """A task with items. Spare requests are the items outside the measured subset, else those in another order."""
    measured = tuple(session.request(item.prompt, task.max_tokens) for item in task.items)
    spare = [session.request(item.prompt, task.max_tokens) for item in task.spare]
    if not spare:
        spare = list(measured)
        random.Random(session.seed).shuffle(spare)
    return StageRequests(measured, tuple(spare))


def synthetic_requests(
    session: Session, task: ResolvedTask, words: int, repeat: int, measured_count: int | None = None
) -> StageRequests:
    """A synthetic load with prompts of `words` words. Every prompt of a run is different, also between repeats.

    `measured_count` of a last stage that is shorter or longer than the repeats. None: all that the task has.
    """
    if task.synthetic is None:
        raise ValueError(f"task {task.name} is not synthetic")
    count = task.count if measured_count is None else measured_count

    first = repeat * (task.count + SPARE_SYNTHETIC)
    return StageRequests(
        SyntheticRequests(session, task.max_tokens, words, first, count),
        SyntheticRequests(session, task.max_tokens, words, first + count, SPARE_SYNTHETIC),
    )


class SyntheticRequests(Sequence[bytes]):
    """The requests of `count` prompts from number `first` on, however many: millions begin at once and take no memory.

    Prompts beyond those kept have the first words of their own number, with which no other prompt of the run begins,
    and go on like one that is kept. Putting such a request together takes microseconds, so it does not spoil what is
    measured meanwhile (`docs/decisions/prompts-of-long-loads.md`).
    """

    def __init__(self, session: Session, max_tokens: int, words: int, first: int, count: int) -> None:
        self._seed, self._words, self._first, self._count = session.seed, words, first, count
        kept = min(count, max(LEAST_KEPT, min(KEPT_PROMPTS, KEPT_WORDS // words)))
        self._kept = [
            session.request(prompt(session.seed, first + i, words), max_tokens, force_length=True) for i in range(kept)
        ]
        head, _, body = session.request(MARK, max_tokens, force_length=True).partition(END_OF_HEAD)
        length = b"Content-Length: %d" % len(body)
        self._before_length, self._after_length = head.split(length)
        self._before, self._after = body.split(MARK.encode())

    @override
    def __len__(self) -> int:
        return self._count

    @overload
    def __getitem__(self, index: int) -> bytes: ...

    @overload
    def __getitem__(self, index: slice) -> list[bytes]: ...

    @override
    def __getitem__(self, index: int | slice) -> bytes | list[bytes]:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(self._count))]
        if not 0 <= index < self._count:
            raise IndexError(index)
        kept = self._kept
        return kept[index] if index < len(kept) else self._put_together(index, kept[index % len(kept)])

    def _put_together(self, index: int, like: bytes) -> bytes:
        """The request of a number: its own first words, and what follows those of another one."""
        own = own_words(self._seed, self._first + index)[: self._words]
        at = like.index(END_OF_HEAD) + len(END_OF_HEAD) + len(self._before)
        for _ in own[1:]:
            at = like.index(b" ", at) + 1
        at = like.index(b" ", at) if self._words > len(own) else len(like) - len(self._after)
        beginning, rest = " ".join(own).encode(), memoryview(like)[at:]
        length = b"Content-Length: %d" % (len(self._before) + len(beginning) + len(rest))
        head = (self._before_length, length, self._after_length, END_OF_HEAD)
        return b"".join((*head, self._before, beginning, rest))


async def fit_prompt_length(session: Session, task: ResolvedTask) -> LengthFit:
    """Learn how many words make the asked-for tokens, from the server's own count, in at most three requests."""
    if task.synthetic is None:
        raise ValueError(f"task {task.name} is not synthetic")
    target = task.synthetic.input_tokens
    fit = LengthFit()
    seen: list[tuple[int, int]] = []
    for attempt in range(FIT_REQUESTS):
        words = fit.words_for(target)
        # Prompts from the far end: no load ever sends one of them again.
        request = session.request(prompt(session.seed, MAX_PROMPTS - 1 - attempt, words), 1)
        tokens = _counted(session, (await session.ask([request]))[0])
        seen.append((words, tokens))
        fit = LengthFit.of(seen)
        if abs(tokens - target) <= target * FIT_GOOD_PERCENT / 100:
            break
    return fit


def fit_record(fit: LengthFit) -> dict[str, float]:
    """The fit as it is stored with a stage."""
    return {"offset": fit.offset, "slope": fit.slope, "observations": float(fit.observations)}


def _counted(session: Session, reply: Reply) -> int:
    if reply.input_tokens is None:
        message = f"{session.target.url} does not say how many tokens a prompt has, so no prompt length can be fitted"
        raise RunError(Failure(blame=Blame.TARGET, reason="NoTokenCounts", message=message))
    return reply.input_tokens


def few_items(items: int, concurrency: int | None) -> Failure | None:
    """Too few items keep a closed loop full only for a moment: refused (measurement.md §1). None: an open loop."""
    needed = least_items(concurrency)
    if items >= needed:
        return None
    message = (
        f"{items} items in an open loop: at least {needed} are needed for a median; raise the limit"
        if concurrency is None
        else f"{items} items at concurrency {concurrency}: at least {needed} are needed, or the figures are "
        "those of a loop filling and draining; raise the limit or lower the concurrency"
    )
    return Failure(blame=Blame.MEASUREMENT, reason="TooFewItems", message=message)
