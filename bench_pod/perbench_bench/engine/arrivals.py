"""When requests of an open loop are due: drawn before the load starts, the same for the same seed. Pure.

Gaps between arrivals are independent, with mean 1/rate: exponential (`Poisson`), all alike (`Constant`), or of a Gamma
distribution of shape `burstiness` (`Gamma`: 1 is Poisson; below it arrivals come in bursts, above it more evenly; the
coefficient of variation of the gaps is 1/√burstiness).
"""

import numpy as np
from numpy.typing import NDArray

from perbench.api.load import Arrival
from perbench.plan import ArrivalPlan

NS = 1_000_000_000
BLOCK = 4096
"""Arrivals drawn at once where nobody knows how many it takes (warm-up, filler)."""


def gaps_seconds(plan: ArrivalPlan, count: int, generator: np.random.Generator) -> NDArray[np.float64]:
    """`count` gaps between arrivals, in seconds."""
    mean = 1 / plan.rate
    if plan.process is Arrival.CONSTANT:
        return np.full(count, mean)
    shape = 1.0 if plan.process is Arrival.POISSON else plan.burstiness
    return generator.gamma(shape, mean / shape, count)


def schedule_ns(plan: ArrivalPlan, count: int, seed: int) -> NDArray[np.int64]:
    """When each of `count` requests is due, in ns after the window opens; rising, the first one gap after it."""
    return _stamps(gaps_seconds(plan, count, np.random.default_rng([seed, 0])), 0)


class EndlessArrivals:
    """Arrivals for as long as they are asked for, after a stamp: those that nobody measures."""

    def __init__(self, plan: ArrivalPlan, stream: tuple[int, int], after_ns: int) -> None:
        self._plan = plan
        self._generator = np.random.default_rng(list(stream))
        self._last = after_ns
        self._block: list[int] = []

    def pop(self) -> int:
        """The stamp of the next one."""
        if not self._block:
            stamps = _stamps(gaps_seconds(self._plan, BLOCK, self._generator), self._last)
            self._last = int(stamps[-1])
            self._block = stamps[::-1].tolist()
        return self._block.pop()


def _stamps(gaps: NDArray[np.float64], after_ns: int) -> NDArray[np.int64]:
    """The sums are rounded, not the gaps: at high rates rounding would add up to another rate."""
    return after_ns + np.rint(np.cumsum(gaps) * NS).astype(np.int64)
