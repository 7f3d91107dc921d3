"""One connection, without a network: a transport that keeps what is written, and a clock by hand."""

import asyncio

import uvloop
from typing_extensions import override

from perbench_bench.engine.connection import STALE_NS, Connection
from perbench_bench.engine.delay import LoopMonitor
from perbench_bench.engine.exchange import Exchange
from perbench_bench.engine.feed import Role, Ticket
from perbench_bench.engine.reply import Ending


class Clock:
    now = 100

    def __call__(self) -> int:
        return self.now


class Transport(asyncio.Transport):
    def __init__(self) -> None:
        super().__init__()
        self.written = b""
        self.aborted = False

    @override
    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written += bytes(data)

    @override
    def is_closing(self) -> bool:
        return self.aborted

    @override
    def abort(self) -> None:
        self.aborted = True


class Talk:
    """A connection, and what it said about its exchanges."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.ended: list[Exchange] = []
        self.dead: list[Exchange] = []
        monitor = LoopMonitor(asyncio.get_running_loop(), self.clock)
        self.connection = Connection(self.clock, monitor, self.dead.append)
        self.transport = Transport()
        self.connection.connection_made(self.transport)

    def exchange(self) -> Exchange:
        return Exchange(Ticket(Role.MEASURED, 0), self.clock.now, self.ended.append, lambda _exchange, _succeeded: None)


def test_an_answer_without_length_ends_when_its_connection_does() -> None:
    async def work() -> None:
        talk = Talk()
        exchange = talk.exchange()
        talk.connection.send(exchange, b"POST")
        talk.clock.now = 200
        talk.connection.data_received(b"HTTP/1.0 200 OK\r\n\r\nhello")
        assert not talk.ended
        talk.clock.now = 300
        talk.connection.connection_lost(None)
        assert talk.ended == [exchange]
        # Until then the slot was taken, and by the server: it must not look like our turnaround.
        assert (exchange.ending, exchange.end) == (Ending.COMPLETE, 300)

    uvloop.run(work())


def test_a_connection_lost_before_its_first_request_ends_the_request() -> None:
    async def work() -> None:
        talk = Talk()
        talk.connection.connection_lost(None)
        talk.connection.send(talk.exchange(), b"POST")
        assert [exchange.ending for exchange in talk.ended] == [Ending.CLOSED]
        assert not talk.dead, "it was a new connection: there was no promise to keep it"

    uvloop.run(work())


def test_a_dropped_connection_tells_nobody() -> None:
    async def work() -> None:
        talk = Talk()
        for _ in range(2):
            talk.connection.send(talk.exchange(), b"POST")
            talk.connection.data_received(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        talk.connection.send(talk.exchange(), b"POST")
        talk.connection.close()
        talk.connection.connection_lost(None)
        assert (len(talk.ended), talk.dead) == (2, [])

    uvloop.run(work())


def test_only_a_connection_that_ends_about_when_the_request_is_sent_was_dead_before() -> None:
    async def work(nanoseconds: int) -> tuple[int, int]:
        talk = Talk()
        talk.connection.send(talk.exchange(), b"POST")
        talk.connection.data_received(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        talk.connection.send(talk.exchange(), b"POST")
        talk.clock.now += nanoseconds
        talk.connection.connection_lost(None)
        return len(talk.ended) - 1, len(talk.dead)

    assert uvloop.run(work(STALE_NS)) == (0, 1)
    assert uvloop.run(work(STALE_NS + 1)) == (1, 0)
