"""Scores and their absence in words, in plain ASCII: what terminal, page and log say alike."""

from collections.abc import Sequence

from perbench.per.measured import Axis, LeftOut, Reason, Score
from perbench.statistics.intervals import Interval

ABSENT = "-"


def number(value: float) -> str:
    """Three decimals; a small value never reads as the 0 it is not."""
    return f"{value:.3f}" if value == 0 or value >= 0.0005 else "<0.001"


def ends(interval: Interval, dash: str = "-") -> str:
    """`1.066-1.125`."""
    return f"{number(interval.low)}{dash}{number(interval.high)}"


def likelihood(probability: float) -> str:
    """`94 %`; `> 99 %` and `< 1 %` where no number of draws makes certainty of it."""
    if probability > 0.995:
        return "> 99 %"
    return "< 1 %" if probability < 0.005 else f"{100 * probability:.0f} %"


def nobody_ranked(share: float | None) -> str:
    """Why the probabilities of being the best add up to less than 1. Empty where they do not, to the percent."""
    if share is None or share < 0.005:
        return ""
    return f"In {likelihood(share)} of the draws no model reaches the quality floor, so none of them is the best."


def published_cell(score: Score) -> str:
    """`0.644`, `0 (worst on memory)` or `-`."""
    return _cell(score, "worst on {axes}")


def reference_cell(score: Score) -> str:
    """`0.644`, `0 (no accuracy)` or `-`."""
    return _cell(score, "no {axes}")


def _cell(score: Score, zero: str) -> str:
    if score.value is None:
        return ABSENT
    if score.value == 0:
        return f"0 ({zero.format(axes=axis_names(score.axes))})"
    return number(score.value)


def axis_names(axes: Sequence[Axis]) -> str:
    """`memory`, `memory and latency`, `throughput, memory and latency`."""
    names = [axis.value for axis in axes]
    return " and ".join([", ".join(names[:-1]), names[-1]]) if len(names) > 1 else "".join(names)


def why_absent(score: Score) -> str:
    """Why a model has no value. Empty for a score that has one."""
    axes = axis_names(score.axes)
    sentences = {
        Reason.TOO_FEW_MODELS: "fewer than four models are compared, so a place between worst and best says little",
        Reason.MISSING_FIGURE: f"{axes} missing",
        Reason.NO_AXIS_LEFT: "no axis tells the models apart",
        Reason.REFERENCE_FAILED: "the reference model has no figures on this task",
        Reason.REFERENCE_ZERO: f"the reference model has 0 for {axes}, and nothing can be a ratio of 0",
        Reason.ZERO_FIGURE: f"{axes} of 0, which no ratio can express",
        Reason.BELOW_QUALITY_FLOOR: "accuracy below the quality floor",
        Reason.TOO_FEW_REPLICATES: "fewer than three launches, or repeats within one launch: no interval",
        Reason.TOO_FEW_ITEMS: "items on a single source, so the error of accuracy is unknown: no interval",
        Reason.UNRESOLVED: "",
        Reason.WITHIN_NOISE: "",
        Reason.NOT_MEASURED: "",
        Reason.ZERO_WEIGHT: "",
    }
    return sentences[score.reason] if score.reason else ""


def why_left_out(left_out: LeftOut) -> str:
    """One sentence on an axis that took no part."""
    axis = left_out.axis.value
    if left_out.reason is Reason.UNRESOLVED:
        return f"{axis} left out of Published PER: the models differ by less than 2 % of its maximum"
    if left_out.reason is Reason.WITHIN_NOISE:
        return f"{axis} left out of Published PER: the models differ by less than four standard errors"
    if left_out.reason is Reason.ZERO_WEIGHT:
        return f"{axis} left out: its weight is 0 (ZeroWeight)"
    if left_out.models:
        return f"{axis} left out for all: not measured for {', '.join(left_out.models)} (NotMeasured)"
    return f"{axis} left out: not measured (NotMeasured)"
