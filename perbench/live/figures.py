"""Readings of the last minute as rows of figures. Pure."""

from collections import deque
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import pairwise

from perbench.live.exposition import Distribution, Reading, TaskReading

RATE_SECONDS = 10.0
"""Rates are over the readings of so long."""
SPREAD_SECONDS = 60.0
"""Percentiles too, where anything was observed in them; else they are over all there is."""
FEWEST = 2
"""Readings that are used however old they are: a rate takes two."""
SUCCESS = "Success"
FOOTPRINT = "Footprint"
TRAIL = 30
"""Readings behind the line of tokens per second."""


@dataclass(frozen=True, slots=True)
class Row:
    """One task of one model. None: not known, or not yet."""

    source: str
    """The pod, or the address, that shows it."""
    model: str
    task: str
    answering: bool
    """Whether the newest reading has it; else these are its last figures."""
    progress: float | None
    in_flight: float | None
    requests_per_second: float | None
    tokens_per_second: float | None
    failed_percent: float | None
    """Of all requests that have ended."""
    ttft_p50: float | None
    """Seconds, as all times here."""
    ttft_p95: float | None
    itl_p50: float | None
    client_error_p99: float | None
    memory: float | None
    """Bytes of the footprint: now, or the most where no stage runs."""
    memory_limit: float | None
    accuracy: float | None
    trail: tuple[float, ...]
    """Tokens per second between readings, the newest last."""


@dataclass
class History:
    """What has been read of each source; older than a minute is dropped."""

    _readings: dict[str, deque[Reading]] = field(default_factory=dict)
    _silent: set[str] = field(default_factory=set)

    def add(self, source: str, reading: Reading) -> None:
        """One more page of a source."""
        held = self._readings.setdefault(source, deque())
        held.append(reading)
        while len(held) > FEWEST and reading.at - held[0].at > SPREAD_SECONDS:
            held.popleft()
        self._silent.discard(source)

    def missed(self, answering: Collection[str]) -> None:
        """Whoever else does not answer, or is not there any more: what it said last stays."""
        self._silent |= self._readings.keys() - answering

    @property
    def newest(self) -> Reading | None:
        """The last page of any source."""
        return max((held[-1] for held in self._readings.values()), key=lambda reading: reading.at, default=None)

    def rows(self) -> tuple[Row, ...]:
        """In the order in which sources and tasks came."""
        return tuple(
            _row(source, key, readings, answering=source not in self._silent)
            for source, readings in self._readings.items()
            for key in readings[-1].tasks
        )


def _row(source: str, key: tuple[str, str], readings: Iterable[Reading], *, answering: bool) -> Row:
    steps = [(reading.at, reading.tasks[key]) for reading in readings if key in reading.tasks]
    at, now = steps[-1]
    recent = [step for step in steps[:-FEWEST] if at - step[0] <= RATE_SECONDS] + steps[-FEWEST:]
    oldest = steps[0][1] if len(steps) > 1 else TaskReading()
    ended = sum(now.outcomes.values())
    return Row(
        source=source,
        model=key[0],
        task=key[1],
        answering=answering,
        progress=now.progress,
        in_flight=now.in_flight if answering else None,
        requests_per_second=_rate([(moment, sum(task.outcomes.values())) for moment, task in recent]),
        tokens_per_second=_rate(_tokens(recent)),
        failed_percent=100 * (ended - now.outcomes.get(SUCCESS, 0.0)) / ended if ended else None,
        ttft_p50=_quantile(0.5, now.ttft, oldest.ttft),
        ttft_p95=_quantile(0.95, now.ttft, oldest.ttft),
        itl_p50=_quantile(0.5, now.itl, oldest.itl),
        client_error_p99=_quantile(0.99, now.client_error, oldest.client_error),
        memory=_memory(now),
        memory_limit=now.memory_limit,
        accuracy=now.accuracy,
        trail=tuple(_trail(_tokens(steps)))[-TRAIL:],
    )


def _tokens(steps: Iterable[tuple[float, TaskReading]]) -> list[tuple[float, float]]:
    return [(moment, task.output_tokens) for moment, task in steps if task.output_tokens is not None]


def _rate(steps: list[tuple[float, float]]) -> float | None:
    """Per second from the first to the last. None: there is one only, or the counter began anew."""
    if len(steps) < 2 or steps[-1][0] <= steps[0][0] or steps[-1][1] < steps[0][1]:
        return None
    return (steps[-1][1] - steps[0][1]) / (steps[-1][0] - steps[0][0])


def _trail(steps: list[tuple[float, float]]) -> Iterator[float]:
    for pair in pairwise(steps):
        rate = _rate(list(pair))
        if rate is not None:
            yield rate


def _quantile(share: float, now: Distribution | None, before: Distribution | None) -> float | None:
    if now is None:
        return None
    recent = now.since(before)
    return (recent if recent.total else now).quantile(share)


def _memory(task: TaskReading) -> float | None:
    return task.memory.get(FOOTPRINT, task.memory_peak.get(FOOTPRINT))
