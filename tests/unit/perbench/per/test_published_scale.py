import math
from dataclasses import replace
from random import Random

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from perbench.per import Axis, LeftOut, Measured, Reason, Score, published
from tests.support.per_rows import FOUR, HUGE, LARGE, MIDDLE, SMALL, row, rows, study

BOUNDS = {Axis.ACCURACY: (0, 1), Axis.THROUGHPUT: (0, 400), Axis.MEMORY: (0, 10_000), Axis.LATENCY: (0, 100)}


def values(rows: tuple[Measured, ...]) -> dict[str, float | None]:
    return {score.model: score.value for score in published(rows).scores}


def test_the_formula_by_hand() -> None:
    scores = published(FOUR)
    # accuracy (0.6-0.4)/(0.9-0.4), throughput (200-40)/360, memory (9000-2000)/8000, latency (60-8)/55
    by_hand = (0.4 * (160 / 360) * (7000 / 8000) * (52 / 55)) ** 0.25
    assert scores.of("middle").value == pytest.approx(by_hand)
    assert scores.axes == tuple(Axis)
    assert scores.left_out == ()
    assert scores.warnings == ()


def test_a_zero_says_on_which_axes_the_model_is_worst() -> None:
    scores = published(FOUR)
    assert scores.of("small") == Score("small", 0.0, None, (Axis.ACCURACY,))
    assert scores.of("huge") == Score("huge", 0.0, None, (Axis.THROUGHPUT, Axis.MEMORY, Axis.LATENCY))


@pytest.mark.parametrize("count", [1, 2, 3])
def test_below_four_models_there_is_no_value(count: int) -> None:
    scores = published(FOUR[:count])
    assert {(score.value, score.reason) for score in scores.scores} == {(None, Reason.TOO_FEW_MODELS)}
    assert scores.warnings == (Reason.TOO_FEW_MODELS,)


def test_a_model_that_left_does_not_count_towards_four() -> None:
    scores = published((SMALL, MIDDLE, LARGE, row("failed", None, None, None, None)))
    assert scores.of("large").reason is Reason.TOO_FEW_MODELS
    assert scores.of("failed") == Score("failed", None, Reason.MISSING_FIGURE, tuple(Axis))


def test_a_failed_model_leaves_the_others_as_they_were() -> None:
    assert published((*FOUR, row("failed", throughput=None))).scores[:4] == published(FOUR).scores


def test_no_rows_give_no_scores() -> None:
    assert published(()).scores == ()


def test_bounds_make_one_model_enough() -> None:
    scores = published((LARGE,), BOUNDS)
    assert scores.of("large").value == pytest.approx((0.8 * 0.25 * 0.6 * 0.8) ** 0.25)
    assert scores.warnings == ()


def test_bounds_on_some_axes_do_not_replace_models() -> None:
    assert published((LARGE, SMALL), {Axis.ACCURACY: (0, 1)}).warnings == (Reason.TOO_FEW_MODELS,)


def test_bounds_on_some_axes_leave_the_others_to_the_models() -> None:
    scores = published(FOUR, {Axis.ACCURACY: (0, 1)})
    assert scores.of("middle").value == pytest.approx((0.6 * (160 / 360) * (7000 / 8000) * (52 / 55)) ** 0.25)


def test_figures_beyond_a_bound_count_as_at_it() -> None:
    beyond = replace(LARGE, throughput=900, latency=5000)
    score = published((beyond,), BOUNDS).of("large")
    assert score == Score("large", 0.0, None, (Axis.LATENCY,))


def test_bounded_axes_are_never_unresolved() -> None:
    equal = tuple(replace(LARGE, model=name) for name in "abcd")
    assert published(equal, BOUNDS).left_out == ()
    narrow = published(FOUR, {Axis.MEMORY: (1990, 2010)})
    assert narrow.left_out == ()
    assert narrow.of("middle").value == pytest.approx((0.4 * (160 / 360) * 0.5 * (52 / 55)) ** 0.25)


@pytest.mark.parametrize("bounds", [(1, 1), (2, 1), (math.nan, 1)])
def test_bounds_without_range_are_refused(bounds: tuple[float, float]) -> None:
    with pytest.raises(ValueError, match="bounds of accuracy"):
        published(FOUR, {Axis.ACCURACY: bounds})


def memory_between(low: float, high: float) -> tuple[Measured, ...]:
    return tuple(replace(entry, memory=memory) for entry, memory in zip(FOUR, (low, low, high, high), strict=True))


