"""How often intervals hold the truth: a small part of `python -m tests.bench.coverage`, with wider limits.

Seeded. The limits are at least three standard errors of the count away from what the long run finds.
"""

import pytest

from tests.support.coverage import accuracy_coverage, coverage, drift, false_alarms, false_best
from tests.support.simulation import Setting


@pytest.mark.parametrize(("n", "variation", "items"), [(3, 0.03, 0), (3, 0.10, 60), (10, 0.10, 0)])
def test_intervals_hold_the_truth(n: int, variation: float, items: int) -> None:
    found = coverage(Setting(n, variation, items=items), 100, seed=7)
    for name in ("reference", "published", "throughput"):
        assert found[name].trials > 100
        assert 88 <= found[name].percent <= 99
    assert found["zeros"].percent > 85


def test_a_plain_bootstrap_over_three_does_not() -> None:
    assert coverage(Setting(3, 0.03), 60, seed=7)["bootstrap"].percent < 85


@pytest.mark.parametrize("n", [3, 10])
def test_of_two_equal_models_one_is_seldom_sure_to_be_the_best(n: int) -> None:
    found = false_best(Setting(n, 0.03, models=2, equal=True), 200, seed=7)
    assert 2 <= found.percent <= 17


def test_intervals_of_accuracy_hold_the_truth() -> None:
    assert 88 <= accuracy_coverage(100, 0.7, 300, seed=7).percent <= 99


def test_drift_is_taken_for_a_difference_unless_rounds_are_interleaved() -> None:
    found = drift(600, seed=7)
    assert 30 <= found["sequential"].percent <= 46
    assert found["interleaved"].percent <= 5


def test_forms_of_levenes_test_without_difference() -> None:
    found = false_alarms(3, 16, 400, seed=7)
    assert found["mean"].percent > 8
    assert found["median"].percent == 0
    assert found["ours"].percent <= 3
