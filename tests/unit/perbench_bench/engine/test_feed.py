"""The order of warm-up, measured and filler requests, against measurement.md §1."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from perbench_bench.engine.feed import NS, Feed, Limits, Role, Ticket


def roles(feed: Feed, now: int, count: int) -> list[Role | None]:
    tickets = [feed.next(now) for _ in range(count)]
    return [ticket.role if ticket else None for ticket in tickets]


def test_the_window_opens_when_warm_up_requests_and_seconds_have_passed() -> None:
    feed = Feed(Limits(2, 10.0, 8), started=0)
    warm = [feed.next(0), feed.next(0)]
    for ticket in warm:
        assert ticket
        feed.ended(ticket)
    assert roles(feed, 9 * NS, 1) == [Role.WARMUP], "enough requests, not enough seconds"
    assert roles(feed, 10 * NS, 1) == [Role.MEASURED]
    assert feed.window_start == 10 * NS


def test_seconds_alone_do_not_open_the_window() -> None:
    feed = Feed(Limits(2, 1.0, 8), started=0)
    assert roles(feed, 100 * NS, 3) == [Role.WARMUP] * 3


def test_the_window_closes_when_the_last_measured_request_is_sent() -> None:
    feed = Feed(Limits(0, 0.0, 2), started=0)
    first, second = feed.next(5), feed.next(7)
    assert (first, second) == (Ticket(Role.MEASURED, 0), Ticket(Role.MEASURED, 1))
    assert (feed.window_start, feed.window_end) == (5, 7)


def test_filler_goes_on_until_the_last_measured_request_has_ended() -> None:
    feed = Feed(Limits(0, 0.0, 2), started=0)
    first, second = feed.next(5), feed.next(7)
    assert first
    assert second
    feed.ended(second)
    assert roles(feed, 8, 2) == [Role.FILLER, Role.FILLER]
    feed.ended(first)
    assert feed.finished
    assert roles(feed, 9, 2) == [None, None]
    assert (feed.warmup_sent, feed.filler_sent) == (0, 2)


def test_duration_closes_the_window_at_its_length() -> None:
    feed = Feed(Limits(0, 0.0, 100, window_seconds=2.0), started=0)
    assert roles(feed, 0, 1) == [Role.MEASURED]
    assert roles(feed, 2 * NS - 1, 1) == [Role.MEASURED]
    assert roles(feed, 2 * NS + 5, 1) == [Role.FILLER]
    assert feed.window_end == 2 * NS
    assert not feed.time_limited


def test_the_stage_limit_closes_the_window_and_says_so() -> None:
    feed = Feed(Limits(0, 0.0, 100, deadline_ns=3), started=0)
    feed.next(0)
    assert roles(feed, 4, 1) == [Role.FILLER]
    assert feed.time_limited
    assert feed.window_end == 3


def test_a_stage_limit_within_the_warm_up_ends_it_with_nothing_measured() -> None:
    feed = Feed(Limits(10, 0.0, 100, deadline_ns=3), started=0)
    assert roles(feed, 0, 1) == [Role.WARMUP]
    assert roles(feed, 3, 1) == [None]
    assert feed.time_limited
    assert feed.measured_sent == 0


def test_abort_sends_nothing_more() -> None:
    feed = Feed(Limits(0, 0.0, 100), started=0)
    feed.next(0)
    feed.abort(1)
    assert roles(feed, 2, 2) == [None, None]


def test_abort_holds_when_a_request_that_was_under_way_ends() -> None:
    feed = Feed(Limits(0, 0.0, 100), started=0)
    under_way = [feed.next(0), feed.next(0)]
    feed.abort(1)
    for ticket in under_way:
        assert ticket
        feed.ended(ticket)
        assert roles(feed, 2, 1) == [None]
    assert feed.measured_ended == 2


def test_bytes_inside_the_window() -> None:
    feed = Feed(Limits(0, 0.0, 2), started=0)
    assert not feed.in_window(5)
    feed.next(5)
    assert feed.in_window(6)
    assert feed.in_window(10**18), "open: everything after its start"
    feed.next(9)
    stamps = np.array([4, 5, 6, 9, 10])
    assert feed.inside_window(stamps).tolist() == [False, False, True, True, False]
    assert [feed.in_window(int(stamp)) for stamp in stamps] == [False, False, True, True, False]


def test_as_many_requests_end_in_the_window_as_it_has_cycles() -> None:
    """One slot, 10 ns a request: one request each 10 ns, however few of them there are."""
    feed = Feed(Limits(1, 0.0, 4), started=0)
    ends = []
    for now in range(0, 1000, 10):
        ticket = feed.next(now)
        if ticket is None:
            break
        ends.append(now + 10)
        feed.ended(ticket)
    assert feed.window_start is not None
    assert feed.window_end is not None
    assert sum(feed.in_window(end) for end in ends) * 10 == feed.window_end - feed.window_start


@given(
    slots=st.integers(1, 8), warmup=st.integers(0, 9), measured=st.integers(1, 40),
    order=st.lists(st.integers(0, 7), min_size=400, max_size=400),
)  # fmt: skip
def test_every_order_of_endings_measures_each_item_once_and_stops(
    slots: int, warmup: int, measured: int, order: list[int]
) -> None:
    feed = Feed(Limits(warmup, 0.0, measured), started=0)
    busy: dict[int, Ticket] = {}
    sent: list[Ticket] = []
    now = 0
    for slot in range(slots):
        if ticket := feed.next(now):
            busy[slot] = ticket
            sent.append(ticket)
    for choice in order:
        if not busy:
            break
        now += 1
        slot = sorted(busy)[choice % len(busy)]
        feed.ended(busy.pop(slot))
        if ticket := feed.next(now):
            busy[slot] = ticket
            sent.append(ticket)
    while busy:  # the slow ones end at last
        now += 1
        slot, ticket = busy.popitem()
        feed.ended(ticket)
        if following := feed.next(now):
            busy[slot] = following
            sent.append(following)
    assert [t.index for t in sent if t.role is Role.MEASURED] == list(range(measured))
    assert feed.finished
