"""A truth server as the whole life of a process: bounded, ended by a signal, its record written at the end."""

import asyncio
import contextlib
import gc
import os
import resource
import signal
import ssl
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import uvloop
from pydantic import Field

from perbench.base import Document
from perbench.failures import UsageError
from perbench.files import write_atomically
from perbench_bench.engine.delay import RunQueue
from perbench_bench.truth.record import Recorder
from perbench_bench.truth.script import Script
from perbench_bench.truth.server import TruthServer

EXIT_OF_FAULT = 9


class Serving(Document):
    """Where a server listens, how long it lives, what it keeps."""

    host: str = "127.0.0.1"
    port: int = Field(ge=0, le=65535, default=0)
    """0: any that is free."""
    record: Path | None = None
    """File of its record. None: none is written."""
    record_prompts: int = Field(ge=0, le=1_000_000, default=0)
    """Characters of each prompt that the record keeps."""
    max_requests: Annotated[int, Field(ge=1)] = 1_000_000
    """Generations after which it ends."""
    max_seconds: float = Field(gt=0, le=86_400, default=3600.0)
    tls_certificate: Path | None = None
    tls_key: Path | None = None
    api_key: str | None = Field(min_length=1, default=None)
    """Wanted of every generation."""

    @property
    def scheme(self) -> str:
        """Of its URL."""
        return "https" if self.tls_certificate else "http"


def serve(script: Script, serving: Serving, *, with_parent: bool = False) -> None:
    """Print the URL, serve until a limit or a signal, write the record. Raises UsageError and RunError.

    `with_parent`: it also ends when its standard input does.
    """
    uvloop.run(_serve(script, serving, with_parent=with_parent))


async def _serve(script: Script, serving: Serving, *, with_parent: bool) -> None:
    loop = asyncio.get_running_loop()
    tls = _tls(serving)
    _raise_descriptor_limit()
    run_queue = RunQueue(loop)
    await run_queue.prepare()
    recorder, ended = Recorder(serving.record_prompts), asyncio.Event()
    began = time.perf_counter_ns()

    def write_record() -> None:
        if serving.record:
            about = {
                "script": script.model_dump(mode="json", by_alias=True), "began": began,
                "ended": time.perf_counter_ns(), "runQueueWaitMs": run_queue.stop(),
                "cpuSeconds": time.process_time() - cpu,
            }  # fmt: skip
            write_atomically(serving.record, recorder.document(about))

    def exit_now() -> None:
        write_record()
        os._exit(EXIT_OF_FAULT)

    server = TruthServer(
        script, recorder, ended.set, exit_now, tls=tls, api_key=serving.api_key, max_requests=serving.max_requests
    )
    _heed(loop, ended, write_record, server.recover, with_parent=with_parent)
    try:
        port = await server.listen(serving.host, serving.port)
    except OSError as error:
        reason = error.strerror or error
        raise UsageError(f"cannot listen on {serving.host}:{serving.port}: {reason}; give another --port") from error
    gc.collect()
    gc.freeze()
    gc.disable()
    cpu = time.process_time()
    run_queue.start()
    host = f"[{serving.host}]" if ":" in serving.host else serving.host
    sys.stdout.write(f"{serving.scheme}://{host}:{port}\n")
    sys.stdout.flush()
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(serving.max_seconds):
            await ended.wait()
    await server.stop()
    write_record()


def _heed(
    loop: asyncio.AbstractEventLoop,
    ended: asyncio.Event,
    write_record: Callable[[], None],
    recover: Callable[[], None],
    *,
    with_parent: bool,
) -> None:
    """SIGTERM and SIGINT end it, SIGUSR1 writes the record so far, SIGUSR2 ends its faults."""
    loop.add_signal_handler(signal.SIGTERM, ended.set)
    loop.add_signal_handler(signal.SIGINT, ended.set)
    loop.add_signal_handler(signal.SIGUSR1, write_record)
    loop.add_signal_handler(signal.SIGUSR2, recover)

    def parent_speaks() -> None:
        if not os.read(sys.stdin.fileno(), 4096):
            loop.remove_reader(sys.stdin.fileno())
            ended.set()

    if with_parent:
        loop.add_reader(sys.stdin.fileno(), parent_speaks)


def _tls(serving: Serving) -> ssl.SSLContext | None:
    if (serving.tls_certificate is None) != (serving.tls_key is None):
        raise UsageError("a certificate and its key go together: give --tls-certificate and --tls-key, or neither")
    if serving.tls_certificate is None:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        context.load_cert_chain(serving.tls_certificate, serving.tls_key)
    except OSError as error:  # ssl.SSLError is one
        raise UsageError(
            f"{serving.tls_certificate}, {serving.tls_key}: no certificate with its key: {error}"
        ) from error
    return context


def _raise_descriptor_limit() -> None:
    """A descriptor for each connection: take all the system lets us have."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
