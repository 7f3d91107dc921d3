"""A place for one request at a time, and the connection it is carried on."""

import asyncio
import errno
import ssl
from typing import Protocol as Interface

from perbench_bench.engine.connection import Clock, Connection
from perbench_bench.engine.delay import LoopMonitor
from perbench_bench.engine.exchange import Exchange
from perbench_bench.engine.http1 import Origin
from perbench_bench.engine.reply import Ending
from perbench_bench.engine.wire import Wire

CONNECT_SECONDS = 30.0
OUR_OWN_LACK = frozenset({errno.EMFILE, errno.ENFILE, errno.EADDRNOTAVAIL, errno.ENOBUFS, errno.ENOMEM})
"""Why a connection could not be made, where that says nothing of the server: descriptors, ports, memory."""


class Owner(Interface):
    """What a line needs of the load it belongs to."""

    loop: asyncio.AbstractEventLoop
    clock: Clock
    wire: Wire
    monitor: LoopMonitor
    tls: ssl.SSLContext | None
    keep_alive: bool
    on_kept: int
    """Requests that were sent on a connection that had carried others."""

    def broke_promise(self) -> None:
        """A connection that was to be kept alive was found closed."""

    def fault(self, error: BaseException) -> None:
        """A fault of our own ends the load."""


class Line:
    """At most one request under way, its connection kept where the server keeps it."""

    __slots__ = ("_address", "_connection", "_owner", "connecting")

    def __init__(self, owner: Owner, address: str) -> None:
        self._owner = owner
        self._address = address
        self._connection: Connection | None = None
        self.connecting: asyncio.Task[None] | None = None

    def carry(self, exchange: Exchange) -> None:
        """Send its request, on a new connection where none is kept. It ends through `exchange.on_ended`."""
        exchange.address = self._address
        if self._connection and self._connection.reusable and self._owner.keep_alive:
            self._owner.on_kept += 1
            self._connection.send(exchange, self._owner.wire.request(exchange.ticket))
        else:
            self._connect(exchange, self._owner.clock())

    def close(self) -> None:
        """Drop everything."""
        if self.connecting:
            self.connecting.cancel()
        if self._connection:
            self._connection.close()

    def give_up_if_late(self, now: int) -> None:
        """End the request under way when it has taken too long, or has fallen silent."""
        connection, wire = self._connection, self._owner.wire
        exchange = connection.under_way if connection else None
        if connection is None or exchange is None:
            return
        age = (now - exchange.sent) / 1e9
        if age <= wire.idle_seconds and age <= wire.first_seconds and age <= wire.timeout_seconds:
            return  # nearly always: what follows looks at the answer
        sign = exchange.sign_of_life()
        if age > wire.timeout_seconds:
            connection.give_up(now, f"no end after {wire.timeout_seconds:g} s")
        elif sign is None and age > wire.first_seconds:
            connection.give_up(now, f"no token within {wire.first_seconds:g} s")
        elif sign is not None and (now - sign) / 1e9 > wire.idle_seconds:
            connection.give_up(now, f"silent for {wire.idle_seconds:g} s in the middle of an answer")

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
            exchange.sent, exchange.connect_ns = now, now - since
            ours = error.errno in OUR_OWN_LACK
            exchange.finish(Ending.NO_RESOURCES if ours else Ending.NOT_CONNECTED, now, _why(error, origin))
            return
        self._connection = connection
        exchange.connect_ns = owner.clock() - since
        connection.send(exchange, owner.wire.request(exchange.ticket))


def _why(error: Exception, origin: Origin) -> str:
    detail = f"no answer within {CONNECT_SECONDS:g} s" if isinstance(error, TimeoutError) else str(error)
    return f"cannot connect to {origin.authority}: {detail}"
