"""Intervals on cases small enough to be checked by hand, and every degenerate case that docs/statistics.md decides."""

import math
from collections.abc import Sequence
from dataclasses import fields, replace

import numpy as np
import pytest

from perbench.per import (
    Assessment,
    Axis,
    Basis,
    Chance,
    FigureIntervals,
    LeftOut,
    Measured,
    ModelUncertainty,
    Reason,
    Replicates,
    Settings,
    assess,
    published,
    reference,
)
from perbench.statistics.intervals import Interval
from tests.support.simulation import replicates_of

T_4 = 2.776
"""97.5 % quantile of Student's t with 4 degrees of freedom, from printed tables."""
STEPS = np.array([0.97, 1.04, 0.99])
"""Three replicates of every model; the same steps, so that scatter is equal."""


def task(
    accuracies: Sequence[float | None] = (0.4, 0.6, 0.8, 0.9),
    throughputs: Sequence[float] = (400, 200, 100, 40),
    memories: Sequence[float | None] = (1000, 2000, 4000, 9000),
    latencies: Sequence[float] = (5, 8, 20, 60),
    steps: np.ndarray = STEPS,
    items: int = 100,
) -> tuple[list[Measured], dict[str, Replicates]]:
    """Models a, b, c, d. Accuracy: the first items are right, so that it is nested and paired."""
    rows, replicates = [], {}
    for name, accuracy, throughput, memory, latency in zip(
        "abcd", accuracies, throughputs, memories, latencies, strict=False
    ):
        rows.append(Measured(name, accuracy, throughput, memory, latency))
        right = (np.arange(items) < round((accuracy or 0) * items)).astype(np.float64)
        replicates[name] = replicates_of(
            name,
            throughput * steps,
            np.full(len(steps), math.nan) if memory is None else memory * (steps + 1) / 2,
            latency / steps,
            np.zeros((0, len(steps))) if accuracy is None else right[:, None].repeat(len(steps), axis=1),
        )
    return rows, replicates


SYNTHETIC = (None, None, None, None)


def of(found: Assessment, model: str) -> ModelUncertainty:
    return found.uncertainty.of(model)


def no_interval(own: ModelUncertainty) -> bool:
    return own.per is None and own.reference_per is None and own.figures == FigureIntervals()


def test_a_figures_interval_is_students_t_on_the_log_scale() -> None:
    rows, replicates = task(SYNTHETIC, throughputs=(400, 200))
    rows, replicates = rows[:2], {name: replicates[name] for name in "ab"}
    logs = np.log(STEPS)
    half = T_4 * logs.std(ddof=1) / math.sqrt(3)  # two models, 2 · (3 - 1) degrees of freedom
    interval = of(assess(rows, replicates), "b").figures.throughput
    assert interval is not None
    assert math.log(interval.high / 200) == pytest.approx(half, rel=0.06)
    assert math.log(200 / interval.low) == pytest.approx(half, rel=0.06)


@pytest.mark.parametrize("weight", [1.0, 4.0])
def test_the_reference_interval_is_that_of_the_weighted_mean_of_logarithms(weight: float) -> None:
    # Throughput and latency move against each other: their ratios to the reference move alike, memory's against them.
    rows, replicates = task(SYNTHETIC)
    rows, replicates = rows[:2], {name: replicates[name] for name in "ab"}
    own = ((weight + 1) * np.log(STEPS) - np.log((STEPS + 1) / 2)) / (weight + 2)
    half = T_4 * own.std(ddof=1) * math.sqrt(2 / 3)
    found = assess(rows, replicates, Settings(weights={Axis.THROUGHPUT: weight}))
    value, interval = found.reference.of("b").value, of(found, "b").reference_per
    assert value is not None
    assert interval is not None
    assert math.log(interval.high / value) == pytest.approx(half, rel=0.06)
    assert math.log(value / interval.low) == pytest.approx(half, rel=0.06)
    assert of(found, "a").reference_per == Interval(1, 1)


