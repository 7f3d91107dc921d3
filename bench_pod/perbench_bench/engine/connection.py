"""One connection of the load engine: writes a request, stamps and frames what comes back, says how it ended."""

import asyncio
from collections.abc import Callable
from typing import cast

from typing_extensions import override

from perbench_bench.engine.delay import LoopMonitor
from perbench_bench.engine.exchange import Exchange
from perbench_bench.engine.http1 import HttpError
from perbench_bench.engine.reply import Ending

Clock = Callable[[], int]

STALE_NS = 250_000_000
"""A kept connection that ends within this after a request was written had ended before: the end, or the refusal of the
bytes, was on its way. A server that had the request for longer may have worked on it, and dropped it."""


class Connection(asyncio.Protocol):
    """A keep-alive connection that carries one exchange at a time."""

    def __init__(self, clock: Clock, monitor: LoopMonitor, on_dead_reuse: Callable[[Exchange], None]) -> None:
        self._clock = clock
        self._monitor = monitor
        self._on_dead_reuse = on_dead_reuse
        self._transport: asyncio.Transport | None = None
        self._exchange: Exchange | None = None
        self._carried = 0
        self.reusable = False

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ready to send."""
        self._transport = cast("asyncio.Transport", transport)
        self.reusable = True

    def send(self, exchange: Exchange, data: bytes) -> None:
        """Write one request. The stamp is taken before the write: the kernel has the bytes right after."""
        self._exchange = exchange
        self._carried += 1
        self.reusable = False
        exchange.sent = self._clock()
        if self._transport is None:
            self._over(Ending.CLOSED, exchange.sent, "the server closed the connection before it was asked")
        else:
            self._transport.write(data)

    @override
    def data_received(self, data: bytes) -> None:
        """Stamp first, then frame."""
        now = self._clock()
        exchange = self._exchange
        if exchange is None:  # bytes nobody asked for: this connection cannot be trusted any more
            self.close()
            return
        self._monitor.reading(exchange, now)
        exchange.reads.append(now)
        try:
            complete = exchange.reader.feed(now, data)
        except HttpError as error:
            self._over(Ending.MALFORMED, now, str(error))
            self.close()
            return
        if complete:
            self.reusable = exchange.response.keep_alive and not self._closing
            self._over(Ending.COMPLETE, now)

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is gone: proper end, broken promise of keep-alive, or a cut answer."""
        self.reusable = False
        self._transport = None
        exchange = self._exchange
        if exchange is None:
            return
        now = self._clock()
        if exchange.reader.eof():
            self._over(Ending.COMPLETE, now)
        elif self._was_stale(exchange, now):
            self._exchange = None
            self._on_dead_reuse(exchange)
        else:
            reason = f": {exc}" if exc else ""
            what = "in the middle of its answer" if exchange.reads else "without an answer"
            self._over(Ending.CLOSED, now, f"the server closed the connection {what}{reason}")

    def give_up(self, now: int, error: str) -> None:
        """The request has taken too long."""
        self._over(Ending.TIMED_OUT, now, error)
        self.close()

    @property
    def under_way(self) -> Exchange | None:
        """The request that waits for its answer, or for the rest of it."""
        return self._exchange

    def close(self) -> None:
        """Drop the connection at once; nobody is told of a request that was under way."""
        self.reusable = False
        self._exchange = None
        if self._transport:
            self._transport.abort()

    def _was_stale(self, exchange: Exchange, now: int) -> bool:
        """Whether the connection was no good before the request was written, so that it may be sent once more."""
        asked_in_vain = not exchange.reads and now - exchange.sent <= STALE_NS
        return asked_in_vain and self._carried > 1 and not exchange.retried

    @property
    def _closing(self) -> bool:
        return self._transport is None or self._transport.is_closing()

    def _over(self, ending: Ending, now: int, error: str = "") -> None:
        exchange, self._exchange = self._exchange, None
        if exchange:
            exchange.finish(ending, now, error)
