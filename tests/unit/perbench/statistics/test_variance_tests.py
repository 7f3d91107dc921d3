import numpy as np
import pytest

from perbench.statistics.variance_tests import analysis_of_variance, f_tail, levene


@pytest.mark.parametrize(
    ("statistic", "between", "within", "tail"),
    # Critical values as printed in tables of the F distribution.
    [(5.143, 2, 6, 0.05), (7.591, 3, 8, 0.01), (4.965, 1, 10, 0.05), (3.368, 10, 20, 0.01), (4052.2, 1, 1, 0.01)],
)
def test_tails_of_f_agree_with_printed_tables(statistic: float, between: int, within: int, tail: float) -> None:
    assert f_tail(statistic, between, within) == pytest.approx(tail, rel=2e-3)


def test_two_and_two_degrees_have_a_closed_form() -> None:
    assert f_tail(3.0, 2, 2) == pytest.approx(1 / 4)
    assert f_tail(0.0, 2, 2) == 1


def test_analysis_of_variance_by_hand() -> None:
    # Means 2, 3, 7 about 4: between 3·(4 + 1 + 9) = 42 on 2, within 3·2 = 6 on 6: F = 21.
    groups = [np.array([1.0, 2, 3]), np.array([2.0, 3, 4]), np.array([6.0, 7, 8])]
    assert analysis_of_variance(groups) == pytest.approx(f_tail(21, 2, 6))


def test_groups_without_scatter() -> None:
    assert analysis_of_variance([np.ones(3), np.ones(3)]) == 1
    assert analysis_of_variance([np.ones(3), np.full(3, 2.0)]) == 0


@pytest.mark.parametrize("groups", [[], [np.ones(3)], [np.ones(1), np.ones(1)], [np.ones(3), np.ones(0)]])
def test_too_little_to_tell_is_none(groups: list[np.ndarray]) -> None:
    assert analysis_of_variance(groups) is None


def test_levene_drops_the_zero_of_an_odd_number() -> None:
    # |x - median|: 1, 2 and 10, 20; the zeros of the medians are left out.
    groups = [np.array([4.0, 5, 7]), np.array([0.0, 10, 30])]
    assert levene(groups) == analysis_of_variance([np.array([1.0, 2]), np.array([10.0, 20])])


def test_levene_joins_the_middle_pair_of_an_even_number() -> None:
    # Medians 3 and 30: deviations 2, 1, 1, 2 and 20, 10, 10, 20; the pairs of equals become one, times sqrt(2).
    root = np.sqrt(2)
    groups = [np.array([1.0, 2, 4, 5]), np.array([10.0, 20, 40, 50])]
    expected = analysis_of_variance([np.array([root, 2, 2]), np.array([10 * root, 20, 20])])
    assert levene(groups) == pytest.approx(expected)


def test_levene_finds_unequal_scatter_and_not_unequal_means() -> None:
    quiet, loud = np.arange(10.0), 30 * np.arange(10.0)
    assert levene([quiet, quiet + 500, quiet - 3]) == 1
    assert levene([quiet, loud, quiet]) < 0.001


def test_levene_of_constant_groups() -> None:
    assert levene([np.full(3, 2.0), np.full(3, 5.0)]) == 1
    # One group is constant, the other is not: with three values each that is far from proof, and from nothing.
    assert levene([np.full(3, 2.0), np.array([1.0, 2, 3.1])]) < 0.01


@pytest.mark.parametrize("groups", [[], [np.ones(5)], [np.ones(5), np.ones(1)], [np.ones(2), np.ones(2)]])
def test_levene_of_too_little_is_none(groups: list[np.ndarray]) -> None:
    assert levene(groups) is None
