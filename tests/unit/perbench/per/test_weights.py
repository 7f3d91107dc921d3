import math
from collections.abc import Callable

import pytest

from perbench.per import Axis, LeftOut, Measured, Reason, published, reference
from tests.support.per_rows import FOUR, LARGE, SMALL, row

DOUBLE_ACCURACY = {Axis.ACCURACY: 2.0}


def test_weights_are_exponents() -> None:
    # Components of `middle` as in test_published_scale, exponents 2/5 and 1/5.
    by_hand = (0.4**2 * (160 / 360) * (7000 / 8000) * (52 / 55)) ** (1 / 5)
    assert published(FOUR, weights=DOUBLE_ACCURACY).of("middle").value == pytest.approx(by_hand)
    ratios = 2.0**2 * (100 / 400) * (1000 / 4000) * (5 / 20)
    assert reference((SMALL, LARGE), weights=DOUBLE_ACCURACY).of("large").value == pytest.approx(ratios ** (1 / 5))


def test_only_their_relation_counts() -> None:
    tripled = dict.fromkeys(Axis, 3.0)
    assert published(FOUR, weights=tripled) == published(FOUR)
    assert reference(FOUR, weights=tripled) == reference(FOUR)
    six = {Axis.ACCURACY: 6.0, Axis.THROUGHPUT: 3.0, Axis.MEMORY: 3.0, Axis.LATENCY: 3.0}
    for own, other in zip(
        published(FOUR, weights=six).scores, published(FOUR, weights=DOUBLE_ACCURACY).scores, strict=True
    ):
        assert own.value == pytest.approx(other.value)


def test_weights_are_shared_out_over_the_axes_that_are_left() -> None:
    synthetic = tuple(row(entry.model, None, entry.throughput, entry.memory, entry.latency) for entry in FOUR)
    scores = published(synthetic, weights={Axis.ACCURACY: 9.0, Axis.THROUGHPUT: 2.0})
    by_hand = ((160 / 360) ** 2 * (7000 / 8000) * (52 / 55)) ** (1 / 4)
    assert scores.of("middle").value == pytest.approx(by_hand)


def test_a_weight_of_0_leaves_the_axis_out_on_both_scales() -> None:
    for scores in (published(FOUR, weights={Axis.MEMORY: 0}), reference(FOUR, weights={Axis.MEMORY: 0})):
        assert Axis.MEMORY not in scores.axes
        assert scores.left_out == (LeftOut(Axis.MEMORY, Reason.ZERO_WEIGHT),)
    assert published(FOUR, weights={Axis.MEMORY: 0}).of("middle").value == pytest.approx(
        (0.4 * (160 / 360) * (52 / 55)) ** (1 / 3)
    )


def test_a_figure_of_weight_0_is_not_missed() -> None:
    rows = (*FOUR, row("unscored", accuracy=None))
    assert reference(rows).of("unscored").reason is Reason.MISSING_FIGURE
    assert reference(rows, weights={Axis.ACCURACY: 0}).of("unscored").value is not None
    without = (*FOUR, row("host", memory=None))
    assert reference(without, weights={Axis.MEMORY: 0}).left_out == (LeftOut(Axis.MEMORY, Reason.ZERO_WEIGHT),)


def test_a_model_with_no_figure_that_counts_leaves() -> None:
    only_accuracy = {Axis.THROUGHPUT: 0.0, Axis.LATENCY: 0.0, Axis.MEMORY: 0.0}
    assert reference((*FOUR, row("mute", accuracy=None)), weights=only_accuracy).of("mute").reason is (
        Reason.MISSING_FIGURE
    )


@pytest.mark.parametrize("weight", [-1.0, math.nan, math.inf])
@pytest.mark.parametrize("score", [published, reference])
def test_what_is_no_weight_is_refused(weight: float, score: Callable[..., object]) -> None:
    with pytest.raises(ValueError, match="weight of memory"):
        score(FOUR, weights={Axis.MEMORY: weight})


def test_all_weights_0_are_refused() -> None:
    with pytest.raises(ValueError, match="all weights are 0"):
        published(FOUR, weights=dict.fromkeys(Axis, 0.0))


def test_axes_within_noise_are_left_out() -> None:
    scores = published(FOUR, within_noise=[Axis.LATENCY])
    assert scores.left_out == (LeftOut(Axis.LATENCY, Reason.WITHIN_NOISE),)
    assert scores.of("middle").value == pytest.approx((0.4 * (160 / 360) * (7000 / 8000)) ** (1 / 3))


def test_an_axis_with_fixed_ends_is_never_within_noise() -> None:
    assert published(FOUR, {Axis.LATENCY: (0, 100)}, within_noise=[Axis.LATENCY]).left_out == ()


def test_the_two_percent_rule_names_an_axis_first() -> None:
    level: tuple[Measured, ...] = tuple(
        row(entry.model, entry.accuracy, entry.throughput, 1000, entry.latency) for entry in FOUR
    )
    assert published(level, within_noise=[Axis.MEMORY]).left_out == (LeftOut(Axis.MEMORY, Reason.UNRESOLVED),)


@pytest.mark.parametrize("ends", [(0, math.inf), (-math.inf, 0)])
def test_infinite_ends_are_refused(ends: tuple[float, float]) -> None:
    with pytest.raises(ValueError, match="bounds of memory"):
        published(FOUR, {Axis.MEMORY: ends})
