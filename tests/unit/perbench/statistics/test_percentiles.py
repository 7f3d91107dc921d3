import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from perbench.statistics.percentiles import Percentile, observations_needed, percentile, summarise


@pytest.mark.parametrize(("percent", "needed"), [(50, 20), (90, 100), (95, 200), (99, 1000)])
def test_a_percentile_is_given_from_ten_observations_beyond_it(percent: int, needed: int) -> None:
    assert observations_needed(percent) == needed
    assert percentile(np.arange(1.0, needed), percent) == Percentile(None)
    assert percentile(np.arange(1.0, needed + 1), percent) == Percentile(float(needed - 10))


def test_the_percentile_is_the_nearest_rank_of_unsorted_values() -> None:
    values = [float(value) for value in range(200, 0, -1)]
    assert percentile(values, 50).value == 100.0
    assert percentile(values, 95).value == 190.0


def test_failed_requests_push_the_percentile_up_as_infinite_values() -> None:
    # 190 successes 1..190 and 10 failures: the 190th of 200 is the slowest success, the median the 100th.
    assert percentile(np.arange(1.0, 191.0), 95, failed=10) == Percentile(190.0)
    assert percentile(np.arange(1.0, 191.0), 50, failed=10) == Percentile(100.0)


def test_a_percentile_that_lands_on_a_failed_request_has_no_value_and_is_named() -> None:
    summary = summarise(np.arange(1.0, 190.0), failed=11)
    assert summary.percentiles[95] == Percentile(None, unbounded=True)
    assert summary.unbounded == ("p95",)
    assert summary.value(95) is None
    assert summary.value(50) == 100.0
    assert (summary.n, summary.failed) == (200, 11)


def test_withheld_is_not_unbounded() -> None:
    summary = summarise([1.0, 2.0, 3.0], failed=1)
    assert summary.unbounded == ()
    assert summary.value(50) is None


def test_mean_and_maximum_are_over_successes() -> None:
    summary = summarise([4.0, 1.0, 1.0], failed=7)
    assert summary.mean == 2.0
    assert summary.max == 4.0


def test_only_failures_have_no_mean_and_no_maximum() -> None:
    summary = summarise([], failed=40)
    assert (summary.mean, summary.max) == (None, None)
    assert summary.percentiles[50] == Percentile(None, unbounded=True)


def test_nothing_observed_is_withheld() -> None:
    assert summarise([]).percentiles[50] == Percentile(None)


@pytest.mark.parametrize("value", [math.inf, math.nan])
def test_a_success_without_a_finite_time_is_refused(value: float) -> None:
    with pytest.raises(ValueError, match="finite"):
        summarise([1.0, value])


@pytest.mark.parametrize("percent", [0, 100])
def test_only_percentiles_between_0_and_100_exist(percent: int) -> None:
    with pytest.raises(ValueError, match="between 0 and 100"):
        observations_needed(percent)


@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=400), st.integers(0, 50), st.sampled_from([50, 90, 95]))
def test_a_given_percentile_has_its_share_at_or_below_and_ten_at_or_above(
    values: list[float], failed: int, percent: int
) -> None:
    found = percentile(values, percent, failed)
    if found.value is None:
        return
    total = len(values) + failed
    assert sum(value <= found.value for value in values) * 100 >= percent * total
    assert sum(value >= found.value for value in values) + failed > 10
