"""What spoils a load generator on purpose: neighbours on its core, limits, stops; and what only looks like it."""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.bench.judged_load import Spoiler

CPU_GROUPS = Path("/sys/fs/cgroup/cpu,cpuacct"), Path("/sys/fs/cgroup/cpu")
PERIOD_US = 100_000
SPIN = "import time\nend = time.monotonic() + 60\nwhile time.monotonic() < end: pass"


def hogs(count: int, nice: int) -> Spoiler:
    """So many busy processes on the load generator's core."""

    @contextmanager
    def spoil(pid: int) -> Iterator[None]:
        os.sched_setaffinity(pid, {0})
        busy = [
            subprocess.Popen(["taskset", "-c", "0", "nice", "-n", str(nice), sys.executable, "-c", SPIN])
            for _ in range(count)
        ]
        try:
            yield
        finally:
            for process in busy:
                process.kill()
                process.wait()

    return spoil


def stops(milliseconds: float, every: float) -> Spoiler:
    """The process is stopped for so long, again and again."""

    @contextmanager
    def spoil(pid: int) -> Iterator[None]:
        over = threading.Event()

        def work() -> None:
            with contextlib.suppress(ProcessLookupError):
                while not over.wait(every / 1e3):
                    os.kill(pid, signal.SIGSTOP)
                    time.sleep(milliseconds / 1e3)
                    os.kill(pid, signal.SIGCONT)

        thread = threading.Thread(target=work)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()

    return spoil


def cpu_limit(percent: int) -> Spoiler:
    """A control group that may use so much of one core. Needs root and version 1 or 2 of control groups."""

    @contextmanager
    def spoil(pid: int) -> Iterator[None]:
        group = _group(f"perbench-spoil-{pid}")
        quota = str(PERIOD_US * percent // 100)
        if (group / "cpu.max").exists():
            (group / "cpu.max").write_text(f"{quota} {PERIOD_US}")
        else:
            (group / "cpu.cfs_quota_us").write_text(quota)
        (group / "cgroup.procs").write_text(str(pid))
        try:
            yield
        finally:
            _remove(group)

    return spoil


def can_limit() -> bool:
    """Whether this machine lets us make a control group with a CPU limit."""
    try:
        _remove(_group(f"perbench-spoil-{os.getpid()}"))
    except OSError:
        return False
    return True


def _group(name: str) -> Path:
    root = next((path for path in CPU_GROUPS if path.is_dir()), Path("/sys/fs/cgroup"))
    group = root / name
    group.mkdir()
    return group


def _remove(group: Path) -> None:
    for _ in range(100):
        with contextlib.suppress(OSError):  # its process is not quite gone yet
            group.rmdir()
            return
        time.sleep(0.02)


@contextmanager
def slow_network(url: str, both_ways_ms: float) -> Iterator[str]:
    """A proxy in front of `url` that takes half of this each way: no fault of the load generator's."""
    loop, ready = asyncio.new_event_loop(), threading.Event()
    found: list[int] = []
    port = int(url.rsplit(":", 1)[1])
    over = asyncio.Event()

    async def serve() -> None:
        server = await asyncio.start_server(lambda r, w: _through(r, w, port, both_ways_ms / 2e3), "127.0.0.1", 0)
        found.append(server.sockets[0].getsockname()[1])
        ready.set()
        await over.wait()
        server.close()

    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),))
    thread.start()
    ready.wait(30)
    try:
        yield f"http://127.0.0.1:{found[0]}"
    finally:
        loop.call_soon_threadsafe(over.set)
        thread.join()


async def _through(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, port: int, delay: float) -> None:
    there = await asyncio.open_connection("127.0.0.1", port)
    await asyncio.gather(_pump(reader, there[1], delay), _pump(there[0], writer, delay))


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, delay: float) -> None:
    loop = asyncio.get_running_loop()
    with contextlib.suppress(ConnectionError):
        while data := await reader.read(65_536):
            loop.call_later(delay, _pass_on, writer, data)
        loop.call_later(delay, writer.close)


def _pass_on(writer: asyncio.StreamWriter, data: bytes) -> None:
    if not writer.is_closing():
        writer.write(data)
