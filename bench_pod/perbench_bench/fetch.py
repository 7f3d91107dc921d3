"""One request to one address of a server, outside any measurement: for threads, never for the load's event loop."""

import contextlib
import socket
import ssl
import time

from perbench_bench.engine.http1 import HttpError, Origin, ResponseReader

RECEIVE_BYTES = 262_144


def fetch(
    origin: Origin, address: str, request: bytes, seconds: float, tls: ssl.SSLContext | None = None
) -> tuple[int, bytes]:
    """Status and body, on a connection of its own. `tls` where the origin has it: making one takes milliseconds.

    `seconds` are from the connection on. Where `address` is a name, it is looked up before that, for as long as the
    system's resolver tries (resolv.conf: `timeout` times `attempts` for each name server), and where it has several
    addresses, each is tried for `seconds`.

    Raises OSError (TimeoutError after `seconds`, TLS errors) and HttpError.
    """
    reader = ResponseReader()
    latest = time.monotonic() + seconds
    try:
        with contextlib.ExitStack() as stack:
            opened = socket.create_connection((address, origin.port), seconds)
            connection: socket.socket = stack.enter_context(opened)
            if tls:
                connection = stack.enter_context(tls.wrap_socket(connection, server_hostname=origin.host))
            connection.sendall(request)
            while not reader.response.complete:
                connection.settimeout(max(0.001, latest - time.monotonic()))
                data = connection.recv(RECEIVE_BYTES)
                if not data:
                    if not reader.eof():
                        raise HttpError("the connection closed before the answer was finished")
                    break
                reader.feed(time.perf_counter_ns(), data)
    finally:
        reader.release()
    return reader.response.status, reader.response.body


def tls_of(origin: Origin) -> ssl.SSLContext | None:
    """What `fetch` needs for an https origin."""
    return ssl.create_default_context() if origin.tls else None
