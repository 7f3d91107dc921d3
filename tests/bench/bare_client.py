"""`python -m tests.bench.bare_client URL`: the least a client can do, as a measure for the engine and the truth server.

It writes bytes made beforehand and reads until the end of the chunked answer. It parses, counts and checks nothing, so
no client in Python that does its work can be much faster.
"""

import argparse
import asyncio
import gc
import json
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import cast

import numpy as np
import uvloop
from numpy.typing import NDArray
from typing_extensions import override

from perbench.api.models import Protocol
from perbench_bench.engine.http1 import Origin, request_bytes
from perbench_bench.engine.protocols import PROTOCOLS, Sampling
from perbench_bench.engine.timer import Timer, fine_timer

LAST_CHUNK = b"\r\n0\r\n\r\n"


@dataclass
class Seen:
    """Stamps of each request, in ns; in order of ending."""

    sent: list[int] = field(default_factory=list)
    first: list[int] = field(default_factory=list)
    end: list[int] = field(default_factory=list)

    def ttft_ms(self) -> NDArray[np.float64]:
        return (np.array(self.first) - np.array(self.sent)) / 1e6

    def rate(self) -> float:
        """Answers per second, from the first request sent to the last answer read."""
        return len(self.end) / (max(self.end) - min(self.sent)) * 1e9

    def mean_in_flight(self) -> float:
        return float((np.array(self.end) - np.array(self.sent)).sum() / (max(self.end) - min(self.sent)))


class _Connection(asyncio.Protocol):
    def __init__(
        self, request: bytes, seen: Seen, ended: Callable[["_Connection"], None], over: asyncio.Future[None]
    ) -> None:
        self._request, self._seen, self._ended, self._over = request, seen, ended, over
        self._sent = self._first = 0
        self._tail = b""
        self.lost = asyncio.get_running_loop().create_future()

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def ask(self) -> None:
        self._first, self._tail = 0, b""
        self._sent = time.perf_counter_ns()
        self._transport.write(self._request)

    @override
    def data_received(self, data: bytes) -> None:
        now = time.perf_counter_ns()
        if not self._first and b"data:" in data:
            self._first = now
        tail = data[-len(LAST_CHUNK) :] if len(data) >= len(LAST_CHUNK) else (self._tail + data)[-len(LAST_CHUNK) :]
        self._tail = tail
        if tail == LAST_CHUNK:
            seen = self._seen
            seen.sent.append(self._sent)
            seen.first.append(self._first)
            seen.end.append(now)
            self._ended(self)

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        self.lost.set_result(None)
        if not self._over.done():
            self._over.set_exception(ConnectionError("the server closed a connection"))

    async def close(self) -> None:
        """Gone before the loop is: uvloop does not end while connections are open."""
        self._transport.abort()
        await self.lost


def ask_for(url: str, protocol: Protocol, prompt: str, tokens: int) -> bytes:
    wire = PROTOCOLS[protocol]
    body = wire.body("truth", prompt, Sampling(tokens, 1, force_length=True), {})
    return request_bytes(Origin.parse(url), wire.path, body)


async def closed_loop(url: str, request: bytes, connections: int, seconds: float) -> Seen:
    """Every connection sends its next request the moment the last answer has ended."""
    seen, loop, origin = Seen(), asyncio.get_running_loop(), Origin.parse(url)
    over, left = loop.create_future(), connections
    until = time.perf_counter_ns() + round(seconds * 1e9)

    def ended(connection: _Connection) -> None:
        nonlocal left
        if time.perf_counter_ns() < until:
            connection.ask()
            return
        left -= 1
        if not left:
            over.set_result(None)

    opened = [
        (await loop.create_connection(lambda: _Connection(request, seen, ended, over), origin.host, origin.port))[1]
        for _ in range(connections)
    ]
    for connection in opened:
        connection.ask()
    await over
    for connection in opened:
        await connection.close()
    return seen


async def open_loop(url: str, request: bytes, rate: float, seconds: float) -> Seen:
    """One request every 1/rate seconds, whatever the server does; connections are made beforehand."""
    seen, loop, origin = Seen(), asyncio.get_running_loop(), Origin.parse(url)
    count, over = round(rate * seconds), loop.create_future()
    idle: list[_Connection] = []
    asked = 0

    def ended(connection: _Connection) -> None:
        idle.append(connection)
        if len(seen.end) == count:  # then all are idle
            over.set_result(None)

    for _ in range(256):
        _, made = await loop.create_connection(
            lambda: _Connection(request, seen, ended, over), origin.host, origin.port
        )
        idle.append(made)
    begin = time.perf_counter_ns() + 10_000_000
    timer: Timer

    def due() -> None:
        nonlocal asked
        idle.pop().ask()
        asked += 1
        if asked < count:
            timer.arm(begin + round(asked / rate * 1e9))

    timer = fine_timer(loop, due)
    timer.arm(begin)
    await over
    timer.close()
    for connection in idle:
        await connection.close()
    return seen


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("url")
    parser.add_argument("--protocol", type=Protocol, choices=list(Protocol), default=Protocol.OPENAI_CHAT)
    parser.add_argument("--tokens", type=int, default=8)
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--rate", type=float, help="open loop: requests per second; without it a closed loop")
    parser.add_argument("--seconds", type=float, default=5)
    options = parser.parse_args()
    request = ask_for(options.url, options.protocol, "how fast can this be", options.tokens)
    gc.collect()
    gc.disable()
    if options.rate:
        seen = uvloop.run(open_loop(options.url, request, options.rate, options.seconds))
    else:
        seen = uvloop.run(closed_loop(options.url, request, options.connections, options.seconds))
    ttft = seen.ttft_ms()
    figures = {
        "requests": len(seen.end), "rate": seen.rate(), "in_flight": seen.mean_in_flight(),
        "ttft_mean_ms": float(ttft.mean()), "ttft_p50_ms": float(np.median(ttft)), "cpu_s": time.process_time(),
    }  # fmt: skip
    sys.stdout.write(json.dumps(figures) + "\n")


if __name__ == "__main__":
    main()
