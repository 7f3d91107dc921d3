"""What a person sees while a run works: lines, or a bar in a terminal. `StageClock` has the figures and is pure."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Protocol, Self, TextIO

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bars
from rich.text import Text

from perbench.failures import Failure, printable
from perbench.local.estimate import duration_text
from perbench.plan import StageKey
from perbench.progress import Progress, StagePhase
from perbench.schedule import Launch

REDRAWS_PER_SECOND = 4
"""Drawing takes the processor that is being measured: often enough for the eye, and no more."""


@dataclass(frozen=True)
class Shape:
    """How many rounds and repeats there are, for "2/3", and how many measured requests one launch has."""

    rounds: int
    repeats: int
    requests: int


def launch_label(launch: Launch, shape: Shape) -> str:
    """Which start this is."""
    return f"round {launch.round + 1}/{shape.rounds}  {launch.model}"


def stage_label(progress: Progress, shape: Shape) -> str:
    """Which task, and which repeat where there are several."""
    if progress.repeat is None:
        return f"{progress.task} unloaded"
    return progress.task if shape.repeats == 1 else f"{progress.task} {progress.repeat + 1}/{shape.repeats}"


def failure_text(failure: Failure) -> str:
    """One line of a failure: the rest of a server's words stands in the status."""
    lines = [line.strip() for line in failure.message.splitlines() if line.strip()]
    return f"failed: {failure.reason} ({failure.blame}): {lines[-1] if lines else 'no message'}"


@dataclass
class StageClock:
    """Follows the lines of one launch: when each stage's window opened, how many requests ended, at what rate."""

    clock: Callable[[], float]
    """Monotonic, seconds."""
    _seen: set[StageKey] = field(default_factory=set)
    _opened: float | None = None
    _first: int = 0
    before: int = 0
    """Requests of the finished stages of this launch."""

    def starts(self, progress: Progress) -> bool:
        """Whether this is the first line of its stage."""
        new = (progress.task, progress.repeat) not in self._seen
        if new:
            self._seen.add((progress.task, progress.repeat))
            self._opened = None
        return new

    def rate(self, progress: Progress) -> float | None:
        """Requests per second since the window opened; None before anything ended in it."""
        if progress.phase is StagePhase.WARMUP:
            return None
        if self._opened is None:
            self._opened, self._first = self.clock(), progress.completed
            return None
        seconds, ended = self.clock() - self._opened, progress.completed - self._first
        return ended / seconds if seconds > 0 and ended > 0 else None

    def records(self, progress: Progress) -> bool:
        """Whether this line ends its stage; if so it is counted."""
        if progress.phase is StagePhase.RECORDED:
            self.before += progress.total
            return True
        return False


