from dataclasses import replace
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perbench.per import Axis, Best, LeftOut, Measured, Reason, ReferenceScores, Score, best, reference
from tests.support.per_rows import FOUR, HUGE, LARGE, MIDDLE, SMALL, positive_shares, row, rows

COMPLETE = rows(accuracies=positive_shares)


def test_the_formula_by_hand() -> None:
    scores = reference(FOUR)
    by_hand = ((0.6 / 0.4) * (200 / 400) * (1000 / 2000) * (5 / 8)) ** 0.25
    assert scores.of("middle").value == pytest.approx(by_hand)
    assert scores.of("small").value == 1
    assert scores.reference == "small"
    assert scores.ranking[0] == "small"


def test_another_reference_changes_the_unit_and_not_the_order() -> None:
    own, other = reference(FOUR), reference(FOUR, "large")
    assert other.of("large").value == 1
    assert other.ranking == own.ranking
    assert other.of("middle").value == pytest.approx(own.of("middle").value / own.of("large").value)


def test_one_model_has_1() -> None:
    assert reference((LARGE,)).of("large").value == 1


def test_two_models_are_enough() -> None:
    assert reference((SMALL, MIDDLE)).of("middle").value == reference(FOUR).of("middle").value


def test_no_rows_give_no_scores() -> None:
    assert reference(()).scores == ()
    assert reference(()).warnings == ()


def per_item(entry: Measured, items: float | None, seconds: float | None) -> Measured:
    return replace(entry, items_per_second=items, seconds_per_item=seconds)


def test_items_are_preferred_to_tokens() -> None:
    scores = reference((per_item(SMALL, 10, 0.8), per_item(MIDDLE, 5, 0.8)))
    assert scores.by_items == (Axis.THROUGHPUT, Axis.LATENCY)
    assert scores.of("middle").value == pytest.approx(((0.6 / 0.4) * 0.5 * 0.5 * 1) ** 0.25)


def test_items_that_one_model_lacks_are_used_for_none() -> None:
    scores = reference((per_item(SMALL, 10, 0.8), per_item(MIDDLE, None, 0.8)))
    assert scores.by_items == (Axis.LATENCY,)
    assert scores.of("middle").value == pytest.approx(((0.6 / 0.4) * 0.5 * 0.5 * 1) ** 0.25)


def test_a_close_axis_still_takes_part() -> None:
    scores = reference((SMALL, replace(SMALL, model="twin", memory=1010)))
    assert scores.axes == tuple(Axis)
    assert scores.of("twin").value == pytest.approx((1000 / 1010) ** 0.25)


def test_no_memory_for_one_model_leaves_it_out_for_all() -> None:
    scores = reference((SMALL, MIDDLE, replace(HUGE, memory=None)))
    assert scores.left_out == (LeftOut(Axis.MEMORY, Reason.NOT_MEASURED, ("huge",)),)
    assert scores.of("middle").value == pytest.approx(((0.6 / 0.4) * 0.5 * (5 / 8)) ** (1 / 3))


def test_without_accuracy_three_axes_are_left_and_no_floor_applies() -> None:
    scores = reference([replace(entry, accuracy=None) for entry in FOUR], quality_floor=0.9)
    assert scores.axes == (Axis.THROUGHPUT, Axis.MEMORY, Axis.LATENCY)
    assert len(scores.ranking) == 4


def test_accuracy_or_throughput_of_0_gives_0() -> None:
    scores = reference((SMALL, replace(LARGE, accuracy=0), replace(HUGE, throughput=0)))
    assert scores.of("large") == Score("large", 0.0, None, (Axis.ACCURACY,))
    assert scores.of("huge") == Score("huge", 0.0, None, (Axis.THROUGHPUT,))


@pytest.mark.parametrize("name", ["memory", "latency"])
def test_memory_or_latency_of_0_has_no_ratio(name: str) -> None:
    scores = reference((SMALL, replace(LARGE, accuracy=0, **{name: 0})))
    assert scores.of("large") == Score("large", None, Reason.ZERO_FIGURE, (Axis(name),))
    assert scores.ranking == ("small",)


@pytest.mark.parametrize("name", ["accuracy", "throughput", "memory", "latency"])
def test_nothing_is_a_ratio_to_a_reference_of_0(name: str) -> None:
    scores = reference((replace(SMALL, **{name: 0}), MIDDLE))
    assert scores.of("middle") == Score("middle", None, Reason.REFERENCE_ZERO, (Axis(name),))
    assert scores.of("small").reason is Reason.REFERENCE_ZERO
    assert scores.warnings == (Reason.REFERENCE_ZERO,)


def test_a_failed_reference_leaves_nobody_a_value() -> None:
    scores = reference((replace(SMALL, throughput=None), MIDDLE, LARGE))
    assert scores.of("small") == Score("small", None, Reason.MISSING_FIGURE, (Axis.THROUGHPUT,))
    assert scores.of("middle") == Score("middle", None, Reason.REFERENCE_FAILED)
    assert scores.warnings == (Reason.REFERENCE_FAILED,)
    assert scores.ranking == ()


def test_an_absent_reference_has_failed() -> None:
    assert reference(FOUR, "gone").of("small").reason is Reason.REFERENCE_FAILED


