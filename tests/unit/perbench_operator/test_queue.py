import asyncio
import time

import pytest

from perbench_operator.queue import KeyedQueue


class Clock:
    """A clock that the test sets forward."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def queue(clock: Clock) -> KeyedQueue:
    return KeyedQueue(clock)


async def taken(queue: KeyedQueue) -> str | None:
    """What is there now."""
    return await queue.take(0.0)


def test_a_key_that_is_added_twice_comes_once(queue: KeyedQueue) -> None:
    async def run() -> None:
        for key in ("a", "b", "a"):
            queue.add(key)
        assert [await taken(queue), await taken(queue), await taken(queue)] == ["a", "b", None]

    asyncio.run(run())


def test_a_key_at_work_is_in_one_hand_only_and_comes_again_afterwards(queue: KeyedQueue) -> None:
    async def run() -> None:
        queue.add("a")
        assert await taken(queue) == "a"
        queue.add("a")
        assert await taken(queue) is None
        queue.done("a")
        assert await taken(queue) == "a"
        queue.done("a")
        assert await taken(queue) is None

    asyncio.run(run())


def test_later_means_later_and_the_earliest_wish_counts(queue: KeyedQueue, clock: Clock) -> None:
    async def run() -> None:
        queue.add("a", after=10)
        queue.add("a", after=5)
        queue.add("a", after=20)
        assert await taken(queue) is None
        clock.now += 5
        assert await taken(queue) == "a"
        queue.done("a")
        clock.now += 100
        assert await taken(queue) is None, "the later wishes went with the first"

    asyncio.run(run())


def test_what_is_added_now_does_not_wait_for_a_later_wish(queue: KeyedQueue, clock: Clock) -> None:
    async def run() -> None:
        queue.add("a", after=10)
        queue.add("a")
        assert await taken(queue) == "a"
        queue.done("a", after=3)
        assert await taken(queue) is None
        clock.now += 3
        assert await taken(queue) == "a"

    asyncio.run(run())


def test_failures_come_again_each_time_later_until_one_is_done(queue: KeyedQueue, clock: Clock) -> None:
    async def run() -> None:
        waits = []
        queue.add("a")
        for _ in range(8):
            assert await taken(queue) == "a"
            waits.append(queue.failed("a"))
            assert await taken(queue) is None
            clock.now += waits[-1]
        assert waits == [1, 2, 4, 8, 16, 32, 60, 60]
        assert await taken(queue) == "a"
        queue.done("a")
        queue.add("a")
        assert await taken(queue) == "a"
        assert queue.failed("a") == 1

    asyncio.run(run())


def test_what_is_forgotten_does_not_come(queue: KeyedQueue, clock: Clock) -> None:
    async def run() -> None:
        queue.add("a")
        queue.add("b", after=1)
        queue.forget("a")
        queue.forget("b")
        clock.now += 2
        assert await taken(queue) is None

    asyncio.run(run())


def test_whoever_waits_is_woken_by_what_is_added() -> None:
    async def run() -> None:
        queue = KeyedQueue(time.monotonic)
        waiting = asyncio.create_task(queue.take(60.0))
        await asyncio.sleep(0.01)
        queue.add("a")
        async with asyncio.timeout(60):
            assert await waiting == "a"
        queue.done("a", after=0.02)
        async with asyncio.timeout(60):
            assert await queue.take(60.0) == "a"

    asyncio.run(run())
