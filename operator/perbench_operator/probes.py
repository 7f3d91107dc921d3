"""The routes that the kubelet's probes ask: /healthz (live) and /readyz (ready), on a port of their own."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from aiohttp import web

from perbench.failures import UsageError
from perbench_operator.health import Health


@asynccontextmanager
async def probe_routes(health: Health, clock: Callable[[], float], address: str, port: int) -> AsyncIterator[int]:
    """Answer probes while the block runs: 200 and `ok`, or 503 and the reason. Gives the port (0 picks one).

    Raises UsageError where the port cannot be had.
    """

    def route(trouble: Callable[[float], str | None]) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        async def answer(_: web.Request) -> web.StreamResponse:
            reason = trouble(clock())
            return web.Response(text=f"{reason or 'ok'}\n", status=503 if reason else 200)

        return answer

    application = web.Application()
    application.add_routes([web.get("/healthz", route(health.not_live)), web.get("/readyz", route(health.not_ready))])
    runner = web.AppRunner(application, access_log=None, handle_signals=False, shutdown_timeout=1.0)
    await runner.setup()
    try:
        site = web.TCPSite(runner, address, port)
        try:
            await site.start()
        except OSError as error:
            raise UsageError(f"the probes' port {port} cannot be had: {error.strerror or error}") from error
        yield int(runner.addresses[0][1])
    finally:
        await runner.cleanup()
