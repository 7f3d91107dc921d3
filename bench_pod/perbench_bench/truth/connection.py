"""One connection of a truth server: reads requests, writes at once, ends as it is told."""

import asyncio
import hmac
import os
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
        self._socket: socket.socket | None = None
        self._send_directly = not server.tls
        self._url = b""
        self._body: list[bytes] = []
        self._body_bytes = 0
        self._complete = 0
        self.keep_alive = True

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Open. The socket is written to through a descriptor of our own, which nothing closes behind our back."""
        self._transport = cast("asyncio.Transport", transport)
        self._socket = socket.socket(fileno=os.dup(transport.get_extra_info("socket").fileno()))
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
        if self._complete > 1 or (self._complete and self.answering) or self._body_bytes > MOST_BODY_BYTES:
            self.reset()
        elif self._complete:
            url, body = self._url, b"".join(self._body)
            self._url, self._body, self._body_bytes, self._complete = b"", [], 0, 0
            self.keep_alive = bool(parser.should_keep_alive())
            server.request(self, now, parser.get_method(), url, body)

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        """Gone. What refers to us is let go: the server runs without cyclic garbage collection."""
        self._transport = self._parser = None
        if self._socket:
            self._socket.close()
            self._socket = None
        self._server.connections.discard(self)
        self._server.lost(self)

    def write(self, data: bytes) -> None:
        """Into the kernel now: the loop would send only at the end of its iteration, and the stamp would be early."""
        transport, sock = self._transport, self._socket
        if transport is None or sock is None:
            return
        if self._send_directly and not transport.get_write_buffer_size():
            try:
                sent = sock.send(data)
            except BlockingIOError:
                sent = 0
            except OSError:  # the client is gone; connection_lost says so
                transport.abort()
                return
            if sent == len(data):
                return
            data = data[sent:]
        transport.write(data)

    def close(self) -> None:
        """End the connection properly."""
        if self._transport:
            self._transport.close()

    def reset(self) -> None:
        """End it with a reset."""
        if self._socket and self._transport:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
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
