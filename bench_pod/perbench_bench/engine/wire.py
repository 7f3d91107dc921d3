"""Where requests go, and the looking up of it before the load."""

import asyncio
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from perbench_bench.engine.feed import Ticket
from perbench_bench.engine.http1 import Origin

PROBE_SECONDS = 3.0


@dataclass(frozen=True, slots=True)
class Wire:
    """How to reach the server and what to send it."""

    origin: Origin
    addresses: tuple[str, ...]
    request: Callable[[Ticket], bytes]
    timeout_seconds: float
    """For a whole request."""
    first_seconds: float
    """For what comes before the first event of an answer. Headers are none: many servers send them and then queue."""
    idle_seconds: float
    """For the silence after it. A comment is no event: it says that a router lives, not that the model works."""


async def resolve(origin: Origin) -> tuple[str, ...]:
    """Addresses of the host, once, before the load: name lookups have no place in a latency. Raises OSError."""
    loop = asyncio.get_running_loop()
    families: dict[int, dict[str, None]] = {}
    for family, _, _, _, address in await loop.getaddrinfo(origin.host, origin.port, type=socket.SOCK_STREAM):
        families.setdefault(family, {})[str(address[0])] = None
    return await family_that_listens([tuple(addresses) for addresses in families.values()], origin.port)


async def family_that_listens(families: Sequence[tuple[str, ...]], port: int) -> tuple[str, ...]:
    """The addresses of the first family with one that listens; of the first, when none does.

    The IPv6 and IPv4 addresses of a name are the same server, which often listens on one only (localhost).
    """
    for addresses in families if len(families) > 1 else ():
        for address in addresses:
            if await _listens(address, port):
                return addresses
    return families[0]


async def _listens(address: str, port: int) -> bool:
    try:
        async with asyncio.timeout(PROBE_SECONDS):
            transport, _ = await asyncio.get_running_loop().create_connection(asyncio.Protocol, address, port)
    except (OSError, TimeoutError):
        return False
    transport.abort()
    return True
