"""Schedules of an open loop: their rate, their spread, their independence, their reproducibility."""

import numpy as np
import pytest
from numpy.typing import NDArray

from perbench.api.load import Arrival
from perbench.plan import ArrivalPlan
from perbench_bench.engine.arrivals import EndlessArrivals, schedule_ns

COUNT = 40_000
RATE = 250.0
NS = 1e9


def gaps(process: Arrival, burstiness: float = 1.0, seed: int = 5) -> NDArray[np.float64]:
    plan = ArrivalPlan(rate=RATE, process=process, burstiness=burstiness)
    stamps = schedule_ns(plan, COUNT, seed)
    assert (np.diff(stamps) >= 0).all()
    return np.diff(stamps, prepend=0) / NS


def dispersion(found: NDArray[np.float64], seconds: float = 0.2) -> float:
    """Variance over mean of the counts per stretch: 1 for a Poisson process, whatever the length of the stretch."""
    stamps = np.cumsum(found)
    counts = np.bincount((stamps // seconds).astype(np.int64))[:-1]
    return float(counts.var(ddof=1) / counts.mean())


def lag_one(found: NDArray[np.float64]) -> float:
    return float(np.corrcoef(found[:-1], found[1:])[0, 1])


def variation(found: NDArray[np.float64]) -> float:
    return float(found.std() / found.mean())


def test_poisson_is_poisson() -> None:
    found = gaps(Arrival.POISSON)
    assert found.mean() == pytest.approx(1 / RATE, rel=0.02)
    assert variation(found) == pytest.approx(1, abs=0.02)
    assert dispersion(found) == pytest.approx(1, abs=0.1)
    assert lag_one(found) == pytest.approx(0, abs=0.05)


def test_constant_is_constant() -> None:
    found = gaps(Arrival.CONSTANT)
    assert variation(found) < 0.05
    assert found.sum() == pytest.approx(COUNT / RATE, rel=1e-9), "rounding does not add up"


@pytest.mark.parametrize("burstiness", [0.25, 0.5, 1.0, 4.0])
def test_gamma_has_the_spread_that_burstiness_says(burstiness: float) -> None:
    found = gaps(Arrival.GAMMA, burstiness)
    assert found.mean() == pytest.approx(1 / RATE, rel=0.04)
    assert variation(found) == pytest.approx(burstiness**-0.5, rel=0.03)
    assert lag_one(found) == pytest.approx(0, abs=0.05)


def test_the_same_seed_draws_the_same_schedule_and_another_one_another() -> None:
    assert (gaps(Arrival.POISSON) == gaps(Arrival.POISSON)).all()
    assert abs(np.corrcoef(gaps(Arrival.POISSON), gaps(Arrival.POISSON, seed=6))[0, 1]) < 0.05


def test_a_longer_schedule_begins_like_the_shorter_one() -> None:
    plan = ArrivalPlan(rate=3, process=Arrival.GAMMA, burstiness=0.5)
    assert schedule_ns(plan, 500, 1)[:100].tolist() == schedule_ns(plan, 100, 1).tolist()


def test_endless_arrivals_have_the_rate_and_go_on_after_each_block() -> None:
    arrivals = EndlessArrivals(ArrivalPlan(rate=RATE, process=Arrival.POISSON), (5, 1), after_ns=1_000)
    stamps = np.array([arrivals.pop() for _ in range(20_000)])
    found = np.diff(stamps, prepend=1_000) / NS
    assert (found >= 0).all()
    assert found.mean() == pytest.approx(1 / RATE, rel=0.03)
    assert dispersion(found) == pytest.approx(1, abs=0.1)
    assert lag_one(found) == pytest.approx(0, abs=0.05)
