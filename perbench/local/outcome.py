"""How a launch and a run ended, from what was seen of them. Pure."""

import shlex
from collections.abc import Sequence
from dataclasses import dataclass

from perbench.failures import MESSAGE_LIMIT, RUN_STOPPED, Blame, Failure, shorten
from perbench.plan import StageKey

FAILED_EXIT = 4
INTERRUPTED_EXIT = 130

STOPS_THE_RUN = frozenset({"DiskFull", "WriteFailed"})
"""Reasons that are no affair of one model: the next would fail likewise. The run stays unfinished, and can go on."""


@dataclass(frozen=True)
class BenchEnd:
    """How the bench process of one launch ended, as far as it is known."""

    recorded: Failure | None
    """What it wrote before it stopped."""
    unexplained: Failure
    """What is said of it when it wrote nothing: the end of its log."""
    server: Failure | None
    """The model's process had ended by then."""
    missing: Sequence[StageKey]


def launch_failure(end: BenchEnd, model: str) -> Failure | None:
    """Why a launch failed; None when all its stages are recorded.

    A server that ended explains whatever the bench process says of it, except that a full disk is nobody's crash.
    """
    if not end.missing:
        return None
    if end.recorded is not None and end.recorded.reason in STOPS_THE_RUN:
        return end.recorded.model_copy(update={"model": model})
    failure = end.server or end.recorded or end.unexplained
    return failure.model_copy(update={"model": model})


def server_exited(model: str, exit_code: int, tail: str) -> Failure:
    """The failure of a model whose process ended before its stages did."""
    ended = f"was ended by signal {-exit_code}" if exit_code < 0 else f"exited with {exit_code}"
    return Failure(
        blame=Blame.TARGET,
        reason="ServerExited",
        message=f"the model's server {ended}: {shorten(tail, MESSAGE_LIMIT - 100) or 'its log is empty'}",
        exit_code=exit_code,
        model=model,
    )


def run_stopped(first: Failure, model: str) -> Failure:
    """The failure of a model that is not measured because another one failed before."""
    message = f"not measured: {first.model} failed ({first.reason}), and execution.onModelFailure is Stop"
    return Failure(blame=first.blame, reason=RUN_STOPPED, message=message, model=model)


def continue_command(arguments: Sequence[str]) -> str:
    """The command that goes on, as it is typed."""
    return shlex.join(["perbench", "run", *arguments])


def interrupted_sentence(recorded: int, planned: int, arguments: Sequence[str]) -> str:
    """What is said after an interruption."""
    kept = f"{recorded} of {planned} stages are recorded and kept"
    return f"interrupted: {kept}; continue with: {continue_command(arguments)}"


def stopped_sentence(failure: Failure, recorded: int, planned: int, arguments: Sequence[str]) -> str:
    """What is said when the run could not go on, and no model is to blame."""
    advice = "make room" if failure.reason == "DiskFull" else "put it right"
    return (
        f"{failure.message} ({failure.blame}: {failure.reason}); {recorded} of {planned} stages are recorded and kept;"
        f" {advice} and continue with: {continue_command(arguments)}"
    )
