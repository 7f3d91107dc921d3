from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from perbench.schedule import Launch, schedule

counts = st.integers(1, 32)
rounds = st.integers(1, 10)


def test_three_rounds_of_four_models() -> None:
    order = ["".join(launch.model for launch in schedule("abcd", 3) if launch.round == number) for number in range(3)]
    assert order == ["abcd", "cadb", "dbca"]


def test_two_rounds_are_an_order_and_its_reverse() -> None:
    assert [launch.model for launch in schedule(["x", "y", "z"], 2)] == ["x", "y", "z", "z", "y", "x"]


def test_one_round_keeps_the_order_of_the_file() -> None:
    assert schedule(["x", "y"], 1) == (Launch("x", 0, 0), Launch("y", 0, 1))


@given(counts, rounds)
def test_each_round_starts_every_model_once(count: int, number: int) -> None:
    launches = schedule([str(index) for index in range(count)], number)
    assert len(launches) == count * number
    for this in range(number):
        of_round = [launch for launch in launches if launch.round == this]
        assert [launch.order for launch in of_round] == list(range(count))
        assert len({launch.model for launch in of_round}) == count


@given(counts, st.integers(2, 10))
def test_no_model_stands_earlier_than_another_over_all_rounds(count: int, number: int) -> None:
    positions: Counter[str] = Counter()
    for launch in schedule([str(index) for index in range(count)], number):
        positions[launch.model] += launch.order + 1
    assert max(positions.values()) - min(positions.values()) <= 1


@given(counts, st.integers(2, 10))
def test_rounds_come_one_after_the_other(count: int, number: int) -> None:
    numbers = [launch.round for launch in schedule([str(index) for index in range(count)], number)]
    assert numbers == sorted(numbers)
