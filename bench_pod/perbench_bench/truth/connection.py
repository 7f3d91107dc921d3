"""One connection of a truth server: reads requests, writes at once, ends as it is told."""

import asyncio
import hmac
import socket
import struct
import time
from typing import TYPE_CHECKING, cast

import httptools
from typing_extensions import override

from perbench_bench.truth.rendering import refusal

if TYPE_CHECKING:
    from perbench_bench.truth.server import Answering, TruthServer

MOST_BODY_BYTES = 64 * 1024 * 1024
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)


class Connection(asyncio.Protocol):
    """Carries one request at a time; a second before the answer has ended is no way to speak to it: it is cut off."""

    def __init__(self, server: "TruthServer", number: int) -> None:
        self.number = number
        self.answering: Answering | None = None
        self._server = server
        self._parser: httptools.HttpRequestParser | None = httptools.HttpRequestParser(self)
        self._transport: asyncio.Transport | None = None
        self._url = b""
        self._body: list[bytes] = []
        self._body_bytes = 0
        self._complete = 0
        self.keep_alive = True
        self.asked = False
        """A request has come and is not understood yet."""

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Open."""
        self._transport = cast("asyncio.Transport", transport)
        self._server.connections.add(self)

    @override
    def data_received(self, data: bytes) -> None:
        """Stamp, then parse; a whole request goes to the server."""
        now = time.perf_counter_ns()
        server, parser = self._server, self._parser
        if parser is None:
            return
        server.monitor.reading(server.recorder, now)
        try:
            parser.feed_data(data)
        except httptools.HttpParserError:
            self.write(refusal(400, "the request is not HTTP/1.1"))
            self.close()
            return
        if (
            self._complete > 1
            or (self._complete and (self.answering or self.asked))
            or self._body_bytes > MOST_BODY_BYTES
        ):
            self.reset()
        elif self._complete:
            url, body = self._url, b"".join(self._body)
            self._url, self._body, self._body_bytes, self._complete = b"", [], 0, 0
            self.keep_alive = bool(parser.should_keep_alive())
            self.asked = True
            server.request(self, now, parser.get_method(), url, body)

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        """Gone. What refers to us is let go: the server runs without cyclic garbage collection."""
        self._transport = self._parser = None
        self._server.connections.discard(self)
        self._server.lost(self)

    def write(self, data: bytes) -> None:
        """Into the kernel: uvloop sends at once where nothing of this connection waits before it."""
        if self._transport:
            self._transport.write(data)

    def close(self) -> None:
        """End the connection properly."""
        if self._transport:
            self._transport.close()

    def reset(self) -> None:
        """End it with a reset."""
        if self._transport is None:
            return
        peer = self._transport.get_extra_info("socket")
        if peer is not None:  # over TLS there is none any more once the client has ended it
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
        self._transport.abort()

    def authorized(self) -> bool:
        """Whether this request may be answered."""
        return True

    # --- called by httptools

    def on_url(self, url: bytes) -> None:
        """A piece of the path."""
        self._url += url

    def on_body(self, body: bytes) -> None:
        """A piece of the body."""
        self._body_bytes += len(body)
        if self._body_bytes <= MOST_BODY_BYTES:
            self._body.append(body)

    def on_message_complete(self) -> None:
        """A whole request."""
        self._complete += 1


class GuardedConnection(Connection):
    """Wants the key in each request. Apart, because reading headers costs time."""

    def __init__(self, server: "TruthServer", number: int, api_key: str) -> None:
        super().__init__(server, number)
        self._wanted = f"Bearer {api_key}".encode()
        self._given = b""

    def on_message_begin(self) -> None:
        """A new request has to show the key anew."""
        self._given = b""

    def on_header(self, name: bytes, value: bytes) -> None:
        """One header."""
        if name.lower() == b"authorization":
            self._given = value

    @override
    def authorized(self) -> bool:
        return hmac.compare_digest(self._given, self._wanted)
