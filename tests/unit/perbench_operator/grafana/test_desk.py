from datetime import UTC, datetime, timedelta

import pytest

from perbench.grafana.annotations import RunAnnotation
from perbench.grafana.orders import Order, Problem, ProblemKind, Report
from perbench_operator.grafana.desk import (
    BATCH,
    LONGEST_PAUSE_SECONDS,
    REFUSED_PAUSE_SECONDS,
    ROOM,
    Desk,
    Key,
    pause,
)

START = datetime(2026, 4, 2, 9, 0, tzinfo=UTC)
BEGUN = RunAnnotation(namespace="team", benchmark="bench", run_id="0", start=START, text="is on")
ENDED = BEGUN.model_copy(update={"end": START + timedelta(hours=1), "text": "Succeeded"})
KEY: Key = ("u", "0", START)
AWAY = Problem(kind=ProblemKind.UNREACHABLE, message="away")
REFUSES = Problem(kind=ProblemKind.REFUSED, message="no")
ALL_AWAY = AWAY.model_copy(update={"of_everything": True})
ALL_REFUSED = REFUSES.model_copy(update={"of_everything": True})


def desk(*, dashboards: bool = False, draw: float = 0.0) -> Desk:
    return Desk(lambda: draw, dashboards=dashboards)


def answered(found: Desk, problem: Problem | None, now: float) -> int:
    """A round with one answer to everything. How many tasks it had."""
    going = found.next_round(now)
    if going is None:
        return 0
    found.heard([problem for _ in going.tasks], now)
    for task in going.tasks:
        found.settle(task, problem, now)
    return len(going.tasks)


def test_pauses_grow_and_end_growing() -> None:
    pauses = [pause(AWAY, failures, 0.0) for failures in range(1, 12)]
    assert pauses[:3] == [5.0, 10.0, 20.0]
    assert pauses[-1] == LONGEST_PAUSE_SECONDS
    assert pause(AWAY, 10_000, 0.0) == LONGEST_PAUSE_SECONDS
    assert pause(AWAY, 1, 1.0) > pause(AWAY, 1, 0.0), "not everybody at once"


def test_what_is_refused_is_tried_rarely() -> None:
    assert pause(REFUSES, 1, 0.0) == REFUSED_PAUSE_SECONDS > LONGEST_PAUSE_SECONDS


@pytest.mark.parametrize("draw", [0.0, 0.5, 1.0])
def test_grafana_may_ask_for_a_longer_pause(draw: float) -> None:
    asked = AWAY.model_copy(update={"retry_after_seconds": 900})
    assert pause(asked, 1, draw) >= 900
    assert pause(AWAY.model_copy(update={"retry_after_seconds": 1}), 3, 0.0) == 20.0


def test_the_dashboards_come_first_thing_and_once() -> None:
    found = desk(dashboards=True)
    going = found.next_round(0.0)
    assert going is not None
    assert going.order == Order(dashboards=True)
    assert found.settle(going.tasks[0], None, 0.0)
    assert found.next_round(1e9) is None
    assert found.wait(0.0) is None


def test_a_round_has_annotations_and_dashboards() -> None:
    found = desk(dashboards=True)
    assert found.put(KEY, BEGUN, 0.0)
    going = found.next_round(0.0)
    assert going is not None
    assert going.order == Order(dashboards=True, annotations=(BEGUN,))
    outcomes = going.outcomes((Report(annotation=0),), AWAY)
    assert [(task.annotation, report.problem) for task, report in outcomes] == [(BEGUN, None), (None, AWAY)]


def test_of_a_run_the_latest_counts_and_its_end_more_than_its_start() -> None:
    found = desk()
    assert found.put(KEY, BEGUN, 0.0)
    assert not found.put(KEY, BEGUN, 0.0), "no news"
    assert found.put(KEY, ENDED, 0.0)
    assert not found.put(KEY, BEGUN, 0.0), "late"
    going = found.next_round(0.0)
    assert going is not None
    assert going.order.annotations == (ENDED,)


def test_what_became_out_of_date_while_it_was_told_is_told_again() -> None:
    found = desk()
    found.put(KEY, BEGUN, 0.0)
    going = found.next_round(0.0)
    assert going is not None
    found.put(KEY, ENDED, 1.0)
    assert not found.settle(going.tasks[0], None, 2.0)
    following = found.next_round(2.0)
    assert following is not None
    assert following.order.annotations == (ENDED,)


