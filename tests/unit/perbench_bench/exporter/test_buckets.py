"""Observations in buckets: exact where single values are known, never flattering where only fine bins are."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from perbench_bench.engine.time_histogram import TimeHistogram
from perbench_bench.exporter import buckets

EVERY = (buckets.TIME_TO_FIRST_TOKEN, buckets.INTER_TOKEN_LATENCY, buckets.REQUEST_DURATION, buckets.CLIENT_ERROR)
MILLISECONDS = st.lists(st.floats(0, 1e6, allow_nan=False), min_size=1, max_size=50)


@pytest.mark.parametrize("bounds", EVERY)
def test_ends_rise(bounds: buckets.Bounds) -> None:
    assert list(bounds) == sorted(set(bounds))
    assert bounds[0] > 0


def test_the_limits_of_the_verdict_are_ends() -> None:
    assert {0.0005, 0.0015, 0.003} <= set(buckets.CLIENT_ERROR)


def test_a_value_at_an_end_is_in_its_bucket() -> None:
    found = buckets.spread(np.array([5.0, 5.000001, 700_000.0]), buckets.TIME_TO_FIRST_TOKEN)
    assert found.per_bucket[:2].tolist() == [1, 1]
    assert found.per_bucket[-1] == 1
    assert found.count == 3
    assert found.sum_seconds == pytest.approx(700.010000001)


@given(MILLISECONDS)
def test_single_values_are_counted_below_the_ends_that_they_do_not_pass(values: list[float]) -> None:
    found = buckets.spread(np.array(values), buckets.REQUEST_DURATION)
    below = found.per_bucket.cumsum()
    for end, count in zip(buckets.REQUEST_DURATION, below, strict=False):
        assert count == sum(value / 1e3 <= end for value in values)
    assert below[-1] == len(values)


@given(MILLISECONDS)
def test_fine_bins_never_show_more_below_an_end_than_there_was(values: list[float]) -> None:
    bounds = buckets.INTER_TOKEN_LATENCY
    histogram = TimeHistogram()
    histogram.add(values)
    found = buckets.spread_of_bins(histogram.taken(), buckets.buckets_of_bins(bounds), len(bounds) + 1)
    below = found.per_bucket.cumsum()
    for end, count in zip(bounds, below, strict=False):
        assert sum(value / 1e3 <= end * (1 - 1 / 128) for value in values) <= count
        assert count <= sum(value / 1e3 <= end for value in values)
    assert below[-1] == len(values)
    assert found.sum_seconds == pytest.approx(sum(values) / 1e3)
