"""How long a run has been under way, without the time in which it waits: `execution.deadlines.totalSeconds`. Pure.

It is written down when the run goes into a wait, along with its phase, so that no look has to write it.
"""

from perbench.api.status import Phase, RunStatus, Status
from perbench_operator.decide.launches import Turn
from perbench_operator.decide.situation import Situation

IDLE = frozenset({Phase.SUSPENDED, Phase.QUEUED})
"""Phases in which a run waits for its user, or for other benchmarks. That time is not its own."""


def active_seconds(situation: Situation) -> float:
    """So far. A status from before it was written down says nothing of what was before `resumedTime`."""
    status = situation.benchmark.status
    if status is None or status.run is None or status.start_time is None:
        return 0.0
    before = float(status.run.active_seconds or 0)
    since = status.run.resumed_time or status.start_time
    return before if _is_idle(status) else before + (situation.now - since).total_seconds()


def with_active_time(situation: Situation, run: RunStatus | None, turn: Turn) -> RunStatus | None:
    """The run with its time, where it goes into a wait or comes out of one."""
    waited, waits = _is_idle(situation.benchmark.status), turn.phase in IDLE
    if run is None or waited == waits:
        return run
    if waited:
        return run.model_copy(update={"resumed_time": situation.now.replace(microsecond=0)})
    return run.model_copy(update={"active_seconds": max(0, int(active_seconds(situation)))})


def _is_idle(status: Status | None) -> bool:
    return status is not None and status.phase in IDLE