def test_what_failed_comes_again_in_its_time_and_others_at_once() -> None:
    found = desk()
    found.put(KEY, BEGUN, 0.0)
    going = found.next_round(0.0)
    assert going is not None
    assert found.settle(going.tasks[0], AWAY, 0.0)
    assert found.next_round(4.9) is None
    assert found.wait(1.0) == 4.0
    assert found.put(("v", "0", START), BEGUN, 1.0)
    other = found.next_round(1.0)
    assert other is not None
    assert [task.key for task in other.tasks] == [("v", "0", START)]
    found.settle(other.tasks[0], None, 1.0)
    assert found.next_round(5.0) is not None
    assert found.put(KEY, ENDED, 5.0), "the end does not wait for the start's turn"


def test_a_grafana_that_is_away_is_asked_once_for_all_and_also_for_what_is_new() -> None:
    found = desk(dashboards=True)
    for number in range(500):
        found.put((str(number), "0", START), BEGUN, 0.0)
    rounds, now = 0, 0.0
    while now < 3600:
        rounds += answered(found, ALL_AWAY, now) > 0
        found.put((f"new at {now}", "0", START), BEGUN, now)
        assert found.next_round(now) is None, "news waits as well"
        wait = found.wait(now)
        assert wait is not None
        now += min(wait, 60.0)
    assert rounds < 20, "one attempt after the other, ever later"
    assert answered(found, None, now + LONGEST_PAUSE_SECONDS) == BATCH + 1
    assert found.wait(now + LONGEST_PAUSE_SECONDS) == 0.0, "the rest follows at once"


def test_a_pause_that_grafana_asked_for_is_for_everything() -> None:
    found = desk()
    found.put(KEY, BEGUN, 0.0)
    assert answered(found, ALL_AWAY.model_copy(update={"retry_after_seconds": 900}), 0.0)
    found.put(("v", "0", START), BEGUN, 1.0)
    found.put(KEY, ENDED, 2.0)
    assert found.next_round(899.0) is None
    assert answered(found, None, 900.0) == 2


def test_a_token_that_is_refused_for_annotations_may_do_for_dashboards() -> None:
    found = desk(dashboards=True)
    found.put(KEY, BEGUN, 0.0)
    going = found.next_round(0.0)
    assert going is not None
    found.heard([ALL_REFUSED, AWAY], 0.0)
    assert found.settle(going.tasks[0], ALL_REFUSED, 0.0)
    assert found.settle(going.tasks[1], AWAY, 0.0)
    found.put(("v", "0", START), BEGUN, 1.0)
    assert answered(found, None, 5.0) == 1, "the dashboards alone"
    assert found.next_round(REFUSED_PAUSE_SECONDS - 1) is None, "that they were taken says nothing of annotations"
    found.put(KEY, ENDED, 6.0)
    assert found.refused, "also where all that waits is new"
    found.try_refused(7.0)
    assert answered(found, None, 7.0) == 2


def test_one_that_always_fails_holds_up_nothing_else() -> None:
    found = desk()
    for number in range(3 * BATCH):
        found.put((str(number), "0", START), BEGUN, 0.0)
    told, now = 0, 0.0
    while told < 3 * BATCH - 1:
        going = found.next_round(now)
        assert going is not None
        problems = [AWAY if task.key and task.key[0] == "0" else None for task in going.tasks]
        found.heard(problems, now)
        for task, problem in zip(going.tasks, problems, strict=True):
            found.settle(task, problem, now)
        told += problems.count(None)
        now += 1
    assert now <= 4
    assert found.troubled(dashboards=False)
    assert not found.troubled(dashboards=True)


def test_what_was_refused_is_tried_when_somebody_has_done_something() -> None:
    found = desk(dashboards=True)
    going = found.next_round(0.0)
    assert going is not None
    assert not found.refused
    found.settle(going.tasks[0], REFUSES, 0.0)
    assert found.refused
    assert found.next_round(REFUSED_PAUSE_SECONDS - 1) is None
    found.try_refused(10.0)
    assert found.next_round(10.0) is not None


def test_there_is_an_end_to_what_is_kept_and_to_a_round() -> None:
    found = desk(dashboards=True)
    for number in range(ROOM):
        key: Key = (str(number), "0", START)
        assert found.has_room(key)
        found.put(key, BEGUN, 0.0)
    assert not found.has_room(("one more", "0", START))
    assert found.has_room(("7", "0", START)), "it is there already"
    assert found.annotations == ROOM
    going = found.next_round(0.0)
    assert going is not None
    assert len(going.order.annotations) == BATCH
    assert going.order.dashboards
