import numpy as np
import pytest

from perbench.per import Axis, LeftOut, Reason, Score
from perbench.per.comparison import compare, geometric_mean
from tests.support.per_rows import FOUR, HUGE, LARGE, row


def test_complete_rows_are_compared_on_four_axes() -> None:
    comparison = compare(FOUR)
    assert comparison.compared == FOUR
    assert comparison.axes == tuple(Axis)
    assert comparison.figures()[0].tolist() == [0.4, 400, 1000, 5]


@pytest.mark.parametrize("name", ["accuracy", "throughput", "latency"])
def test_a_model_that_lacks_a_figure_others_have_leaves(name: str) -> None:
    comparison = compare((row("gap", **{name: None}), *FOUR))
    assert comparison.compared == FOUR
    assert comparison.out == (Score("gap", None, Reason.MISSING_FIGURE, (Axis(name),)),)
    assert comparison.axes == tuple(Axis)


def test_memory_missing_for_one_model_is_left_out_for_all() -> None:
    comparison = compare((*FOUR, row("endpoint", memory=None)))
    assert len(comparison.compared) == 5
    assert comparison.axes == (Axis.ACCURACY, Axis.THROUGHPUT, Axis.LATENCY)
    assert comparison.left_out == (LeftOut(Axis.MEMORY, Reason.NOT_MEASURED, ("endpoint",)),)


def test_a_failed_model_takes_no_axis_from_the_others() -> None:
    comparison = compare((*FOUR, row("failed", None, None, None, None)))
    assert comparison.axes == tuple(Axis)
    assert comparison.out == (Score("failed", None, Reason.MISSING_FIGURE, tuple(Axis)),)


def test_a_failed_model_is_not_blamed_for_an_axis_nobody_has() -> None:
    failed = row("failed", None, None, None, None)
    assert compare((row("a", accuracy=None), failed)).out[0].axes == (Axis.THROUGHPUT, Axis.MEMORY, Axis.LATENCY)


def test_memory_that_only_a_failed_model_has_is_not_measured() -> None:
    rows = (row("failed", throughput=None), row("a", memory=None), row("b", memory=None))
    assert compare(rows).left_out == (LeftOut(Axis.MEMORY, Reason.NOT_MEASURED),)


def test_an_axis_nobody_has_is_left_out() -> None:
    comparison = compare((row("a", accuracy=None), row("b", accuracy=None)))
    assert comparison.left_out == (LeftOut(Axis.ACCURACY, Reason.NOT_MEASURED),)
    assert len(comparison.compared) == 2


def test_one_model_twice_is_refused() -> None:
    with pytest.raises(ValueError, match="'large' appears more than once"):
        compare((LARGE, HUGE, LARGE))


def test_the_geometric_mean_of_tiny_components_is_not_zero() -> None:
    assert geometric_mean(np.full(4, 1e-200)) == pytest.approx(1e-200)
    assert geometric_mean(np.array([1.0, 0.0, 1.0, 1.0])) == 0
