"""One annotation after the other, with whatever has them."""

from collections.abc import Sequence
from typing import Protocol

from perbench.grafana.annotations import Kept, RunAnnotation, Write, of_run, write
from perbench.grafana.push import Verb


class Annotations(Protocol):
    """What is asked of a Grafana. Every method raises PerbenchError where it refuses or does not answer."""

    def annotations(self, tags: Sequence[str]) -> Sequence[Kept]:
        """Those that have all of these tags, of any time."""

    def create_annotation(self, new: Write) -> None:
        """Make one."""

    def update_annotation(self, number: int, changed: Write) -> None:
        """Change one."""

    def delete_annotation(self, number: int) -> None:
        """Take one away."""


def annotate(grafana: Annotations, wanted: RunAnnotation) -> Verb:
    """Bring Grafana to have the annotation of a run. Done twice, the second time changes nothing."""
    ours = of_run(wanted, grafana.annotations([wanted.sought]))
    change = write(wanted, ours)
    if change is not None and change.number is None:
        grafana.create_annotation(change)
        return Verb.CREATED
    if change is not None and change.number is not None:
        grafana.update_annotation(change.number, change)
    for one_too_many in ours[1:]:
        grafana.delete_annotation(one_too_many.number)
    return Verb.UNCHANGED if change is None and len(ours) == 1 else Verb.UPDATED
