"""The order of warm-up, measured and filler requests, against measurement.md §1."""

import itertools

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from perbench.api.load import Arrival
from perbench.plan import ArrivalPlan
from perbench_bench.engine.arrivals import schedule_ns
from perbench_bench.engine.feed import NS, ClosedFeed, Limits, OpenFeed, Role, Ticket


def roles(feed: ClosedFeed, now: int, count: int) -> list[Role | None]:
    tickets = [feed.next(now) for _ in range(count)]
    return [ticket.role if ticket else None for ticket in tickets]


def test_the_window_opens_when_warm_up_requests_and_seconds_have_passed() -> None:
    feed = ClosedFeed(Limits(2, 10.0, 8), started=0)
    warm = [feed.next(0), feed.next(0)]
    for ticket in warm:
        assert ticket
        feed.ended(ticket, 1)
    assert roles(feed, 9 * NS, 1) == [Role.WARMUP], "enough requests, not enough seconds"
    assert roles(feed, 10 * NS, 1) == [Role.MEASURED]
    assert feed.window_start == 10 * NS


def test_seconds_alone_do_not_open_the_window() -> None:
    feed = ClosedFeed(Limits(2, 1.0, 8), started=0)
    assert roles(feed, 100 * NS, 3) == [Role.WARMUP] * 3


def test_the_window_closes_when_the_last_measured_request_is_sent() -> None:
    feed = ClosedFeed(Limits(0, 0.0, 2), started=0)
    first, second = feed.next(5), feed.next(7)
    assert (first, second) == (Ticket(Role.MEASURED, 0), Ticket(Role.MEASURED, 1))
    assert (feed.window_start, feed.window_end) == (5, 7)


def test_filler_goes_on_until_the_last_measured_request_has_ended() -> None:
    feed = ClosedFeed(Limits(0, 0.0, 2), started=0)
    first, second = feed.next(5), feed.next(7)
    assert first
    assert second
    feed.ended(second, 1)
    assert roles(feed, 8, 2) == [Role.FILLER, Role.FILLER]
    feed.ended(first, 1)
    assert feed.finished
    assert roles(feed, 9, 2) == [None, None]
    assert (feed.warmup_sent, feed.filler_sent) == (0, 2)


def test_duration_closes_the_window_at_its_length() -> None:
    feed = ClosedFeed(Limits(0, 0.0, 100, window_seconds=2.0), started=0)
    assert roles(feed, 0, 1) == [Role.MEASURED]
    assert roles(feed, 2 * NS - 1, 1) == [Role.MEASURED]
    assert roles(feed, 2 * NS + 5, 1) == [Role.FILLER]
    assert feed.window_end == 2 * NS
    assert not feed.time_limited


def test_the_stage_limit_closes_the_window_and_says_so() -> None:
    feed = ClosedFeed(Limits(0, 0.0, 100, deadline_ns=3), started=0)
    feed.next(0)
    assert roles(feed, 4, 1) == [Role.FILLER]
    assert feed.time_limited
    assert feed.window_end == 3


def test_a_stage_limit_within_the_warm_up_ends_it_with_nothing_measured() -> None:
    feed = ClosedFeed(Limits(10, 0.0, 100, deadline_ns=3), started=0)
    assert roles(feed, 0, 1) == [Role.WARMUP]
    assert roles(feed, 3, 1) == [None]
    assert feed.time_limited
    assert feed.measured_sent == 0


def test_abort_sends_nothing_more() -> None:
    feed = ClosedFeed(Limits(0, 0.0, 100), started=0)
    feed.next(0)
    feed.abort(1)
    assert roles(feed, 2, 2) == [None, None]


def test_abort_holds_when_a_request_that_was_under_way_ends() -> None:
    feed = ClosedFeed(Limits(0, 0.0, 100), started=0)
    under_way = [feed.next(0), feed.next(0)]
    feed.abort(1)
    for ticket in under_way:
        assert ticket
        feed.ended(ticket, 1)
        assert roles(feed, 2, 1) == [None]
    assert feed.measured_ended == 2


