"""The most tokens that requests held at once, on spans made by hand."""

import random

from perbench_bench.device.running_tokens import Span, peak, peak_tokens
from perbench_bench.engine.observations import Spare
from tests.support.stages import MS, seen_with

FOREVER = (-(10**12), 10**12)


def test_one_request_holds_all_of_it_at_its_end() -> None:
    assert peak([Span(0, 40 * MS, 100 * MS, 30, 11)], FOREVER) == 41


def test_the_peak_is_where_most_is_held_and_not_the_sum_of_all() -> None:
    spans = [Span(0, 10, 100, 50, 10), Span(60, 70, 200, 50, 13), Span(150, 160, 300, 20, 5)]
    assert peak(spans, FOREVER) == 50 + 10 + 50 + 3  # 30 of 130 ns have brought the second 3 of its 13


def test_only_what_is_held_within_the_window_counts() -> None:
    spans = [Span(0, 0, 100, 1000, 0), Span(200, 200, 300, 10, 100), Span(400, 400, 500, 5000, 0)]
    assert peak(spans, (150, 250)) == 10 + 50
    assert peak(spans, (100, 150)) == 0


def test_a_request_that_holds_on_beyond_the_window_counts_up_to_its_end() -> None:
    assert peak([Span(-100, -50, 950, 10, 100)], (0, 450)) == 10 + 50


def test_it_is_what_a_count_at_every_moment_gives() -> None:
    draw = random.Random(7)
    for _ in range(20):
        spans = []
        for _ in range(30):
            sent = draw.randrange(1000)
            first = sent + draw.randrange(50)
            spans.append(Span(sent, first, first + draw.randrange(1, 300), draw.randrange(1, 100), draw.randrange(200)))
        found = peak(spans, (200, 900))
        looked_at = [moment - 1e-6 for moment in range(200, 901)]
        assert max(_held(spans, moment) for moment in looked_at) <= found + 1e-3
        ends = [span.end - 1e-6 for span in spans if 200 < span.end <= 900]
        assert found <= max(_held(spans, moment) for moment in (*looked_at, *ends)) + 1


def _held(spans: list[Span], moment: float) -> float:
    held = 0.0
    for span in spans:
        if span.held <= moment < span.end:
            share = (moment - span.first) / (span.end - span.first) if moment > span.first else 0.0
            held += span.input_tokens + span.output_tokens * share
    return held


def test_the_rows_of_a_stage_are_counted_and_spare_requests_too() -> None:
    """Requests of 200 ms every 50 ms: four at once, of 100 tokens and up to 11."""
    seen = seen_with()
    window = (1000 * MS, 4000 * MS)
    found = peak_tokens(seen, window, waiting=False)
    assert found.keys() == {"127.0.0.1"}
    assert 4 * 100 < found["127.0.0.1"] <= 4 * 111
    seen.spare_in_window.append(Spare(1000 * MS, 1500 * MS, 4000 * MS, "127.0.0.1", 10_000, 0))
    seen.spare_in_window.append(Spare(1000 * MS, 1500 * MS, 4000 * MS, "127.0.0.2", 7, 3))
    seen.spare_in_window.append(Spare(1000 * MS, 1500 * MS, 4000 * MS, "127.0.0.2", None, None))
    more = peak_tokens(seen, window, waiting=False)
    assert more == {"127.0.0.1": found["127.0.0.1"] + 10_000, "127.0.0.2": 10}


def test_where_requests_wait_at_the_server_they_hold_nothing_yet() -> None:
    seen = seen_with(ttft=160.0, tpot=1.0)
    window = (1000 * MS, 4000 * MS)
    assert peak_tokens(seen, window, waiting=False)["127.0.0.1"] > 400
    assert peak_tokens(seen, window, waiting=True)["127.0.0.1"] <= 111


def test_a_load_of_which_nothing_is_known_holds_nothing() -> None:
    seen = seen_with()
    seen.rows.clear()
    assert peak_tokens(seen, FOREVER, waiting=False) == {}
