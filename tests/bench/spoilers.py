"""What spoils a load generator on purpose: neighbours on its core, limits, stops; and what only looks like it."""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from perbench_bench.engine.timer import fine_timer
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
    line = _Line(writer, round(delay * 1e9))
    with contextlib.suppress(ConnectionError):
        while data := await reader.read(65_536):
            line.put(data)
    line.put(b"")


class _Line:
    """What goes one way, each piece so much later, to well under the event loop's millisecond."""

    def __init__(self, writer: asyncio.StreamWriter, delay_ns: int) -> None:
        self._writer = writer
        self._delay = delay_ns
        self._waiting: deque[tuple[int, bytes]] = deque()
        self._timer = fine_timer(asyncio.get_running_loop(), self._pass_on)

    def put(self, data: bytes) -> None:
        self._waiting.append((time.perf_counter_ns() + self._delay, data))
        if len(self._waiting) == 1:
            self._timer.arm(self._waiting[0][0])

    def _pass_on(self) -> None:
        while self._waiting and self._waiting[0][0] <= time.perf_counter_ns():
            _, data = self._waiting.popleft()
            if not data:
                self._timer.close()
                self._writer.close()
            elif not self._writer.is_closing():
                self._writer.write(data)
        if self._waiting:
            self._timer.arm(self._waiting[0][0])
