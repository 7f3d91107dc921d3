import math
from fractions import Fraction

import numpy as np
import pytest

from perbench.statistics.incomplete_beta import regularised_incomplete_beta


def binomial_tail(x: Fraction, a: int, b: int) -> float:
    """I_x(a, b) for whole a, b, exactly (DLMF 8.17.5)."""
    n = a + b - 1
    return float(sum(math.comb(n, j) * x**j * (1 - x) ** (n - j) for j in range(a, n + 1)))


@pytest.mark.parametrize("x", [Fraction(1, 1000), Fraction(1, 7), Fraction(1, 2), Fraction(9, 10), Fraction(999, 1000)])
@pytest.mark.parametrize(("a", "b"), [(1, 1), (1, 9), (2, 3), (8, 3), (30, 30), (5, 300), (300, 5), (400, 600)])
def test_whole_numbers_are_sums_of_binomial_terms(x: Fraction, a: int, b: int) -> None:
    assert regularised_incomplete_beta(float(x), a, b) == pytest.approx(binomial_tail(x, a, b), rel=1e-11, abs=1e-13)


@pytest.mark.parametrize("x", [1e-9, 0.2, 0.5, 0.99])
def test_halves_are_an_arc_sine(x: float) -> None:
    assert regularised_incomplete_beta(x, 0.5, 0.5) == pytest.approx(2 / math.pi * math.asin(math.sqrt(x)), rel=1e-12)


@pytest.mark.parametrize(("a", "b"), [(1.5, 4.5), (2.5, 2.5), (15.5, 3.5)])
def test_other_values_are_the_integral(a: float, b: float) -> None:
    nodes, weights = np.polynomial.legendre.leggauss(400)

    def integral(end: float) -> float:
        angle = (nodes + 1) / 2 * math.asin(math.sqrt(end))  # x = sin(angle)^2 takes the roots away
        integrand = 2 * np.sin(angle) ** (2 * a - 1) * np.cos(angle) ** (2 * b - 1)
        return float((weights * integrand).sum() * math.asin(math.sqrt(end)) / 2)

    for x in (0.05, 0.3, 0.8):
        assert regularised_incomplete_beta(x, a, b) == pytest.approx(integral(x) / integral(1), rel=1e-10)


def test_ends() -> None:
    assert regularised_incomplete_beta(0, 2, 3) == 0
    assert regularised_incomplete_beta(1, 2, 3) == 1


@pytest.mark.parametrize(("x", "a", "b"), [(-0.1, 1, 1), (1.1, 1, 1), (math.nan, 1, 1), (0.5, 0, 1), (0.5, 1, -2)])
def test_arguments_outside_are_refused(x: float, a: float, b: float) -> None:
    with pytest.raises(ValueError, match="I_x"):
        regularised_incomplete_beta(x, a, b)
