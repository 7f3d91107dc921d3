"""What a comparison of two results consists of."""

from dataclasses import dataclass
from enum import StrEnum

from perbench.per.measured import Axis
from perbench.per.replicates import Basis
from perbench.statistics.intervals import Interval

TOLERANCE_PERCENT = 5.0
"""By how much an interval must exclude 1: less is of no use to anyone, and a machine is rarely steadier."""

NOT_IN_RESULTS = "NotInResults"
"""Why a model on a task has no figures: the run did not ask for them."""


class Side(StrEnum):
    """One of the two results."""

    BASELINE = "baseline"
    CANDIDATE = "candidate"


class Figure(StrEnum):
    """What is compared: the four raw axes, and Reference PER. The values of axes are those of `Axis`."""

    ACCURACY = "accuracy"
    THROUGHPUT = "throughput"
    MEMORY = "memory"
    LATENCY = "latency"
    REFERENCE_PER = "referencePer"

    @property
    def higher_is_better(self) -> bool:
        """True but for memory and latency."""
        return self is Figure.REFERENCE_PER or Axis(self.value).higher_is_better


class Verdict(StrEnum):
    """What the interval of a ratio says. Stable names."""

    REGRESSED = "Regressed"
    """Worse: the interval excludes 1 by more than the tolerance."""
    IMPROVED = "Improved"
    """Better: the interval excludes 1 by more than the tolerance."""
    NO_DIFFERENCE = "NoDifference"
    """No difference is shown. That there is none is not said."""
    TOO_FEW_REPEATS = "TooFewRepeats"
    """One of the two has fewer than three replicates, or one item: there is no interval."""
    NO_RATIO = "NoRatio"
    """A figure is not measured in one of the two, or is 0 where a ratio needs more."""


@dataclass(frozen=True)
class Ratio:
    """One figure of one model on one task: candidate / baseline."""

    figure: Figure
    baseline: float | None
    candidate: float | None
    ratio: float | None
    interval: Interval | None
    """95 %, of the ratio."""
    verdict: Verdict
    axes: tuple[Axis, ...] = ()
    """Of Reference PER: the axes that it is taken on, the same in both."""


@dataclass(frozen=True)
class ModelComparison:
    """One model on one task."""

    task: str
    model: str
    ratios: tuple[Ratio, ...]

    @property
    def lost(self) -> tuple[Figure, ...]:
        """The axes that were measured in the baseline and are not in the candidate."""
        axes = [ratio for ratio in self.ratios if ratio.figure is not Figure.REFERENCE_PER]
        return tuple(ratio.figure for ratio in axes if ratio.baseline is not None and ratio.candidate is None)

    @property
    def verdict(self) -> Verdict:
        """The first of: Regressed, TooFewRepeats, Improved, NoDifference that a figure has; without any, NoRatio.

        A model that became faster and less accurate has regressed: what pays for what is not decided here.
        """
        found = {ratio.verdict for ratio in self.ratios}
        order = (Verdict.REGRESSED, Verdict.TOO_FEW_REPEATS, Verdict.IMPROVED, Verdict.NO_DIFFERENCE)
        return next((verdict for verdict in order if verdict in found), Verdict.NO_RATIO)


@dataclass(frozen=True)
class Uncompared:
    """A model on a task that has figures worth comparing in one of the two results only, or in neither."""

    task: str
    model: str
    baseline: str | None
    """Why not (`ModelFailed`, `MeasurementInvalid`, `NotInResults` ...). None: it has them."""
    candidate: str | None

    @property
    def lost(self) -> bool:
        """It was measured then, and is not now."""
        return self.baseline is None and self.candidate is not None

    @property
    def gained(self) -> bool:
        """It was tried in vain then, and is measured now. What was not asked for then is new."""
        return self.candidate is None and self.baseline not in {None, NOT_IN_RESULTS}


@dataclass(frozen=True)
class Difference:
    """One thing that is unlike in two results."""

    what: str
    """Where: `provenance.cpu`, `models.small.serverArguments.slots`, `load.concurrency`, `tasks.topics.sha256`."""
    baseline: str
    candidate: str


@dataclass(frozen=True)
class Untrusted:
    """One of the two results, of which no figure can be trusted."""

    side: Side
    reason: str
    """That of its condition `MeasurementValid`: `SharedAccelerator`, `UnlikeAccelerators`."""
    message: str


@dataclass(frozen=True)
class ResultsComparison:
    """Two results. Refused where `differences` is not empty, one of them is unfinished, or no figure of one can be
    trusted: then it has no models."""

    differences: tuple[Difference, ...]
    """What forbids to compare: a ratio would measure that, not the models."""
    remarks: tuple[Difference, ...]
    """What differs and may be what is compared, such as a model's files or the version of perbench."""
    models: tuple[ModelComparison, ...] = ()
    uncompared: tuple[Uncompared, ...] = ()
    basis: Basis | None = None
    """What the intervals hold: Repeats where either run had one launch. None: nothing was compared."""
    reference: str | None = None
    """The reference model of Reference PER, in both."""
    tolerance_percent: float = TOLERANCE_PERCENT
    unfinished: tuple[Side, ...] = ()
    """Runs that are not at their end: their models would look lost, and nothing says what becomes of them."""
    untrusted: tuple[Untrusted, ...] = ()
    """Runs whose measurement is invalid as a whole. That of a model on a task is `uncompared`."""

    @property
    def refused(self) -> bool:
        """Whether the results are too unlike, or one is not at its end or cannot be trusted."""
        return bool(self.differences or self.unfinished or self.untrusted)

    @property
    def lost(self) -> tuple[Uncompared, ...]:
        """What was measured then and was tried in vain now. What is not asked for any more is not lost."""
        return tuple(entry for entry in self.uncompared if entry.lost and entry.candidate != NOT_IN_RESULTS)

    @property
    def regressed(self) -> tuple[ModelComparison, ...]:
        """The models and tasks that became worse."""
        return tuple(entry for entry in self.models if entry.verdict is Verdict.REGRESSED)
