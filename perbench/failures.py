"""Why a run or a model failed: one blame, one stable reason, one message.

These names appear in `status.failure`, in events and in alerts, so they are never renamed.
"""

from enum import StrEnum

from pydantic import ConfigDict, Field, ValidationError

from perbench.base import Document
from perbench.errors import PerbenchError

MESSAGE_LIMIT = 1024
"""Characters of a failure message. Servers' own words end up in it, so it is capped."""


RUN_STOPPED = "RunStopped"
"""The reason of models that were not measured because another one failed, and the benchmark asked to stop then."""


class Blame(StrEnum):
    """Whose affair a failure is."""

    TARGET = "Target"
    LOAD_GENERATOR = "LoadGenerator"
    INFRASTRUCTURE = "Infrastructure"
    MEASUREMENT = "Measurement"


class Failure(Document):
    """The one reason a model or a run failed."""

    model_config = ConfigDict(use_attribute_docstrings=True)

    blame: Blame
    """Whose affair it is: `Target`, `LoadGenerator`, `Infrastructure` or `Measurement`."""
    reason: str = Field(pattern=r"^[A-Z][A-Za-z]*$", max_length=64)
    """Why, as one CamelCase word that is never renamed."""
    message: str = Field(max_length=MESSAGE_LIMIT)
    """Why, for people; where a server said something, the end of it."""
    exit_code: int | None = Field(default=None, ge=-(2**31), le=2**31 - 1)
    """Exit code of the process that ended, if one did."""
    model: str | None = Field(default=None, max_length=40)
    """The model it happened to, if one."""


class UsageError(PerbenchError):
    """The input is wrong: a file, a flag, a value. Nothing was started."""

    exit_code = 2


class RunError(PerbenchError):
    """A run could not go on. Carries the failure as it goes into the status."""

    exit_code = 4

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.message)
        self.failure = failure


def first_mistake(error: ValidationError) -> str:
    """Where and what, of the first thing that pydantic has against a document."""
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"]) or "the document"
    return f"{where}: {first['msg']}"


def printable(text: str) -> str:
    """Untrusted text as one line without control characters: what servers say must not steer the terminal."""
    return "".join(character if character.isprintable() else " " for character in text)


def shorten(text: str, limit: int = MESSAGE_LIMIT) -> str:
    """Cap untrusted text at `limit` characters, without control characters; the end is kept, where servers say why."""
    clean = "".join(c if c.isprintable() or c in "\n\t" else "�" for c in text).strip()
    return clean if len(clean) <= limit else "… " + clean[-(limit - 2) :]
