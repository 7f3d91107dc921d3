"""Starting, watching and ending the shard. A rim: processes."""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from perbench.runtimes.llamacpp_local import ENVIRONMENT, LocalSettings

MODULE = "tests.images.tgi_contract.shard"


class ShardStartError(Exception):
    """The shard ended before it answered."""


@dataclass(frozen=True)
class ShardSettings:
    """What the shard is started with. `context`: tokens, over all slots together."""

    model: Path
    slots: int
    context: int
    threads: int
    verbosity: int


@dataclass(frozen=True)
class Shard:
    """A shard that listens."""

    url: str
    process: asyncio.subprocess.Process

    async def died(self) -> int:
        """Wait for its end."""
        return await self.process.wait()


@asynccontextmanager
async def running_shard(
    settings: ShardSettings, environment: Mapping[str, str], refusal: str | None = None
) -> AsyncIterator[Shard]:
    """A shard, ended with the block. `refusal`: why the real one would not start. Raises ShardStartError."""
    if refusal is not None:
        raise ShardStartError(refusal)
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", MODULE),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        env={**environment, **ENVIRONMENT, "OMP_NUM_THREADS": str(settings.threads)},
        start_new_session=True,
    )
    try:
        yield Shard(await _listening(process, settings), process)
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


async def _listening(process: asyncio.subprocess.Process, settings: ShardSettings) -> str:
    assert process.stdin is not None
    assert process.stdout is not None
    local = LocalSettings(slots=settings.slots, context=settings.context, threads=settings.threads)
    own = {"model": str(settings.model), "port": 0, "parent": os.getpid(), "verbosity": settings.verbosity}
    try:
        process.stdin.write(json.dumps({**local.model_dump(), **own}).encode() + b"\n")
        await process.stdin.drain()
    except (BrokenPipeError, ConnectionResetError):
        pass  # it has ended, which the next read tells
    line = await process.stdout.readline()
    if not line:
        raise ShardStartError(f"exit code {await process.wait()}")
    return str(json.loads(line)["url"])
