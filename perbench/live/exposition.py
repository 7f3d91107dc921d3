"""The metrics page of a bench pod (docs/metrics.md) as values. Pure."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import pairwise

from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

RUN_INFO = "perbench_run_info"
PREFIX = "perbench_"


@dataclass(frozen=True, slots=True)
class Distribution:
    """Observations by bucket."""

    ends: tuple[float, ...]
    """Upper ends of the buckets, seconds, rising; the last is infinite."""
    counts: tuple[float, ...]
    """Observations in each bucket alone."""

    @property
    def total(self) -> float:
        """All observations."""
        return math.fsum(self.counts)

    def since(self, earlier: "Distribution | None") -> "Distribution":
        """What came after an earlier reading; all of it where the buckets are others or went back."""
        if earlier is None or earlier.ends != self.ends:
            return self
        left = tuple(now - before for now, before in zip(self.counts, earlier.counts, strict=True))
        return self if min(left, default=0.0) < 0 else Distribution(self.ends, left)

    def quantile(self, share: float) -> float | None:
        """Seconds, by a straight line through the bucket it falls into, as `histogram_quantile` of Prometheus does.

        In the last bucket, which has no end, it is that bucket's beginning. None: nothing was observed.
        """
        total = self.total
        if not total:
            return None
        wanted, below = share * total, 0.0
        for number, count in enumerate(self.counts):
            if count and below + count >= wanted:
                low = self.ends[number - 1] if number else 0.0
                high = self.ends[number]
                return low if math.isinf(high) else low + (high - low) * (wanted - below) / count
            below += count
        return None


@dataclass(frozen=True, slots=True)
class TaskReading:
    """One task of one bench pod. None: it shows no such figure."""

    outcomes: Mapping[str, float] = field(default_factory=dict)
    """Requests that have ended, by how."""
    output_tokens: float | None = None
    in_flight: float | None = None
    progress: float | None = None
    """Share of its stages that is done, 0 to 1."""
    accuracy: float | None = None
    memory: Mapping[str, float] = field(default_factory=dict)
    """Bytes now, by basis."""
    memory_peak: Mapping[str, float] = field(default_factory=dict)
    memory_limit: float | None = None
    ttft: Distribution | None = None
    itl: Distribution | None = None
    client_error: Distribution | None = None


@dataclass(frozen=True, slots=True)
class Reading:
    """One page."""

    at: float
    """When it was read: seconds of a clock that never goes back."""
    about: Mapping[str, str]
    """The labels of `perbench_run_info`."""
    tasks: Mapping[tuple[str, str], TaskReading]
    """By model and task."""


def read_page(text: str, at: float) -> Reading:
    """Raises ValueError: it is no page of metrics, or none of a bench pod."""
    samples: dict[str, list[Sample]] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            samples.setdefault(sample.name, []).append(sample)
    info = samples.get(RUN_INFO)
    if not info:
        raise ValueError(f"it shows no {RUN_INFO}, so it is no bench pod's")
    keys = dict.fromkeys(
        (sample.labels["model"], sample.labels["task"])
        for found in samples.values()
        for sample in found
        if sample.name.startswith(PREFIX) and {"model", "task"} <= sample.labels.keys()
    )
    return Reading(at, info[0].labels, {key: _task(samples, key) for key in keys})


def _task(samples: Mapping[str, list[Sample]], key: tuple[str, str]) -> TaskReading:
    def own(name: str) -> list[Sample]:
        found = samples.get(PREFIX + name, [])
        return [sample for sample in found if (sample.labels.get("model"), sample.labels.get("task")) == key]

    return TaskReading(
        outcomes=_by("outcome", own("requests_total")),
        output_tokens=_one(own("output_tokens_total")),
        in_flight=_one(own("requests_in_flight")),
        progress=_one(own("progress_ratio")),
        accuracy=_one(own("accuracy_ratio")),
        memory=_by("basis", own("model_memory_bytes")),
        memory_peak=_by("basis", own("model_memory_peak_bytes")),
        memory_limit=_one(own("model_memory_limit_bytes")),
        ttft=_distribution(own("time_to_first_token_seconds_bucket")),
        itl=_distribution(own("inter_token_latency_seconds_bucket")),
        client_error=_distribution(own("client_error_seconds_bucket")),
    )


def _one(samples: Iterable[Sample]) -> float | None:
    return next((sample.value for sample in samples), None)


def _by(label: str, samples: Iterable[Sample]) -> dict[str, float]:
    return {sample.labels[label]: sample.value for sample in samples if label in sample.labels}


def _distribution(samples: Iterable[Sample]) -> Distribution | None:
    """Buckets are cumulative on the page."""
    buckets = sorted((float(sample.labels["le"]), sample.value) for sample in samples if "le" in sample.labels)
    if not buckets:
        return None
    cumulative = [0.0, *(value for _, value in buckets)]
    counts = tuple(after - before for before, after in pairwise(cumulative))
    return Distribution(tuple(end for end, _ in buckets), counts)
