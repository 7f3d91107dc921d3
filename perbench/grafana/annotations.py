"""A run as an annotation of Grafana: a region of time, from its start to its end, that all dashboards can show. Pure.

An annotation has no key of its own that could be chosen. So a run's is found by its tags and its start, which both come
from the benchmark's status: whoever writes it twice, or anew after a restart, finds what is there.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Annotated, NamedTuple

from pydantic import AwareDatetime, Field

from perbench.base import Document

TAG = "perbench"
TAG_LIMIT = 100
"""Characters of a tag: of more than these Grafana keeps none on MySQL and PostgreSQL. The dashboards cut alike."""


class RunAnnotation(Document):
    """What is to be told of one run."""

    namespace: Annotated[str, Field(min_length=1, max_length=63)]
    benchmark: Annotated[str, Field(min_length=1, max_length=253)]
    run_id: Annotated[str, Field(min_length=1, max_length=10)]
    start: AwareDatetime
    end: AwareDatetime | None = None
    """None: it is still on."""
    text: Annotated[str, Field(min_length=1, max_length=8192)]
    """Grafana shows it as HTML, cleaned."""

    @property
    def tags(self) -> tuple[str, ...]:
        """All that it gets: ours, namespace, benchmark, run."""
        ours, place, run = self.marks
        return (ours, f"namespace:{self.namespace}", place, run)

    @property
    def marks(self) -> tuple[str, str, str]:
        """Those that tell the annotations of this run id from all others."""
        return (TAG, f"{self.namespace}/{self.benchmark}"[:TAG_LIMIT], self.sought)

    @property
    def sought(self) -> str:
        """The one that Grafana is asked for. It keeps `a:b` as the key a with the value b, and one that is asked for
        without a value matches its key with all values: a tag that somebody added would count twice."""
        return f"run:{self.run_id}"


@dataclass(frozen=True)
class Kept:
    """An annotation as Grafana has it. Times in milliseconds since the epoch; one moment has both alike."""

    number: int
    """Grafana's own."""
    time: int
    time_end: int
    text: str
    tags: tuple[str, ...]


class Write(NamedTuple):
    """What is to be written."""

    number: int | None
    """Which one is changed. None: a new one is made."""
    time: int
    time_end: int | None
    """None: it is not known yet."""
    text: str
    tags: tuple[str, ...]


def of_run(wanted: RunAnnotation, found: Iterable[Kept]) -> tuple[Kept, ...]:
    """Those of the run, given those with the tag that is sought: the one that is kept, and those too many.

    The same run id may have been measured before, so the start tells which one it is. One too many comes of a request
    that Grafana carried out after it had been given up. What has an end is kept before what has none, then the older.
    """
    start = milliseconds(wanted.start)
    ours = [each for each in found if each.time == start and set(wanted.marks) <= set(each.tags)]
    return tuple(sorted(ours, key=lambda each: (each.time_end == start, each.number)))


def write(wanted: RunAnnotation, ours: Sequence[Kept]) -> Write | None:
    """What makes the run's annotation as it should be, given those of the run. None: it is so already.

    One that is complete stays so whoever tells of the start late, and a text that somebody changed stays until the end.
    """
    start = milliseconds(wanted.start)
    end = None if wanted.end is None else milliseconds(wanted.end)
    if not ours:
        return Write(None, start, end, wanted.text, wanted.tags)
    if end is None:
        return None
    kept = ours[0]
    tags = tuple(dict.fromkeys((*(tag for each in ours for tag in each.tags), *wanted.tags)))
    if (kept.time_end, kept.text, kept.tags) == (end, wanted.text, tags):
        return None
    return Write(kept.number, start, end, wanted.text, tags)


def milliseconds(moment: AwareDatetime) -> int:
    """Since the epoch."""
    return round(moment.timestamp() * 1000)
