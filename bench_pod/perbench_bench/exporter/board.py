"""What a bench pod has to show: told by the run between loads, read by scrapes at any time, also while a load runs.

Nothing here is called for a request or a token. A scrape reads the load engine's arrays from its own thread; while a
load runs it gives the interpreter back after every few lines of its answer, so that the load waits for those at most.
"""

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace

from prometheus_client.core import Metric
from prometheus_client.registry import Collector
from prometheus_client.samples import Sample
from typing_extensions import override

from perbench.results import StageRecord
from perbench.statistics.accuracy import accuracy
from perbench_bench.exporter.counts import NO_COUNTS, Counts, LoadReader
from perbench_bench.exporter.families import RunLabels, TaskFigures, families
from perbench_bench.memory_now import MemoryNow
from perbench_bench.onlooker import LoadUnderWay

LINES_AT_A_STRETCH = 32
"""A third of a millisecond of work: a line takes the encoder about 10 µs."""
REST_SECONDS = 0.001
"""Then. Only a thread that sleeps is sure to leave the interpreter to another."""


class Board(Collector):
    """All methods may be called from any thread."""

    def __init__(self, run: RunLabels, stages: Mapping[str, int], rest: Callable[[float], object] = time.sleep) -> None:
        """`stages`: how many each task has, in the order of the tasks. `rest`: sleeps for so many seconds."""
        self._rest = rest
        self._lock = threading.Lock()
        self._run = run
        self._tasks = {task: _Task(task, count) for task, count in stages.items()}
        self._load: LoadUnderWay | None = None

    def learnt(self, **about: str | None) -> None:
        """Labels of `perbench_run_info` that are known only now; None is not known."""
        known = {name: value for name, value in about.items() if value is not None}
        with self._lock:
            self._run = replace(self._run, about={**self._run.about, **known})

    def recorded(self, record: StageRecord, items: int) -> None:
        """A stage is stored, by this attempt or a former one. `items`: what the task has to be scored."""
        with self._lock:
            self._tasks[record.task].record(record, items)

    @contextmanager
    def look_on(self, load: LoadUnderWay) -> Iterator[None]:
        """An `Onlooker`."""
        task = self._tasks[load.task]
        with self._lock:
            task.begin(load)
            self._load = load
        try:
            yield
        finally:
            memory = load.memory.now() if load.memory else MemoryNow()
            with self._lock:
                self._load = None
                task.end(load, memory)

    def figures(self) -> tuple[RunLabels, list[TaskFigures]]:
        """Everything at this moment."""
        with self._lock:
            load = self._load
        memory = load.memory.now() if load and load.memory else MemoryNow()  # may wait for a reader elsewhere
        with self._lock:
            if load is not None and load is self._load:
                self._tasks[load.task].see(load, memory)
            return self._run, [task.figures() for task in self._tasks.values()]

    @override
    def collect(self) -> Iterator[Metric]:
        """One scrape."""
        for family in families(*self.figures()):
            if self._load is not None:
                self._rest(REST_SECONDS)
                family.samples = _WithRests(family.samples, self._rest)
            yield family


class _WithRests(list[Sample]):
    """Samples, for an encoder that is not to write them all at a stretch."""

    def __init__(self, samples: Iterable[Sample], rest: Callable[[float], object]) -> None:
        super().__init__(samples)
        self._rest = rest

    @override
    def __iter__(self) -> Iterator[Sample]:
        for number, sample in enumerate(super().__iter__()):
            if number and not number % LINES_AT_A_STRETCH:
                self._rest(REST_SECONDS)
            yield sample


class _Task:
    """One task: what its ended loads came to, and the one under way."""

    def __init__(self, name: str, stages: int) -> None:
        self._stages = stages
        self._recorded = 0
        self._under_way = 0.0
        """Share of the stage that has begun and is not recorded."""
        self._ended: Counts | None = None
        self._cpu_ended = 0.0
        """Processor time of the server in the loads that are over."""
        self._reader: LoadReader | None = None
        self._scores: list[float | None] = []
        self._to_score = 0
        self._shown = TaskFigures(name, 0.0)

    def begin(self, load: LoadUnderWay) -> None:
        """A load begins."""
        self._reader = LoadReader(load.seen, load.wait_ms)
        self._under_way = 0.0
        self.see(load, MemoryNow())

    def see(self, load: LoadUnderWay, memory: MemoryNow) -> None:
        """Look at the load under way."""
        if self._reader is None:
            raise RuntimeError("no load has begun")
        peak = self._shown.memory_peak
        self._under_way = load.feed.measured_ended / load.measured if load.measured else 0.0
        self._shown = replace(
            self._shown,
            counts=(self._ended or NO_COUNTS) + self._reader.read(),
            in_flight=load.feed.under_way,
            memory=memory.current,
            memory_peak={**peak, **{basis: max(size, peak.get(basis, 0)) for basis, size in memory.peak.items()}},
            memory_limit=self._shown.memory_limit if memory.limit is None else memory.limit,
            cpu_seconds=self._cpu_until(memory),
        )

    def end(self, load: LoadUnderWay, memory: MemoryNow) -> None:
        """The load is over. What it came to stays."""
        self.see(load, memory)
        self._ended, self._reader = self._shown.counts, None
        self._cpu_ended = self._shown.cpu_seconds or 0.0
        self._shown = replace(self._shown, in_flight=0, memory={})

    def _cpu_until(self, memory: MemoryNow) -> float | None:
        """What is shown never falls: where the load's part is not known, it stays as it was."""
        if memory.cpu_seconds is None:
            return self._shown.cpu_seconds
        return max(self._shown.cpu_seconds or 0.0, self._cpu_ended + memory.cpu_seconds)

    def record(self, record: StageRecord, items: int) -> None:
        """A stage is stored. The one without load is not scored."""
        self._recorded += 1
        self._under_way = 0.0
        if record.repeat is not None:
            self._scores += record.requests.score
            self._to_score += items
        self._shown = replace(self._shown, accuracy=accuracy(self._scores, self._to_score))

    def figures(self) -> TaskFigures:
        """What there is to show."""
        return replace(self._shown, progress=min(1.0, (self._recorded + self._under_way) / self._stages))
