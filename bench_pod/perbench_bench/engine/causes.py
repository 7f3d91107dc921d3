"""What pressed on the load generator, and what to do about it: named beside a verdict, never deciding it. Pure."""

from dataclasses import dataclass
from enum import StrEnum

THROTTLED_PERCENT = 1.0
STEAL_PERCENT = 2.0
BUSY_PERCENT = 85.0
WAITING_MS = 0.1
"""Mean wait for a core per wake-up from which other work is named as a cause."""


class Pressure(StrEnum):
    """A cause."""

    THROTTLED = "CpuThrottled"
    STEAL = "CpuStolen"
    OWN_PROCESSOR = "OwnProcessor"
    OTHERS = "OtherWork"
    DESCRIPTORS = "Descriptors"


@dataclass(frozen=True, slots=True)
class Cause:
    """A cause with its figure."""

    pressure: Pressure
    measured: float
    """Percent of the stage; of waits for a core milliseconds; of descriptors their limit."""


@dataclass(frozen=True, slots=True)
class Usage:
    """Cumulative figures at one moment. None: this system does not say."""

    wall_ns: int
    own_cpu_ns: int
    throttled_ns: int | None
    """How long the control group was kept from its cores."""
    stolen: int | None
    """Ticks that the hypervisor gave to others."""
    ticks: int | None
    """All ticks of the machine."""
    descriptors: int
    """How many files and sockets this process may have open."""


def causes(before: Usage, after: Usage, wait_ms: float | None, *, lacking: bool) -> tuple[Cause, ...]:
    """What is worth naming between two moments, the most telling first. `lacking`: sockets could not be had."""
    seconds = max(after.wall_ns - before.wall_ns, 1)
    found: list[Cause] = []
    if lacking:
        found.append(Cause(Pressure.DESCRIPTORS, float(after.descriptors)))
    throttled = _percent(before.throttled_ns, after.throttled_ns, seconds)
    if throttled is not None and throttled >= THROTTLED_PERCENT:
        found.append(Cause(Pressure.THROTTLED, throttled))
    total = None if before.ticks is None or after.ticks is None else after.ticks - before.ticks
    stolen = _percent(before.stolen, after.stolen, total) if total else None
    if stolen is not None and stolen >= STEAL_PERCENT:
        found.append(Cause(Pressure.STEAL, stolen))
    busy = 100 * (after.own_cpu_ns - before.own_cpu_ns) / seconds
    if busy >= BUSY_PERCENT:
        found.append(Cause(Pressure.OWN_PROCESSOR, busy))
    if wait_ms is not None and wait_ms >= WAITING_MS:
        found.append(Cause(Pressure.OTHERS, wait_ms))
    return tuple(found)


def advice_of(found: tuple[Cause, ...]) -> str:
    """What to do, after what was seen; the first cause decides."""
    if not found:
        return "give the load generator a core of its own: fewer server threads, a lower load, or another machine"
    cause = found[0]
    match cause.pressure:
        case Pressure.DESCRIPTORS:
            return f"raise the limit of open files (ulimit -n, now {cause.measured:.0f}), or lower the load"
        case Pressure.THROTTLED:
            said = f"its control group was kept from its cores for {cause.measured:.0f} % of the time"
            return f"{said}: give the load generator no CPU limit, or a higher one"
        case Pressure.STEAL:
            said = f"the hypervisor gave {cause.measured:.0f} % of the time to others"
            return f"{said}: measure on a machine that is not shared"
        case Pressure.OWN_PROCESSOR:
            said = f"it used {cause.measured:.0f} % of one core"
            return f"{said}, which is all it can: lower the load, or spread it over more benchmarks"
        case Pressure.OTHERS:
            said = f"it waited {cause.measured:.2g} ms for a core each time it woke"
            return f"{said}: give it a core of its own (fewer server threads, less beside it), or another machine"


def _percent(before: int | None, after: int | None, whole: int) -> float | None:
    return None if before is None or after is None else 100 * (after - before) / whole
