"""Averages."""

import math
from collections.abc import Iterable


def geometric_mean(values: Iterable[float]) -> float | None:
    """The geometric mean of values from 0 upwards; None of no values. One zero makes it 0.

    Raises ValueError for a negative or non-finite value: it has no meaning there.
    """
    numbers = list(values)
    if not all(math.isfinite(number) and number >= 0 for number in numbers):
        raise ValueError("a geometric mean is taken of finite values from 0 upwards")
    if not numbers:
        return None
    if 0 in numbers:
        return 0.0
    return math.exp(math.fsum(math.log(number) for number in numbers) / len(numbers))
