import math

import pytest

from perbench.per import Cost, FigureIntervals, Measured, cost
from perbench.statistics.intervals import Interval

MODEL = Measured("m", 0.5, 1000.0, 1.0, 1.0, items_per_second=20.0, seconds_per_item=0.4)


def test_by_hand() -> None:
    # 3.60 an hour is 0.001 a second, in which 1,000 tokens and 10 correct answers are made.
    found = cost(MODEL, 3.60, counts_tokens=True)
    assert found.per_million_tokens == pytest.approx(1.0)
    assert found.per_correct_answer == pytest.approx(0.0001)
    assert found.per_million_tokens_interval is None
    assert found.per_correct_answer_interval is None


def test_intervals_turn_round() -> None:
    intervals = FigureIntervals(throughput=Interval(500, 2000), correct_items_per_second=Interval(5, 20))
    found = cost(MODEL, 3.60, counts_tokens=True, intervals=intervals)
    assert found.per_million_tokens_interval == Interval(0.5, 2.0)
    per_answer = found.per_correct_answer_interval
    assert per_answer is not None
    assert (per_answer.low, per_answer.high) == pytest.approx((0.00005, 0.0002))


def test_items_are_no_tokens() -> None:
    intervals = FigureIntervals(throughput=Interval(500, 2000))
    found = cost(MODEL, 3.60, counts_tokens=False, intervals=intervals)
    assert found.per_million_tokens is None
    assert found.per_million_tokens_interval is None
    assert found.per_correct_answer is not None


def test_nothing_produced_has_no_cost() -> None:
    wrong = Measured("m", 0.0, 0.0, 1.0, 1.0, items_per_second=20.0)
    intervals = FigureIntervals(throughput=Interval(0, 5), correct_items_per_second=Interval(0, 0))
    assert cost(wrong, 3.60, counts_tokens=True, intervals=intervals) == Cost(None, None, None, None)


def test_what_was_not_measured_has_no_cost() -> None:
    synthetic = Measured("m", None, 1000.0, 1.0, 1.0)
    assert cost(synthetic, 3.60, counts_tokens=True).per_correct_answer is None


def test_a_free_machine() -> None:
    assert cost(MODEL, 0, counts_tokens=True).per_million_tokens == 0


@pytest.mark.parametrize("price", [-1.0, math.nan, math.inf])
def test_what_is_no_price_is_refused(price: float) -> None:
    with pytest.raises(ValueError, match="price per hour"):
        cost(MODEL, price, counts_tokens=True)
