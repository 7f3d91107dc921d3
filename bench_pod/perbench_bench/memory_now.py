"""What is known of a server's memory and processor time at one moment: the live view, beside the record of a whole
window. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from pydantic import TypeAdapter

from perbench.api.per import MemoryBasis
from perbench.resources import MemoryRecord, ResourceUse


@dataclass(frozen=True)
class MemoryNow:
    """Bytes by basis (`MemoryBasis`). What is not known is left out, never 0."""

    current: Mapping[str, int] = field(default_factory=dict)
    """At the last look."""
    peak: Mapping[str, int] = field(default_factory=dict)
    """The most since the window was opened."""
    limit: int | None = None
    """What the server's container may use. None: no limit is known."""
    cpu_seconds: float | None = None
    """Processor time since the window was opened. None: it is not known."""


@dataclass(frozen=True)
class Taken:
    """What a server took of its machine in a window that is over."""

    memory: MemoryRecord
    """From before the load until after its last answer."""
    use: ResourceUse | None
    """Within the measured window. None: nobody could be asked."""
    now: MemoryNow = field(default_factory=MemoryNow)
    """At its end."""
    held: float = 0.0
    """Seconds for which who was asked kept the question, from its arrival to the answer."""


JSON = TypeAdapter(MemoryNow)
"""A view as the reader in a pod says it."""
TAKEN_JSON = TypeAdapter(Taken)
"""What a window showed, likewise."""


def peaks_of(record: MemoryRecord) -> dict[str, int]:
    """The peaks by basis, as far as they are known."""
    return known(
        {
            MemoryBasis.FOOTPRINT: record.footprint_bytes,
            MemoryBasis.RESERVED: record.reserved_bytes,
            MemoryBasis.WEIGHTS: record.weights_bytes,
        }
    )


def known(figures: Mapping[MemoryBasis, int | None]) -> dict[str, int]:
    """The figures that there are."""
    return {basis.value: figure for basis, figure in figures.items() if figure is not None}


def of_all(views: Iterable[MemoryNow]) -> MemoryNow:
    """Several servers as one, where every one of them has the figure: of memory the largest, of limits the smallest, of
    processor time the sum."""
    given = list(views)
    limits = [view.limit for view in given if view.limit is not None]
    cpu = [view.cpu_seconds for view in given if view.cpu_seconds is not None]
    return MemoryNow(
        current=_most([view.current for view in given]),
        peak=_most([view.peak for view in given]),
        limit=min(limits) if limits and len(limits) == len(given) else None,
        cpu_seconds=sum(cpu) if cpu and len(cpu) == len(given) else None,
    )


def _most(figures: list[Mapping[str, int]]) -> dict[str, int]:
    first = figures[0] if figures else {}
    return {basis: max(one[basis] for one in figures) for basis in first if all(basis in one for one in figures)}
