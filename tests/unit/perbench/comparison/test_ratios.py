import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import pytest

from perbench.comparison import Figure, Ratio, Verdict
from perbench.comparison.ratios import Pair, ratios, verdict
from perbench.per import Axis, Chance, Measured, Settings
from perbench.statistics.intervals import Interval
from tests.support.simulation import replicates_of

STEPS = np.array([0.98, 1.03, 0.99])
ITEMS = 200
SAME: Mapping[str, float] = {}


def known(figure: float | None) -> float:
    return math.nan if figure is None else figure


def side(model: str, figures: Mapping[str, float | None], steps: np.ndarray) -> tuple[Measured, object]:
    own = {"accuracy": 0.6, "throughput": 100.0, "memory": 1000.0, "latency": 10.0, **figures}
    right = (np.arange(ITEMS) < round((own["accuracy"] or 0) * ITEMS)).astype(np.float64)[:, None]
    replicates = replicates_of(
        model,
        known(own["throughput"]) * steps,
        known(own["memory"]) * (1 + steps) / 2,
        known(own["latency"]) / steps,
        np.zeros((0, len(steps))) if own["accuracy"] is None else right.repeat(len(steps), axis=1),
    )
    return Measured(model, **own), replicates


def pair(
    model: str = "m",
    before: Mapping[str, float | None] = SAME,
    after: Mapping[str, float | None] = SAME,
    steps: np.ndarray = STEPS,
    steps_after: np.ndarray | None = None,
) -> Pair:
    then, now = side(model, before, steps), side(model, after, steps if steps_after is None else steps_after)
    return Pair(model, then[0], now[0], (then[1], now[1]))


def compared(pairs: Sequence[Pair], model: str = "m", **settings: object) -> dict[Figure, Ratio]:
    chosen = Settings(**{"reference": "m", **settings})
    return {ratio.figure: ratio for ratio in ratios(pairs, chosen, 0.05, Chance())[model]}


def verdicts(pairs: Sequence[Pair], model: str = "m") -> dict[Figure, Verdict]:
    return {figure: ratio.verdict for figure, ratio in compared(pairs, model).items()}


OTHER = pair("other")
NONE = Verdict.NO_DIFFERENCE


@pytest.mark.parametrize(
    ("low", "high", "faster", "smaller"),
    [
        (0.90, 0.94, Verdict.REGRESSED, Verdict.IMPROVED),
        (0.90, 0.96, NONE, NONE),
        (0.96, 1.04, NONE, NONE),
        (0.951, 0.99, NONE, NONE),
        (1.06, 1.09, Verdict.IMPROVED, Verdict.REGRESSED),
        (1.04, 1.09, NONE, NONE),
        (0.0, 0.0, Verdict.REGRESSED, Verdict.IMPROVED),
    ],
)
def test_an_interval_must_exclude_1_by_more_than_the_tolerance(
    low: float, high: float, faster: Verdict, smaller: Verdict
) -> None:
    assert verdict(Interval(low, high), higher_is_better=True, tolerance=0.05) is faster
    assert verdict(Interval(low, high), higher_is_better=False, tolerance=0.05) is smaller


def test_the_same_shows_no_difference() -> None:
    found = compared([pair(), OTHER], "other")
    assert {ratio.verdict for ratio in found.values()} == {NONE}
    assert list(found) == list(Figure)
    for ratio in found.values():
        assert ratio.ratio == 1
        assert ratio.interval is not None
        assert ratio.interval.low <= 1 <= ratio.interval.high


@pytest.mark.parametrize(
    ("change", "figure", "expected"),
    [
        ({"throughput": 70.0}, Figure.THROUGHPUT, Verdict.REGRESSED),
        ({"throughput": 140.0}, Figure.THROUGHPUT, Verdict.IMPROVED),
        ({"latency": 14.0}, Figure.LATENCY, Verdict.REGRESSED),
        ({"latency": 7.0}, Figure.LATENCY, Verdict.IMPROVED),
        ({"memory": 1200.0}, Figure.MEMORY, Verdict.REGRESSED),
        ({"memory": 800.0}, Figure.MEMORY, Verdict.IMPROVED),
        ({"accuracy": 0.4}, Figure.ACCURACY, Verdict.REGRESSED),
        ({"accuracy": 0.8}, Figure.ACCURACY, Verdict.IMPROVED),
    ],
)
def test_a_large_change_of_one_figure(change: dict[str, float], figure: Figure, expected: Verdict) -> None:
    found = verdicts([pair(), pair("other", after=change)], "other")
    assert found.pop(figure) is expected
    found.pop(Figure.REFERENCE_PER)
    assert set(found.values()) == {NONE}


def test_a_change_within_scatter_shows_nothing() -> None:
    wild = np.array([0.7, 1.3, 1.0])
    found = compared([pair(steps=wild), pair("other", after={"throughput": 80.0}, steps=wild)], "other")
    assert found[Figure.THROUGHPUT].ratio == 0.8
    assert found[Figure.THROUGHPUT].verdict is NONE


