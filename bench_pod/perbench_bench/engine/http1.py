"""HTTP/1.1 on the client's side, without sockets: request bytes out, response bytes in (RFC 9112).

The framing is parsed as bytes arrive, because only it tells where a response ends; the body is kept as it came,
each piece with the stamp of its arrival, and is looked at when the request is over.
"""

from dataclasses import dataclass, field
from urllib.parse import SplitResult, quote, urlsplit

import httptools

from perbench.failures import UsageError

MAX_BODY_BYTES = 64 * 1024 * 1024
"""A streamed answer of 100,000 tokens is about 25 MB of events; beyond this a server is not answering but flooding."""

AFTER_THE_END = "the server sent bytes after the end of its response"

PATH_CHARACTERS = "/%:@!$&'()*+,;=~"
"""What a path may hold as it is (RFC 3986 §3.3), beside letters and digits; the rest is percent-encoded."""

KEPT_HEADERS = frozenset({b"content-type", b"connection", b"content-length", b"transfer-encoding", b"retry-after"})


class HttpError(Exception):
    """The peer did not speak HTTP/1.1."""


@dataclass(frozen=True, slots=True)
class Origin:
    """Where requests go: parsed once from a URL."""

    host: str
    port: int
    tls: bool
    base_path: str

    @classmethod
    def parse(cls, url: str) -> "Origin":
        """Parse an http or https URL; credentials, query and fragment have no place in it."""
        try:
            parts: SplitResult = urlsplit(url)
            port = parts.port
            host = (parts.hostname or "").encode("idna").decode("ascii")
        except ValueError as error:
            raise UsageError(f"{url!r} is not a URL: {error}") from error
        if parts.scheme not in {"http", "https"} or not host:
            raise UsageError(f"{url!r} is not a URL perbench can load: write http://HOST:PORT or https://HOST:PORT")
        if parts.username or parts.password or parts.query or parts.fragment:
            raise UsageError(f"{parts.scheme}://{parts.hostname} …: a server's URL has no user, query or fragment")
        tls = parts.scheme == "https"
        return cls(host, port or (443 if tls else 80), tls, quote(parts.path, safe=PATH_CHARACTERS).rstrip("/"))

    @property
    def authority(self) -> str:
        """The Host header (RFC 9110 §7.2): the default port is left out, an IPv6 address is bracketed."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == (443 if self.tls else 80) else f"{host}:{self.port}"


def request_bytes(origin: Origin, path: str, body: bytes, api_key: str | None = None) -> bytes:
    """One POST with a JSON body, ready for the wire."""
    lines = [
        f"POST {origin.base_path}{path} HTTP/1.1",
        f"Host: {origin.authority}",
        "User-Agent: perbench",
        "Accept: text/event-stream, application/json",
        "Content-Type: application/json",
        f"Content-Length: {len(body)}",
    ]
    if api_key:
        lines.append(f"Authorization: Bearer {api_key}")
    return "\r\n".join(lines).encode("ascii") + b"\r\n\r\n" + body


def get_bytes(origin: Origin, path: str, api_key: str | None = None) -> bytes:
    """One GET on a connection of its own, ready for the wire."""
    lines = [
        f"GET {origin.base_path}{path} HTTP/1.1",
        f"Host: {origin.authority}",
        "User-Agent: perbench",
        "Accept: text/plain",
        "Connection: close",
    ]
    if api_key:
        lines.append(f"Authorization: Bearer {api_key}")
    return "\r\n".join(lines).encode("ascii") + b"\r\n\r\n"


@dataclass(slots=True)
class HttpResponse:
    """A response as far as it came. `pieces` are (stamp in ns, body bytes) in order of arrival."""

    status: int = 0
    headers: dict[bytes, bytes] = field(default_factory=dict)
    pieces: list[tuple[int, bytes]] = field(default_factory=list)
    complete: bool = False
    keep_alive: bool = False
    first_byte: int = 0
    last_byte: int = 0

    @property
    def body(self) -> bytes:
        """The body as one string of bytes."""
        return b"".join(piece for _, piece in self.pieces)

    @property
    def content_type(self) -> bytes:
        """Media type in lower case, without parameters."""
        return self.headers.get(b"content-type", b"").split(b";")[0].strip().lower()


class ResponseReader:
    """Reads one response. Feed it every read of the socket with its stamp; it says when the response is complete."""

    __slots__ = ("_body_bytes", "_parser", "_stamp", "response")

    def __init__(self) -> None:
        self.response = HttpResponse()
        self._parser: httptools.HttpResponseParser | None = httptools.HttpResponseParser(self)
        self._stamp = 0
        self._body_bytes = 0

    def feed(self, stamp: int, data: bytes) -> bool:
        """Take the bytes of one read. True when the response is complete. Raises HttpError."""
        response, parser = self.response, self._parser
        if response.complete or parser is None:
            raise HttpError(AFTER_THE_END)
        if not response.first_byte:
            response.first_byte = stamp
        response.last_byte = self._stamp = stamp
        try:
            parser.feed_data(data)
        except httptools.HttpParserUpgrade as error:
            raise HttpError("the answer is not HTTP/1.1: the server wants to switch to another protocol") from error
        except httptools.HttpParserError as error:
            what = f"the answer is not HTTP/1.1: {str(error) or type(error).__name__}"
            raise HttpError(AFTER_THE_END if self.response.complete else what) from error
        if self._body_bytes > MAX_BODY_BYTES:
            raise HttpError(f"the answer is larger than {MAX_BODY_BYTES} bytes")
        return response.complete

    def eof(self) -> bool:
        """The connection ended. True when that is the proper end of a response without length (RFC 9112 §6.3)."""
        response = self.response
        framed = b"content-length" in response.headers or b"transfer-encoding" in response.headers
        if response.status and not framed:
            response.complete = True
        return response.complete

    def release(self) -> None:
        """Let go of the parser, which holds on to us: the engine runs without cyclic garbage collection."""
        self._parser = None

    # --- called by httptools

    def on_message_begin(self) -> None:
        """A second response in the read that ended the first must not be mixed into it."""
        if self.response.complete:
            raise HttpError(AFTER_THE_END)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep the few headers that matter."""
        lowered = name.lower()
        if lowered in KEPT_HEADERS:
            self.response.headers[lowered] = value

    def on_headers_complete(self) -> None:
        """The status line and headers are in."""
        if self._parser:
            self.response.status = self._parser.get_status_code()

    def on_body(self, body: bytes) -> None:
        """A piece of the body, chunked framing already taken off."""
        self._body_bytes += len(body)
        self.response.pieces.append((self._stamp, body))

    def on_message_complete(self) -> None:
        """The response is whole, unless it is an interim one (1xx), which only announces the real one."""
        response = self.response
        if 100 <= response.status < 200:
            response.status = 0
            response.headers.clear()
            return
        response.complete = True
        response.keep_alive = self._parser is not None and bool(self._parser.should_keep_alive())
