"""What a model server says of itself on `/metrics`, as one small value. Pure.

An exposition of TGI is 95 kB, of which a dozen lines matter: `wanted_lines` picks them, cheap enough to be done while a
load runs, and `reading_of` understands them, which costs more and can wait. What each figure counts is written down in
perbench/runtimes/metrics.py.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from perbench.runtimes.metrics import FAMILIES, MetricNames, Spellings

START_TIME = "process_start_time_seconds"
"""Of the server's process, where it is exported: two values are two servers."""

LARGEST = 1e15
"""Of any figure, as in results.json; what is beyond it, negative or no number is no figure."""

_WANTED = re.compile(
    rb"^(?:%s)[{ ][^\n]*" % b"|".join(
        re.escape(name.encode()) for names in FAMILIES for name in (*names.names, START_TIME)
    ),
    re.MULTILINE,
)  # fmt: skip
_ANY = re.compile(rb"^(?:%s)" % b"|".join(re.escape(names.prefix.encode()) for names in FAMILIES), re.MULTILINE)


@dataclass(frozen=True, slots=True)
class ServerReading:
    """One reading of one server, or several added up. None: the server has no such figure."""

    family: MetricNames | None
    """Which kind of server it is. None: its page is empty, as TGI's is before its first request; counters are 0."""
    running: float | None = None
    waiting: float | None = None
    cache_use: float | None = None
    """Share of the KV cache in use, 0 to 1; of several, the largest."""
    requests: float | None = None
    """Requests that ended, each once."""
    input_tokens: float | None = None
    """Prompt tokens, those out of a cache included."""
    cached_tokens: float | None = None
    output_tokens: float | None = None
    preemptions: float | None = None
    started: tuple[float, ...] = ()
    """When the processes began, Unix seconds, as far as they say so."""


Samples = Mapping[str, Sequence[Sample]]
"""By name."""

COUNTERS = ("requests", "input_tokens", "cached_tokens", "output_tokens", "preemptions")


def wanted_lines(body: bytes) -> bytes | None:
    """The lines of an exposition that are read. Empty: the page is empty. None: no model server known here wrote it."""
    if not body.strip():
        return b""
    return b"\n".join(_WANTED.findall(body)) + b"\n" if _ANY.search(body) else None


def samples_of(lines: bytes) -> Samples:
    """The samples in what `wanted_lines` picked. Raises ValueError: a line is none of the exposition format."""
    samples: dict[str, list[Sample]] = {}
    for metric in text_string_to_metric_families(lines.decode(errors="replace")):
        for sample in metric.samples:
            samples.setdefault(sample.name, []).append(sample)
    return samples


def family_of(samples: Samples) -> MetricNames | None:
    """Which kind of server says so. None: its page is empty."""
    return next((names for names in FAMILIES if any(name.startswith(names.prefix) for name in samples)), None)


def reading_of(lines: bytes) -> ServerReading:
    """Understand what `wanted_lines` picked. Raises ValueError: a line is none of the exposition format."""
    samples = samples_of(lines)
    family = family_of(samples)
    if family is None:
        return ServerReading(None)
    cached = figure_of(samples, family, family.cached_tokens)
    asked = figure_of(samples, family, family.input_tokens)
    return ServerReading(
        family=family,
        running=figure_of(samples, family, family.running),
        waiting=figure_of(samples, family, family.waiting),
        cache_use=max((s.value for s in _spelt(samples, family, family.cache_use)), default=None),
        requests=_requests(samples, family),
        input_tokens=asked if asked is None or family.input_includes_cached else asked + (cached or 0),
        cached_tokens=cached,
        output_tokens=figure_of(samples, family, family.output_tokens),
        preemptions=figure_of(samples, family, family.preemptions),
        started=tuple(sample.value for sample in samples.get(START_TIME, ())),
    )


def _requests(samples: Samples, family: MetricNames) -> float | None:
    found = [figure_of(samples, family, (name,)) for name in family.requests]
    known = [value for value in found if value is not None]
    return sum(known) if known else None


def figure_of(samples: Samples, family: MetricNames, spellings: Spellings) -> float | None:
    """The figure under the first of its names that is there, its series added up."""
    found = _spelt(samples, family, spellings)
    if not found:
        return 0.0 if spellings and family.absent_is_zero else None
    return sum(sample.value for sample in found)


def _spelt(samples: Samples, family: MetricNames, spellings: Spellings) -> list[Sample]:
    label = family.rank_label
    found = series(samples, spellings)
    return [sample for sample in found if label is None or sample.labels.get(label, "0") == "0"]


def series(samples: Samples, spellings: Spellings) -> list[Sample]:
    """The series under the first of these names that is there, of all ranks, as far as they are figures."""
    found = next((samples[name] for name in spellings if name in samples), ())
    return [sample for sample in found if 0 <= sample.value <= LARGEST]


def together(readings: Iterable[ServerReading]) -> ServerReading:
    """Several servers as one: added up where every one of them has the figure."""
    given = list(readings)
    family = next((reading.family for reading in given if reading.family), None)
    filled = [reading if reading.family else _zeros(family) for reading in given]

    def added(name: str) -> float | None:
        values = [getattr(reading, name) for reading in filled]
        return None if None in values else sum(values)

    uses = [reading.cache_use for reading in filled if reading.cache_use is not None]
    return ServerReading(
        family,
        running=added("running"),
        waiting=added("waiting"),
        cache_use=max(uses, default=None),
        requests=added("requests"),
        input_tokens=added("input_tokens"),
        cached_tokens=added("cached_tokens"),
        output_tokens=added("output_tokens"),
        preemptions=added("preemptions"),
        started=tuple(start for reading in filled for start in reading.started),
    )


def _zeros(family: MetricNames | None) -> ServerReading:
    """What an empty page says: nothing has happened yet."""
    return ServerReading(
        family, running=0.0, waiting=0.0,
        requests=0.0, input_tokens=0.0, cached_tokens=0.0, output_tokens=0.0, preemptions=0.0,
    )  # fmt: skip


def differences(before: ServerReading, after: ServerReading) -> dict[str, float | None]:
    """How far each counter went. Raises ValueError where one went back, or the server is another one."""
    if before.family is None:
        before = _zeros(after.family)
    if before.family is not after.family or (before.started and before.started != after.started):
        raise ValueError("it was started anew, or several servers answer at one address")
    found: dict[str, float | None] = {}
    for name in COUNTERS:
        old, new = getattr(before, name), getattr(after, name)
        found[name] = None if old is None or new is None else new - old
        if old is not None and new is not None and new < old:
            raise ValueError("its counters went back: it was started anew, or several servers answer at one address")
    return found


def same_counts(one: ServerReading, other: ServerReading) -> bool:
    """Whether nothing was counted between the two."""
    return all(getattr(one, name) == getattr(other, name) for name in COUNTERS)
