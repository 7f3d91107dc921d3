"""Conditions of a status: found, and made. Pure."""

from perbench.api.status import Condition, ConditionStatus, ConditionType, Status
from perbench_operator.decide.situation import Situation


def find_condition(status: Status | None, kind: ConditionType) -> Condition | None:
    """The condition of a kind; None: there is none."""
    conditions = status.conditions if status else ()
    return next((condition for condition in conditions if condition.type is kind), None)


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