def test_accuracy_is_paired() -> None:
    # b is right where a is, and on 20 items more: their ratio scatters less than either accuracy.
    rows, replicates = task((0.4, 0.6))
    interval = of(assess(rows, replicates), "b").figures.accuracy
    assert interval is not None
    assert interval.low == pytest.approx(0.6 - 1.96 * math.sqrt(0.6 * 0.4 / 99), abs=0.015)
    still = task((0.4, 0.4))
    settings = Settings(weights={axis: 0 for axis in Axis if axis is not Axis.ACCURACY})
    assert of(assess(*still, settings), "b").reference_per == Interval(1, 1)


def test_scores_are_those_without_uncertainty() -> None:
    rows, replicates = task()
    found = assess(rows, replicates)
    assert found.published == published(rows)
    assert found.reference == reference(rows)
    assert found.uncertainty.replicates == 3
    assert found.uncertainty.basis is Basis.LAUNCHES
    assert found.uncertainty.reason is None


def test_intervals_hold_their_values() -> None:
    rows, replicates = task()
    found = assess(rows, replicates)
    for own, on_published, on_reference in zip(
        found.uncertainty.models, found.published.scores, found.reference.scores, strict=True
    ):
        assert own.reference_per is not None
        assert own.reference_per.low <= on_reference.value <= own.reference_per.high
        if own.per is not None:
            assert 0 <= own.per.low <= on_published.value <= own.per.high <= 1


def test_a_published_0_has_no_interval_but_a_share_of_draws_above() -> None:
    found = assess(*task())
    assert found.published.of("a").value == 0
    assert of(found, "a").per is None
    assert of(found, "a").per_above_zero == 0  # 20 items behind the next in accuracy
    assert of(found, "b").per_above_zero is None
    # d is worst on throughput alone, and hardly worse than c: 40 to 41, each with an error of 2 %.
    rows, replicates = task(throughputs=(400, 200, 41, 40), memories=(1000, 2000, 9000, 4000), latencies=(5, 8, 60, 20))
    share = of(assess(rows, replicates), "d").per_above_zero
    assert share is not None
    assert 0.2 < share < 0.5


def test_below_four_models_there_is_no_published_interval() -> None:
    found = assess(*task((0.4, 0.6, 0.8)))
    assert [own.per for own in found.uncertainty.models] == [None] * 3
    assert of(found, "c").reference_per is not None


def test_bounds_make_one_model_enough_and_hold_the_draws() -> None:
    bounds = {Axis.ACCURACY: (0, 1), Axis.THROUGHPUT: (0, 400), Axis.MEMORY: (0, 10_000), Axis.LATENCY: (0, 100)}
    found = assess(*task((0.4,)), Settings(bounds=bounds))
    per = of(found, "a").per
    assert per is not None
    best = found.published.of("a").value
    # Throughput is at its bound already: what the draws exceed it by does not count.
    limit = ((per.high / best) ** 4) if best else 0
    accuracy, memory, latency = 0.5 / 0.4, 9200 / 9000, 95.4 / 95
    assert limit < accuracy * memory * latency
    assert of(found, "a").reference_per == Interval(1, 1)


def test_weights_reach_the_published_draws() -> None:
    found = assess(*task(), Settings(weights={Axis.ACCURACY: 5.0}))
    value, interval = found.published.of("b").value, of(found, "b").per
    assert value is not None
    assert interval is not None
    # Were the draws not weighted, the value would lie outside all of them, and an end be stretched to it.
    assert interval.low < 0.98 * value
    assert interval.high > 1.02 * value


def test_an_interval_is_stretched_to_a_value_that_no_draw_has() -> None:
    # a is the best on every axis by a hair, which draws of nine alike hardly ever repeat on all axes at once.
    hair = 1.001
    figures = [(100 * hair, 1000 / hair, 10 / hair), *[(100, 1000, 10)] * 8, (50, 2000, 20)]
    rows, replicates = [], {}
    for name, (throughput, memory, latency) in zip("abcdefghij", figures, strict=True):
        rows.append(Measured(name, None, throughput, memory, latency))
        replicates[name] = replicates_of(
            name, throughput * STEPS, memory * np.array([1.01, 0.99, 1.02]), latency * np.array([0.99, 1.01, 1.03])
        )
    found = assess(rows, replicates)
    best, next_best = of(found, "a").per, of(found, "b").per
    assert len(found.published.axes) == 3
    assert found.published.of("a").value == 1
    assert best is not None
    assert best.high == 1
    assert next_best is not None
    assert next_best.high < 0.9999


