"""The closed loop: `concurrency` slots, each of which sends its next request the moment its last one has ended."""

import asyncio
import time
from collections.abc import Sequence

from typing_extensions import override

from perbench_bench.engine.connection import Clock
from perbench_bench.engine.exchange import Exchange
from perbench_bench.engine.feed import ClosedFeed
from perbench_bench.engine.line import Line
from perbench_bench.engine.load_loop import LoadLoop, Sink
from perbench_bench.engine.reply import Ending
from perbench_bench.engine.wire import Wire

REST_SECONDS = 0.05
"""A slot whose request failed rests before the next, longer each time: a server that is down is not hammered."""
LONGEST_REST_SECONDS = 1.0


class ClosedLoop(LoadLoop):
    """Runs one feed over `concurrency` slots."""

    def __init__(
        self, wire: Wire, feed: ClosedFeed, sink: Sink, concurrency: int, clock: Clock = time.perf_counter_ns
    ) -> None:
        super().__init__(wire, feed, sink, clock)
        self.feed = feed
        self._slots = [Slot(self, wire.addresses[i % len(wire.addresses)]) for i in range(concurrency)]
        self._running = concurrency

    @property
    @override
    def lines(self) -> Sequence[Line]:
        """The slots."""
        return self._slots

    @property
    @override
    def idle(self) -> bool:
        """Whether every slot is done."""
        return not self._running

    @override
    def begin(self) -> None:
        """Every slot sends its first request."""
        for slot in self._slots:
            slot.begin()

    def slot_done(self) -> None:
        """A slot has nothing more to send."""
        self._running -= 1
        self.stop_if_over()


class Slot(Line):
    """One of the loop's places."""

    __slots__ = ("_failures", "_loop", "_resting", "_undecided")

    def __init__(self, loop: ClosedLoop, address: str) -> None:
        super().__init__(loop, address)
        self._loop = loop
        self._resting: asyncio.TimerHandle | None = None
        self._failures = 0
        """In a row."""
        self._undecided: Exchange | None = None
        """After failures: an answer that may be one more, which shows when it is read. The slot waits for that."""

    def begin(self) -> None:
        """Send the first request."""
        self._advance(self._loop.clock(), paused=True)

    @override
    def close(self) -> None:
        """Drop everything."""
        super().close()
        if self._resting:
            self._resting.cancel()

    def _advance(self, now: int, *, paused: bool = False, rested_ns: int = 0) -> None:
        ticket = self._loop.feed.next(now)
        if ticket is None:
            self.close()
            self._loop.slot_done()
            return
        exchange = Exchange(ticket, now, self._ended, self._was_read)
        exchange.paused, exchange.rested_ns = paused, rested_ns
        self.carry(exchange)

    def _ended(self, exchange: Exchange) -> None:
        self._loop.ended(exchange)
        if _failed_openly(exchange):
            self._failures += 1
            self._rest(exchange.end)
        elif self._failures:
            self._undecided = exchange
        else:
            self._advance(exchange.end)

    def _was_read(self, exchange: Exchange, succeeded: bool) -> None:
        """An error inside HTTP 200 shows only now. After the first the next request has left already, then none."""
        if succeeded:
            self._failures = 0
        elif not _failed_openly(exchange):
            self._failures += 1
        if exchange is self._undecided:
            self._undecided = None
            if succeeded:
                self._advance(exchange.end)
            else:
                self._rest(exchange.end)

    def _rest(self, since: int) -> None:
        seconds = min(LONGEST_REST_SECONDS, REST_SECONDS * 2 ** min(self._failures - 1, 10))
        self._resting = self._loop.loop.call_later(seconds, self._rested, since)

    def _rested(self, since: int) -> None:
        now = self._loop.clock()
        self._advance(now, paused=True, rested_ns=now - since)


def _failed_openly(exchange: Exchange) -> bool:
    return exchange.ending is not Ending.COMPLETE or exchange.response.status != 200
