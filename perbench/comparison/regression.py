"""What a comparison with a baseline comes to: worse, not worse, or not to be told, and why. Pure."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from perbench.comparison.values import Ratio, ResultsComparison, Side, Verdict
from perbench.comparison.words import FIGURES, ratio_cell, refusal
from perbench.per.replicates import Basis

WITHIN_ONE_LAUNCH = "intervals hold within one launch: what a new start changes is not in them"
NAMED = 3
"""What was lost, or not judged, and is named in a message; the rest is counted."""


@dataclass(frozen=True)
class Worse:
    """One figure that regressed."""

    model: str
    task: str
    ratio: Ratio

    @property
    def by(self) -> float:
        """How much worse: the size of the ratio's logarithm. Infinite where nothing is left."""
        return abs(math.log(self.ratio.ratio)) if self.ratio.ratio else math.inf

    @property
    def words(self) -> str:
        """`large on topics: latency 1.230 (1.180 to 1.290)`."""
        return f"{self.model} on {self.task}: {FIGURES[self.ratio.figure]} {ratio_cell(self.ratio)}"


@dataclass(frozen=True)
class Judgement:
    """Whether a run became worse than its baseline."""

    worse: bool | None
    """None: that cannot be told."""
    reason: str
    message: str
    regressed: tuple[Worse, ...] = ()
    """The worst first."""


def judge_regression(found: ResultsComparison, against: str) -> Judgement:
    """What the comparison says; `against` names the baseline, for people: `run 0123456789 of nightly`."""
    if refused := _refused(found, against):
        return refused
    regressed = tuple(sorted(_worse(found), key=lambda entry: -entry.by))
    lost = tuple(_lost(found))
    missing = f"; not measured any more: {_named(lost)}" if lost else ""
    if regressed:
        more = f"; and {len(regressed) - 1} more" if len(regressed) > 1 else ""
        within = f"; {WITHIN_ONE_LAUNCH}" if found.basis is Basis.REPEATS else ""
        message = f"against {against}: {regressed[0].words}{more}{missing}{within}"
        return Judgement(True, "Regressed", message, regressed)
    if lost:
        return Judgement(None, "FiguresLost", f"{against} measured what this run did not: {_named(lost)}")
    return _without_regression(found, against)


def _refused(found: ResultsComparison, against: str) -> Judgement | None:
    """Why the two are not compared at all. None: they are."""
    if Side.BASELINE in found.unfinished:
        return Judgement(None, "BaselineUnfinished", f"{against} has not measured all that it was to measure")
    if Side.CANDIDATE in found.unfinished:
        return Judgement(None, "RunIncomplete", "the run has not measured all that it was to measure")
    untrusted = {entry.side: f"{entry.reason}: {entry.message}" for entry in found.untrusted}
    if why := untrusted.get(Side.CANDIDATE):
        return Judgement(None, "RunUntrusted", f"no figure of the run can be trusted: {why}")
    if why := untrusted.get(Side.BASELINE):
        return Judgement(None, "BaselineUntrusted", f"no figure of {against} can be trusted: {why}")
    if found.differences:
        return Judgement(None, "BaselineUnlike", f"{against} was not measured alike: {refusal(found.differences)}")
    return None


def _without_regression(found: ResultsComparison, against: str) -> Judgement:
    """Nothing is worse, as far as there are intervals."""
    lacking = tuple(f"{e.model} on {e.task} ({e.baseline})" for e in found.uncompared if e.gained)
    if lacking:
        return Judgement(
            None, "BaselineLacks", f"{against} has no figures of what this run measured: {_named(lacking)}"
        )
    untold = tuple(f"{e.model} on {e.task}" for e in found.models if e.verdict is Verdict.TOO_FEW_REPEATS)
    if untold:
        what = f"too few repeats, rounds or items in one of the two for an interval: {_named(untold)}"
        return Judgement(None, "TooFewRepeats", f"against {against}: {what}")
    judged = [entry for entry in found.models if entry.verdict is not Verdict.NO_RATIO]
    if not judged:
        why = "no model has figures worth comparing on the same task in both"
        return Judgement(None, "NothingCompared", f"against {against}: {why}")
    within = f"nothing got worse by more than {found.tolerance_percent:g} %"
    aside = tuple(f"{e.model} on {e.task}" for e in found.uncompared if e.lost)  # what was lost else was told above
    dropped = f"; not asked for any more: {_named(aside)}" if aside else ""
    count = f"{len(judged)} {'pair' if len(judged) == 1 else 'pairs'} of model and task"
    return Judgement(False, "NoRegression", f"against {against}: {within} ({count}){dropped}")


def _worse(found: ResultsComparison) -> Iterator[Worse]:
    for entry in found.models:
        for ratio in entry.ratios:
            if ratio.verdict is Verdict.REGRESSED:
                yield Worse(entry.model, entry.task, ratio)


def _lost(found: ResultsComparison) -> Iterator[str]:
    """Models and figures that the baseline has and the run tried in vain."""
    for entry in found.lost:
        yield f"{entry.model} on {entry.task} ({entry.candidate})"
    for compared in found.models:
        for figure in compared.lost:
            yield f"{FIGURES[figure]} of {compared.model} on {compared.task}"


def _named(things: Sequence[str]) -> str:
    more = len(things) - NAMED
    return ", ".join(things[:NAMED]) + (f" and {more} more" if more > 0 else "")