def test_the_best_is_said_with_a_probability() -> None:
    found = assess(*task())
    shares = [own.probability_best for own in found.uncertainty.models]
    assert sum(share or 0 for share in shares) == pytest.approx(1)
    assert shares[0] == 1
    even = assess(*task((0.5, 0.5), (100, 101), (1000, 1000), (10, 10)))
    assert 0.5 < (of(even, "b").probability_best or 0) < 0.9


def test_equal_models_without_scatter_share_the_draws() -> None:
    rows, replicates = task(SYNTHETIC, (100, 100), (1, 1), (1, 1), np.ones(3))
    assert [own.probability_best for own in assess(rows, replicates).uncertainty.models] == [0.5, 0.5]


def test_a_quality_floor_counts_in_every_draw() -> None:
    rows, replicates = task(accuracies=(0.58, 0.6, 0.8, 0.9))
    found = assess(rows, replicates, Settings(quality_floor=0.6))
    just_below, just_above, above = (of(found, name) for name in "abc")
    assert found.reference.of("a").reason is Reason.BELOW_QUALITY_FLOOR
    assert just_below.reference_per is None
    assert 0.2 < (just_below.probability_ranked or 0) < 0.5
    assert 0.4 < (just_above.probability_ranked or 0) < 0.7
    assert above.probability_ranked == 1
    # a is far ahead of all where it is ranked at all.
    assert just_below.probability_best == pytest.approx(just_below.probability_ranked, abs=0.01)
    assert just_above.reference_per == of(assess(rows, replicates), "b").reference_per


def test_a_floor_that_nobody_reaches() -> None:
    found = assess(*task(), Settings(quality_floor=1.0))
    assert [own.probability_best for own in found.uncertainty.models] == [0] * 4
    assert found.uncertainty.nobody_ranked == 1


def test_draws_in_which_nobody_reaches_the_floor_are_what_the_best_lack_of_1() -> None:
    # One set of items for all, nested answers: where the best model is under the floor, all are.
    found = assess(*task(accuracies=(0.4, 0.5, 0.55, 0.6)), Settings(quality_floor=0.62)).uncertainty
    best = sum(own.probability_best or 0 for own in found.models)
    assert found.nobody_ranked == pytest.approx(1 - best)
    assert found.nobody_ranked == pytest.approx(1 - (found.of("d").probability_ranked or 0))
    assert 0.4 < found.nobody_ranked < 0.9
    assert assess(*task()).uncertainty.nobody_ranked is None
    assert assess(*task(), Settings(quality_floor=0.1)).uncertainty.nobody_ranked == 0


def test_a_floor_beside_accuracy_of_weight_0() -> None:
    rows, replicates = task()
    rows[3] = replace(rows[3], accuracy=None)
    found = assess(rows, replicates, Settings(quality_floor=0.5, weights={Axis.ACCURACY: 0}))
    assert [of(found, name).probability_ranked for name in "abcd"] == [0, 1, 1, 1]
    assert of(found, "a").probability_best == 0


def test_an_axis_within_four_standard_errors_is_left_out() -> None:
    # Scatter of throughput 3.6 %, standard error of a mean of three 2.1 %: 4 errors are 8.3 %.
    close, apart = (104, 100, 101, 102), (110, 100, 101, 102)
    assert assess(*task(throughputs=close)).published.left_out == (LeftOut(Axis.THROUGHPUT, Reason.WITHIN_NOISE),)
    assert assess(*task(throughputs=apart)).published.left_out == ()
    assert assess(*task(throughputs=close)).reference.left_out == ()


