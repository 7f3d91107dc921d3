"""Timers finer than the loop's: never early, each stamp once, the latest arming holds."""

import asyncio
import sys
import time
from collections.abc import Callable

import pytest
import uvloop

from perbench_bench.engine.timer import KernelTimer, Timer, TurningTimer
from tests.support.processes import until
from tests.support.quiet import compared

Kind = Callable[[asyncio.AbstractEventLoop, Callable[[], object]], Timer]
KINDS: list[Kind] = [TurningTimer, *([KernelTimer] if sys.platform == "linux" else [])]


def fired(kind: Kind, offsets_us: list[int]) -> list[tuple[int, int]]:
    """(asked for, called back) for each offset from now, armed one after the other."""

    async def work() -> list[tuple[int, int]]:
        loop = asyncio.get_running_loop()
        done = loop.create_future()
        seen: list[tuple[int, int]] = []
        wanted = 0

        def arm() -> None:
            nonlocal wanted
            wanted = time.perf_counter_ns() + offsets_us[len(seen)] * 1000
            timer.arm(wanted)

        def back() -> None:
            seen.append((wanted, time.perf_counter_ns()))
            if len(seen) == len(offsets_us):
                done.set_result(None)
            else:
                arm()

        timer = kind(loop, back)
        arm()
        await asyncio.wait_for(done, 30)
        timer.close()
        await asyncio.sleep(0.005)
        return seen

    return uvloop.run(work())


@pytest.mark.parametrize("kind", KINDS)
def test_every_stamp_is_called_back_once_and_never_early(kind: Kind) -> None:
    seen = fired(kind, [300, 1, 4_000, 0, 150, -50, 2_500, 900] * 10)
    assert len(seen) == 80
    assert all(back >= asked for asked, back in seen)


@pytest.mark.parametrize("kind", KINDS)
def test_a_second_arming_replaces_the_first(kind: Kind) -> None:
    async def work() -> list[int]:
        calls: list[int] = []
        timer = kind(asyncio.get_running_loop(), lambda: calls.append(time.perf_counter_ns() - now))
        now = time.perf_counter_ns()
        timer.arm(now + 5_000_000)
        timer.arm(now + 10_000_000)
        await until(lambda: bool(calls))
        await asyncio.sleep(0.02)
        timer.close()
        timer.close()
        return calls

    (called,) = uvloop.run(work())
    assert called >= 10_000_000


@pytest.mark.parametrize("kind", KINDS)
def test_a_closed_timer_is_silent(kind: Kind) -> None:
    async def work() -> bool:
        called = False

        def back() -> None:
            nonlocal called
            called = True

        timer = kind(asyncio.get_running_loop(), back)
        timer.arm(time.perf_counter_ns() + 3_000_000)
        timer.close()
        await asyncio.sleep(0.02)
        return called

    assert not uvloop.run(work())


@pytest.mark.skipif(sys.platform != "linux", reason="a timerfd is Linux's")
def test_it_is_finer_than_the_loop() -> None:
    """Half a millisecond is met to within a fraction of it more often than not; libuv would round it to one or two."""

    def compare(seen: list[tuple[int, int]]) -> None:
        late = sorted(back - asked for asked, back in seen)
        assert late[len(late) // 4] < 400_000

    compared(lambda: fired(KernelTimer, [500] * 200), compare)
