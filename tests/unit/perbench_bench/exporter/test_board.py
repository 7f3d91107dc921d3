"""What the run tells the board, and what scrapes see of it."""

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field

import pytest

from perbench.results import StageRecord, TaskKind, TaskRecord
from perbench_bench.engine.feed import ClosedFeed, Limits
from perbench_bench.engine.observations import Observations
from perbench_bench.exporter import Board, RunLabels
from perbench_bench.exporter.board import LINES_AT_A_STRETCH
from perbench_bench.exporter.families import TaskFigures
from perbench_bench.memory_now import MemoryNow, Taken
from perbench_bench.onlooker import LoadUnderWay
from tests.support.exposition import Exposition
from tests.support.results import literal_stage, requests

TASK = TaskRecord(name="topics", kind=TaskKind.CLASSIFICATION, items=4, sha256="a" * 64, max_tokens=4)


@dataclass
class Gauge:
    """A memory that says what it is told to."""

    said: MemoryNow = field(default_factory=MemoryNow)

    def start(self) -> None:
        raise AssertionError("the board opens no window")

    def stop(self) -> Taken:
        raise AssertionError("the board ends no window")

    def now(self) -> MemoryNow:
        return self.said


def board(stages: int = 2, rest: Callable[[float], object] = time.sleep) -> Board:
    return Board(RunLabels("team", "shop", "m", {"run_id": "0123456789"}), {"topics": stages, "later": 1}, rest)


def load(memory: Gauge | None = None) -> LoadUnderWay:
    """Four measured requests, of which one has begun."""
    feed = ClosedFeed(Limits(0, 0.0, 4), 0)
    feed.next(0)
    return LoadUnderWay("topics", 4, Observations(4), feed, lambda: 0.0, memory)


def stage(*scores: float | None, repeat: int | None = 0) -> StageRecord:
    return literal_stage(TASK, requests([100.0] * len(scores), score=scores), repeat=repeat)


def of(found: Board, task: str = "topics") -> TaskFigures:
    return next(one for one in found.figures()[1] if one.task == task)


def test_progress_is_there_from_the_beginning_and_does_not_fall_while_a_stage_is_stored() -> None:
    shown = board()
    assert (of(shown).progress, of(shown, "later").progress) == (0, 0)
    one = load()
    with shown.look_on(one):
        one.feed.measured_ended = 3
        assert of(shown).progress == 0.375
        one.feed.measured_ended = 4
    assert of(shown).progress == 0.5
    shown.recorded(stage(1, 1, 0, 1), 4)
    assert of(shown).progress == 0.5
    shown.recorded(stage(1, 1, 0, 1, repeat=1), 4)
    assert (of(shown).progress, of(shown, "later").progress) == (1, 0)


def test_accuracy_is_over_all_recorded_stages_but_the_one_without_load() -> None:
    shown = board(3)
    assert of(shown).accuracy is None
    shown.recorded(stage(1, 1, 0, 1), 4)
    assert of(shown).accuracy == 0.75
    shown.recorded(stage(0, 0, 0, 1, repeat=1), 4)
    assert of(shown).accuracy == 0.5
    shown.recorded(stage(None, None, None, None, repeat=None), 4)
    assert of(shown).accuracy == 0.5
    shown.recorded(stage(1, 1, 1, None, repeat=2), 4)
    assert of(shown).accuracy is None, "too few items are scored"


def test_memory_now_is_shown_while_a_stage_runs_and_its_peak_stays() -> None:
    shown, gauge = board(), Gauge(MemoryNow({"Footprint": 50}, {"Footprint": 70, "Reserved": 90}, 200))
    with shown.look_on(load(gauge)):
        assert (dict(of(shown).memory), of(shown).memory_limit) == ({"Footprint": 50}, 200)
        gauge.said = MemoryNow({"Footprint": 60}, {"Footprint": 80, "Reserved": 90})
    assert dict(of(shown).memory) == {}
    assert dict(of(shown).memory_peak) == {"Footprint": 80, "Reserved": 90}
    gauge.said = MemoryNow({"Footprint": 10}, {"Footprint": 20})
    with shown.look_on(load(gauge)):
        assert dict(of(shown).memory) == {"Footprint": 10}
        assert dict(of(shown).memory_peak) == {"Footprint": 80, "Reserved": 90}
    assert of(shown).memory_limit == 200
    assert of(shown, "later").memory_peak == {}


def test_processor_time_adds_up_over_stages_and_never_falls() -> None:
    shown, gauge = board(), Gauge(MemoryNow())
    assert of(shown).cpu_seconds is None
    with shown.look_on(load(gauge)):
        assert of(shown).cpu_seconds is None, "it is not known"
        gauge.said = MemoryNow(cpu_seconds=1.5)
        assert of(shown).cpu_seconds == 1.5
        gauge.said = MemoryNow(cpu_seconds=4.0)
    assert of(shown).cpu_seconds == 4.0
    gauge.said = MemoryNow(cpu_seconds=0.0)
    with shown.look_on(load(gauge)):
        assert of(shown).cpu_seconds == 4.0
        gauge.said = MemoryNow(cpu_seconds=2.0)
        assert of(shown).cpu_seconds == 6.0
        gauge.said = MemoryNow()
    assert of(shown).cpu_seconds == 6.0
    assert of(shown, "later").cpu_seconds is None


def test_a_load_that_breaks_off_leaves_what_it_sent_and_nothing_under_way() -> None:
    shown, one = board(), load()
    with suppress(RuntimeError), shown.look_on(one):
        assert of(shown).in_flight == 1
        one.seen.totals.output_tokens = 5
        raise RuntimeError("broken off")
    assert of(shown).in_flight == 0
    counts = of(shown).counts
    assert counts is not None
    assert counts.output_tokens == 5
    with shown.look_on(load()):
        again = of(shown).counts
        assert again is not None
        assert again.output_tokens == 5, "what a former stage counted stays"


def test_what_is_learnt_of_the_run_stands_in_its_info_alone() -> None:
    shown = board()
    shown.learnt(runtime_version="3.3", revision=None)
    found = Exposition(shown.collect())
    assert found.one("perbench_run_info", run_id="0123456789", runtime_version="3.3") == 1
    assert found.of("perbench_run_info", revision="None") == {}


def test_a_load_of_an_unknown_task_is_a_mistake() -> None:
    unknown = LoadUnderWay("else", 1, Observations(1), ClosedFeed(Limits(0, 0.0, 1), 0), lambda: 0.0, None)
    with pytest.raises(KeyError), board().look_on(unknown):
        pass


def test_while_a_load_runs_no_more_than_some_lines_are_written_at_a_stretch() -> None:
    written, stretches = [0], []

    def rest(_seconds: float) -> None:
        stretches.append(written[0])
        written[0] = 0

    shown = board(rest=rest)
    list(shown.collect())
    assert stretches == [], "nobody waits"
    with shown.look_on(load()):
        for family in shown.collect():
            for _ in family.samples:
                written[0] += 1
    assert max(stretches) <= LINES_AT_A_STRETCH
    assert sum(stretches) + written[0] > 3 * LINES_AT_A_STRETCH