def test_bytes_inside_the_window() -> None:
    feed = ClosedFeed(Limits(0, 0.0, 2), started=0)
    assert not feed.in_window(5)
    feed.next(5)
    assert feed.in_window(6)
    assert feed.in_window(10**18), "open: everything after its start"
    feed.next(9)
    assert [feed.in_window(stamp) for stamp in (4, 5, 6, 9, 10)] == [False, False, True, True, False]


def test_as_many_requests_end_in_the_window_as_it_has_cycles() -> None:
    """One slot, 10 ns a request: one request each 10 ns, however few of them there are."""
    feed = ClosedFeed(Limits(1, 0.0, 4), started=0)
    ends = []
    for now in range(0, 1000, 10):
        ticket = feed.next(now)
        if ticket is None:
            break
        ends.append(now + 10)
        feed.ended(ticket, 1)
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
    feed = ClosedFeed(Limits(warmup, 0.0, measured), started=0)
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
        feed.ended(busy.pop(slot), 1)
        if ticket := feed.next(now):
            busy[slot] = ticket
            sent.append(ticket)
    while busy:  # the slow ones end at last
        now += 1
        slot, ticket = busy.popitem()
        feed.ended(ticket, 1)
        if following := feed.next(now):
            busy[slot] = following
            sent.append(following)
    assert [t.index for t in sent if t.role is Role.MEASURED] == list(range(measured))
    assert feed.finished


EVENLY = ArrivalPlan(rate=10, process=Arrival.CONSTANT)
GAP = NS // 10


def drive(feed: OpenFeed, duration: int, late: int = 0, until: int = 1000 * NS) -> list[tuple[int, Ticket]]:
    """(due, ticket) of everything that leaves; each request ends `duration` ns after it was sent."""
    sent: list[tuple[int, Ticket]] = []
    ending: list[tuple[int, Ticket]] = []
    while not feed.finished:
        due = feed.next_event
        if due > until:
            break
        now = due + late
        feed.expire(now)
        due = feed.due
        while ending and ending[0][0] <= now:
            feed.ended(ending.pop(0)[1], duration)
        if feed.finished:
            break
        if due > now:
            continue
        if ticket := feed.take(now):
            sent.append((due, ticket))
            ending.append((now + duration, ticket))
    return sent


def test_an_open_loop_without_warm_up_opens_at_once_and_sends_as_scheduled() -> None:
    feed = OpenFeed(Limits(0, 0.0, 4), EVENLY, 1, started=7)
    sent = drive(feed, duration=3)
    assert [due for due, ticket in sent if ticket.role is Role.MEASURED] == [7 + GAP * i for i in range(1, 5)]
    assert (feed.window_start, feed.window_end) == (7, 7 + 4 * GAP)


