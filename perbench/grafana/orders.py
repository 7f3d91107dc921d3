"""What the operator and the program that speaks to Grafana for it hand to each other: an order on standard input, a
report per line on standard output. Values only."""

from datetime import datetime
from email.utils import parsedate_to_datetime
from enum import StrEnum
from typing import Annotated

from pydantic import Field

from perbench.base import Document
from perbench.grafana.annotations import RunAnnotation

LONGEST_PAUSE_SECONDS = 3600
"""A Grafana that asks for a longer pause is asked again after this."""


class ProblemKind(StrEnum):
    """Whether trying again soon may help."""

    UNREACHABLE = "Unreachable"
    """It does not answer, or cannot just now (429, 5xx)."""
    REFUSED = "Refused"
    """It does not take this token, or this request; or what answers is no Grafana."""


class Problem(Document):
    """Why something was not done."""

    kind: ProblemKind
    message: Annotated[str, Field(max_length=1024)]
    """One line, for people."""
    retry_after_seconds: Annotated[int, Field(ge=0, le=LONGEST_PAUSE_SECONDS)] | None = None
    """How long Grafana asked to be left alone."""
    of_everything: bool = False
    """Whether nothing else that is asked now would be answered otherwise."""


class Order(Document):
    """What is to be done."""

    dashboards: bool = False
    """Whether the dashboards are to be pushed."""
    annotations: tuple[RunAnnotation, ...] = ()


class Report(Document):
    """What came of one thing."""

    annotation: int | None = None
    """Its place in the order. None: it is about the dashboards."""
    changes: tuple[str, ...] = ()
    """What was written, for people."""
    problem: Problem | None = None
    """Why it was not done. None: it is as it should be."""


def retry_after(header: str | None, now: datetime) -> int | None:
    """What the header `Retry-After` says, in seconds: it has seconds or a date (RFC 9110). None: nothing that can be
    read."""
    text = (header or "").strip()
    if not text:
        return None
    try:
        wait = int(text) if text.isdecimal() else round((parsedate_to_datetime(text) - now).total_seconds())
    except (ValueError, TypeError):
        return None
    return max(0, min(LONGEST_PAUSE_SECONDS, wait))
