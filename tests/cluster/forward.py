"""Carries connections from a listening socket of the machine to a port of the node, between two network namespaces.

    python -m tests.cluster.forward DESCRIPTOR PORT

It runs inside the node and inherits a socket that was opened outside: a socket stays in the namespace it was made in.
No packet crosses, so neither side needs an address of the other, and TLS goes end to end.
"""

import asyncio
import contextlib
import socket
import sys

CHUNK = 65536


async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Copy one direction until its end, then end it on the other side, however it ended on this one."""
    with contextlib.suppress(OSError):
        while chunk := await reader.read(CHUNK):
            writer.write(chunk)
            await writer.drain()
    with contextlib.suppress(OSError):
        writer.write_eof()


async def serve(listener: socket.socket, port: int) -> None:
    """Forward until killed."""

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            inside, outside = await asyncio.open_connection("127.0.0.1", port)
            await asyncio.gather(carry(reader, outside), carry(inside, writer))
            outside.close()
        writer.close()

    server = await asyncio.start_server(connected, sock=listener)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(serve(socket.socket(fileno=int(sys.argv[1])), int(sys.argv[2])))
