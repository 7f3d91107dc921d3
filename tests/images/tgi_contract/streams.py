"""Streams of bytes: kept alive while nothing comes, and several as one."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Sequence


async def kept_alive(parts: AsyncGenerator[bytes, None], seconds: float, comment: bytes) -> AsyncGenerator[bytes, None]:
    """The parts, and `comment` whenever none has come for `seconds`."""
    pending: asyncio.Future[bytes] | None = None
    try:
        while True:
            pending = pending or asyncio.ensure_future(anext(parts))
            await asyncio.wait({pending}, timeout=seconds)
            if not pending.done():
                yield comment
                continue
            done, pending = pending, None
            try:
                part = done.result()
            except StopAsyncIteration:
                return
            yield part
    finally:
        if pending is not None:
            pending.cancel()
            with contextlib.suppress(asyncio.CancelledError, StopAsyncIteration):
                await pending
        await parts.aclose()


async def interleaved(streams: Sequence[AsyncGenerator[bytes, None]], last: bytes) -> AsyncGenerator[bytes, None]:
    """The parts of all streams as they come, then `last`."""
    queue: asyncio.Queue[bytes | None] = asyncio.Queue()

    async def forward(stream: AsyncGenerator[bytes, None]) -> None:
        try:
            async with contextlib.aclosing(stream) as parts:
                async for part in parts:
                    queue.put_nowait(part)
        finally:
            queue.put_nowait(None)

    tasks = [asyncio.ensure_future(forward(stream)) for stream in streams]
    try:
        running = len(tasks)
        while running:
            part = await queue.get()
            if part is None:
                running -= 1
            else:
                yield part
        yield last
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
