"""How long a run will take: from an assumption before the first stage, from what was measured afterwards. Pure.

All durations are seconds.
"""

from collections.abc import Sequence
from dataclasses import dataclass

ASSUMED_TOKENS_PER_SECOND = 60.0
"""Output of one server, all requests together, before anything is measured: a small model on two cores, about."""

ASSUMED_START_SECONDS = 5.0
"""From the start of a server to its first answer."""


@dataclass(frozen=True)
class StageWork:
    """One stage, as far as it is known before it starts."""

    model: str
    task: str
    requests: int
    """Warm-up, measured items and the filler that is drained at the end."""
    output_tokens: int
    """Most tokens of one answer."""
    least_seconds: float = 0.0
    """A warm-up may have to last."""
    most_seconds: float = float("inf")
    """`load.maxSeconds`."""

    @property
    def kind(self) -> tuple[str, str, int]:
        """What is alike for stages that take about as long: an unloaded stage has fewer requests than the others."""
        return (self.model, self.task, self.requests)

    @property
    def assumed_seconds(self) -> float:
        """Its duration if every answer is as long as it may be, at the assumed rate."""
        writing = self.requests * self.output_tokens / ASSUMED_TOKENS_PER_SECOND
        return min(max(writing, self.least_seconds), self.most_seconds)


@dataclass(frozen=True)
class Pace:
    """What has been measured so far in this command."""

    starts: tuple[float, ...] = ()
    stages: tuple[tuple[StageWork, float], ...] = ()

    def started(self, seconds: float) -> "Pace":
        """With one more start of a server."""
        return Pace(starts=(*self.starts, seconds), stages=self.stages)

    def finished(self, work: StageWork, seconds: float) -> "Pace":
        """With one more finished stage."""
        return Pace(starts=self.starts, stages=(*self.stages, (work, seconds)))


def remaining_seconds(starts: int, stages: Sequence[StageWork], pace: Pace | None = None) -> float:
    """Give the time that `starts` starts and `stages` will take.

    A stage is expected to take as long as the finished ones of its model, task and number of requests; where there are
    none, what is assumed is corrected by how wrong it was for those that have finished.
    """
    pace = pace or Pace()
    each = _mean(pace.starts) if pace.starts else ASSUMED_START_SECONDS
    assumed = sum(work.assumed_seconds for work, _ in pace.stages)
    correction = sum(seconds for _, seconds in pace.stages) / assumed if assumed else 1.0
    return starts * each + sum(_stage_seconds(work, pace, correction) for work in stages)


def _stage_seconds(work: StageWork, pace: Pace, correction: float) -> float:
    same = [seconds for done, seconds in pace.stages if done.kind == work.kind]
    return _mean(same) if same else min(work.assumed_seconds * correction, work.most_seconds)


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def duration_text(seconds: float) -> str:
    """Write a duration as people say it: an estimate is not given to the second."""
    if seconds < 60:
        return "less than a minute"
    minutes = round(seconds / 60)
    if minutes < 90:
        return f"about {minutes} minute{'s' if minutes > 1 else ''}"
    hours = minutes / 60
    return f"about {hours:.1f} hours"


def estimate_sentence(starts: int, stages: Sequence[StageWork]) -> str:
    """What is said before the first start, with what it assumes."""
    duration = duration_text(remaining_seconds(starts, stages))
    servers = f"{starts} start{'' if starts == 1 else 's'} of a server and " if starts else ""
    return (
        f"{duration}: {servers}{len(stages)} stage{'' if len(stages) == 1 else 's'},"
        f" if a server writes {ASSUMED_TOKENS_PER_SECOND:.0f} tokens/s and every answer takes all it may;"
        " corrected as stages end"
    )
