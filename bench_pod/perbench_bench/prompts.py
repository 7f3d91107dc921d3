"""The requests of one stage, written before it starts: nothing is built while the clock runs."""

import random
from dataclasses import dataclass

from perbench.api.defaults import least_items
from perbench.failures import Blame, Failure, RunError
from perbench_bench.engine.feed import Role, Ticket
from perbench_bench.engine.reply import Reply
from perbench_bench.session import Session
from perbench_bench.tasks import ResolvedTask
from perbench_bench.tasks.synthetic import MAX_PROMPTS, LengthFit, prompt

SPARE_SYNTHETIC = 64
"""Different prompts for warm-up and filler of a synthetic load; they come round again."""
FIT_REQUESTS = 3
FIT_GOOD_PERCENT = 1.0


@dataclass(frozen=True, slots=True)
class StageRequests:
    """Bytes of every request of a stage: the measured ones in order, and the spare ones for warm-up and filler."""

    measured: tuple[bytes, ...]
    spare: tuple[bytes, ...]

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

    def request(index: int) -> bytes:
        return session.request(prompt(session.seed, index, words), task.max_tokens, force_length=True)

    first = repeat * (task.count + SPARE_SYNTHETIC)
    measured = tuple(request(first + i) for i in range(count))
    return StageRequests(measured, tuple(request(first + count + i) for i in range(SPARE_SYNTHETIC)))


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
