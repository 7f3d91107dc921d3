"""How long looks at the largest benchmark hold the operator's loop (`python -m tests.bench.operator_looks`; a minute).

32 models on 4 tasks, three repeats of 1,000 items each, over an API in memory that answers at once. The operator starts
when all but the last launch is measured; that one is measured stage by stage.

- A look that finds nothing new: processor time of the loop's thread, median (50 ms).
- One that finds a stage: the longest that the loop was held at a stretch, median (100 ms). A beat in the loop tells: it
  is the processor time that the process used between two beats, so other work on the machine does not count.
- The first one after the operator's start, and the one that finds the last stage and gives PER: the same; of each run
  there is one.

Beside each is its reference: what the same decisions take where nothing is computed beforehand, and all in the loop.
Exit 1 where a figure is above its limit.
"""

import argparse
import asyncio
import contextlib
import statistics
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from perbench_operator import reconcile
from perbench_operator.decide import Decision, Situation, decide
from perbench_operator.reconcile import Reconciler
from tests.support.large_run import LargeRun

MODELS, TASKS, ITEMS, RUNS = 32, 4, 1_000, 3
BEAT_SECONDS = 0.001
WORK_MS, HELD_MS = 50.0, 100.0


@dataclass
class Looks:
    """Looks of one kind, in milliseconds."""

    what: str
    work: list[float] = field(default_factory=list)
    """Processor time of the loop's thread."""
    held: list[float] = field(default_factory=list)
    """The longest for which nothing else could run in the loop."""
    took: list[float] = field(default_factory=list)
    """All in all, with what is done beside the loop."""
    reference: list[float] = field(default_factory=list)
    """The same decisions, from nothing."""

    def told(self, judged: list[float], limit: float) -> bool:
        """Print the figures; whether the one that is judged is within its limit."""
        good = statistics.median(judged) <= limit
        which = "processor time" if judged is self.work else "held at a stretch"
        parts = {"processor time": self.work, "held at a stretch": self.held, "in all": self.took}
        shown = ", ".join(f"{name} {statistics.median(values):.0f} ms" for name, values in parts.items())
        sys.stdout.write(
            f"{self.what}: {shown} (worst {max(self.held):.0f} ms held; n = {len(self.held)}); reference"
            f" {statistics.median(self.reference):.0f} ms; {which} limit {limit:.0f} ms, {'ok' if good else 'ABOVE'}\n"
        )
        sys.stdout.flush()
        return good


class Beat:
    """Counts how long the loop comes to nothing else."""

    def __init__(self) -> None:
        self.longest = 0.0

    async def go_on(self) -> None:
        while True:
            began = time.process_time()
            await asyncio.sleep(BEAT_SECONDS)
            self.longest = max(self.longest, time.process_time() - began)


@contextlib.contextmanager
def noted() -> Iterator[list[Situation]]:
    """The situations that are decided on."""
    seen: list[Situation] = []
    decided = reconcile.decide

    def noting(situation: Situation) -> Decision:
        seen.append(situation)
        return decided(situation)

    reconcile.decide = noting
    try:
        yield seen
    finally:
        reconcile.decide = decided


async def look(operator: Reconciler, run: LargeRun, beat: Beat, into: Looks) -> None:
    """One look, with its reference."""
    with noted() as seen:
        await asyncio.sleep(20 * BEAT_SECONDS)
        beat.longest = 0.0
        began, work = time.perf_counter(), time.thread_time()
        await operator.reconcile(run.uid)
        into.work.append(1e3 * (time.thread_time() - work))
        into.took.append(1e3 * (time.perf_counter() - began))
        await asyncio.sleep(20 * BEAT_SECONDS)  # so that the beat notices what has been
        into.held.append(1e3 * beat.longest)
    work = time.thread_time()
    for situation in seen:
        decide(replace(situation, evaluation=None))
    into.reference.append(1e3 * (time.thread_time() - work))


async def looks(run: LargeRun, kinds: tuple[Looks, Looks, Looks, Looks]) -> None:
    """From the operator's start to the end of the run."""
    first, idle, stage, last = kinds
    operator, beat = run.operator(time.monotonic), Beat()
    beating = asyncio.create_task(beat.go_on())
    await look(operator, run, beat, first)
    await look(operator, run, beat, idle)
    while run.measure(operator):
        await look(operator, run, beat, stage)
        await look(operator, run, beat, idle)
    await look(operator, run, beat, last)
    beating.cancel()
    if run.status["phase"] != "Succeeded" or "best" not in run.status:
        sys.exit("the run did not come to its end")


def main() -> int:
    """Measure; the exit code."""
    parser = argparse.ArgumentParser(description="How long looks at the largest benchmark hold the operator's loop.")
    parser.add_argument("--items", type=int, default=ITEMS, help="of each task")
    parser.add_argument("--runs", type=int, default=RUNS)
    asked = parser.parse_args()
    kinds = Looks("first look"), Looks("nothing new"), Looks("a new stage"), Looks("the last stage, and PER")
    for _ in range(asked.runs):
        asyncio.run(looks(LargeRun(MODELS, TASKS, asked.items), kinds))
    first, idle, stage, last = kinds
    good = [idle.told(idle.work, WORK_MS), *(each.told(each.held, HELD_MS) for each in (stage, first, last))]
    return 0 if all(good) else 1


if __name__ == "__main__":
    sys.exit(main())
