"""The progress object: who may write it, and how often it is written."""

import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from perbench.failures import Blame, Failure, RunError
from perbench.objects.progress import BenchProgress, BenchState, read_progress
from perbench_bench.config_maps import ConfigMaps
from perbench_bench.progress_object import ProgressObject, ProgressWriter, SupersededError
from tests.support.config_map_api import NAMESPACE, ConfigMapApi, config_map_api
from tests.support.processes import wait_until


@pytest.fixture
def api(tmp_path: Path) -> Iterator[ConfigMapApi]:
    with config_map_api(tmp_path / "account") as double:
        double.create("progress")
        yield double


def progress(attempt: int = 0, number: int = 0, **changes: Any) -> BenchProgress:
    fields = {"state": BenchState.MEASURING, "recorded": 0, "updated_at": datetime.now(UTC)} | changes
    return BenchProgress(round=number, attempt=attempt, **fields)


def stored(api: ConfigMapApi) -> BenchProgress | None:
    return read_progress(api.objects["progress"].get("data"))


def the_object(api: ConfigMapApi) -> ProgressObject:
    return ProgressObject(ConfigMaps(api.access, NAMESPACE, 5), "progress")


def test_writes_replace_each_other(api: ConfigMapApi) -> None:
    writing = the_object(api)
    for recorded in range(3):
        writing.write(progress(recorded=recorded))
    assert (found := stored(api)) is not None
    assert found.recorded == 2
    assert [asked.method for asked in api.asked] == ["GET", "PATCH", "PATCH", "PATCH"]


@pytest.mark.parametrize(("attempt", "number"), [(1, 0), (0, 1), (5, 1)])
def test_a_later_attempt_or_round_is_left_alone(api: ConfigMapApi, attempt: int, number: int) -> None:
    the_object(api).write(progress(attempt, number, recorded=7))
    with pytest.raises(SupersededError, match=f"attempt {attempt} has taken over"):
        the_object(api).write(progress(0, 0))
    assert (found := stored(api)) is not None
    assert found.recorded == 7


@pytest.mark.parametrize(("attempt", "number"), [(0, 0), (1, 0), (0, 1)])
def test_an_earlier_one_is_replaced(api: ConfigMapApi, attempt: int, number: int) -> None:
    the_object(api).write(progress(0, 0, recorded=7))
    the_object(api).write(progress(attempt, number))
    assert (found := stored(api)) is not None
    assert (found.attempt, found.round, found.recorded) == (attempt, number, 0)


def test_a_race_is_noticed_and_lost(api: ConfigMapApi) -> None:
    old = the_object(api)
    old.write(progress(0))
    the_object(api).write(progress(1, recorded=3))
    with pytest.raises(SupersededError):
        old.write(progress(0, recorded=1))
    assert [asked.status for asked in api.asked if asked.method == "PATCH"] == [200, 200, 409]
    assert (found := stored(api)) is not None
    assert found.attempt == 1


def test_a_change_by_the_operator_is_no_reason_to_stop(api: ConfigMapApi) -> None:
    writing = the_object(api)
    writing.write(progress())
    api.patch("progress", {"data": {"other": "x"}})
    writing.write(progress(recorded=1))
    assert (found := stored(api)) is not None
    assert found.recorded == 1


class Slate:
    """Keeps what is written, and fails when told to."""

    def __init__(self) -> None:
        self.written: list[str] = []
        self.failure: str | None = None
        self.stopped: list[RunError] = []

    def write(self, said: BenchProgress) -> None:
        failure = self.failure
        if failure is not None:
            time.sleep(0.01)  # it takes its time to find that out
            raise RunError(Failure(blame=Blame.INFRASTRUCTURE, reason=failure, message="no"))
        self.written.append(said.message)

    def writer(self, every: float, patience: float = 0.5) -> ProgressWriter:
        return ProgressWriter(self.write, self.stopped.append, every, patience)


def test_words_in_between_are_few_and_the_last_of_them_counts() -> None:
    slate = Slate()
    writer = slate.writer(every=0.5)
    began = time.monotonic()
    said = 0
    while len(slate.written) < 3:
        said += 1
        writer.say(progress(message=f"{said}"))
        time.sleep(0.005)
    assert len(slate.written) <= 1 + (time.monotonic() - began) / 0.5
    writer.say(progress(message="last"))
    wait_until(lambda: slate.written[-1] == "last", "the last word is written")


def test_a_change_of_state_is_written_at_once() -> None:
    slate = Slate()
    writer = slate.writer(every=3600)
    for message in ("one", "two", "three"):
        writer.say(progress(message=message), urgent=True)
        writer.settle(60)
    writer.say(progress(message="idle talk"))
    writer.settle(60)
    assert slate.written == ["one", "two", "three"]


def test_saying_never_waits_for_the_api() -> None:
    held = threading.Event()
    writer = ProgressWriter(lambda _said: held.wait(60) and None, lambda _error: None)
    writer.say(progress(), urgent=True)
    began = time.monotonic()
    for _ in range(1000):
        writer.say(progress(), urgent=True)
    assert time.monotonic() - began < 50
    with pytest.raises(TimeoutError):
        writer.settle(0.05)
    held.set()
    writer.settle(60)


def test_while_the_api_is_away_a_word_in_between_is_lost_and_a_change_of_state_is_kept() -> None:
    slate = Slate()
    writer = slate.writer(every=0, patience=30)
    slate.failure = "ApiUnavailable"
    writer.say(progress(message="lost"))
    time.sleep(0.1)
    writer.say(progress(message="kept"), urgent=True)
    with pytest.raises(TimeoutError):
        writer.settle(0.2)
    writer.say(progress(message="more"))
    slate.failure = None
    writer.settle(60)
    wait_until(lambda: slate.written[-1] == "more", "the last word is written")
    assert "lost" not in slate.written
    assert slate.stopped == []


@pytest.mark.parametrize(("failure", "patience"), [("ApiUnavailable", 0.1), ("ApiRefused", 3600)])
def test_a_change_of_state_that_cannot_be_told_is_the_end(failure: str, patience: float) -> None:
    slate = Slate()
    writer = slate.writer(every=0, patience=patience)
    slate.failure = failure
    writer.say(progress(), urgent=True)
    with pytest.raises(RunError, match="no"):
        writer.settle(60)
    wait_until(lambda: len(slate.stopped) == 1, "it is told")
