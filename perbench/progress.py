"""What a bench process says while it works: one JSON object per line on its standard output."""

from enum import StrEnum

from perbench.base import Document


class StagePhase(StrEnum):
    """Where a stage stands."""

    WARMUP = "Warmup"
    MEASURING = "Measuring"
    FINISHING = "Finishing"
    RECORDED = "Recorded"


class Progress(Document):
    """One line: `completed` of `total` measured requests of this stage have ended."""

    task: str
    repeat: int | None
    """None: the extra stage of one request at a time."""
    phase: StagePhase
    completed: int
    total: int