def test_accuracy_within_four_standard_errors_of_what_items_do_not_explain() -> None:
    # Nested answers: between 0.50 and 0.53 lie three items that decide, whatever the other 97 are like.
    nested = assess(*task(accuracies=(0.50, 0.51, 0.52, 0.53)))
    assert nested.published.left_out == (LeftOut(Axis.ACCURACY, Reason.WITHIN_NOISE),)
    # Each accuracy alone has an error of 0.05: unpaired, 0.15 would be less than four of them.
    assert assess(*task(accuracies=(0.50, 0.55, 0.6, 0.65))).published.left_out == ()


@pytest.mark.parametrize("n", [1, 2])
def test_items_tell_the_noise_of_accuracy_without_replicates(n: int) -> None:
    # One item of 24 apart. Throughput is as close, but its error is not known: it stays in.
    rows, replicates = task((18 / 24, 18 / 24, 17 / 24, 18 / 24), (104, 100, 101, 102), steps=STEPS[:n], items=24)
    found = assess(rows, replicates)
    assert found.uncertainty.reason is Reason.TOO_FEW_REPLICATES
    assert found.published.left_out == (LeftOut(Axis.ACCURACY, Reason.WITHIN_NOISE),)
    assert all(no_interval(own) for own in found.uncertainty.models)
    # Where most items tell the models apart, accuracy stands out of the noise.
    assert assess(*task(steps=STEPS[:n], items=24)).published.left_out == ()
    # A table has no items.
    assert assess(rows, {}).published.left_out == ()


def test_one_source_tells_no_noise_of_accuracy() -> None:
    rows, replicates = task((18 / 24, 18 / 24, 17 / 24, 18 / 24), steps=STEPS[:1], items=24)
    together = {name: replace(own, sources=np.zeros(24, dtype=np.int64)) for name, own in replicates.items()}
    assert assess(rows, together).published.left_out == ()


def test_an_axis_with_bounds_is_not_within_noise() -> None:
    settings = Settings(bounds={Axis.THROUGHPUT: (0, 200)})
    assert assess(*task(throughputs=(104, 100, 101, 102)), settings).published.left_out == ()


def test_unequal_variances_are_said_and_not_pooled() -> None:
    rows, replicates = task(SYNTHETIC, steps=np.array([0.99, 1.0, 1.01, 1.02, 0.98]))
    loud = replicates["d"].throughput.mean() * np.array([0.5, 0.8, 1.1, 1.7, 0.9])
    found = assess(rows, {**replicates, "d": replace(replicates["d"], throughput=loud)})
    assert found.uncertainty.unequal == ("throughput",)
    quiet = of(found, "a").figures.throughput
    assert quiet is not None
    assert quiet.high / quiet.low < 1.05
    wide = of(found, "d").figures.throughput
    assert wide is not None
    assert wide.high / wide.low > 2
    assert assess(rows, replicates).uncertainty.unequal == ()


@pytest.mark.parametrize("n", [1, 2])
def test_under_three_replicates_there_is_no_interval(n: int) -> None:
    rows, replicates = task(steps=STEPS[:n])
    found = assess(rows, replicates)
    assert found.uncertainty.reason is Reason.TOO_FEW_REPLICATES
    assert found.uncertainty.replicates == n
    for own in found.uncertainty.models:
        assert own == ModelUncertainty(own.model, reason=Reason.TOO_FEW_REPLICATES)
    assert found.published == published(rows)
    assert found.reference == reference(rows)


def test_one_model_of_too_few_replicates_leaves_all_without() -> None:
    rows, replicates = task()
    short = task(steps=STEPS[:2])[1]["d"]
    assert assess(rows, {**replicates, "d": short}).uncertainty.reason is Reason.TOO_FEW_REPLICATES
    assert assess(rows, {name: replicates[name] for name in "abc"}).uncertainty.reason is Reason.TOO_FEW_REPLICATES


def test_a_table_has_no_replicates() -> None:
    rows, _ = task()
    found = assess(rows, {})
    assert found.uncertainty.reason is Reason.TOO_FEW_REPLICATES
    assert found.uncertainty.basis is None


