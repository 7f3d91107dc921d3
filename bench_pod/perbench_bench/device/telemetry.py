"""What the exporter of a server's accelerators says, worked into what is known of its memory otherwise.

Of what is held the exporter's word counts before the server's own: it is the whole, and the same thing of all servers.
Of the footprint it counts last, and only of servers that take memory when they need it: of others it is what they hold.
Pure, but for the sources.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Protocol

from perbench.failures import shorten
from perbench.plan import Telemetry
from perbench.resources import MemoryOrigin, MemoryQuality, MemoryRecord, ResourceUse
from perbench_bench.device.accelerator_use import AcceleratorUse, Figure
from perbench_bench.device.exporter_pages import ExporterPages
from perbench_bench.device.prometheus import PrometheusHistory

REASON_LENGTH = 500


class AcceleratorSource(Protocol):
    """Somebody who knows what the accelerators do. `start` and `stop` may block; neither raises for who is asked."""

    name: str

    def start(self) -> None:
        """Open a window, before a load; one that is open is dropped."""

    def stop(self, window: tuple[int, int]) -> AcceleratorUse:
        """What was seen between two stamps of the clock."""


class AcceleratorTelemetry:
    """Asks its sources in turn: each for what those before it did not know."""

    def __init__(self, sources: Sequence[AcceleratorSource], obstacle: str | None = None) -> None:
        self._sources = sources if obstacle is None else ()
        self._obstacle = obstacle or "nobody is asked"

    @property
    def asks(self) -> bool:
        """Whether there is anybody to ask."""
        return bool(self._sources)

    def start(self) -> None:
        """Open a window, before a load."""
        for source in self._sources:
            source.start()

    def stop(self, window: tuple[int, int]) -> AcceleratorUse:
        """What was seen between two stamps of the clock. Figures say who said so, reasons who did not."""
        found: list[AcceleratorUse] = []
        for source in self._sources:
            found.append(_named(source.stop(window), source.name))
            if found[-1].settled:  # those that follow know nothing more, and their windows need no end
                break
        return _best(found) if found else AcceleratorUse.nothing(self._obstacle)


def telemetry_of(telemetry: Telemetry, accelerators: int, clock: Callable[[], int]) -> AcceleratorTelemetry:
    """Those that the plan names: the exporter itself first, whose figures are seen as soon as they are new."""
    sources: list[AcceleratorSource] = []
    if telemetry.exporter_port is not None:
        sources.append(ExporterPages(telemetry, accelerators, clock))
    if telemetry.prometheus_url is not None:
        sources.append(PrometheusHistory(telemetry, accelerators, clock))
    return AcceleratorTelemetry(sources, telemetry.obstacle)


def with_held(record: MemoryRecord, use: AcceleratorUse, *, preallocates: bool) -> MemoryRecord:
    """The record of a server's memory, with what somebody who was asked says is held on its accelerators.

    His word alone counts of that: a mean over stages is not to be of his figures and of the server's own, which count
    less. `preallocates`: whether the server holds what it may need.
    """
    held = use.held
    reserved = {
        "reserved_bytes": None if held.value is None else round(held.value),
        "reserved_origin": None if held.value is None else MemoryOrigin.DEVICE_TOTAL,
        "reserved_source": held.source or None,
        "reserved_reason": held.reason,
    }
    if record.footprint_bytes is not None or preallocates:
        return record.model_copy(update=reserved)
    if held.value is None:
        return record.model_copy(
            update={**reserved, "reason": shorten(f"{record.reason}; {held.reason}", REASON_LENGTH)}
        )
    footprint = {
        "origin": MemoryOrigin.DEVICE_TOTAL,
        "quality": MemoryQuality.MEASURED,
        "footprint_bytes": round(held.value),
        "samples": use.samples,
        "source": held.source,
        "reason": None,
    }
    return record.model_copy(update={**reserved, **footprint})


def resource_use(use: AcceleratorUse) -> ResourceUse:
    """As it stands in results.json."""
    return ResourceUse(
        accelerator_utilization=use.busy.value,
        accelerator_source=use.busy.source or None,
        accelerator_reason=use.busy.reason,
        energy_joules=use.energy.value,
        energy_source=use.energy.source or None,
        energy_reason=use.energy.reason,
    )


def _named(use: AcceleratorUse, name: str) -> AcceleratorUse:
    def named(figure: Figure) -> Figure:
        if figure.value is None:
            return replace(figure, reason=f"{name}: {figure.reason}")
        return replace(figure, source=f"{figure.source} ({name})")

    return replace(use, held=named(use.held), busy=named(use.busy), energy=named(use.energy))


def _best(found: Sequence[AcceleratorUse]) -> AcceleratorUse:
    """Where one has seen that accelerators are shared, nobody's figures count."""
    refusal = next((use for use in found if use.refused), None)
    if refusal is not None:
        return refusal
    first = next((use for use in found if use.held.value is not None), found[0])
    return AcceleratorUse(
        held=_first(use.held for use in found),
        busy=_first(use.busy for use in found),
        energy=_first(use.energy for use in found),
        samples=first.samples,
    )


def _first(figures: Iterable[Figure]) -> Figure:
    """The first that there is; else why there is none, of all of them."""
    given = list(figures)
    reasons = "; ".join(dict.fromkeys(figure.reason for figure in given if figure.reason))
    none = Figure.none(shorten(reasons, REASON_LENGTH))
    return next((figure for figure in given if figure.value is not None), none)
