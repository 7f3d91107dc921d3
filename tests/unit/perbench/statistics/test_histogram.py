import numpy as np
import pytest

from perbench.results import Histogram
from perbench.statistics import histogram
from perbench.statistics.percentiles import Percentile


def test_powers_of_two_of_a_microsecond_open_octaves() -> None:
    microseconds = np.array([1.0, 2.0, 4.0, 2.0**31])
    assert histogram.bin_of(microseconds / 1000).tolist() == [1, 129, 257, 31 * 128 + 1]


def test_bins_within_an_octave_are_equally_wide() -> None:
    # From 1,024 to 2,048 µs each bin is 8 µs wide.
    found = histogram.edges(histogram.bin_of([1.024, 1.0319, 1.033, 2.047]))
    assert found.low.tolist() == pytest.approx([1.024, 1.024, 1.032, 2.040])
    assert found.high.tolist() == pytest.approx([1.032, 1.032, 1.040, 2.048])


def test_every_time_from_a_microsecond_to_an_hour_lies_in_its_bin_within_one_percent() -> None:
    values = np.geomspace(0.001, 3_600_000, 100_003)
    found = histogram.edges(histogram.bin_of(values))
    assert (found.low <= values).all()
    assert (values < found.high).all()
    assert ((found.high - found.low) / found.low).max() <= 0.01


def test_bins_are_contiguous() -> None:
    found = histogram.edges(np.arange(histogram.BINS))
    assert (found.high[:-1] == found.low[1:]).all()
    assert found.low[0] == 0.0


def test_below_a_microsecond_and_beyond_the_range_have_a_bin() -> None:
    assert histogram.bin_of([0.0, 0.000_999, 5e6, 1e12]).tolist() == [0, 0, histogram.BINS - 1, histogram.BINS - 1]


@pytest.mark.parametrize("value", [-0.001, float("nan")])
def test_a_time_below_zero_is_refused(value: float) -> None:
    with pytest.raises(ValueError, match="from 0 upwards"):
        histogram.bin_of([1.0, value])


@pytest.mark.parametrize("number", [-1, histogram.BINS])
def test_a_number_that_is_no_bin_is_refused(number: int) -> None:
    with pytest.raises(ValueError, match="numbered"):
        histogram.edges([number])
    with pytest.raises(ValueError, match="numbered"):
        histogram.merge([Histogram(bins=(number,), counts=(1,), total=1)])


def test_the_document_holds_only_filled_bins_and_exact_sum_and_maximum() -> None:
    found = histogram.histogram([1.024, 1.025, 7.0])
    assert found == Histogram(
        bins=tuple(histogram.bin_of([1.024, 7.0]).tolist()), counts=(2, 1), total=3, sum=9.049, max=7.0
    )


def test_a_gap_before_three_tokens_counts_three_times() -> None:
    found = histogram.histogram([2.0, 10.0], weights=[3, 1])
    assert (found.total, found.sum) == (4, 16.0)
    assert histogram.mean(found) == 4.0


def test_merging_adds_counts() -> None:
    merged = histogram.merge([histogram.histogram([1.0, 50.0]), Histogram(), histogram.histogram([1.0])])
    assert merged == histogram.histogram([1.0, 1.0, 50.0])


def test_nothing_has_no_mean_and_no_percentile() -> None:
    empty = histogram.merge([])
    assert empty == Histogram()
    assert histogram.mean(empty) is None
    assert histogram.percentile(empty, 50) == Percentile(None)


def test_a_percentile_is_within_half_a_bin_of_the_observation() -> None:
    values = np.arange(1.0, 1001.0)
    found = histogram.histogram(values)
    for percent, truth in ((50, 500.0), (95, 950.0), (99, 990.0)):
        assert histogram.percentile(found, percent).value == pytest.approx(truth, rel=0.004)
    assert histogram.percentile(histogram.histogram(values[:199]), 95) == Percentile(None)


def test_a_percentile_never_passes_the_largest_observation() -> None:
    assert histogram.percentile(histogram.histogram(np.full(40, 1.024)), 50) == Percentile(1.024)
