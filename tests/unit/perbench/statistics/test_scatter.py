import numpy as np
import pytest

from perbench.statistics.scatter import mean_errors, scatter, shared_stretch

DRAWS = 40_000


def groups_of(*columns: list[list[float]]) -> list[np.ndarray]:
    """One argument per column, each with one list per group."""
    return [np.array(values).T for values in zip(*columns, strict=True)]


EVEN = groups_of([[0, 1, 5], [10, 13, 13]], [[5, 3, 10], [7, 7, 10]])


def test_deviations_are_pooled_over_groups() -> None:
    found = scatter(EVEN)
    # Column 1: squares 14 + 6 on 4 degrees of freedom. Column 2: 26 + 6 on 4.
    assert found.deviations == pytest.approx(np.sqrt([[5, 8], [5, 8]]))
    assert found.degrees == 4
    assert not found.unequal.any()
    assert found.standard_errors == pytest.approx(np.sqrt([5 / 3, 8 / 3]))


def test_correlation_is_kept() -> None:
    found = scatter(EVEN)
    # Cross products of residuals: (-2·-1 + -1·-3 + 3·4) + (-2·-1 + 1·-1 + 1·2) = 20 of sqrt(20·32).
    assert found.root @ found.root == pytest.approx(np.array([[1, np.sqrt(5 / 8)], [np.sqrt(5 / 8), 1]]))
    generator = np.random.default_rng(1)
    errors = mean_errors(found, 0, shared_stretch(found, generator, DRAWS), generator)
    assert np.corrcoef(errors.T)[0, 1] == pytest.approx(np.sqrt(5 / 8), abs=0.03)


def test_columns_that_say_the_same_stay_the_same() -> None:
    twin = [np.stack([group[:, 0], -group[:, 0]], axis=1) for group in EVEN]
    found = scatter(twin)
    generator = np.random.default_rng(1)
    errors = mean_errors(found, 1, shared_stretch(found, generator, 100), generator)
    assert errors[:, 0] == pytest.approx(-errors[:, 1])


def test_errors_are_students_t() -> None:
    found = scatter(EVEN)
    generator = np.random.default_rng(1)
    errors = mean_errors(found, 0, shared_stretch(found, generator, DRAWS), generator)
    scaled = np.sort(errors[:, 0] / np.sqrt(5 / 3))
    # Quantiles of t with 4 degrees of freedom, from printed tables: 97.5 % and 90 %.
    assert scaled[int(0.975 * DRAWS)] == pytest.approx(2.776, abs=0.1)
    assert scaled[int(0.90 * DRAWS)] == pytest.approx(1.533, abs=0.05)


def test_a_difference_of_groups_is_students_t_too() -> None:
    found = scatter(EVEN)
    stretch = shared_stretch(found, np.random.default_rng(1), DRAWS)
    first, second = (mean_errors(found, group, stretch, np.random.default_rng(group + 2))[:, 0] for group in (0, 1))
    scaled = np.sort((first - second) / np.sqrt(2 * 5 / 3))
    assert scaled[int(0.995 * DRAWS)] == pytest.approx(4.604, abs=0.35)  # independent stretches would give 3.7


QUIET = [[1.0, 2, 3, 4, 5], [2.0, 3, 4, 5, 6], [7.0, 8, 9, 10, 11]]


def test_unequal_variances_are_not_pooled_and_only_in_their_column() -> None:
    loud = [[1.0, 2, 3, 4, 5], [1.0, 2, 3, 4, 5], [100.0, 200, 300, 400, 500]]
    found = scatter(groups_of(QUIET, loud))
    assert found.unequal.tolist() == [False, True]
    assert found.deviations == pytest.approx(np.sqrt([[2.5, 2.5], [2.5, 2.5], [2.5, 25_000]]))
    generator = np.random.default_rng(1)
    errors = mean_errors(found, 2, shared_stretch(found, generator, DRAWS), generator)
    tails = np.sort(errors / np.sqrt([2.5 / 5, 25_000 / 5]), axis=0)[int(0.975 * DRAWS)]
    assert tails[0] == pytest.approx(2.179, abs=0.05)  # t with 12 degrees of freedom
    assert tails[1] == pytest.approx(2.776, abs=0.1)  # t with the group's own 4


def test_without_scatter_there_is_no_error() -> None:
    # 0.1 has no exact mean in floats: what is left must be 0 all the same.
    found = scatter([np.full((3, 1), 0.1), np.full((3, 1), 0.7)])
    assert found.deviations.tolist() == [[0.0], [0.0]]
    generator = np.random.default_rng(1)
    assert not mean_errors(found, 0, shared_stretch(found, generator, 50), generator).any()


def test_groups_of_different_size() -> None:
    found = scatter([np.array([[1.0], [3.0]]), np.array([[1.0], [2.0], [3.0], [6.0]])])
    assert found.degrees == 4
    assert found.deviations[0] == pytest.approx(np.sqrt((2 + 14) / 4))
