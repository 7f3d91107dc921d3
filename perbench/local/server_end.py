"""How a local server ended, as a failure: what it said, and whether memory was the reason. Pure."""

import re
from dataclasses import dataclass
from signal import Signals

from perbench.failures import MESSAGE_LIMIT, Blame, Failure, shorten

LAST_ERRORS = 6
LAST_LINES = 2
_NO_MEMORY = re.compile(
    r"insufficient memory|(failed|unable) to allocate|cannot allocate memory|bad_alloc|out of memory", re.IGNORECASE
)
_STAMP = re.compile(r"^\d+\.\d+\.\d+\.\d+ ")
"""The time with which llama.cpp begins each line."""
_ERROR = re.compile(r"^E ")
KILLED = -9


@dataclass(frozen=True)
class Ended:
    """What is known of a server's end."""

    exit_code: int
    """Negative: the signal."""
    log: str
    """The end of its log."""
    oom_killed: bool
    """Whether the kernel killed something for want of memory in its lifetime."""


def ended_early(ended: Ended) -> Failure:
    """The failure of a server that was never ready."""
    return _failure(ended, "before the model was ready")


def ended_late(ended: Ended) -> Failure:
    """The failure of a server that ended while it was used."""
    return _failure(ended, "while it was measured")


def model_gone(name: str) -> Failure:
    """The failure of a model whose file has gone since it was found."""
    message = f"the model's file {name} is not there any more; put it back and run again"
    return Failure(blame=Blame.TARGET, reason="ModelNotFound", message=message)


def never_ready(seconds: float, log: str) -> Failure:
    """The failure of a server that runs, but does not say that it is ready."""
    words = last_words(log) or "its log is empty"
    return Failure(
        blame=Blame.TARGET,
        reason="ServerNotReady",
        message=_capped(f"the model was not ready within {seconds:g} s: ", words),
    )


def _failure(ended: Ended, when: str) -> Failure:
    no_memory = (ended.exit_code == KILLED and ended.oom_killed) or _NO_MEMORY.search(ended.log) is not None
    words = last_words(ended.log) or "its log is empty"
    cause = "for want of memory, " if no_memory else ""
    return Failure(
        blame=Blame.TARGET,
        reason="OutOfMemory" if no_memory else "ServerExited",
        message=_capped(f"the model's server ended {cause}{when}, {_how(ended.exit_code)}: ", words),
        exit_code=ended.exit_code,
    )


def last_words(log: str) -> str:
    """The last lines that say what went wrong: errors where there are any, without times and repetitions."""
    lines = [_STAMP.sub("", line).strip() for line in log.splitlines()]
    lines = [line for line in lines if line]
    errors = [line for line in lines if _ERROR.match(line)]
    plain = dict.fromkeys(_ERROR.sub("", line) for line in errors[-LAST_ERRORS:] or lines[-LAST_LINES:])
    return " | ".join(plain)


def parse_oom_kills(vmstat: str) -> int:
    """How many processes the kernel has killed for want of memory, from the text of /proc/vmstat."""
    found = re.search(r"^oom_kill (\d+)$", vmstat, re.MULTILINE)
    return int(found[1]) if found else 0


def _how(exit_code: int) -> str:
    if exit_code >= 0:
        return f"exit code {exit_code}"
    known = {member.value: member.name for member in Signals}
    return f"by {known.get(-exit_code, f'signal {-exit_code}')}"


def _capped(beginning: str, words: str) -> str:
    return beginning + shorten(words, MESSAGE_LIMIT - len(beginning))
