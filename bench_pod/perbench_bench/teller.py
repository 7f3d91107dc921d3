"""What a bench pod says of itself while it works: the progress document, kept up to date and handed to its writer."""

import asyncio
import sys
from datetime import UTC, datetime

from perbench.failures import Failure, shorten
from perbench.objects.progress import BenchProgress, BenchState
from perbench.progress import Progress, StagePhase
from perbench_bench.progress_object import ProgressWriter

MESSAGE_LIMIT = 256
AGAIN_SECONDS = 60.0
"""What there is to say is said again after so long: the operator takes ten minutes of silence for a hang."""


class Teller:
    """Saying something returns at once. A change of state is also said to standard error, for the pod's log."""

    def __init__(self, writer: ProgressWriter, first: BenchProgress, repeats: int) -> None:
        self.current = first
        self._writer = writer
        self._repeats = repeats

    def enter(
        self, state: BenchState, message: str = "", *, failure: Failure | None = None, recorded: int | None = None
    ) -> None:
        """A change of state: written at once. `recorded`: stages that are in the results object."""
        recorded = self.current.recorded if recorded is None else recorded
        short = shorten(message, MESSAGE_LIMIT)
        self._say(urgent=True, state=state, message=short, failure=failure, recorded=recorded)
        detail = f"{failure.reason}: {failure.message}" if failure else message
        sys.stderr.write(f"perbench-bench: {state.value}{': ' if detail else ''}{detail}\n")
        sys.stderr.flush()

    def remark(self, message: str, *, urgent: bool = False) -> None:
        """What is going on within a state."""
        self._say(urgent=urgent, message=shorten(message, MESSAGE_LIMIT))

    def stage(self, progress: Progress) -> None:
        """How far the stage under way is. The first word of the first one is when its first request is sent."""
        message = words(progress, self._repeats)
        if self.current.first_request_at is None:
            self._say(urgent=True, message=message, first_request_at=datetime.now(UTC))
        else:
            self._say(message=message)

    async def keep_talking(self, every: float = AGAIN_SECONDS) -> None:
        """Say again and again that we are there, until cancelled. That the event loop still runs is what it says."""
        while True:
            await asyncio.sleep(every)
            self._say()

    def stored(self) -> None:
        """One more stage is in the results object."""
        self._say(urgent=True, recorded=self.current.recorded + 1)

    def _say(self, *, urgent: bool = False, **changes: object) -> None:
        self.current = self.current.model_copy(update={**changes, "updated_at": datetime.now(UTC)})
        self._writer.say(self.current, urgent=urgent)


def words(progress: Progress, repeats: int) -> str:
    """`gsm8k, repeat 2 of 3: 40 of 200`."""
    which = "one at a time" if progress.repeat is None else f"repeat {progress.repeat + 1} of {repeats}"
    how_far = {
        StagePhase.WARMUP: "warming up",
        StagePhase.MEASURING: f"{progress.completed} of {progress.total}",
        StagePhase.FINISHING: "the last answers",
        StagePhase.RECORDED: "measured",
    }[progress.phase]
    return f"{progress.task}, {which}: {how_far}"
