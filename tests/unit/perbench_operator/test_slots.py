from datetime import UTC, datetime, timedelta

from perbench_operator.slots import may_start

BEGAN = datetime(2026, 1, 1, tzinfo=UTC)


def starts(*names: str) -> dict[str, datetime]:
    """One after the other."""
    return {name: BEGAN + timedelta(seconds=number) for number, name in enumerate(names)}


def test_first_come_first_served() -> None:
    waiting = starts("a", "b", "c")
    assert [name for name in waiting if may_start(name, set(), waiting, 2)] == ["a", "b"]
    assert [name for name in waiting if may_start(name, {"x"}, waiting, 2)] == ["a"]
    assert [name for name in waiting if may_start(name, {"x", "y"}, waiting, 2)] == []


def test_who_has_a_model_goes_on_and_does_not_count_twice() -> None:
    waiting = starts("a", "b", "c")
    assert may_start("c", {"c", "x"}, waiting, 2)
    assert [name for name in waiting if may_start(name, {"a"}, waiting, 2)] == ["a", "b"]


def test_a_lowered_limit_starts_nothing_new() -> None:
    assert not may_start("a", {"x", "y", "z"}, starts("a"), 1)


def test_equal_starts_are_told_apart_the_same_way_every_time() -> None:
    waiting = {"b": BEGAN, "a": BEGAN}
    assert [name for name in waiting if may_start(name, set(), waiting, 1)] == ["a"]
