"""The progress object of a model: a small ConfigMap that the bench pod writes and the operator watches.

It is a hint and a clock, never the record: what was measured stands in the results object, which is written first.
"""

from collections.abc import Mapping
from enum import StrEnum

from pydantic import AwareDatetime, Field, ValidationError

from perbench.base import Document
from perbench.failures import MESSAGE_LIMIT, Failure, shorten

KEY = "progress.json"
SIZE_LIMIT = 2048
"""Bytes of the document at most."""
_FAILURE_LIMITS = (MESSAGE_LIMIT, 512, 256, 64)
"""Characters of a failure's message, of which one has up to four bytes."""


class BenchState(StrEnum):
    """What a bench pod is doing."""

    CALIBRATING = "Calibrating"
    WAITING = "Waiting"
    """For the model to answer."""
    MEASURING = "Measuring"
    FINISHED = "Finished"
    """Every stage of the launch is in the results object."""
    FAILED = "Failed"
    """It cannot go on; `failure` says why."""


class BenchProgress(Document):
    """What the bench pod of one attempt last said. Writes of an older attempt never replace a newer one's."""

    round: int = Field(ge=0)
    attempt: int = Field(ge=0)
    state: BenchState
    recorded: int = Field(ge=0)
    """Stages of this round that are in the results object."""
    message: str = Field(max_length=256, default="")
    """What is going on, for people: `gsm8k, repeat 2 of 3: 40 of 200`."""
    failure: Failure | None = None
    first_request_at: AwareDatetime | None = None
    """When the first request of a warm-up was sent in this attempt."""
    updated_at: AwareDatetime

    def older_than(self, other: "BenchProgress") -> bool:
        """Whether the other one is of a later attempt, or of a later round."""
        return (self.round, self.attempt) < (other.round, other.attempt)

    def data(self) -> dict[str, str]:
        """As the `data` of a ConfigMap. A failure's words are cut to the size: their end tells."""
        for limit in _FAILURE_LIMITS:
            failure = self.failure and self.failure.model_copy(update={"message": shorten(self.failure.message, limit)})
            text = self.model_copy(update={"failure": failure}).model_dump_json(by_alias=True, exclude_none=True)
            if len(text.encode()) <= SIZE_LIMIT:
                return {KEY: text}
        raise ValueError(f"a progress object holds {SIZE_LIMIT} bytes at most")


def read_progress(data: Mapping[str, str] | None) -> BenchProgress | None:
    """The document in the `data` of a ConfigMap; None where nothing has been said, or nothing that can be read."""
    try:
        return BenchProgress.model_validate_json((data or {})[KEY])
    except (KeyError, ValidationError):
        return None
