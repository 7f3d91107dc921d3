"""Conditions of a status: found, and made. Pure."""

from perbench.api.status import Condition, ConditionStatus, ConditionType, Phase, Status
from perbench_operator.decide.situation import Situation


def find_condition(status: Status | None, kind: ConditionType) -> Condition | None:
    """The condition of a kind; None: there is none."""
    conditions = status.conditions if status else ()
    return next((condition for condition in conditions if condition.type is kind), None)


def outcome_of(status: Status) -> Phase | None:
    """The phase in which the run that a status is about has ended, whatever its phase says since of another one that is
    suspended. None: it has not ended."""
    if status.completion_time is None:
        return None
    said = find_condition(status, ConditionType.SUCCEEDED)
    return Phase.SUCCEEDED if said is not None and said.status is ConditionStatus.TRUE else Phase.FAILED


def make_condition(
    situation: Situation, kind: ConditionType, status: ConditionStatus, reason: str, message: str
) -> Condition:
    """A condition that is so from now on, of the benchmark as it stands. `statuses.with_times` knows since when."""
    return Condition(
        type=kind,
        status=status,
        observed_generation=situation.benchmark.generation,
        last_transition_time=situation.now,
        reason=reason,
        message=message,
    )
