"""Processor time of a window out of readings around it."""

import pytest

from perbench.resources import ResourceUse
from perbench_bench.cpu_series import LONGEST_GAP_SECONDS, CpuSeries, CpuUnknownError, use_of


def series(*readings: tuple[float, float]) -> CpuSeries:
    found = CpuSeries("a source")
    for stamp, seconds in readings:
        found.add(stamp, seconds)
    return found


def test_a_window_between_readings_is_read_off_the_line_between_them() -> None:
    found = series((10.0, 100.0), (11.0, 102.0), (12.0, 103.0), (13.0, 103.0))
    assert found.between(10.5, 11.5) == pytest.approx(1.5)
    assert found.between(10.0, 13.0) == 3.0, "the readings themselves"
    assert found.between(12.0, 13.0) == 0.0, "idle is 0, and that was read"
    assert found.used == 3.0


def test_an_end_that_was_not_read_leaves_a_reason() -> None:
    found = series((10.0, 100.0), (11.0, 102.0))
    with pytest.raises(CpuUnknownError, match="no reading at the window's opening"):
        found.between(9.9, 10.5)
    with pytest.raises(CpuUnknownError, match="no reading at the window's close"):
        found.between(10.5, 11.1)
    found.refused("the server has ended")
    assert use_of(found, 10.5, 11.1) == ResourceUse(cpu_source="a source", cpu_reason="the server has ended")
    assert use_of(found, 10.5, 11.0).cpu_seconds == 1.0, "it ended after the window"
    with pytest.raises(CpuUnknownError, match="no reading at"):
        series().between(1.0, 2.0)


def test_readings_too_far_apart_say_too_little_only_at_the_ends() -> None:
    late = 11.0 + LONGEST_GAP_SECONDS + 1
    found = series((10.0, 0.0), (11.0, 1.0), (late, 9.0), (late + 1, 10.0))
    assert found.between(10.5, late + 0.5) == 9.0
    with pytest.raises(CpuUnknownError, match="no reading near the window's close: 6 s passed between two readings"):
        found.between(10.5, 13.0)


def test_a_total_that_falls_is_no_total() -> None:
    found = series((10.0, 5.0), (11.0, 6.0), (12.0, 2.0), (13.0, 9.0))
    with pytest.raises(CpuUnknownError, match=r"fell from 6\.00 s to 2\.00 s: a part is no longer counted"):
        found.between(10.0, 13.0)
    assert found.used is None
    assert series().used is None


def test_a_reading_that_failed_is_the_reason_only_where_it_is_missing() -> None:
    found = series((10.0, 5.0), (11.0, 6.0))
    found.refused("busy at eleven")
    found.add(18.0, 7.0)
    found.add(19.0, 8.0)
    with pytest.raises(CpuUnknownError, match=r"^no reading at the window's close$"):
        found.between(10.5, 19.5)
    with pytest.raises(CpuUnknownError, match="near the window's close: busy at eleven"):
        found.between(10.5, 14.0)


def test_what_is_lost_is_lost_for_the_whole_window() -> None:
    found = series((10.0, 5.0), (11.0, 6.0))
    found.lost("a child")
    found.add(12.0, 9.0)
    found.lost("another")
    assert found.used is None
    assert use_of(found, 10.0, 12.0).cpu_reason == "a child"
