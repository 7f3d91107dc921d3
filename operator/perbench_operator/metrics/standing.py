"""Where a benchmark stands, as samples. Pure."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from perbench.api.status import ConditionStatus, ConditionType, Phase
from perbench_operator.metrics.families import FAILURE, PHASE_START, Sample

Body = Mapping[str, Any]
"""A PERBenchmark as the API gives it."""


def place_of(body: Body) -> tuple[str, str]:
    """Namespace and name."""
    return body["metadata"]["namespace"], body["metadata"]["name"]


def phase_of(body: Body) -> str:
    """The phase. A benchmark that nobody has looked at is Pending."""
    return str((body.get("status") or {}).get("phase") or Phase.PENDING.value)


def standing(body: Body) -> Iterator[Sample]:
    """Since when a benchmark stands in its phase, and why it failed if it did."""
    status = body.get("status") or {}
    place, phase = place_of(body), phase_of(body)
    since = _seconds(status.get("phaseStartTime") if status.get("phase") else body["metadata"].get("creationTimestamp"))
    if since is not None:
        yield Sample(PHASE_START, (*place, phase), since)
    failure = status.get("failure")
    if failure and phase == Phase.FAILED.value:
        verdict = condition(status, ConditionType.SUCCEEDED, ConditionStatus.FALSE)
        blame = failure.get("blame", "") if status.get("startTime") else ""  # nobody's: it was never accepted
        yield Sample(FAILURE, (*place, blame, failure.get("reason", ""), verdict or ""), 1.0)


def condition(status: Mapping[str, Any], kind: ConditionType, says: ConditionStatus) -> str | None:
    """The reason of a condition. None: it does not say so."""
    for entry in status.get("conditions") or ():
        if entry.get("type") == kind.value and entry.get("status") == says.value:
            return str(entry.get("reason", ""))
    return None


def _seconds(text: object) -> float | None:
    """A time of the API as seconds since the epoch. None: it is none."""
    try:
        return datetime.fromisoformat(text).timestamp() if isinstance(text, str) else None
    except ValueError:
        return None
