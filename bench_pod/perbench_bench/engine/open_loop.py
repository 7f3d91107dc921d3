"""The open loop: every request leaves when it is due, however many are under way and however they end."""

import time
from collections.abc import Sequence

from typing_extensions import override

from perbench_bench.engine.connection import Clock
from perbench_bench.engine.exchange import Exchange
from perbench_bench.engine.feed import OpenFeed, Ticket
from perbench_bench.engine.line import Line
from perbench_bench.engine.load_loop import LoadLoop, Sink
from perbench_bench.engine.reply import Ending
from perbench_bench.engine.timer import fine_timer
from perbench_bench.engine.wire import Wire

BURST = 32
"""Requests sent in one turn of the loop at most: answers that arrive meanwhile are not kept waiting for more."""


class OpenLoop(LoadLoop):
    """Runs one feed over as many connections as it takes, at most `max_in_flight` requests under way."""

    def __init__(
        self, wire: Wire, feed: OpenFeed, sink: Sink, max_in_flight: int, clock: Clock = time.perf_counter_ns
    ) -> None:
        super().__init__(wire, feed, sink, clock)
        self._open_feed = feed
        self._max_in_flight = max_in_flight
        self._lanes: list[Lane] = []
        self._resting: list[list[Lane]] = [[] for _ in wire.addresses]
        """Lanes without a request, by address; the one used last on top, so that few connections are kept warm."""
        self._turn = 0
        self._in_flight = 0
        self._timer = fine_timer(self.loop, self._send_due)

    @property
    @override
    def lines(self) -> Sequence[Line]:
        """The lanes opened so far."""
        return self._lanes

    @property
    @override
    def idle(self) -> bool:
        """Whether nothing is under way and nothing more will be sent."""
        return self._open_feed.finished and not self._in_flight

    @override
    def begin(self) -> None:
        """Wait for the first arrival."""
        self._timer.arm(self._open_feed.next_event)

    @override
    def close(self) -> None:
        """Drop every connection and the timer."""
        self._timer.close()
        super().close()

    def returned(self, lane: "Lane", exchange: Exchange) -> None:
        """A lane's request has ended."""
        self._in_flight -= 1
        self._resting[lane.place].append(lane)
        self.ended(exchange)

    def _send_due(self) -> None:
        try:
            self._send_what_is_due()
        except Exception as error:  # noqa: BLE001 - a fault of our own must end the run: no timer would fire again
            self.fault(error)

    def _send_what_is_due(self) -> None:
        feed = self._open_feed
        for _ in range(BURST):
            now = self.clock()
            feed.expire(now)
            due = feed.due
            if due > now or feed.finished:
                break
            if ticket := feed.take(now):
                self._send(ticket, due, now)
        if feed.finished:
            self.stop_if_over()
        else:
            self._timer.arm(feed.next_event)

    def _send(self, ticket: Ticket, due: int, now: int) -> None:
        if self._in_flight >= self._max_in_flight:
            held = Exchange(ticket, due, self.ended, _nobody_waits)
            held.sent = now
            held.finish(Ending.HELD_BACK, now, f"not sent: {self._max_in_flight} requests were under way")
            return
        self._in_flight += 1
        lane = self._free_lane()
        lane.carry(Exchange(ticket, due, lane.finished, _nobody_waits))

    def _free_lane(self) -> "Lane":
        """A lane to the address whose turn it is: requests are spread evenly over the replicas."""
        place = self._turn
        self._turn = (place + 1) % len(self._resting)
        if self._resting[place]:
            return self._resting[place].pop()
        lane = Lane(self, place)
        self._lanes.append(lane)
        return lane


class Lane(Line):
    """A connection of the open loop, with at most one request on it."""

    __slots__ = ("_loop", "place")

    def __init__(self, loop: OpenLoop, place: int) -> None:
        super().__init__(loop, loop.wire.addresses[place])
        self._loop = loop
        self.place = place

    def finished(self, exchange: Exchange) -> None:
        """Its request has ended."""
        self._loop.returned(self, exchange)


def _nobody_waits(_exchange: Exchange, _succeeded: bool) -> None:
    """No line of an open loop sends less for a failure."""
