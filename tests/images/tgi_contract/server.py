"""The web server: it listens when the model is ready, and ends gracefully. A rim: sockets."""

import asyncio
import contextlib

from tests.images.tgi_contract.http1 import Connection
from tests.images.tgi_contract.routes import Routes


class Server:
    """Made by `listen`."""

    def __init__(self, server: asyncio.Server, connections: set[Connection]) -> None:
        self._server, self._connections = server, connections

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self._server.sockets[0].getsockname()[1])

    async def stop(self, seconds: float) -> bool:
        """Take no new connection, close idle ones, finish what runs. False: after `seconds` the rest was cut off."""
        self._server.close()
        for connection in list(self._connections):
            connection.drain()
        gone = [connection.gone.wait() for connection in self._connections]
        if gone:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(asyncio.gather(*gone), seconds)
        left = list(self._connections)
        for connection in left:
            connection.abort()
        return not left


async def listen(routes: Routes, host: str, port: int, payload_limit: int) -> Server:
    """Start. Raises OSError."""
    connections: set[Connection] = set()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Connection(routes.answer, payload_limit, connections), host, port)
    return Server(server, connections)


async def check_free(host: str, port: int) -> None:
    """Raise OSError where the port is taken. The router does so with the Prometheus port, and never serves there."""
    server = await asyncio.get_running_loop().create_server(asyncio.Protocol, host, port)
    server.close()
    await server.wait_closed()
