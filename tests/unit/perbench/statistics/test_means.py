import math

import pytest

from perbench.statistics.means import geometric_mean


def test_the_geometric_mean_of_literal_values() -> None:
    assert geometric_mean([2.0, 8.0]) == pytest.approx(4.0)
    assert geometric_mean([1.0, 3.0, 9.0]) == pytest.approx(3.0)


def test_one_zero_makes_it_zero() -> None:
    assert geometric_mean([0.0, 5.0]) == 0.0


def test_no_values_have_none() -> None:
    assert geometric_mean([]) is None


def test_many_large_values_do_not_overflow() -> None:
    assert geometric_mean([1e300] * 10) == pytest.approx(1e300)


@pytest.mark.parametrize("value", [-1.0, math.inf, math.nan])
def test_values_without_a_geometric_mean_are_refused(value: float) -> None:
    with pytest.raises(ValueError, match="from 0 upwards"):
        geometric_mean([1.0, value])
