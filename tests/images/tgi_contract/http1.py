"""HTTP/1 as the router's library (hyper) writes it: heads as values, and one connection. A rim below `Connection`."""

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import dataclass, field
from email.utils import formatdate
from http import HTTPStatus

import httptools
from typing_extensions import override

Headers = list[tuple[str, str]]

CORS: Headers = [
    ("vary", "origin, access-control-request-method, access-control-request-headers"),
    ("access-control-allow-origin", "*"),
]
REASONS = {
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "Payload Too Large",
    HTTPStatus.UNPROCESSABLE_ENTITY: "Unprocessable Entity",
}
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


@dataclass(frozen=True)
class Request:
    """One request, read whole. `is_too_large`: its body was, and is not kept."""

    method: str
    path: str
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    is_too_large: bool = False
    version: str = "1.1"
    keeps_alive: bool = True


@dataclass(frozen=True)
class Response:
    """One response. A body that comes in parts is sent as it comes."""

    status: int
    headers: Headers
    body: bytes | AsyncGenerator[bytes, None] = b""
    allow: str | None = None
    has_cors: bool = True


def head(response: Response, request: Request, *, keeps_alive: bool, date: str) -> bytes:
    """Status line and headers, in the router's order."""
    headers = [*response.headers, *(CORS if response.has_cors else [])]
    headers += [("allow", response.allow)] if response.allow else []
    is_whole, is_new = isinstance(response.body, bytes), request.version == "1.1"
    headers += [("content-length", str(len(response.body)))] if isinstance(response.body, bytes) else []
    headers += [("connection", "close")] if is_new and not keeps_alive else []
    headers += [("transfer-encoding", "chunked")] if is_new and not is_whole else []
    status = HTTPStatus(response.status)
    lines = [f"HTTP/{request.version} {status.value} {REASONS.get(status, status.phrase)}"]
    lines += [f"{name}: {value}" for name, value in [*headers, ("date", date)]]
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


def chunk(data: bytes) -> bytes:
    """One chunk of a chunked body. Empty: the last one."""
    return f"{len(data):X}\r\n".encode() + data + b"\r\n"


class Connection(asyncio.Protocol):
    """One connection: requests one after the other."""

    def __init__(
        self, answer: Callable[[Request], Awaitable[Response]], body_limit: int, connections: "set[Connection]"
    ) -> None:
        self._answer, self._body_limit, self._all = answer, body_limit, connections
        self._parser = httptools.HttpRequestParser(self)
        self._transport: asyncio.Transport | None = None
        self._requests: deque[Request] = deque()
        self._task: asyncio.Task[None] | None = None
        self._may_write = asyncio.Event()
        self._may_write.set()
        self._is_draining = False
        self.gone = asyncio.Event()
        self._begin()

    def _begin(self) -> None:
        self._target = b""
        self._headers: dict[str, str] = {}
        self._body: list[bytes] = []
        self._size = 0

    # The socket.

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._all.add(self)

    @override
    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self._parser = httptools.HttpRequestParser(self)  # the router goes on in HTTP/1.1
        except httptools.HttpParserError:
            self._write(f"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\ndate: {_now()}\r\n\r\n".encode())
            self._close()

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        del exc
        self._all.discard(self)
        self.gone.set()
        self._may_write.set()
        if self._task is not None:
            self._task.cancel()

    @override
    def pause_writing(self) -> None:
        self._may_write.clear()

    @override
    def resume_writing(self) -> None:
        self._may_write.set()

    # What the parser finds.

    def on_url(self, url: bytes) -> None:
        self._target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_headers_complete(self) -> None:
        if self._headers.get("expect", "").lower() == "100-continue":
            self._write(CONTINUE)

    def on_body(self, body: bytes) -> None:
        self._size += len(body)
        if self._size <= self._body_limit:
            self._body.append(body)

    def on_message_complete(self) -> None:
        request = Request(
            method=self._parser.get_method().decode(),
            path=httptools.parse_url(self._target).path.decode("latin-1"),
            headers=self._headers,
            body=b"".join(self._body),
            is_too_large=self._size > self._body_limit,
            version=self._parser.get_http_version(),
            keeps_alive=self._parser.should_keep_alive() and self._parser.get_http_version() == "1.1",
        )
        self._begin()
        self._requests.append(request)
        if self._task is None:
            self._task = asyncio.ensure_future(self._serve())

    # Answers.

    async def _serve(self) -> None:
        try:
            while self._requests:
                request = self._requests.popleft()
                if not await self._respond(request):
                    self._close()
                    return
        except Exception:
            self._close()  # no answer, as where the router panics
            raise
        finally:
            self._task = None
        if self._is_draining:
            self._close()

    async def _respond(self, request: Request) -> bool:
        """Whether the connection can be used again."""
        response = await self._answer(request)
        keeps_alive = request.keeps_alive and not self._is_draining
        start = head(response, request, keeps_alive=keeps_alive, date=_now())
        if isinstance(response.body, bytes):
            self._write(start + (b"" if request.method == "HEAD" else response.body))
            return keeps_alive
        self._write(start)
        is_chunked = request.version == "1.1"
        async with contextlib.aclosing(response.body) as parts:
            async for part in parts:
                await self._may_write.wait()
                self._write(chunk(part) if is_chunked else part)
        self._write(chunk(b"") if is_chunked else b"")
        return keeps_alive

    def drain(self) -> None:
        """Take no further request; what runs is finished."""
        self._is_draining = True
        if self._task is None:
            self._close()

    def abort(self) -> None:
        """End at once."""
        if self._transport is not None:
            self._transport.abort()

    def _write(self, data: bytes) -> None:
        if data and self._transport is not None and not self._transport.is_closing():
            self._transport.write(data)

    def _close(self) -> None:
        if self._transport is not None:
            self._transport.close()


def _now() -> str:
    return formatdate(usegmt=True)
