"""What `metrics.k8s.io` says of a pod's memory, and which of it may be a server's footprint. Pure.

That API has a container's working set: what is charged to its control group, without the page cache that was not used
of late. So it has other things in it than the sizes of processes, and is not held to be the same. It is collected about
every 15 seconds; a sample says when (`timestamp`) and over what time before that (`window`).
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import ROUND_CEILING, Decimal
from typing import Any

from perbench.failures import shorten
from perbench.resources import MemoryOrigin, MemoryQuality, MemoryRecord

SOURCE = "metrics.k8s.io"
LEAST = 3
"""Samples within the window below which there is no figure."""
RESOLUTION_SECONDS = 1.0
"""The API tells times in whole seconds, cut off: a sample may be so much later than it says."""
REASON_LENGTH = 500
BINARY = {f"{letter}i": 1024**power for power, letter in enumerate("KMGTPE", 1)}
DECIMAL = {
    "n": Decimal("1e-9"), "u": Decimal("1e-6"), "m": Decimal("1e-3"), "": Decimal(1), "k": Decimal(10**3),
    "M": Decimal(10**6), "G": Decimal(10**9), "T": Decimal(10**12), "P": Decimal(10**15), "E": Decimal(10**18),
}  # fmt: skip
NUMBER = r"\+?([0-9]{1,30}(?:\.[0-9]{0,30})?|\.[0-9]{1,30})"
QUANTITY = re.compile(rf"{NUMBER}(?:([eE][+-]?[0-9]{{1,2}})|([KMGTPE]i|[numkMGTPE]?))")
"""As Kubernetes writes amounts, those below zero left out."""
LARGEST = 2**63
UNITS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 1e-3, "us": 1e-6, "µs": 1e-6, "ns": 1e-9}
PART = r"([0-9]{1,12}(?:\.[0-9]{1,12})?)(h|ms|us|µs|ns|m|s)"
DURATION = re.compile(rf"(?:{PART})+")
"""As Go writes one: `1m3.5s`."""


class NoSampleError(Exception):
    """An answer has no sample; says why."""


@dataclass(frozen=True, slots=True)
class Sample:
    """The working set of one container at one moment."""

    second: float
    """Its `timestamp`, in Unix seconds: those of the node it was collected on."""
    window: float
    """Seconds before that which it is of."""
    working_set: int
    """Bytes."""


@dataclass(frozen=True, slots=True)
class WorkingSet:
    """What was seen of one pod within a window, or of several."""

    peak: int | None = None
    """Bytes. None: there is no figure."""
    samples: int = 0
    """Within the window; of several pods, of that with the fewest."""
    pods: int = 1
    """Of how many the largest was taken."""
    reason: str | None = None
    """Why there is no figure."""


def sample_of(document: Mapping[str, Any], container: str) -> Sample:
    """The sample of one container in a PodMetrics of v1beta1. Raises NoSampleError."""
    try:
        found = {each["name"]: each["usage"] for each in document["containers"]}
        if container not in found:
            raise NoSampleError(f"it has no container {container} ({', '.join(sorted(found)) or 'it has none'})")
        moment = datetime.fromisoformat(document["timestamp"])
        if moment.tzinfo is None:
            raise ValueError(f"{document['timestamp']} has no time zone")  # noqa: TRY301 - one word for all of them
        return Sample(moment.timestamp(), seconds_of(document["window"]), bytes_of(found[container]["memory"]))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise NoSampleError(shorten(f"it is no PodMetrics of v1beta1: {type(error).__name__}: {error}", 200)) from error


def bytes_of(quantity: str) -> int:
    """Whole bytes of an amount such as `123456Ki`, `1e3` or `128974848`, rounded up. Raises ValueError."""
    if not (found := QUANTITY.fullmatch(quantity)):
        raise ValueError(f"{quantity!r} is no amount of memory")
    number, exponent, suffix = found.groups()
    unit = Decimal(f"1{exponent}") if exponent else Decimal(BINARY.get(suffix) or DECIMAL[suffix])
    amount = int((Decimal(number) * unit).to_integral_value(ROUND_CEILING))
    if amount >= LARGEST:
        raise ValueError(f"{quantity!r} is more than any machine has")
    return amount


def seconds_of(duration: str) -> float:
    """Seconds of a duration such as `14.2s` or `1m3s`. Raises ValueError."""
    if not DURATION.fullmatch(duration):
        raise ValueError(f"{duration!r} is no duration")
    return sum(float(number) * UNITS[unit] for number, unit in re.findall(PART, duration))


def within(samples: Iterable[Sample], window: tuple[float, float], trouble: str | None = None) -> WorkingSet:
    """The most of the samples that lie in a window, all of the time that each is of: (start, end) in Unix seconds.

    Samples of the same moment are one. `trouble`: why the last question was not answered.
    """
    start, end = window
    inside = {
        sample.second: sample.working_set
        for sample in samples
        if sample.second - sample.window >= start and sample.second + RESOLUTION_SECONDS <= end
    }
    if len(inside) < LEAST:
        why = (
            f"{len(inside)} samples lie within the window of {end - start:.0f} s, and {LEAST} are needed: load longer"
            " (one comes about every 15 s)"
        )
        return WorkingSet(samples=len(inside), reason=f"{trouble}; {why}" if trouble else why)
    peak = max(inside.values())
    if not peak:
        return WorkingSet(samples=len(inside), reason="the working set was 0 throughout")
    return WorkingSet(peak, len(inside))


def of_pods(pods: Mapping[str, WorkingSet]) -> WorkingSet:
    """Of several replicas, by name, the largest. One that is not known leaves it unknown for all, and why."""
    if not pods:
        return WorkingSet(samples=0, reason="the model has no pods")
    samples = min(each.samples for each in pods.values())
    missing = next(((name, each.reason) for name, each in pods.items() if each.peak is None), None)
    if missing is not None:
        return WorkingSet(samples=samples, pods=len(pods), reason=f"{missing[0]}: {missing[1]}")
    return WorkingSet(max(each.peak or 0 for each in pods.values()), samples, len(pods))


def with_working_set(record: MemoryRecord, found: WorkingSet) -> MemoryRecord:
    """The record of a server's memory: the working set is its footprint where the processes told none.

    Then all of the footprint is of the other kind; what was held, if the processes told that, stays theirs.
    """
    if record.footprint_bytes is not None:
        return record
    if found.peak is None:
        reason = shorten(f"{record.reason}; {SOURCE}: {found.reason}", REASON_LENGTH)
        return record.model_copy(update={"reason": reason})
    several = f", the largest of {found.pods} replicas" if found.pods > 1 else ""
    words = f"working set of the server's container, with page cache in use ({SOURCE}{several})"
    held = {"reserved_origin": record.reserved_origin or record.origin, "reserved_source": record.source}
    footprint = {
        "origin": MemoryOrigin.WORKING_SET,
        "quality": MemoryQuality.MEASURED,
        "footprint_bytes": found.peak,
        "samples": found.samples,
        "source": shorten(f"{words}, since {record.reason}", REASON_LENGTH),
        "reason": None,
    }
    return record.model_copy(update=footprint | (held if record.reserved_bytes is not None else {}))
