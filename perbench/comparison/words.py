"""A comparison in words, in plain ASCII: what terminal, page and log say alike."""

from collections.abc import Sequence

from perbench.comparison.values import Difference, Figure, Ratio, Verdict

FIGURES = {
    Figure.ACCURACY: "accuracy",
    Figure.THROUGHPUT: "throughput",
    Figure.MEMORY: "memory",
    Figure.LATENCY: "latency",
    Figure.REFERENCE_PER: "Reference PER",
}
VERDICTS = {
    Verdict.REGRESSED: "regressed",
    Verdict.IMPROVED: "improved",
    Verdict.NO_DIFFERENCE: "no difference shown",
    Verdict.TOO_FEW_REPEATS: "too few repeats",
    Verdict.NO_RATIO: "no ratio",
}
SHOWN_DIFFERENCES = 5
"""In one line; the rest is counted."""


def ratio_cell(ratio: Ratio) -> str:
    """`0.912 (0.885 to 0.941)`, `0.912` without interval, or `-`."""
    if ratio.ratio is None:
        return "-"
    if ratio.interval is None:
        return f"{ratio.ratio:.3f}"
    return f"{ratio.ratio:.3f} ({ratio.interval.low:.3f} to {ratio.interval.high:.3f})"


def refusal(differences: Sequence[Difference]) -> str:
    """One line on what differs. Empty of none."""
    shown = [f"{entry.what} was {entry.baseline} and is {entry.candidate}" for entry in differences[:SHOWN_DIFFERENCES]]
    more = len(differences) - len(shown)
    return "; ".join(shown) + (f"; and {more} more" if more else "")
