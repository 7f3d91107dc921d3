"""How telling Grafana went: counted. Pure."""

from dataclasses import dataclass, field
from enum import StrEnum
from itertools import product


class Part(StrEnum):
    """What is told."""

    DASHBOARDS = "dashboards"
    ANNOTATION = "annotations"


class Outcome(StrEnum):
    """What came of it."""

    DONE = "done"
    UNREACHABLE = "unreachable"
    REFUSED = "refused"


@dataclass
class GrafanaCounts:
    """Since the start of the process."""

    dashboards: bool | None = None
    """Whether Grafana has them. None: they are not pushed."""
    pending: int = 0
    """Annotations that are yet to be told."""
    attempts: dict[tuple[Part, Outcome], int] = field(default_factory=lambda: dict.fromkeys(product(Part, Outcome), 0))

    def ended(self, part: Part, outcome: Outcome) -> None:
        """An attempt has ended."""
        self.attempts[part, outcome] += 1
        if part is Part.DASHBOARDS:
            self.dashboards = outcome is Outcome.DONE
