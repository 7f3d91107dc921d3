"""Simulated tasks: figures with a known truth and known scatter, to see how often the intervals hold the truth."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from perbench.per import Measured
from perbench.per.replicates import Basis, FloatArray, Replicates

CORRELATION = -0.9
"""Of throughput and latency: in a closed loop one is nearly the inverse of the other."""
MEMORY_SHARE = 1 / 3
"""Memory scatters less than speed."""
SPAN = 6.0
"""Largest ratio of two models' true figures."""


@dataclass(frozen=True)
class Setting:
    """What is simulated: one task."""

    n: int
    variation: float
    """Coefficient of variation of throughput and latency from replicate to replicate."""
    models: int = 4
    items: int = 0
    """0: a synthetic task, without accuracy."""
    noisier: float = 1.0
    """The last model's scatter, in multiples of the others'."""
    equal: bool = False
    """All models are the same."""


@dataclass(frozen=True)
class Simulated:
    """A simulated task: what was measured, and what is true."""

    rows: tuple[Measured, ...]
    replicates: dict[str, Replicates]
    truth: tuple[Measured, ...]


def simulate(setting: Setting, generator: np.random.Generator) -> Simulated:
    """One task. Replicates are log-normal. Measured rates are totals over totals, so their mean is the harmonic one;
    the truth is what they tend to with many replicates."""
    rows, replicates, truth = [], {}, []
    figures = np.exp(generator.uniform(0, np.log(SPAN), (setting.models, 3)))
    shares = generator.uniform(0.3, 0.9, setting.models)
    if setting.equal:
        figures[:], shares[:] = figures[0], shares[0]
    sigma = float(np.sqrt(np.log1p(setting.variation**2)))
    for index in range(setting.models):
        name = f"m{index}"
        scale = sigma * (setting.noisier if index == setting.models - 1 else 1.0)
        errors = _errors(setting.n, scale, generator)
        throughput, memory, latency = (figures[index] * np.exp(errors)).T
        right = (generator.random(setting.items) < shares[index]).astype(np.float64)
        accuracy = float(right.mean()) if setting.items else None
        rows.append(
            Measured(name, accuracy, float(1 / np.mean(1 / throughput)), float(memory.mean()), float(latency.mean()))
        )
        drift = np.exp(np.array([-1, MEMORY_SHARE**2, 1]) * scale**2 / 2)
        true = (figures[index] * drift).tolist()
        truth.append(Measured(name, float(shares[index]) if setting.items else None, *true))
        replicates[name] = replicates_of(name, throughput, memory, latency, right[:, None].repeat(setting.n, axis=1))
    return Simulated(tuple(rows), replicates, tuple(truth))


def _errors(n: int, sigma: float, generator: np.random.Generator) -> FloatArray:
    """Errors of log throughput, memory, latency, shape (n, 3)."""
    normal = generator.standard_normal((n, 3))
    latency = CORRELATION * normal[:, 0] + np.sqrt(1 - CORRELATION**2) * normal[:, 2]
    return sigma * np.stack([normal[:, 0], MEMORY_SHARE * normal[:, 1], latency], axis=1)


def replicates_of(
    model: str,
    throughput: Sequence[float] | FloatArray,
    memory: Sequence[float] | FloatArray,
    latency: Sequence[float] | FloatArray,
    scores: FloatArray | None = None,
    basis: Basis = Basis.LAUNCHES,
) -> Replicates:
    """Replicates without figures per item."""
    n = len(throughput)
    return Replicates(
        model=model,
        throughput=np.asarray(throughput, dtype=np.float64),
        memory=np.asarray(memory, dtype=np.float64),
        latency=np.asarray(latency, dtype=np.float64),
        items_per_second=np.full(n, np.nan),
        seconds_per_item=np.full(n, np.nan),
        scores=np.zeros((0, n)) if scores is None else scores,
        basis=basis,
    )


def random_walks(runs: int, slots: int, step: float, noise: float, generator: np.random.Generator) -> FloatArray:
    """Logarithms of what a drifting machine gives one and the same model in `slots` slots, shape (runs, slots).

    `step`, `noise`: standard deviations of the walk from slot to slot, and of each measurement.
    """
    walk = np.cumsum(generator.standard_normal((runs, slots)) * step, axis=1)
    drifting: FloatArray = walk + noise * generator.standard_normal((runs, slots))
    return drifting


def renamed(simulated: Simulated, names: dict[str, str]) -> Simulated:
    """The same task with other names of models."""
    return Simulated(
        tuple(replace(row, model=names[row.model]) for row in simulated.rows),
        {names[name]: replace(own, model=names[name]) for name, own in simulated.replicates.items()},
        tuple(replace(row, model=names[row.model]) for row in simulated.truth),
    )