def test_a_ratios_interval_is_students_t() -> None:
    # Two models in two runs: 4 · (3 - 1) = 8 degrees of freedom, t = 2.306.
    half = 2.306 * np.log(STEPS).std(ddof=1) * math.sqrt(2 / 3)
    interval = compared([pair(), OTHER])[Figure.THROUGHPUT].interval
    assert interval is not None
    assert math.log(interval.high) == pytest.approx(half, rel=0.06)
    assert -math.log(interval.low) == pytest.approx(half, rel=0.06)


def test_reference_per_sets_off_what_moves_all_alike() -> None:
    slower = {"throughput": 50.0, "latency": 20.0}
    found = compared([pair(after=slower), pair("other", after=slower)], "other")
    assert found[Figure.THROUGHPUT].verdict is Verdict.REGRESSED
    assert found[Figure.REFERENCE_PER].ratio == 1
    assert found[Figure.REFERENCE_PER].verdict is NONE


def test_reference_per_by_hand() -> None:
    found = compared([pair(), pair("other", after={"throughput": 200.0, "latency": 5.0})], "other")
    # Twice as good on two axes of four.
    assert found[Figure.REFERENCE_PER].ratio == pytest.approx(math.sqrt(2))
    assert found[Figure.REFERENCE_PER].baseline == 1
    assert found[Figure.REFERENCE_PER].verdict is Verdict.IMPROVED
    weighted = compared(
        [pair(), pair("other", after={"throughput": 200.0, "latency": 5.0})], "other", weights={Axis.THROUGHPUT: 2.0}
    )
    assert weighted[Figure.REFERENCE_PER].ratio == pytest.approx(2 ** (3 / 5))


def test_the_reference_model_is_1_in_both() -> None:
    own = compared([pair(after={"throughput": 10.0}), OTHER])[Figure.REFERENCE_PER]
    assert (own.baseline, own.candidate, own.interval, own.verdict) == (1, 1, Interval(1, 1), NONE)


@pytest.mark.parametrize("n", [1, 2])
def test_too_few_repeats_in_either(n: int) -> None:
    for steps, after in ((STEPS[:n], STEPS), (STEPS, STEPS[:n])):
        found = compared([pair(steps=steps, steps_after=after), OTHER])
        assert {ratio.verdict for ratio in found.values()} == {Verdict.TOO_FEW_REPEATS}
        assert {ratio.interval for ratio in found.values()} == {None}
        assert found[Figure.THROUGHPUT].ratio == 1


def test_a_model_of_too_few_repeats_leaves_the_axes_of_others() -> None:
    found = verdicts([pair(), pair("other", steps=STEPS[:2])])
    assert found[Figure.THROUGHPUT] is NONE
    assert found[Figure.REFERENCE_PER] is Verdict.TOO_FEW_REPEATS


def test_what_one_lacks_has_no_ratio_and_leaves_the_others_theirs() -> None:
    pairs = [pair(), pair("other", after={"memory": None})]
    found = compared(pairs, "other")
    assert found[Figure.MEMORY] == Ratio(Figure.MEMORY, 1000.0, None, None, None, Verdict.NO_RATIO)
    assert found[Figure.THROUGHPUT].verdict is NONE
    assert found[Figure.REFERENCE_PER].ratio == 1  # on three axes, in both runs
    assert verdicts(pairs)[Figure.MEMORY] is NONE


@pytest.mark.parametrize("axis", list(Axis))
@pytest.mark.parametrize("lost", [True, False])
def test_reference_per_is_taken_on_the_axes_that_both_runs_have(axis: Axis, lost: bool) -> None:
    faster = {"throughput": 200.0, "latency": 5.0}
    none: dict[str, float | None] = {axis.value: None}
    changes = ({}, none) if lost else (none, {})
    pairs = [pair(before=changes[0], after=changes[1]), pair("other", changes[0], {**faster, **changes[1]})]
    own = compared(pairs, "other")[Figure.REFERENCE_PER]
    assert own.axes == tuple(other for other in Axis if other is not axis)
    better = len({Axis.THROUGHPUT, Axis.LATENCY} - {axis})
    assert own.ratio == pytest.approx(2 ** (better / 3))
    assert own.interval is not None


def test_what_nobody_has_is_not_listed() -> None:
    found = compared([pair(before={"accuracy": None}, after={"accuracy": None})])
    assert list(found) == [Figure.THROUGHPUT, Figure.MEMORY, Figure.LATENCY, Figure.REFERENCE_PER]


def test_a_fall_to_0_is_a_regression_and_a_rise_from_0_has_no_ratio() -> None:
    fallen = compared([pair(), pair("other", after={"accuracy": 0.0})], "other")
    own = fallen[Figure.ACCURACY]
    assert (own.baseline, own.candidate, own.ratio, own.verdict) == (0.6, 0.0, 0.0, Verdict.REGRESSED)
    assert fallen[Figure.REFERENCE_PER].verdict is Verdict.REGRESSED
    risen = compared([pair(), pair("other", before={"accuracy": 0.0})], "other")
    assert risen[Figure.ACCURACY].verdict is Verdict.NO_RATIO
    assert risen[Figure.ACCURACY].ratio is None
    assert risen[Figure.REFERENCE_PER].verdict is Verdict.NO_RATIO


