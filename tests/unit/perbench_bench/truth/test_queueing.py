"""Slots and their line: order and limits, and long simulations against the theory of M/M/c."""

from heapq import heappop, heappush
from random import Random

import numpy as np
import pytest

from perbench_bench.truth.queueing import Admission, SlotQueue, erlang_c, mean_wait


def test_first_come_first_served_and_no_more_than_may_wait() -> None:
    queue: SlotQueue[str] = SlotQueue(2, 2)
    admitted = [queue.arrive(name) for name in "abcde"]
    assert admitted == [Admission.STARTS] * 2 + [Admission.WAITS] * 2 + [Admission.REFUSED]
    assert (queue.running, queue.waiting) == (2, 2)
    queue.withdraw("c")
    assert queue.leave() == "d"
    assert (queue.leave(), queue.leave(), queue.running) == (None, None, 0)


def test_without_slots_everybody_starts() -> None:
    queue: SlotQueue[int] = SlotQueue(None)
    assert {queue.arrive(number) for number in range(1000)} == {Admission.STARTS}


def simulated_waits(slots: int, rate: float, service: float, requests: int, seed: int) -> np.ndarray:
    """Waits in order of arrival, by the queue the server uses; exponential gaps and services."""
    random, queue = Random(seed), SlotQueue[int](slots)
    arrivals = np.cumsum([random.expovariate(rate) for _ in range(requests)])
    services = [random.expovariate(1 / service) for _ in range(requests)]
    waits, ends = np.zeros(requests), list[tuple[float, int]]()

    def leave() -> None:
        free, _ = heappop(ends)
        following = queue.leave()
        if following is not None:
            waits[following] = free - arrivals[following]
            heappush(ends, (free + services[following], following))

    for number, came in enumerate(arrivals):
        while ends and ends[0][0] <= came:
            leave()
        if queue.arrive(number) is Admission.STARTS:
            heappush(ends, (came + services[number], number))
    while ends:
        leave()
    return waits


@pytest.mark.parametrize(("slots", "busy"), [(1, 0.5), (1, 0.8), (4, 2.0), (4, 3.4), (16, 13.0)])
def test_mean_wait_and_share_that_wait_agree_with_erlang(slots: int, busy: float) -> None:
    rate, service = busy / 0.02, 0.02
    waits = simulated_waits(slots, rate, service, 200_000, seed=slots)[2_000:]
    batches = waits[: waits.size // 50 * 50].reshape(50, -1).mean(axis=1)  # waits are correlated, long batches are not
    error = batches.std(ddof=1) / np.sqrt(batches.size)
    assert abs(waits.mean() - mean_wait(slots, rate, service)) < 4 * error
    assert (waits > 0).mean() == pytest.approx(erlang_c(slots, busy), abs=0.03)


@pytest.mark.parametrize(("slots", "busy", "share"), [(1, 0.5, 0.5), (2, 1.0, 1 / 3), (4, 0.0, 0.0)])
def test_erlang_c_by_hand(slots: int, busy: float, share: float) -> None:
    """One slot: the load r itself. Two: 2r²/(1 + r), r being the load per slot."""
    assert erlang_c(slots, busy) == pytest.approx(share)


def test_a_queue_that_never_settles_has_no_mean() -> None:
    with pytest.raises(ValueError, match="no steady state"):
        mean_wait(2, 1.0, 2.0)
