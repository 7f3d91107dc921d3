"""A stage, decided: which requests, how many at once, when its phases end. Pure."""

from dataclasses import dataclass

from perbench.plan import LoadPlan, Warmup
from perbench_bench.engine.feed import Limits
from perbench_bench.prompts import StageRequests
from perbench_bench.tasks import ResolvedTask

FIRST_WARMUP_SECONDS = 10.0
"""Warm-up after a start of the server (measurement.md §1); later stages on it need only requests."""

WARMUP_DURATIONS = 3.0
"""Median request durations that pass before the window of an open loop opens: as many are then under way as will be."""


@dataclass(frozen=True, slots=True)
class StagePlace:
    """Which stage of the plan this is."""

    round: int
    repeat: int | None
    """None: the extra stage of one request at a time."""
    first: bool
    """The first stage after the server's start."""

    @property
    def number(self) -> int:
        """Another one for each round and repeat: no two draw the same arrivals."""
        return 1000 * self.round + (self.repeat if self.repeat is not None else 999)


def limits_of(
    load: LoadPlan, measured: int, place: StagePlace, now: int, window_seconds: float | None = None
) -> Limits:
    """When the phases of a stage end. The default warm-up is measurement.md §1's."""
    seconds = FIRST_WARMUP_SECONDS if place.first else 0.0
    warmup = load.warmup or Warmup(requests=2 * (load.concurrency or 0), seconds=seconds)
    durations = WARMUP_DURATIONS if load.warmup is None and load.arrivals else 0.0
    deadline = now + int(load.max_seconds * 1e9)
    return Limits(warmup.requests, warmup.seconds, measured, window_seconds, deadline, durations)


@dataclass(frozen=True, slots=True)
class StagePlan:
    """All a stage needs, decided."""

    task: ResolvedTask
    place: StagePlace
    load: LoadPlan
    requests: StageRequests
    prompt_fit: dict[str, float]
    window_seconds: float | None = None
    judge_steadiness: bool = True
