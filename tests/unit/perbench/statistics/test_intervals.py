import numpy as np
import pytest

from perbench.statistics.intervals import Interval, percentile_intervals


def test_the_middle_95_percent() -> None:
    draws = np.arange(4000.0)[:, None] * np.array([1, -1])
    up, down = percentile_intervals(draws[np.random.default_rng(1).permutation(4000)])
    assert (up.low, up.high) == (99, 3900)
    assert (down.low, down.high) == (-3900, -99)


def test_infinite_draws_stay_infinite() -> None:
    draws = np.concatenate([np.zeros(3800), np.full(200, np.inf)])[:, None]
    assert percentile_intervals(draws)[0] == Interval(0, np.inf)


def test_too_few_draws_are_refused() -> None:
    with pytest.raises(ValueError, match="19 draws"):
        percentile_intervals(np.zeros((19, 1)))


def test_an_interval_has_an_order() -> None:
    with pytest.raises(ValueError, match="from 2 to 1"):
        Interval(2, 1)
    with pytest.raises(ValueError, match="nan"):
        Interval(float("nan"), 1)


def test_an_interval_is_stretched_to_hold_a_value() -> None:
    assert Interval(1, 2).holding(3) == Interval(1, 3)
    assert Interval(1, 2).holding(0) == Interval(0, 2)
    assert Interval(1, 2).holding(1.5) == Interval(1, 2)
