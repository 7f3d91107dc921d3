from perbench_operator.health import ANSWER_LIMIT_SECONDS, TICK_LIMIT_SECONDS, Health, WatchTimes


def test_live_as_long_as_the_loop_goes_round() -> None:
    health = Health(100.0)
    assert health.not_live(100.0 + TICK_LIMIT_SECONDS) is None
    assert health.not_live(191.0) == "the loop stands still for 91 s"
    health.tick(191.0)
    assert health.not_live(191.0) is None


def test_the_api_has_no_part_in_being_live() -> None:
    health = Health(0.0)
    health.refused("no answer")
    health.tick(1000.0)
    assert health.not_live(1000.0) is None
    assert health.not_ready(1000.0) == "no answer"


def test_not_ready_before_the_first_answer() -> None:
    assert Health(0.0).not_ready(0.0) == "the API has not answered yet"


def test_ready_when_all_that_was_listed_has_been_seen() -> None:
    health = Health(0.0)
    health.seen("early")
    health.listed(1.0, {"early", "a", "b"})
    assert health.not_ready(1.0) == "2 benchmarks are listed and have not come through the watch yet"
    health.seen("a")
    assert not health.caught_up
    health.seen("b")
    assert health.caught_up
    assert health.not_ready(1.0) is None


def test_an_empty_list_is_done_at_once() -> None:
    health = Health(0.0)
    health.listed(1.0, ())
    assert health.not_ready(1.0) is None


def test_what_was_deleted_before_the_watch_began_is_not_waited_for() -> None:
    health = Health(0.0)
    health.listed(1.0, {"gone"})
    assert not health.caught_up
    health.listed(2.0, ())
    assert health.caught_up


def test_caught_up_once_is_caught_up() -> None:
    """Later ones come through the watch, and are not waited for."""
    health = Health(0.0)
    health.listed(1.0, ())
    health.listed(2.0, {"new"})
    assert health.not_ready(2.0) is None


def test_not_ready_when_the_api_has_been_silent() -> None:
    health = Health(0.0)
    health.listed(0.0, ())
    health.refused("403")
    assert health.not_ready(ANSWER_LIMIT_SECONDS) is None
    assert health.not_ready(61.0) == "no answer from the API for 61 s: 403"
    health.answered(61.0)
    assert health.not_ready(61.0) is None


NO = "perbenchmarks in namespace b cannot be listed: not allowed"


def test_a_namespace_that_is_refused_is_said_and_the_others_are_told() -> None:
    health = Health(0.0, ("a", "b"))
    health.refused(NO, "b")
    health.listed(1.0, {"1"}, "a")
    assert not health.caught_up
    health.seen("1", "a")
    assert health.caught_up
    assert health.not_ready(1.0) == NO


def test_a_namespace_that_was_not_asked_yet_is_waited_for() -> None:
    """Else a part of all benchmarks would be told for all of them, for a moment."""
    health = Health(0.0, ("a", "b"))
    health.listed(1.0, (), "a")
    assert not health.caught_up
    health.refused(NO, "b")
    assert health.caught_up


def test_a_namespace_of_which_there_was_no_answer_is_waited_for() -> None:
    """It passes, and its benchmarks would be missing among those that are told."""
    health = Health(0.0, ("a", "b"))
    health.refused("no answer within 10 s", "b", away=True)
    health.listed(1.0, (), "a")
    assert not health.caught_up
    assert health.not_ready(1.0) == "no answer within 10 s"
    health.listed(2.0, (), "b")
    assert health.caught_up


def test_a_namespace_that_is_let_in_is_waited_for_by_readiness_alone() -> None:
    health = Health(0.0, ("a", "b"))
    health.refused(NO, "b")
    health.listed(1.0, (), "a")
    health.listed(2.0, {"2"}, "b")
    assert health.not_ready(2.0) == "1 benchmarks are listed and have not come through the watch yet"
    assert health.caught_up
    assert (health.has_caught_up("a"), health.has_caught_up("b")) == (True, False)
    health.seen("2", "b")
    assert health.not_ready(2.0) is None


def test_a_namespace_that_is_refused_later_is_said() -> None:
    health = Health(0.0, ("a", "b"))
    for place in ("a", "b"):
        health.listed(0.0, (), place)
    health.refused(NO, "b")
    health.answered(61.0, "a")
    assert health.not_ready(61.0) == f"no answer from the API for 61 s: {NO}"
    assert health.caught_up


def test_of_many_namespaces_some_are_named() -> None:
    health = Health(0.0, [f"team-{number}" for number in range(9)])
    for number in range(9):
        health.refused(f"no {number}", f"team-{number}")
    assert health.not_ready(0.0) == "no 0; no 1; no 2; no 3; no 4; and 4 namespaces more"
    assert not health.caught_up


def test_what_keeps_the_loop_from_beginning_is_said() -> None:
    health = Health(0.0)
    health.listed(1.0, ())
    health.hindered("jobs cannot be listed")
    assert health.not_ready(1.0) == "jobs cannot be listed"
    health.hindered(None)
    assert health.not_ready(1.0) is None


def test_a_watch_is_as_old_as_what_was_last_heard_of_it() -> None:
    watches = WatchTimes(100.0, ("Pod", "Job"), ())
    assert watches.ages(130.0) == {"Pod": 30.0, "Job": 30.0}, "nothing has been heard since the start"
    watches.heard("Pod", "team-a", 120.0)
    watches.heard("Job", "", 125.0)
    assert watches.ages(130.0) == {"Pod": 10.0, "Job": 5.0}


def test_of_several_watches_of_a_kind_the_oldest_counts() -> None:
    watches = WatchTimes(0.0, ("Pod",), ("team-a", "team-b"))
    watches.heard("Pod", "team-a", 50.0)
    assert watches.ages(60.0) == {"Pod": 60.0}
    watches.heard("Pod", "team-b", 55.0)
    assert watches.ages(60.0) == {"Pod": 10.0}


def test_what_is_not_watched_has_no_age() -> None:
    watches = WatchTimes(0.0, ("Pod",), ("team-a",))
    watches.heard("Node", "", 50.0)
    watches.heard("Pod", "elsewhere", 50.0)
    assert watches.ages(60.0) == {"Pod": 60.0}