def test_all_models_failed() -> None:
    scores = reference((row("a", None, None, None, None), row("b", None, None, None, None)))
    assert [score.reason for score in scores.scores] == [Reason.MISSING_FIGURE] * 2


def test_models_under_the_floor_are_not_ranked_and_the_others_keep_their_values() -> None:
    scores = reference(FOUR, quality_floor=0.6)
    assert scores.of("small") == Score("small", None, Reason.BELOW_QUALITY_FLOOR)
    assert scores.of("middle").value == reference(FOUR).of("middle").value  # at the floor is not under it
    assert scores.ranking == ("middle", "large", "huge")
    assert scores.quality_floor == 0.6


@pytest.mark.parametrize("floor", [-0.1, 1.1, float("nan")])
def test_a_floor_outside_0_to_1_is_refused(floor: float) -> None:
    with pytest.raises(ValueError, match="quality floor"):
        reference(FOUR, quality_floor=floor)


def test_a_floor_beside_percentages_is_refused() -> None:
    with pytest.raises(ValueError, match=r"small: a quality floor needs .* not 40"):
        reference((replace(SMALL, accuracy=40),), quality_floor=0.5)


@settings(deadline=None, max_examples=50)
@given(COMPLETE, st.data())
def test_a_value_does_not_depend_on_the_other_models(given_rows: tuple[Measured, ...], data: st.DataObject) -> None:
    keep = data.draw(st.lists(st.booleans(), min_size=len(given_rows), max_size=len(given_rows)))
    fewer = tuple(entry for i, entry in enumerate(given_rows) if i == 0 or keep[i])
    whole = reference(given_rows, given_rows[0].model)
    for score in reference(fewer, given_rows[0].model).scores:
        assert score == whole.of(score.model)


@settings(deadline=None, max_examples=50)
@given(COMPLETE, st.randoms(use_true_random=False))
def test_the_order_of_models_does_not_matter(given_rows: tuple[Measured, ...], random: Random) -> None:
    shuffled = list(given_rows)
    random.shuffle(shuffled)
    whole = reference(given_rows, "m0")
    assert all(score == whole.of(score.model) for score in reference(shuffled, "m0").scores)


@settings(deadline=None, max_examples=50)
@given(COMPLETE, st.sampled_from(list(Axis)), st.floats(1e-6, 1e6))
def test_the_unit_of_an_axis_does_not_matter(given_rows: tuple[Measured, ...], axis: Axis, factor: float) -> None:
    scaled = [replace(entry, **{axis.value: getattr(entry, axis.value) * factor}) for entry in given_rows]
    for score, other in zip(reference(scaled).scores, reference(given_rows).scores, strict=True):
        assert score.value == pytest.approx(other.value, rel=1e-9)


@settings(deadline=None, max_examples=50)
@given(COMPLETE)
def test_values_are_positive_and_better_everywhere_is_more(given_rows: tuple[Measured, ...]) -> None:
    first = given_rows[0]
    better = row("better", first.accuracy * 2, first.throughput * 2, first.memory / 2, first.latency / 2)
    scores = reference((*given_rows, better))
    assert all(score.value is not None and score.value > 0 for score in scores.scores)
    assert scores.of("better").value == pytest.approx(2)


def scores_of(**values: float | None) -> ReferenceScores:
    """Reference scores as given; None: under the floor."""
    scores = tuple(
        Score(model, value, Reason.BELOW_QUALITY_FLOOR if value is None else None) for model, value in values.items()
    )
    return ReferenceScores(scores, "a", tuple(Axis), (), (), None, ())


def test_best_wins_most_tasks() -> None:
    tasks = {"x": scores_of(a=1, b=1.1), "y": scores_of(a=1, b=1.1), "z": scores_of(a=9, b=1)}
    assert best(tasks) == Best("b", 2, 3, pytest.approx((1.1 * 1.1) ** (1 / 3)))


def test_ties_go_to_the_geometric_mean() -> None:
    assert best({"x": scores_of(a=1, b=2), "y": scores_of(a=1, b=0.9)}) == Best("b", 1, 2, pytest.approx(1.8**0.5))


def test_equal_models_both_win_and_the_first_is_best() -> None:
    assert best({"x": scores_of(a=1, b=1)}) == Best("a", 1, 1, 1)


def test_only_a_model_ranked_everywhere_is_best_and_winners_passed_over_are_named() -> None:
    tasks = {"x": scores_of(a=1, b=2, c=0.5), "y": scores_of(a=1, b=2, c=0.5), "z": scores_of(a=0.2, b=None, c=0.5)}
    assert best(tasks) == Best("c", 1, 3, pytest.approx(0.5), ("b",))


def test_a_task_that_ranks_nobody_does_not_count() -> None:
    assert best({"x": scores_of(a=1, b=2), "y": scores_of(a=None, b=None)}) == Best("b", 1, 1, pytest.approx(2))


def test_a_zero_on_one_task_is_a_mean_of_zero() -> None:
    assert best({"x": scores_of(a=1), "y": scores_of(a=0)}) == Best("a", 2, 2, 0)


@pytest.mark.parametrize(
    "tasks", [{}, {"x": scores_of(a=None)}, {"x": scores_of(a=1, b=None), "y": scores_of(a=None, b=1)}]
)
def test_there_may_be_no_best(tasks: dict[str, ReferenceScores]) -> None:
    assert best(tasks) is None
