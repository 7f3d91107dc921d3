"""The closed loop: `concurrency` slots, each of which sends its next request the moment its last one has ended."""

import asyncio
import socket
import ssl
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol as Interface

from perbench_bench.engine.connection import Clock, Connection
from perbench_bench.engine.delay import LoopMonitor
from perbench_bench.engine.exchange import Exchange
from perbench_bench.engine.feed import Feed, Ticket
from perbench_bench.engine.http1 import Origin
from perbench_bench.engine.reply import Ending

CONNECT_SECONDS = 30.0
PROBE_SECONDS = 3.0
SWEEP_SECONDS = 0.1
"""How often requests under way are looked at for their time limit."""
REST_SECONDS = 0.05
"""A slot whose request failed rests before the next, longer each time: a server that is down is not hammered."""
LONGEST_REST_SECONDS = 1.0
BROKEN_PROMISES = 3
"""Reused connections found dead before the server's promise of keep-alive is no longer believed."""


class Sink(Interface):
    """Where finished exchanges go. Called between reads, never inside one."""

    def take(self, exchange: Exchange) -> bool:
        """Read a finished exchange; True when it succeeded."""


@dataclass(frozen=True, slots=True)
class Wire:
    """How to reach the server and what to send it."""

    origin: Origin
    addresses: tuple[str, ...]
    request: Callable[[Ticket], bytes]
    timeout_seconds: float
    """For a whole request."""
    idle_seconds: float
    """For the silence within a body. Before it, only the time limit holds: many servers send headers and then queue."""


async def resolve(origin: Origin) -> tuple[str, ...]:
    """Addresses of the host, once, before the load: name lookups have no place in a latency. Raises OSError."""
    loop = asyncio.get_running_loop()
    families: dict[int, dict[str, None]] = {}
    for family, _, _, _, address in await loop.getaddrinfo(origin.host, origin.port, type=socket.SOCK_STREAM):
        families.setdefault(family, {})[str(address[0])] = None
    return await family_that_listens([tuple(addresses) for addresses in families.values()], origin.port)


async def family_that_listens(families: Sequence[tuple[str, ...]], port: int) -> tuple[str, ...]:
    """The addresses of the first family with one that listens; of the first, when none does.

    The IPv6 and IPv4 addresses of a name are the same server, which often listens on one only (localhost).
    """
    for addresses in families if len(families) > 1 else ():
        for address in addresses:
            if await _listens(address, port):
                return addresses
    return families[0]


async def _listens(address: str, port: int) -> bool:
    try:
        async with asyncio.timeout(PROBE_SECONDS):
            transport, _ = await asyncio.get_running_loop().create_connection(asyncio.Protocol, address, port)
    except (OSError, TimeoutError):
        return False
    transport.abort()
    return True


class ClosedLoop:
    """Runs one feed over `concurrency` slots."""

    def __init__(
        self, wire: Wire, feed: Feed, sink: Sink, concurrency: int, clock: Clock = time.perf_counter_ns
    ) -> None:
        self.loop = asyncio.get_running_loop()
        self.clock = clock
        self.wire = wire
        self.feed = feed
        self.monitor = LoopMonitor(self.loop, clock)
        self.keep_alive = True
        self.tls = ssl.create_default_context() if wire.origin.tls else None
        self._sink = sink
        self._broken_promises = 0
        self._finished: deque[Exchange] = deque()
        self._slots = [Slot(self, wire.addresses[i % len(wire.addresses)]) for i in range(concurrency)]
        self._running = 0
        self._done: asyncio.Future[None] = self.loop.create_future()
        self._sweeper: asyncio.TimerHandle | None = None

    async def run(self) -> None:
        """Until the feed has nothing more to send and every request has ended. Cancelling drops all connections."""
        self._running = len(self._slots)
        try:
            self._sweep()
            for slot in self._slots:
                slot.begin()
            await self._done
        finally:
            if self._sweeper:
                self._sweeper.cancel()
            for slot in self._slots:
                slot.close()
            # A connection that is being opened must be gone before the loop is: uvloop has crashed otherwise.
            opening = [slot.connecting for slot in self._slots if slot.connecting]
            await asyncio.gather(*opening, return_exceptions=True)

    def ended(self, exchange: Exchange) -> None:
        """A slot's request has ended: note it for reading, after the bytes that wait now."""
        self.feed.ended(exchange.ticket)
        if not self._finished:
            self.loop.call_soon(self._read_finished)
        self._finished.append(exchange)

    def slot_done(self) -> None:
        """A slot has nothing more to send."""
        self._running -= 1
        self._stop_if_over()

    def broke_promise(self) -> None:
        """A connection that was to be kept alive was found closed."""
        self._broken_promises += 1
        if self._broken_promises >= BROKEN_PROMISES:
            self.keep_alive = False

    def fault(self, error: BaseException) -> None:
        """A fault of our own ends the run."""
        if not self._done.done():
            self._done.set_exception(error)

    def _read_finished(self) -> None:
        """Read one finished exchange an iteration, so that none keeps the loop from the sockets for long.

        More when they pile up beyond one a slot: answers that nobody reads fill the memory and hide failures.
        """
        since = self.clock()
        try:
            for _ in range(max(1, len(self._finished) - len(self._slots))):
                exchange = self._finished.popleft()
                exchange.on_read(exchange, self._sink.take(exchange))
        except Exception as error:  # noqa: BLE001 - a fault in our own reading must end the run, not hang it
            self.fault(error)
            return
        self.monitor.worked(since)
        if self._finished:
            self.loop.call_soon(self._read_finished)
        self._stop_if_over()

    def _stop_if_over(self) -> None:
        if not self._running and not self._finished and not self._done.done():
            self._done.set_result(None)

    def _sweep(self) -> None:
        now = self.clock()
        for slot in self._slots:
            slot.give_up_if_late(now)
        self._sweeper = self.loop.call_later(SWEEP_SECONDS, self._sweep)


