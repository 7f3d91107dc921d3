"""A page of metrics as values: what is not shown is absent."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perbench.live.exposition import Distribution, read_page
from tests.support.live_pages import page


def test_a_page_is_read_whole() -> None:
    reading = read_page(page(requests=40, failed=2, tokens=900), 7.0)
    assert (reading.at, reading.about["run_id"]) == (7.0, "0123456789")
    task = reading.tasks["small", "topics"]
    assert (task.outcomes["Success"], task.outcomes["Timeout"], task.output_tokens) == (40, 2, 900)
    assert (task.in_flight, task.progress) == (4, 0.5)
    assert (task.memory, task.memory_limit) == ({"Footprint": 2.0e8}, 4.0e8)
    assert task.ttft == Distribution((0.1, 0.2, math.inf), (10.0, 30.0, 0.0))


def test_what_is_not_shown_is_absent() -> None:
    task = read_page(page(requests=0, bare=True), 0.0).tasks["small", "topics"]
    assert (task.output_tokens, task.accuracy, task.ttft, task.memory) == (None, None, None, {})
    assert task.progress == 0.5


@pytest.mark.parametrize("text", ["", "up 1\n", "<html>not found</html>\n", "perbench_requests_total{ 1\n"])
def test_another_page_is_refused(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - the parser's own words are none of ours
        read_page(text, 0.0)


def test_quantiles_are_those_of_prometheus() -> None:
    """Worked out by hand: 10 up to 0.1, 30 more up to 0.2. The median is a third of the way into the second bucket."""
    found = Distribution((0.1, 0.2, math.inf), (10, 30, 0))
    assert found.quantile(0.5) == pytest.approx(0.1 + 0.1 * 10 / 30)
    assert found.quantile(0.125) == pytest.approx(0.05)
    assert Distribution((0.1, 0.2, math.inf), (0, 0, 5)).quantile(0.5) == 0.2
    assert Distribution((0.1, math.inf), (0, 0)).quantile(0.5) is None


@given(st.lists(st.integers(0, 50), min_size=3, max_size=3), st.floats(0, 1), st.floats(0, 1))
def test_quantiles_rise(counts: list[int], one: float, other: float) -> None:
    found = Distribution((0.1, 0.2, 0.4), tuple(map(float, counts)))
    low, high = (found.quantile(share) for share in sorted((one, other)))
    assert (low is None) == (high is None) == (sum(counts) == 0)
    assert low is None or high is None or 0 <= low <= high <= 0.4


def test_a_counter_that_began_anew_is_taken_whole() -> None:
    now, before = Distribution((0.1, math.inf), (3, 1)), Distribution((0.1, math.inf), (5, 0))
    assert now.since(before) == now
    assert now.since(Distribution((0.1, math.inf), (1, 1))) == Distribution((0.1, math.inf), (2, 0))
    assert now.since(None) == now
