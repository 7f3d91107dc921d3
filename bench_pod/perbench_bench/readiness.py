"""Waits until a model's replicas are ready: as many addresses behind its name as there are replicas, each healthy.

The name of a headless Service has no address until the first pod has one, so that a failed lookup is normal here. It
has those of servers that still load, too: that a server is ready only its health route tells.
"""

import asyncio
import ssl
import time
from collections.abc import Callable
from functools import partial

from perbench.failures import Blame, Failure, RunError, shorten
from perbench.plan import ClusterPlace
from perbench_bench.daemon import in_daemon
from perbench_bench.engine.http1 import HttpError, Origin, get_bytes
from perbench_bench.engine.wire import resolve
from perbench_bench.fetch import fetch, tls_of

STEP_SECONDS = 0.5
LOOKUP_SECONDS = 10.0
HEALTH_SECONDS = 10.0
"""A health route may wait for the request that the server is working on: seconds, on a busy or loading one."""


async def wait_until_ready(
    origin: Origin, place: ClusterPlace, api_key: str | None, say: Callable[[str], None]
) -> None:
    """Wait; `say` is told what for. Raises RunError (`NotReady`) after `place.ready_seconds`."""
    if place.replicas == 0:
        return
    began = time.monotonic()
    check = _Check(origin, place, api_key)
    while (lacking := await check.lacking()) is not None:
        say(lacking)
        if time.monotonic() - began > place.ready_seconds:
            raise RunError(_not_ready(origin, place, lacking))
        await asyncio.sleep(STEP_SECONDS)


class _Check:
    """What is asked, again and again."""

    def __init__(self, origin: Origin, place: ClusterPlace, api_key: str | None) -> None:
        self._origin = origin
        self._replicas = place.replicas
        self._path = place.health_path
        self._request = get_bytes(Origin(origin.host, origin.port, origin.tls, ""), place.health_path or "/", api_key)
        self._tls: ssl.SSLContext | None = tls_of(origin)

    async def lacking(self) -> str | None:
        """What is not there yet; None: everything is."""
        try:
            async with asyncio.timeout(LOOKUP_SECONDS):
                addresses = await resolve(self._origin)
        except OSError as error:  # TimeoutError is among them
            return f"{self._origin.host} has no address yet ({str(error) or type(error).__name__})"
        if len(addresses) < self._replicas:
            return f"{self._origin.host} has {len(addresses)} of {self._replicas} addresses"
        if self._path is None:
            return None
        answers = await asyncio.gather(*(in_daemon(partial(self._unhealthy, one)) for one in addresses))
        unhealthy = [answer for answer in answers if answer is not None]
        return unhealthy[0] if unhealthy else None

    def _unhealthy(self, address: str) -> str | None:
        try:
            status, _ = fetch(self._origin, address, self._request, HEALTH_SECONDS, self._tls)
        except (OSError, HttpError) as error:
            return f"{address}: {self._path} does not answer ({str(error) or type(error).__name__})"
        return None if status == 200 else f"{address}: {self._path} answers HTTP {status}"


def _not_ready(origin: Origin, place: ClusterPlace, lacking: str) -> Failure:
    message = shorten(
        f"the model was not ready within {place.ready_seconds:g} s: {lacking}; see the log of its pod ({origin.host}), "
        "or raise execution.deadlines.readySeconds"
    )
    return Failure(blame=Blame.TARGET, reason="NotReady", message=message)
