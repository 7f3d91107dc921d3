"""The routes that the kubelet's probes ask: /healthz (live) and /readyz (ready), on a port of their own."""

from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager

from aiohttp import web

from perbench_operator.health import Health
from perbench_operator.routes import answering


def probe_routes(
    health: Health, clock: Callable[[], float], address: str | None, port: int
) -> AbstractAsyncContextManager[int]:
    """Answer probes while the block runs: 200 and `ok`, or 503 and the reason. Gives the port (0 picks one).

    `address` None: all of this machine, of IPv4 and of IPv6. Raises UsageError where the port cannot be had.
    """

    def route(trouble: Callable[[float], str | None]) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        async def answer(_: web.Request) -> web.StreamResponse:
            reason = trouble(clock())
            return web.Response(text=f"{reason or 'ok'}\n", status=503 if reason else 200)

        return answer

    routes = [web.get("/healthz", route(health.not_live)), web.get("/readyz", route(health.not_ready))]
    return answering(routes, address, port, "probes'")
