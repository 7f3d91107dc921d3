"""The route that Prometheus asks: /metrics, on a port of its own, as OpenMetrics or in the older text format."""

import asyncio
from contextlib import AbstractAsyncContextManager

from aiohttp import hdrs, web
from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from perbench_operator.routes import answering

PATH = "/metrics"


def metric_routes(collector: Collector, address: str | None, port: int) -> AbstractAsyncContextManager[int]:
    """Answer scrapes while the block runs, with what the process itself uses beside. Gives the port (0 picks one).

    `address` None: all of this machine, of IPv4 and of IPv6. Raises UsageError where the port cannot be had.
    """
    registry = CollectorRegistry()
    registry.register(collector)
    ProcessCollector(registry=registry)

    async def answer(request: web.Request) -> web.StreamResponse:
        try:
            encode, content_type = choose_encoder(",".join(request.headers.getall(hdrs.ACCEPT, [])))
        except TypeError:  # it asks for a version that is no number
            encode, content_type = choose_encoder("")
        # In a thread: a page of a hundred large benchmarks takes seconds, in which probes and watches want to go on.
        text = await asyncio.to_thread(encode, registry)
        response = web.Response(body=text, headers={hdrs.CONTENT_TYPE: content_type})
        response.enable_compression()
        return response

    return answering([web.get(PATH, answer)], address, port, "metrics'")
