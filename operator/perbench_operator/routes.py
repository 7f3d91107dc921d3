"""Routes that are answered over HTTP, on a port of their own."""

import socket
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager

from aiohttp import web

from perbench.failures import UsageError


@asynccontextmanager
async def answering(
    routes: Iterable[web.AbstractRouteDef], address: str | None, port: int, whose: str
) -> AsyncIterator[int]:
    """Answer while the block runs. Gives the port (0 picks one).

    `address` None: all of this machine, of IPv4 and of IPv6. Raises UsageError where the port cannot be had; `whose`
    says what it is for, as in "the probes' port".
    """
    application = web.Application()
    application.add_routes(routes)
    runner = web.AppRunner(application, access_log=None, handle_signals=False, shutdown_timeout=1.0)
    await runner.setup()
    try:
        try:
            listening = _socket(address, port)
        except OSError as error:
            raise UsageError(f"the {whose} port {port} cannot be had: {error.strerror or error}") from error
        await web.SockSite(runner, listening).start()
        yield int(listening.getsockname()[1])
    finally:
        await runner.cleanup()


def _socket(address: str | None, port: int) -> socket.socket:
    if address is not None:
        return socket.create_server((address, port))
    if socket.has_dualstack_ipv6():
        return socket.create_server(("::", port), family=socket.AF_INET6, dualstack_ipv6=True)
    return socket.create_server(("0.0.0.0", port))  # noqa: S104  kubelet and Prometheus ask from outside the pod
