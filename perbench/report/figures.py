"""Figures as people read them. An absent one is a dash, never a 0."""

from dataclasses import dataclass

from perbench.api.defaults import LATENCY_BASIS, MEMORY_BASIS, Resolved
from perbench.evaluation.settings import Settings
from perbench.evaluation.values import Figures
from perbench.per import Axis, FigureIntervals
from perbench.per.words import ABSENT
from perbench.results import TaskKind
from perbench.statistics.intervals import Interval

MEBIBYTE = 1024 * 1024
THOUSAND = 1000.0
"""One right answer costs so little that people read the price of a thousand."""


@dataclass(frozen=True)
class AxisView:
    """One of the four axes, as a task of that kind shows it."""

    axis: Axis
    title: str
    unit: str
    """Empty for accuracy."""

    @property
    def better(self) -> str:
        """Which direction is the better one."""
        return "higher is better" if self.axis.higher_is_better else "lower is better"

    def value(self, figures: Figures) -> float | None:
        """The figure in `unit`."""
        if self.axis is Axis.MEMORY:
            return None if figures.memory_bytes is None else figures.memory_bytes / MEBIBYTE
        return {
            Axis.ACCURACY: figures.accuracy,
            Axis.THROUGHPUT: figures.throughput,
            Axis.LATENCY: figures.latency_ms,
        }[self.axis]

    def interval(self, known: FigureIntervals) -> Interval | None:
        """Its interval in `unit`."""
        found: Interval | None = getattr(known, self.axis.value)
        if found is None or self.axis is not Axis.MEMORY:
            return found
        return Interval(found.low / MEBIBYTE, found.high / MEBIBYTE)

    def basis(self, settings: Settings) -> str:
        """What it is made of, where that is not the default; else empty."""
        if self.axis is Axis.LATENCY and settings.latency_basis is not LATENCY_BASIS:
            return settings.latency_basis.value
        if self.axis is Axis.MEMORY and settings.memory_basis is not MEMORY_BASIS:
            return settings.memory_basis.value
        return ""

    def text(self, value: float | None) -> str:
        """The figure without its unit."""
        return share(value) if self.axis is Axis.ACCURACY else significant(value)


def axes(kind: TaskKind, unit: str) -> tuple[AxisView, ...]:
    """The four axes of a task; `unit`: what throughput is per (server, accelerator, endpoint)."""
    counted = "item" if kind is TaskKind.CLASSIFICATION else "token"
    return (
        AxisView(Axis.ACCURACY, "Accuracy", ""),
        AxisView(Axis.THROUGHPUT, "Throughput", f"{counted}s/s per {unit}"),
        AxisView(Axis.LATENCY, "Latency", f"ms per {counted}"),
        AxisView(Axis.MEMORY, "Memory", "MiB"),
    )


def bases(settings: Settings) -> tuple[str, ...]:
    """What latency and memory are made of, where it is not the default."""
    latency, memory = settings.latency_basis, settings.memory_basis
    return (
        *([f"latency {latency}"] if latency is not LATENCY_BASIS else []),
        *([f"memory {memory}"] if memory is not MEMORY_BASIS else []),
    )


def significant(value: float | None, digits: int = 3) -> str:
    """Plain notation with at least `digits` significant digits; whole numbers are not rounded away: 1234.6 is 1,235."""
    if value is None:
        return ABSENT
    if value == 0:
        return "0"
    if abs(value) >= 10 ** (digits - 1):
        return f"{value:,.0f}"
    decimals = digits - 1
    for power in range(digits - 2, -12, -1):
        if abs(value) >= 10**power:
            decimals = digits - 1 - power
            break
    return f"{value:.{decimals}f}"


def share(value: float | None) -> str:
    """Three decimals."""
    return ABSENT if value is None else f"{value:.3f}"


def percent(value: float | None) -> str:
    """One decimal; exactly 0 and exactly 100 without."""
    if value is None:
        return ABSENT
    return f"{value:.0f} %" if value in {0, 100} else f"{value:.1f} %"


def money(value: float | None, interval: Interval | None, times: float = 1.0, dash: str = "-") -> str:
    """`0.421 (0.410-0.433)`: dollars for `times` as many."""
    if value is None:
        return ABSENT
    between = f" ({significant(times * interval.low)}{dash}{significant(times * interval.high)})" if interval else ""
    return f"{significant(times * value)}{between}"


def duration(seconds: float) -> str:
    """`5 min 12 s`, `48 s`, `2 h 5 min`."""
    whole = round(seconds)
    hours, minutes, rest = whole // 3600, whole % 3600 // 60, whole % 60
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def load_text(resolved: Resolved) -> str:
    """The load: `8 requests at a time`, `4 requests/s (Poisson)`."""
    if resolved.rate is None:
        return f"{resolved.concurrency} request{'s' if resolved.concurrency != 1 else ''} at a time"
    arrival = resolved.arrival.value if resolved.arrival else ""
    shape = f", burstiness {resolved.burstiness}" if resolved.burstiness is not None else ""
    return f"{resolved.rate} requests/s ({arrival}{shape})"