def test_measured_arrivals_are_those_drawn_before_the_start_however_late_the_loop_is() -> None:
    plan = ArrivalPlan(rate=50, process=Arrival.POISSON)
    feed = OpenFeed(Limits(3, 0.0, 200), plan, 9, started=0)
    sent = drive(feed, duration=NS // 20, late=NS // 200)
    assert feed.window_start is not None
    dues = np.array([due for due, ticket in sent if ticket.role is Role.MEASURED])
    assert (dues - feed.window_start).tolist() == schedule_ns(plan, 200, 9).tolist()


def test_the_window_of_an_open_loop_opens_after_requests_seconds_and_durations() -> None:
    feed = OpenFeed(Limits(2, 1.0, 4, warmup_durations=3.0), EVENLY, 1, started=0)
    sent = drive(feed, duration=NS // 2)
    assert feed.window_start is not None
    assert feed.window_start >= 3 * NS // 2, "three durations of half a second"
    assert feed.warmup_sent == sum(ticket.role is Role.WARMUP for _, ticket in sent) == 14
    quick = OpenFeed(Limits(2, 1.0, 4, warmup_durations=3.0), EVENLY, 1, started=0)
    drive(quick, duration=NS // 100)
    assert quick.window_start == NS, "the second is longer than three durations"


def test_an_open_loop_goes_on_with_filler_until_the_last_measured_request_has_ended() -> None:
    feed = OpenFeed(Limits(0, 0.0, 4), EVENLY, 1, started=0)
    sent = drive(feed, duration=NS)
    assert [ticket.role for _, ticket in sent] == [Role.MEASURED] * 4 + [Role.FILLER] * 9
    assert [due for due, _ in sent] == [GAP * i for i in range(1, 14)], "the load stays what it was"


def test_the_length_of_the_window_ends_an_open_loop_too() -> None:
    feed = OpenFeed(Limits(0, 0.0, 100, window_seconds=0.55), EVENLY, 1, started=0)
    sent = drive(feed, duration=3 * GAP)
    assert feed.measured_sent == 5
    assert feed.window_end == 55 * NS // 100
    assert [ticket.role for _, ticket in sent][5:] == [Role.FILLER] * feed.filler_sent
    assert all(later > earlier for (earlier, _), (later, _) in itertools.pairwise(sent))


def test_a_stage_limit_within_the_warm_up_ends_an_open_loop() -> None:
    feed = OpenFeed(Limits(1000, 0.0, 100, deadline_ns=NS), EVENLY, 1, started=0)
    drive(feed, duration=5)
    assert (feed.measured_sent, feed.time_limited, feed.finished) == (0, True, True)


def test_overlap_with_the_window() -> None:
    feed = ClosedFeed(Limits(0, 0.0, 2), started=0)
    assert feed.overlap(0, 10) == 0
    feed.next(5)
    assert feed.overlap(0, 10) == 5
    feed.next(9)
    assert [feed.overlap(0, 4), feed.overlap(6, 8), feed.overlap(0, 100), feed.overlap(9, 12)] == [0, 2, 4, 0]


def test_the_window_of_an_overloaded_server_opens_all_the_same() -> None:
    """Its requests take ever longer: three times what the last ones took would never have passed."""
    feed = OpenFeed(Limits(0, 10.0, 50, warmup_durations=3.0), ArrivalPlan(rate=25, process=Arrival.CONSTANT), 1, 0)
    served = 0
    while feed.window_start is None and feed.due < 200 * NS:
        while served < feed.due // (NS // 5):  # one is answered every 200 ms, five times too few
            served += 1
            sent = served * NS // 25
            feed.ended(Ticket(Role.WARMUP, served), served * NS // 5 - sent)
        feed.take(feed.due)
    assert feed.window_start is not None
    assert feed.window_start < 15 * NS


def test_what_was_due_when_time_was_up_is_known() -> None:
    feed = OpenFeed(Limits(0, 0.0, 100, window_seconds=1.0), EVENLY, 1, started=0)
    feed.take(feed.due)
    feed.take(feed.due)
    feed.expire(5 * NS)  # a stall of four seconds
    assert (feed.measured_sent, feed.overdue, feed.window_end) == (2, 8, NS)


def test_time_is_up_before_anything_was_due() -> None:
    feed = OpenFeed(Limits(0, 0.0, 100, window_seconds=1.0), ArrivalPlan(rate=0.2, process=Arrival.CONSTANT), 1, 0)
    assert feed.next_event == NS
    feed.expire(NS)
    assert feed.finished
    assert (feed.measured_sent, feed.time_limited) == (0, False)


def test_what_is_under_way_is_what_has_begun_and_not_ended_of_any_role() -> None:
    feed = ClosedFeed(Limits(1, 0.0, 2), 0)
    first = [feed.next(0), feed.next(0)]
    assert [ticket.role for ticket in first if ticket] == [Role.WARMUP, Role.WARMUP]
    assert feed.under_way == 2
    for ticket in first:
        assert ticket is not None
        feed.ended(ticket, 1)
    later = [feed.next(10), feed.next(10), feed.next(11)]
    assert [ticket.role for ticket in later if ticket] == [Role.MEASURED, Role.MEASURED, Role.FILLER]
    assert feed.under_way == 3
    for ticket in reversed(later):
        assert ticket is not None
        feed.ended(ticket, 1)
    assert feed.under_way == 0
