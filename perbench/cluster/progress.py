"""How far a benchmark in a cluster is, and whether it has ended, from the object alone. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from perbench.api.resource import RUN_ANNOTATION
from perbench.api.status import REQUEST_LIMIT
from perbench.evaluation.verdict import FAILED_EXIT, INVALID_EXIT, SUCCEEDED_EXIT

Body = Mapping[str, Any]

NOT_ACCEPTED_EXIT = 2
TIMEOUT_EXIT = 124
INVALID = frozenset({"MeasurementInvalid", "TooFewSamples"})
"""Reasons of Succeeded=False that say the measurement, not a model, came to no good end."""


SUSPENDED = "Suspended"
"""Reason of Accepted=Unknown: the run that is asked for waits for its user."""


@dataclass(frozen=True)
class Standing:
    """Where a benchmark stands."""

    line: str
    """For people, one line."""
    exit_code: int | None
    """None: it is not at its end."""


def standing(body: Body) -> Standing:
    """Where it stands. A status of a former run, or of what was written before an edit, counts as none."""
    status = body.get("status") or {}
    if not is_current(body):
        return Standing("waiting for the operator", None)
    accepted = condition(status, "Accepted")
    if accepted.get("status") == "False":
        return Standing(f"not accepted: {_why(accepted)}", NOT_ACCEPTED_EXIT)
    if accepted.get("reason") == SUSPENDED and "refused" in status:  # its figures are of the run before
        return Standing(f"{SUSPENDED}  {accepted.get('message', '')}".rstrip(), None)
    if not status.get("completionTime"):
        progress = status.get("progress") or {}
        counted = f"{progress.get('completed', 0)}/{progress.get('total', '?')}"
        message = str(progress.get("message") or "")
        shown = message if message.startswith(counted) else f"{counted}  {message}"
        return Standing(f"{status.get('phase', 'Pending')}  {shown}".rstrip(), None)
    succeeded = condition(status, "Succeeded")
    if succeeded.get("status") == "True":
        return Standing(f"Succeeded  {_best(status)}".rstrip(), SUCCEEDED_EXIT)
    code = INVALID_EXIT if succeeded.get("reason") in INVALID else FAILED_EXIT
    return Standing(f"Failed  {_why(succeeded)}", code)


def is_current(body: Body) -> bool:
    """Whether the status is about the object as it is now."""
    status, metadata = body.get("status") or {}, body["metadata"]
    if status.get("observedGeneration") != metadata.get("generation"):
        return False
    run = status.get("refused", status.get("run"))
    asked = (metadata.get("annotations") or {}).get(RUN_ANNOTATION)
    return run is None or bool(run.get("request") == (asked and asked[:REQUEST_LIMIT]))


def condition(status: Body, kind: str) -> Body:
    """A condition of the status; empty where there is none."""
    found: Body = next((entry for entry in status.get("conditions") or () if entry.get("type") == kind), {})
    return found


def _why(found: Body) -> str:
    return f"{found.get('reason', 'Unknown')}: {found.get('message', '')}".rstrip(": ")


def _best(status: Body) -> str:
    best = status.get("best")
    if not best:
        return ""
    per = f", Reference PER {best['referencePer']}" if best.get("referencePer") else ""
    return f"best: {best['model']}, {best['tasksWon']} of {best['tasks']} tasks{per}"
