"""Read delays: half an iteration, and the part of a stall that a chunk waited."""

import asyncio
import socket
import sys
import threading
import time

import numpy as np
import pytest
import uvloop
from numpy.typing import NDArray

from perbench_bench.engine.delay import Beat, Heartbeat, LoopMonitor, RunQueue
from tests.support.quiet import compared

Stamps = NDArray[np.float64]
LINUX = pytest.mark.skipif(sys.platform != "linux", reason="a beat needs a timerfd, which is Linux's")


class Reader(asyncio.Protocol):
    """Tells the monitor of each read, and keeps what it is told."""

    def __init__(self, monitor: LoopMonitor) -> None:
        self.monitor = monitor
        self.delays: list[int] = []
        self.waited: list[int] = []

    def data_received(self, data: bytes) -> None:
        now = time.perf_counter_ns()
        self.monitor.reading(self, now)
        sent = np.frombuffer(data[: len(data) // 8 * 8], dtype=np.int64)
        self.waited.append(now - int(sent[0]))

    def read_delayed(self, delay_ns: int) -> None:
        self.delays.append(delay_ns)


async def reads_under(block_seconds: float, count: int = 150) -> Reader:
    """A sender that writes the time every few ms, and a loop that is blocked for so long every 20 ms."""
    loop = asyncio.get_running_loop()
    beat = Beat(loop, time.perf_counter_ns)
    monitor = LoopMonitor(loop, time.perf_counter_ns, beat)
    ours, theirs = socket.socketpair()
    _, reader = await loop.create_connection(lambda: Reader(monitor), sock=ours)
    writer = await asyncio.create_subprocess_exec(
        sys.executable, "-c",
        "import socket, struct, time, random\n"
        f"sender = socket.socket(fileno={theirs.fileno()})\n"
        f"for _ in range({count}):\n"
        "    time.sleep(random.uniform(0.002, 0.006))\n"
        "    sender.send(struct.pack('q', time.perf_counter_ns()))\n",
        pass_fds=[theirs.fileno()],
    )  # fmt: skip
    theirs.close()

    def block() -> None:
        time.sleep(block_seconds)
        loop.call_later(0.02, block)

    beat.start()
    if block_seconds:
        block()
    await writer.wait()
    await asyncio.sleep(0.05)
    beat.close()
    return reader


@LINUX
def test_a_blocked_loop_shows_in_the_delays_as_it_does_in_truth() -> None:
    def measure() -> tuple[Stamps, Stamps]:
        reader = uvloop.run(asyncio.wait_for(reads_under(0.012), 60))
        assert len(reader.delays) == len(reader.waited)
        # Of a stall of the whole machine one read is told any part: it counts as no more than a block.
        return np.minimum(np.array(reader.delays) / 1e6, 12), np.minimum(np.array(reader.waited) / 1e6, 12)

    def compare(of_one: tuple[Stamps, Stamps]) -> None:
        told, true = of_one
        # A third of the time the loop is blocked: those that came meanwhile waited up to 12 ms.
        assert np.percentile(true, 90) > 4
        assert 0.3 * true.mean() < told.mean() < 2 * true.mean(), "without the beat it is some hundredths of it"
        assert np.percentile(told, 95) > 2

    compared(measure, compare)


@LINUX
def test_an_idle_loop_has_hardly_any() -> None:
    def compare(reader: Reader) -> None:
        assert np.median(reader.delays) < max(200_000, 2 * np.median(reader.waited))

    compared(lambda: uvloop.run(asyncio.wait_for(reads_under(0.0), 60)), compare)


@LINUX
def test_a_stall_ends_with_the_turn_that_read_after_it() -> None:
    async def work() -> tuple[int, int, int]:
        loop = asyncio.get_running_loop()
        beat = Beat(loop, time.perf_counter_ns)
        beat.start()
        await asyncio.sleep(0.01)
        time.sleep(0.02)  # noqa: ASYNC251 - the loop is to be held
        held = time.perf_counter_ns()
        during = beat.stalled_before(held)
        for _ in range(6):
            await asyncio.sleep(0)
        await asyncio.sleep(0.001)
        now = time.perf_counter_ns()
        after = beat.stalled_before(now)
        beat.close()
        return during, after, now - held

    during, after, since = uvloop.run(work())
    assert during > 15_000_000
    assert after < since + 5_000_000, "no more than the machine may have stalled since then"


@LINUX
def test_any_thread_may_ask_how_long_the_loops_thread_has_waited_for_a_core() -> None:
    async def work() -> tuple[float | None, float | None]:
        queue = RunQueue(asyncio.get_running_loop())
        await queue.prepare()
        queue.start()
        asked: list[float | None] = []
        for _ in range(50):
            await asyncio.sleep(0.001)
        thread = threading.Thread(target=lambda: asked.append(queue.so_far()))
        thread.start()
        thread.join()
        return asked[0], queue.stop()

    asked, at_the_end = uvloop.run(work())
    if asked is None or at_the_end is None:
        pytest.skip("the kernel counts no waits for a core")
    assert asked >= 0
    assert at_the_end >= 0


def test_a_heartbeat_says_how_late_it_has_been_while_it_beats_and_after() -> None:
    async def work() -> tuple[float | None, float | None, float | None]:
        heart = Heartbeat(asyncio.get_running_loop(), time.perf_counter_ns)
        silent = heart.mean_late_ms()
        heart.start()
        await asyncio.sleep(0.05)
        beating = heart.mean_late_ms()
        heart.stop()
        return silent, beating, heart.mean_late_ms()

    silent, beating, after = asyncio.run(work())
    assert silent is None
    assert beating is not None
    assert after == beating
