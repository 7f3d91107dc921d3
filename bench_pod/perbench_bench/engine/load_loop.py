"""What the closed and the open loop share: lines, time limits, reading of finished answers, the end."""

import asyncio
import ssl
import sys
import time
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Sequence
from typing import Protocol as Interface

from perbench_bench.engine.connection import Clock
from perbench_bench.engine.delay import Beat, LoopMonitor
from perbench_bench.engine.exchange import Exchange
from perbench_bench.engine.feed import Feed
from perbench_bench.engine.line import Line
from perbench_bench.engine.wire import Wire

SWEEP_SECONDS = 0.1
"""How often requests under way are looked at for their time limit."""
BROKEN_PROMISES = 3
"""Kept connections found dead before the server's promise of keep-alive may be no longer believed."""
BROKEN_SHARE = 0.25
"""Of the requests sent on kept connections, from which it is not. A server that breaks its promise does so nearly
always; one that ends a connection after a hundred requests, or drops one now and then, is worth keeping them."""


class Sink(Interface):
    """Where finished exchanges go. Called between reads, never inside one."""

    def take(self, exchange: Exchange) -> bool:
        """Read a finished exchange; True when it succeeded."""


class LoadLoop(ABC):
    """Runs one feed to its end."""

    def __init__(self, wire: Wire, feed: Feed, sink: Sink, clock: Clock = time.perf_counter_ns) -> None:
        self.loop = asyncio.get_running_loop()
        self.clock = clock
        self.wire = wire
        self._beat = Beat(self.loop, clock) if sys.platform == "linux" else None
        self.monitor = LoopMonitor(self.loop, clock, self._beat)
        self.keep_alive = True
        self.on_kept = 0
        self.tls = ssl.create_default_context() if wire.origin.tls else None
        self._feed = feed
        self._sink = sink
        self._broken_promises = 0
        self._finished: deque[Exchange] = deque()
        self._done: asyncio.Future[None] = self.loop.create_future()
        self._sweeper: asyncio.TimerHandle | None = None

    @property
    @abstractmethod
    def lines(self) -> Sequence[Line]:
        """Every line there is."""

    @property
    @abstractmethod
    def idle(self) -> bool:
        """Whether nothing is under way and nothing more will be sent."""

    @abstractmethod
    def begin(self) -> None:
        """Send the first requests, or see to it that they are sent when they are due."""

    async def run(self) -> None:
        """Until the feed has nothing more to send and every request has ended. Cancelling drops all connections."""
        try:
            self._sweep()
            if self._beat:
                self._beat.start()
            self.begin()
            self.stop_if_over()
            await self._done
        finally:
            if self._sweeper:
                self._sweeper.cancel()
            if self._beat:
                self._beat.close()
            self.close()
            # A connection that is being opened must be gone before the loop is: uvloop has crashed otherwise.
            opening = [line.connecting for line in self.lines if line.connecting]
            await asyncio.gather(*opening, return_exceptions=True)

    def close(self) -> None:
        """Drop every connection."""
        for line in self.lines:
            line.close()

    def ended(self, exchange: Exchange) -> None:
        """A request has ended: note it for reading, after the bytes that wait now."""
        self._feed.ended(exchange.ticket, exchange.end - exchange.sent)
        if not self._finished:
            self.loop.call_soon(self._read_finished)
        self._finished.append(exchange)

    def broke_promise(self) -> None:
        """A connection that was to be kept alive was found closed."""
        self._broken_promises += 1
        if self._broken_promises >= max(BROKEN_PROMISES, BROKEN_SHARE * self.on_kept):
            self.keep_alive = False

    def fault(self, error: BaseException) -> None:
        """A fault of our own ends the run."""
        if not self._done.done():
            self._done.set_exception(error)

    def stop_if_over(self) -> None:
        """End the run when nothing is left to send, to wait for or to read."""
        if self.idle and not self._finished and not self._done.done():
            self._done.set_result(None)

    def _read_finished(self) -> None:
        """Read one finished exchange an iteration, so that none keeps the loop from the sockets for long.

        More when they pile up beyond one a line: answers that nobody reads fill the memory and hide failures.
        """
        since = self.clock()
        try:
            for _ in range(max(1, len(self._finished) - len(self.lines))):
                exchange = self._finished.popleft()
                exchange.on_read(exchange, self._sink.take(exchange))
        except Exception as error:  # noqa: BLE001 - a fault in our own reading must end the run, not hang it
            self.fault(error)
            return
        self.monitor.worked(since)
        if self._finished:
            self.loop.call_soon(self._read_finished)
        self.stop_if_over()

    def _sweep(self) -> None:
        now = self.clock()
        for line in self.lines:
            line.give_up_if_late(now)
        self._sweeper = self.loop.call_later(SWEEP_SECONDS, self._sweep)