def test_nothing_compared() -> None:
    found = assess([], {})
    assert found.uncertainty.models == ()
    assert found.uncertainty.reason is Reason.TOO_FEW_REPLICATES


def test_one_model() -> None:
    found = assess(*task((0.4,)))
    own = of(found, "a")
    assert own.reference_per == Interval(1, 1)
    assert own.probability_best == 1
    assert own.per is None
    assert own.figures.throughput is not None


def test_a_failed_model_leaves_the_others_their_intervals() -> None:
    rows, replicates = task()
    failed = Measured("failed", None, None, None, None)
    found = assess([*rows, failed], replicates)
    assert found.uncertainty.models[:4] == assess(rows, replicates).uncertainty.models
    assert found.uncertainty.models[4] == ModelUncertainty("failed", reason=Reason.MISSING_FIGURE)


def test_without_memory_of_one_model_three_axes_are_drawn() -> None:
    rows, replicates = task(memories=(1000, None, 4000, 9000))
    found = assess(rows, replicates)
    assert Axis.MEMORY not in found.reference.axes
    assert of(found, "a").figures.memory is None
    assert of(found, "d").reference_per is not None


def test_without_accuracy_three_axes_are_drawn() -> None:
    found = assess(*task(SYNTHETIC))
    assert of(found, "b").reference_per is not None
    assert of(found, "b").figures.accuracy is None
    assert of(found, "b").probability_ranked is None


def test_a_replicate_of_0_takes_the_models_own_intervals_and_no_others() -> None:
    rows, replicates = task()
    silent = replace(replicates["d"], throughput=np.array([40.0, 0.0, 80.0]))
    found = assess(rows, {**replicates, "d": silent})
    assert no_interval(of(found, "d"))
    assert of(found, "d").reason is Reason.ZERO_FIGURE
    assert of(found, "b").reference_per is not None
    assert of(found, "b").per is not None
    assert of(found, "b").probability_best is None  # nobody knows how good d could be


def test_a_figure_of_0_can_win_nothing() -> None:
    rows, replicates = task(throughputs=(400, 200, 100, 0))
    found = assess(rows, replicates)
    assert of(found, "d").reason is Reason.ZERO_FIGURE
    assert [of(found, name).probability_best for name in "abcd"] == [1, 0, 0, 0]


def test_a_memory_of_0_has_no_ratio_and_can_win_nothing() -> None:
    found = assess(*task(memories=(1000, 2000, 4000, 0)))
    assert found.reference.of("d").reason is Reason.ZERO_FIGURE
    assert of(found, "d").probability_best == 0
    assert of(found, "a").probability_best == 1


def test_a_missing_replicate() -> None:
    rows, replicates = task()
    gap = replace(replicates["d"], latency=np.array([60.0, math.nan, 61.0]))
    found = assess(rows, {**replicates, "d": gap})
    assert no_interval(of(found, "d"))
    assert of(found, "d").reason is Reason.MISSING_FIGURE


def test_nobody_can_be_drawn() -> None:
    rows, replicates = task(throughputs=(0, 0, 0, 0))
    found = assess(rows, replicates)
    assert {own.reason for own in found.uncertainty.models} == {Reason.ZERO_FIGURE}
    assert all(no_interval(own) for own in found.uncertainty.models)


def test_without_scatter_intervals_are_points_of_performance() -> None:
    found = assess(*task(SYNTHETIC, steps=np.ones(3)))
    value = found.reference.of("b").value
    assert value is not None
    interval = of(found, "b").reference_per
    assert interval is not None
    assert (interval.low, interval.high) == pytest.approx((value, value))


def test_all_accuracies_equal() -> None:
    found = assess(*task(accuracies=(0.7, 0.7, 0.7, 0.7)))
    assert found.published.left_out == (LeftOut(Axis.ACCURACY, Reason.UNRESOLVED),)
    assert of(found, "b").reference_per is not None