class View(Protocol):
    """What the run tells a person. Each method is called in the main thread."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def say(self, sentence: str) -> None:
        """One line that stays."""

    def starting(self, launch: Launch, *, endpoint: bool) -> None:
        """A model is being started, or an endpoint turned to."""

    def ready(self, launch: Launch, seconds: float) -> None:
        """It answers."""

    def progressed(self, launch: Launch, progress: Progress) -> None:
        """The bench process said something."""

    def ended(self, launch: Launch, failure: Failure | None, remaining: float | None) -> None:
        """The launch is over; `remaining` seconds are left."""


class PlainView:
    """One line per event, without control characters: for files, pipes and logs."""

    def __init__(self, stream: TextIO, shape: Shape, clock: Callable[[], float] = time.monotonic) -> None:
        self._stream = stream
        self._shape = shape
        self._clock = clock
        self._stages = StageClock(clock)
        self._rate: float | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stream.flush()

    def say(self, sentence: str) -> None:
        """Write one line at once, also into a pipe."""
        self._stream.write(printable(sentence) + "\n")
        self._stream.flush()

    def starting(self, launch: Launch, *, endpoint: bool) -> None:
        """Say that a model is started."""
        self._stages = StageClock(self._clock)
        self.say(f"{launch_label(launch, self._shape)}  {'endpoint' if endpoint else 'starting'}")

    def ready(self, launch: Launch, seconds: float) -> None:
        """Say that it answers."""
        self.say(f"{launch_label(launch, self._shape)}  ready after {seconds:.1f} s")

    def progressed(self, launch: Launch, progress: Progress) -> None:
        """Say when a stage starts and when it has been recorded; what is between has no line."""
        label = f"{launch_label(launch, self._shape)}  {stage_label(progress, self._shape)}"
        if self._stages.starts(progress):
            self._rate = None
            self.say(f"{label}: {progress.total} requests")
        self._rate = self._stages.rate(progress) or self._rate
        if self._stages.records(progress):
            rate = f", {self._rate:.2f}/s" if self._rate else ""
            self.say(f"{label}: {progress.completed} done{rate}")

    def ended(self, launch: Launch, failure: Failure | None, remaining: float | None) -> None:
        """Say how it ended and how long the rest will take."""
        outcome = failure_text(failure) if failure else "done"
        left = f"; {duration_text(remaining)} left" if remaining else ""
        self.say(f"{launch_label(launch, self._shape)}  {outcome}{left}")


class LiveView:
    """A bar for the launch that is on, finished launches as lines above it."""

    def __init__(self, console: Console, shape: Shape, clock: Callable[[], float] = time.monotonic) -> None:
        self._console = console
        self._shape = shape
        self._clock = clock
        self._stages = StageClock(clock)
        self._bar: TaskID | None = None
        self._bars = Bars(
            SpinnerColumn(),
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[detail]}", markup=False),
            TimeElapsedColumn(),
            console=console,
            transient=True,
            refresh_per_second=REDRAWS_PER_SECOND,
        )

    def __enter__(self) -> Self:
        self._bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bars.stop()

    def say(self, sentence: str) -> None:
        """Print one line above the bar."""
        self._console.print(Text(printable(sentence)), soft_wrap=True)

    def starting(self, launch: Launch, *, endpoint: bool) -> None:
        """Show a bar that turns while the model loads."""
        self._stages = StageClock(self._clock)
        self._drop()
        self._bar = self._bars.add_task(
            launch_label(launch, self._shape),
            total=self._shape.requests,
            detail="endpoint" if endpoint else "starting",
        )

    def ready(self, launch: Launch, seconds: float) -> None:
        """Show how long the start took."""
        del launch
        self._update(detail=f"ready after {seconds:.1f} s")

    def progressed(self, launch: Launch, progress: Progress) -> None:
        """Move the bar, show phase and rate."""
        del launch
        self._stages.starts(progress)
        rate = self._stages.rate(progress)
        completed = self._stages.before + progress.completed
        phase = progress.phase.value.lower() if rate is None else f"{rate:.1f} requests/s"
        detail = f"{stage_label(progress, self._shape)}: {phase}"
        self._update(completed=completed, detail=detail, now=self._stages.records(progress))

    def ended(self, launch: Launch, failure: Failure | None, remaining: float | None) -> None:
        """Replace the bar by a line."""
        self._drop()
        outcome = failure_text(failure) if failure else "done"
        left = f"; {duration_text(remaining)} left" if remaining else ""
        self.say(f"{launch_label(launch, self._shape)}  {outcome}{left}")

    def _update(self, *, detail: str, completed: int | None = None, now: bool = False) -> None:
        if self._bar is not None:
            self._bars.update(self._bar, completed=completed, detail=detail, refresh=now)

    def _drop(self) -> None:
        if self._bar is not None:
            self._bars.remove_task(self._bar)
            self._bars.refresh()  # else the next line is printed above the bar as it was
            self._bar = None


def choose_view(stream: TextIO, shape: Shape, terminal: str | None) -> View:
    """Take the bar where `stream` is a terminal that can redraw (`terminal` is $TERM), else lines."""
    if stream.isatty() and terminal not in {None, "", "dumb"}:
        return LiveView(Console(file=stream), shape)
    return PlainView(stream, shape)