def test_an_axis_whose_range_is_below_two_percent_is_left_out() -> None:
    scores = published(memory_between(981, 1000))
    assert scores.left_out == (LeftOut(Axis.MEMORY, Reason.UNRESOLVED),)
    assert scores.axes == (Axis.ACCURACY, Axis.THROUGHPUT, Axis.LATENCY)
    assert scores.of("middle").value == pytest.approx((0.4 * (160 / 360) * (52 / 55)) ** (1 / 3))


def test_an_axis_whose_range_is_two_percent_takes_part() -> None:
    assert published(memory_between(980, 1000)).axes == tuple(Axis)


def test_an_axis_of_zeros_is_left_out() -> None:
    assert published(memory_between(0, 0)).left_out == (LeftOut(Axis.MEMORY, Reason.UNRESOLVED),)


def test_no_axis_left_gives_no_value() -> None:
    scores = published(tuple(replace(LARGE, model=name) for name in "abcd"))
    assert {(score.value, score.reason) for score in scores.scores} == {(None, Reason.NO_AXIS_LEFT)}
    assert scores.axes == ()
    assert [entry.reason for entry in scores.left_out] == [Reason.UNRESOLVED] * 4


def test_without_accuracy_three_axes_are_left() -> None:
    scores = published(tuple(replace(entry, accuracy=None) for entry in FOUR))
    assert scores.axes == (Axis.THROUGHPUT, Axis.MEMORY, Axis.LATENCY)
    assert scores.left_out == (LeftOut(Axis.ACCURACY, Reason.NOT_MEASURED),)
    assert scores.of("small").value == 1


def test_no_memory_for_one_model_leaves_it_out_for_all() -> None:
    scores = published((*FOUR[:3], replace(HUGE, memory=None)))
    assert scores.left_out == (LeftOut(Axis.MEMORY, Reason.NOT_MEASURED, ("huge",)),)
    assert scores.of("middle").value == pytest.approx((0.4 * (160 / 360) * (52 / 55)) ** (1 / 3))


def test_the_two_percent_rule_touches_no_axis_of_the_study() -> None:
    for rows_of_task in study().values():
        assert published(rows_of_task).left_out == ()


@settings(deadline=None, max_examples=50)
@given(rows(), st.randoms(use_true_random=False))
def test_the_order_of_models_does_not_matter(given_rows: tuple[Measured, ...], random: Random) -> None:
    shuffled = list(given_rows)
    random.shuffle(shuffled)
    assert values(tuple(shuffled)) == values(given_rows)


@settings(deadline=None, max_examples=50)
@given(rows(), st.sampled_from(list(Axis)), st.integers(-20, 20))
def test_the_unit_of_an_axis_does_not_matter(given_rows: tuple[Measured, ...], axis: Axis, power: int) -> None:
    # Powers of two change no digit, so that an axis at exactly 2 % stays where it is.
    scaled = tuple(replace(entry, **{axis.value: getattr(entry, axis.value) * 2.0**power}) for entry in given_rows)
    assume(all(figure == 0 or figure > 1e-30 for figure in (getattr(entry, axis.value) for entry in scaled)))
    assert values(scaled) == values(given_rows)


@pytest.mark.parametrize("axis", list(Axis))
def test_percent_or_gibibytes_give_the_same(axis: Axis) -> None:
    for factor in (100, 1 / 1.048576, 1e-9):
        scaled = tuple(replace(entry, **{axis.value: getattr(entry, axis.value) * factor}) for entry in FOUR)
        for score, other in zip(published(scaled).scores, published(FOUR).scores, strict=True):
            assert score.value == pytest.approx(other.value)
            assert score.axes == other.axes


@settings(deadline=None, max_examples=100)
@given(rows())
def test_values_lie_within_0_and_1_and_a_zero_names_its_axis(given_rows: tuple[Measured, ...]) -> None:
    for score in published(given_rows).scores:
        if score.value is None:
            assert score.reason is Reason.NO_AXIS_LEFT
        else:
            assert 0 <= score.value <= 1
            assert (score.value == 0) == bool(score.axes)


@settings(deadline=None, max_examples=50)
@given(rows())
def test_the_best_on_every_axis_has_1_and_the_worst_on_every_axis_0(given_rows: tuple[Measured, ...]) -> None:
    ace = row("ace", 2, 20_000, 0.001, 0.001)
    dud = row("dud", 0, 0, 20_000, 20_000)
    scores = published((*given_rows, ace, dud))
    assert scores.of("ace").value == 1
    assert scores.of("dud").value == 0
