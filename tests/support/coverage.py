"""How often intervals hold the truth, counted over simulated tasks."""

from dataclasses import dataclass

import numpy as np

from perbench.per import Measured, PublishedScores, reference
from perbench.per.assessment import assess
from perbench.per.comparison import compare, geometric_mean
from perbench.per.figure_draws import DRAWS, Chance
from perbench.per.published_scale import min_max, scale_ends
from perbench.per.replicates import FloatArray
from perbench.statistics.bootstrap import paired_means
from perbench.statistics.intervals import Interval, percentile_intervals
from perbench.statistics.scatter import UNEQUAL
from perbench.statistics.variance_tests import analysis_of_variance, levene
from tests.support.simulation import Setting, Simulated, random_walks, simulate

ROUNDING = 1e-9


@dataclass
class Count:
    """Successes of trials."""

    hits: int = 0
    trials: int = 0

    def add(self, hit: bool) -> None:
        self.hits += int(hit)
        self.trials += 1

    def merge(self, other: "Count") -> None:
        self.hits += other.hits
        self.trials += other.trials

    @property
    def percent(self) -> float:
        """NaN of no trials."""
        return 100 * self.hits / self.trials if self.trials else float("nan")


Counts = dict[str, Count]


def coverage(setting: Setting, sets: int, seed: int) -> Counts:
    """Intervals that hold the truth: `reference`, `noisiest` (the last model), `published`, `throughput`, and a plain
    bootstrap of the replicates (`bootstrap`). `zeros`: Published zeros that are true; `unequal`: sets in which Levene's
    test spoke."""
    counts = {
        name: Count() for name in ("reference", "noisiest", "published", "throughput", "bootstrap", "zeros", "unequal")
    }
    generator = np.random.default_rng([seed, setting.n, setting.models, setting.items, int(1000 * setting.variation)])
    for number in range(sets):
        simulated = simulate(setting, generator)
        found = assess(simulated.rows, simulated.replicates, chance=Chance(str(number), seed))
        counts["unequal"].add(bool(found.uncertainty.unequal))
        published_truth = _published_truth(simulated.truth, found.published)
        for index, (own, true) in enumerate(zip(found.uncertainty.models, simulated.truth, strict=True)):
            if index:  # the reference model is 1 by definition
                name = "noisiest" if index == setting.models - 1 and setting.noisier != 1 else "reference"
                counts[name].add(_holds(own.reference_per, reference(simulated.truth).scores[index].value))
            if own.per is not None and published_truth is not None:
                counts["published"].add(_holds(own.per, float(published_truth[index])))
            elif own.per_above_zero is not None and published_truth is not None:
                counts["zeros"].add(published_truth[index] == 0)
            counts["throughput"].add(_holds(own.figures.throughput, true.throughput))
            counts["bootstrap"].add(_plain_bootstrap_holds(simulated, own.model, true, generator))
    return counts


def false_best(setting: Setting, sets: int, seed: int) -> Count:
    """Tasks in which one of the models, all equal, has a probability of 95 % or more to be the best."""
    generator = np.random.default_rng([seed, setting.n, setting.models, setting.items, int(1000 * setting.variation)])
    count = Count()
    for number in range(sets):
        simulated = simulate(setting, generator)
        found = assess(simulated.rows, simulated.replicates, chance=Chance(str(number), seed))
        count.add(max(own.probability_best or 0 for own in found.uncertainty.models) >= 0.95)
    return count


def drift(sets: int, seed: int, step: float = 0.05, noise: float = 0.03) -> dict[str, Count]:
    """Runs on a drifting machine in which an analysis of variance finds (p < 0.05) that three equal models differ.

    Each model is measured three times: `sequential`, all of a model before the next one, or `interleaved`, in three
    rounds whose orders are a Latin square.
    """
    orders = {
        "sequential": np.arange(9).reshape(3, 3),
        "interleaved": np.array([[0, 5, 7], [1, 3, 8], [2, 4, 6]]),  # slots of each model
    }
    walks = random_walks(sets, 9, step, noise, np.random.default_rng(seed))
    counts = {}
    for name, slots in orders.items():
        counts[name] = Count()
        for walk in walks:
            p = analysis_of_variance(list(walk[slots]))
            counts[name].add(p is not None and p < 0.05)
    return counts


def accuracy_coverage(items: int, share: float, sets: int, seed: int) -> Count:
    """Bootstrap intervals of the mean of `items` answers that hold the true share of right ones."""
    generator = np.random.default_rng([seed, items, int(1000 * share)])
    count = Count()
    for _ in range(sets):
        right = (generator.random((items, 1)) < share).astype(np.float64)
        draws = paired_means(right, np.ones_like(right), np.arange(items), generator, DRAWS)
        count.add(_holds(percentile_intervals(draws)[0], share))
    return count


def false_alarms(n: int, groups: int, sets: int, seed: int) -> dict[str, Count]:
    """Sets of groups of equal variance in which forms of Levene's test find (p < 0.01) that variances differ."""
    generator = np.random.default_rng([seed, n, groups])
    counts = {name: Count() for name in ("mean", "median", "ours")}
    for values in generator.standard_normal((sets, groups, n)):
        from_mean = np.abs(values - values.mean(axis=1, keepdims=True))
        from_median = np.abs(values - np.median(values, axis=1, keepdims=True))
        for name, p in (
            ("mean", analysis_of_variance(list(from_mean))),
            ("median", analysis_of_variance(list(from_median))),
            ("ours", levene(list(values))),
        ):
            counts[name].add(p is not None and p < UNEQUAL)
    return counts


def _holds(interval: Interval | None, truth: float | None) -> bool:
    if interval is None or truth is None:
        raise AssertionError("a simulated task without flaw has an interval for every figure")
    return interval.low - ROUNDING <= truth <= interval.high + ROUNDING


def _published_truth(truth: tuple[Measured, ...], scores: PublishedScores) -> FloatArray | None:
    """Published PER of the true figures on the axes that were taken. None: there was none."""
    if all(score.value is None for score in scores.scores):
        return None
    comparison = compare(truth)
    columns = [comparison.axes.index(axis) for axis in scores.axes]
    figures, signs = comparison.figures()[:, columns], comparison.signs()[columns]
    ends = scale_ends(figures, scores.axes, None)
    return geometric_mean(min_max(figures, ends.low, ends.high, signs))


def _plain_bootstrap_holds(
    simulated: Simulated, model: str, truth: Measured, generator: np.random.Generator, draws: int = 1000
) -> bool:
    """Whether resampling one model's own replicates gives an interval that holds its true throughput."""
    own = simulated.replicates[model]
    slowness = 1 / own.throughput[generator.integers(0, own.n, (draws, own.n))]
    return _holds(percentile_intervals(1 / slowness.mean(axis=1)[:, None])[0], truth.throughput)
