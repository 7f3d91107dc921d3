"""Readings as rows: rates over the last seconds, percentiles over the last minute."""

import pytest

from perbench.live.exposition import read_page
from perbench.live.figures import History, Row
from tests.support.live_pages import page


def rows(*pages: tuple[float, str]) -> Row:
    history = History()
    for at, text in pages:
        history.add("pod", read_page(text, at))
    (row,) = history.rows()
    return row


def test_one_reading_has_no_rates() -> None:
    row = rows((0.0, page(requests=40, failed=10, tokens=900)))
    assert (row.requests_per_second, row.tokens_per_second, row.trail) == (None, None, ())
    assert row.failed_percent == 20.0
    assert row.ttft_p50 == pytest.approx(0.1 + 0.1 * 10 / 30)


def test_rates_are_over_the_last_ten_seconds() -> None:
    row = rows(
        (0.0, page(requests=0, tokens=0)),
        (20.0, page(requests=100, tokens=1000)),
        (25.0, page(requests=110, tokens=1500)),
        (30.0, page(requests=120, tokens=2500)),
    )
    assert (row.requests_per_second, row.tokens_per_second) == (2.0, 150.0)
    assert row.trail == (50.0, 100.0, 200.0)


def test_readings_older_than_a_minute_are_dropped() -> None:
    row = rows(*((float(at), page(requests=at, tokens=at)) for at in range(0, 200, 10)))
    assert len(row.trail) == 6


def test_percentiles_are_over_what_came_since() -> None:
    """All that came between the two readings had its first token within 0.1 s."""
    early = page(requests=40).replace('le="0.1"} 10', 'le="0.1"} 30').replace(" 40\n", " 60\n")
    row = rows((0.0, page(requests=40)), (10.0, early))
    assert row.ttft_p95 == pytest.approx(0.095)


def test_where_nothing_came_since_they_are_over_everything() -> None:
    same = page(requests=40)
    assert rows((0.0, same), (10.0, same)).ttft_p50 == rows((0.0, same)).ttft_p50


def test_a_pod_that_is_gone_keeps_its_last_figures() -> None:
    history = History()
    history.add("first", read_page(page(requests=40, tokens=100, progress=1.0), 0.0))
    history.add("second", read_page(page(requests=0, model="large"), 5.0))
    history.missed({"second"})
    one, other = history.rows()
    assert (one.answering, one.progress, one.in_flight) == (False, 1.0, None)
    assert (other.answering, other.model) == (True, "large")


def test_however_seldom_one_looks_two_readings_make_a_rate() -> None:
    row = rows((0.0, page(requests=0, tokens=0)), (90.0, page(requests=90, tokens=900)))
    assert (row.requests_per_second, row.tokens_per_second) == (1.0, 10.0)


def test_memory_is_the_footprint_or_none() -> None:
    """What a server holds in reserve is another figure: one must not turn into the other."""
    reserved = page(requests=4).replace('basis="Footprint"', 'basis="Reserved"')
    assert rows((0.0, reserved)).memory is None


def test_a_pod_that_began_anew_has_no_rate_yet() -> None:
    assert rows((0.0, page(requests=40, tokens=100)), (1.0, page(requests=4, tokens=10))).tokens_per_second is None
