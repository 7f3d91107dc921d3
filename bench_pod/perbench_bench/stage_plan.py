"""A stage, decided: which requests, how many at once, when its phases end. Pure."""

from dataclasses import dataclass

from perbench.plan import LoadPlan, Warmup
from perbench_bench.engine.feed import Limits
from perbench_bench.prompts import StageRequests
from perbench_bench.tasks import ResolvedTask

FIRST_WARMUP_SECONDS = 10.0
"""Warm-up after a start of the server (measurement.md §1); later stages on it need only requests."""


@dataclass(frozen=True, slots=True)
class StagePlace:
    """Which stage of the plan this is."""

    round: int
    repeat: int | None
    """None: the extra stage of one request at a time."""
    first: bool
    """The first stage after the server's start."""


def limits_of(
    load: LoadPlan, measured: int, place: StagePlace, now: int, window_seconds: float | None = None
) -> Limits:
    """When the phases of a stage end. The default warm-up is measurement.md §1's."""
    default = Warmup(requests=2 * load.concurrency, seconds=FIRST_WARMUP_SECONDS if place.first else 0.0)
    warmup = load.warmup or default
    deadline = now + int(load.max_seconds * 1e9)
    return Limits(warmup.requests, warmup.seconds, measured, window_seconds, deadline)


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