@pytest.mark.parametrize(
    ("items", "expected"), [(200, Verdict.REGRESSED), (24, Verdict.REGRESSED), (3, NONE), (2, NONE)]
)
def test_all_right_then_all_wrong_is_as_sure_as_there_are_items(items: int, expected: Verdict) -> None:
    then, now = pair("other", {"accuracy": 1.0}), pair("other", {"accuracy": 0.0})
    replicates = tuple(replace(own.replicates[0], scores=own.replicates[0].scores[:items]) for own in (then, now))
    others = tuple(replace(own, scores=own.scores[:items]) for own in pair().replicates)
    pairs = [
        replace(pair(), replicates=others),
        Pair("other", then.baseline, now.baseline, (replicates[0], replicates[1])),
    ]
    own = compared(pairs, "other")[Figure.ACCURACY]
    assert (own.ratio, own.verdict) == (0, expected)
    assert own.interval is not None
    assert own.interval.low == 0
    # The exact upper end for 0 of n, over a baseline that may be a little less than 1.
    assert own.interval.high >= 0.99 * (1 - 0.025 ** (1 / items))


def test_all_right_twice_leaves_open_what_was_not_asked() -> None:
    found = compared([pair(), pair("other", {"accuracy": 1.0}, {"accuracy": 1.0})], "other")
    for figure in (Figure.ACCURACY, Figure.REFERENCE_PER):
        interval = found[figure].interval
        assert interval is not None
        assert interval.low < 1 < interval.high
        assert found[figure].verdict is NONE
    accuracy = found[Figure.ACCURACY].interval
    assert accuracy is not None
    # The difference of two such shares is Laplace's: ln(20) / n.
    assert accuracy.low == pytest.approx(1 - math.log(20) / ITEMS, abs=0.001)


def test_an_even_score_between_is_open_to_both_sides() -> None:
    even = np.full((ITEMS, len(STEPS)), 0.5)
    same = tuple(replace(own, scores=even) for own in OTHER.replicates)
    half = replace(
        OTHER, baseline=replace(OTHER.baseline, accuracy=0.5), candidate=replace(OTHER.candidate, accuracy=0.5)
    )
    interval = compared([pair(), replace(half, replicates=(same[0], same[1]))], "other")[Figure.ACCURACY].interval
    assert interval is not None
    assert 0.96 < interval.low < 0.995
    assert 1.005 < interval.high < 1.04


def test_a_baseline_hardly_ever_right_has_no_upper_end() -> None:
    found = compared([pair(), pair("other", before={"accuracy": 0.005})], "other")
    assert found[Figure.ACCURACY].verdict is Verdict.NO_RATIO
    assert found[Figure.ACCURACY].interval is None


def test_the_reference_model_hardly_ever_right_is_still_1() -> None:
    own = compared([pair(before={"accuracy": 0.005}), OTHER])[Figure.REFERENCE_PER]
    assert (own.interval, own.verdict) == (Interval(1, 1), NONE)


@pytest.mark.parametrize("throughput", [101.7, 99.31, 13.37, 777.123])
def test_without_scatter_the_interval_is_the_ratio(throughput: float) -> None:
    still = np.ones(3)
    pairs = [pair(steps=still), pair("other", after={"throughput": throughput, "accuracy": None}, steps=still)]
    for figure in (Figure.THROUGHPUT, Figure.MEMORY):
        own = compared(pairs, "other")[figure]
        assert own.interval is not None
        assert (own.interval.low, own.interval.high) == pytest.approx((own.ratio, own.ratio))
        assert own.interval.low <= own.ratio <= own.interval.high


def test_a_replicate_of_0_has_no_interval() -> None:
    broken = pair("other")
    silent = replace(broken.replicates[1], throughput=np.array([100.0, 0.0, 100.0]))
    found = verdicts([pair(), replace(broken, replicates=(broken.replicates[0], silent))], "other")
    assert found[Figure.THROUGHPUT] is Verdict.NO_RATIO
    assert found[Figure.REFERENCE_PER] is Verdict.NO_RATIO
    assert found[Figure.LATENCY] is NONE


def test_a_model_ranked_apart_has_no_reference_per() -> None:
    found = compared([pair(), replace(OTHER, ranked=False)], "other")
    assert Figure.REFERENCE_PER not in found
    assert found[Figure.THROUGHPUT].verdict is NONE


def test_without_the_reference_model_there_is_no_reference_per() -> None:
    assert verdicts([OTHER], "other")[Figure.REFERENCE_PER] is Verdict.NO_RATIO


def test_nothing_to_compare() -> None:
    assert ratios([], Settings(reference="m"), 0.05, Chance()) == {}
