import math

import pytest

from perbench.per import Axis, Measured
from tests.support.per_rows import row


@pytest.mark.parametrize("figure", [-0.1, math.nan, math.inf, -math.inf, 1e31, 1e-31])
@pytest.mark.parametrize("name", ["accuracy", "throughput", "memory", "latency"])
def test_impossible_figures_are_refused(name: str, figure: float) -> None:
    with pytest.raises(ValueError, match=f"m: {name} is"):
        row("m", **{name: figure})


@pytest.mark.parametrize("name", ["items_per_second", "seconds_per_item"])
def test_impossible_figures_per_item_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match=name):
        Measured("m", 0.5, 1, 1, 1, **{name: -1.0})


def test_zero_and_absent_are_possible_and_differ() -> None:
    measured = row("m", accuracy=0, memory=None)
    assert measured.missing() == (Axis.MEMORY,)


def test_a_model_without_name_is_refused() -> None:
    with pytest.raises(ValueError, match="name"):
        row("")