def test_an_accuracy_of_0_is_0_without_interval() -> None:
    found = assess(*task(accuracies=(0.5, 0.0, 0.8, 0.9)))
    own = of(found, "b")
    assert found.reference.of("b").value == 0
    assert own.reference_per is None
    assert own.figures.throughput is not None
    assert own.probability_best == 0
    assert own.even_scores
    assert not of(found, "a").even_scores


def test_a_reference_model_that_is_hardly_ever_right() -> None:
    # One right answer of 100: a third of all draws have none, and the ratio to them no end.
    found = assess(*task(accuracies=(0.01, 0.6, 0.8, 0.9)))
    assert found.reference.of("b").value is not None
    assert of(found, "b").reference_per is None
    assert of(found, "b").reason is Reason.REFERENCE_ZERO
    assert of(found, "a").reference_per == Interval(1, 1)
    assert of(found, "b").per is not None


def test_nobody_but_two_is_hardly_ever_right() -> None:
    found = assess(*task(accuracies=(0.01, 0.01, 0.8, 0.9)))
    assert of(found, "b").reason is Reason.REFERENCE_ZERO  # 0 / 0 in a third of all draws
    assert of(found, "b").figures.throughput is not None


def test_a_reference_model_that_is_never_right_or_failed() -> None:
    for settings, accuracies in ((Settings(), (0.0, 0.6, 0.8, 0.9)), (Settings(reference="z"), (0.4, 0.6, 0.8, 0.9))):
        found = assess(*task(accuracies=accuracies), settings)
        assert {own.reference_per for own in found.uncertainty.models} == {None}
        assert {own.probability_best for own in found.uncertainty.models} == {None}
        assert of(found, "b").per is not None


def test_items_of_a_single_source() -> None:
    rows, replicates = task()
    one_source = {name: replace(own, sources=np.zeros(100, dtype=np.int64)) for name, own in replicates.items()}
    assert assess(rows, one_source).uncertainty.reason is Reason.TOO_FEW_ITEMS
    no_items = {name: replace(own, scores=np.zeros((0, 3))) for name, own in replicates.items()}
    assert assess(rows, no_items).uncertainty.reason is Reason.TOO_FEW_ITEMS


def test_items_of_few_sources_widen_accuracy() -> None:
    rows, replicates = task()
    twenty = {name: replace(own, sources=np.arange(100) // 5) for name, own in replicates.items()}
    wide, narrow = (of(assess(rows, own), "b").figures.accuracy for own in (twenty, replicates))
    assert wide is not None
    assert narrow is not None
    assert wide.high - wide.low > 1.5 * (narrow.high - narrow.low)


def test_repeats_within_one_launch_are_said() -> None:
    rows, replicates = task()
    within = {name: replace(own, basis=Basis.REPEATS) for name, own in replicates.items()}
    assert assess(rows, within).uncertainty.basis is Basis.REPEATS
    mixed = {**replicates, "b": within["b"]}
    assert assess(rows, mixed).uncertainty.basis is Basis.REPEATS


def test_correct_items_per_second() -> None:
    rows, replicates = task()
    rows = [replace(row, items_per_second=row.throughput / 10) for row in rows]
    replicates = {name: replace(own, items_per_second=own.throughput / 10) for name, own in replicates.items()}
    found = assess(rows, replicates)
    interval = of(found, "b").figures.correct_items_per_second
    assert interval is not None
    assert interval.low < 20 * 0.6 < interval.high
    assert of(found, "b").figures.items_per_second is not None
    assert Axis.THROUGHPUT in found.reference.by_items


def test_every_interval_has_a_figure() -> None:
    names = {field.name for field in fields(FigureIntervals)} - {"correct_items_per_second"}
    assert names <= {field.name for field in fields(Measured)}


def test_the_same_chance_gives_the_same_draws_and_another_seed_others() -> None:
    rows, replicates = task()
    assert assess(rows, replicates) == assess(rows, replicates)
    other = assess(rows, replicates, chance=Chance(seed=1))
    assert of(other, "b").reference_per != of(assess(rows, replicates), "b").reference_per
    assert of(assess(rows, replicates, chance=Chance("t")), "b") != of(assess(rows, replicates), "b")