class Slot:
    """One of the loop's places: at most one request under way, its connection kept where the server keeps it."""

    def __init__(self, owner: ClosedLoop, address: str) -> None:
        self._owner = owner
        self._address = address
        self._connection: Connection | None = None
        self.connecting: asyncio.Task[None] | None = None
        self._resting: asyncio.TimerHandle | None = None
        self._failures = 0

    def begin(self) -> None:
        """Send the first request."""
        self._advance(self._owner.clock(), paused=True)

    def close(self) -> None:
        """Drop everything."""
        if self.connecting:
            self.connecting.cancel()
        if self._resting:
            self._resting.cancel()
        if self._connection:
            self._connection.close()

    def give_up_if_late(self, now: int) -> None:
        """End the request under way when it has taken too long, or has fallen silent."""
        connection, wire = self._connection, self._owner.wire
        exchange = connection.under_way if connection else None
        if connection is None or exchange is None:
            return
        if now - exchange.sent > wire.timeout_seconds * 1e9:
            connection.give_up(now, f"no end after {wire.timeout_seconds:g} s")
        elif exchange.response.pieces and now - exchange.reads[-1] > wire.idle_seconds * 1e9:
            connection.give_up(now, f"silent for {wire.idle_seconds:g} s in the middle of an answer")

    def _advance(self, now: int, *, paused: bool = False) -> None:
        ticket = self._owner.feed.next(now)
        if ticket is None:
            self.close()
            self._owner.slot_done()
            return
        exchange = Exchange(ticket, now, self._ended, self._was_read)
        exchange.address = self._address
        exchange.paused = paused
        if self._connection and self._connection.reusable and self._owner.keep_alive:
            self._connection.send(exchange, self._owner.wire.request(ticket))
        else:
            self._connect(exchange, self._owner.clock())

    def _ended(self, exchange: Exchange) -> None:
        self._owner.ended(exchange)
        if _failed_openly(exchange):
            self._failures += 1
        if self._failures:
            rest = min(LONGEST_REST_SECONDS, REST_SECONDS * 2 ** min(self._failures - 1, 10))
            self._resting = self._owner.loop.call_later(rest, self._rested)
        else:
            self._advance(exchange.end)

    def _was_read(self, exchange: Exchange, succeeded: bool) -> None:
        """An error inside HTTP 200 shows only when the answer is read: the slot rests after its next request."""
        if succeeded:
            self._failures = 0
        elif not _failed_openly(exchange):
            self._failures += 1

    def _rested(self) -> None:
        self._advance(self._owner.clock(), paused=True)

    def _dead_reuse(self, exchange: Exchange) -> None:
        """The server closed a connection it had promised to keep: not its request's fault. Once, on a new one."""
        self._owner.broke_promise()
        exchange.retried = True
        self._connect(exchange, exchange.sent)

    def _connect(self, exchange: Exchange, since: int) -> None:
        if self._connection:
            self._connection.close()
        self.connecting = self._owner.loop.create_task(self._open(exchange, since))
        self.connecting.add_done_callback(self._opened)

    def _opened(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()):
            self._owner.fault(error)

    async def _open(self, exchange: Exchange, since: int) -> None:
        owner, origin = self._owner, self._owner.wire.origin
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                _, connection = await owner.loop.create_connection(
                    lambda: Connection(owner.clock, owner.monitor, self._dead_reuse),
                    self._address,
                    origin.port,
                    ssl=owner.tls,
                    server_hostname=origin.host if owner.tls else None,
                )
        except (OSError, TimeoutError) as error:
            now = owner.clock()
            exchange.sent = now
            exchange.finish(Ending.NOT_CONNECTED, now, _why(error, origin))
            return
        self._connection = connection
        exchange.connect_ns = owner.clock() - since
        connection.send(exchange, owner.wire.request(exchange.ticket))


def _failed_openly(exchange: Exchange) -> bool:
    return exchange.ending is not Ending.COMPLETE or exchange.response.status != 200


def _why(error: Exception, origin: Origin) -> str:
    detail = f"no answer within {CONNECT_SECONDS:g} s" if isinstance(error, TimeoutError) else str(error)
    return f"cannot connect to {origin.authority}: {detail}"
