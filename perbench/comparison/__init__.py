"""Two results compared: ratios with intervals, verdicts, what forbids to compare them. Pure (docs/statistics.md)."""

from perbench.comparison.compare import compare_results
from perbench.comparison.regression import Judgement, Worse, judge_regression
from perbench.comparison.values import (
    Difference,
    Figure,
    ModelComparison,
    Ratio,
    ResultsComparison,
    Side,
    Uncompared,
    Untrusted,
    Verdict,
)

__all__ = [
    "Difference",
    "Figure",
    "Judgement",
    "ModelComparison",
    "Ratio",
    "ResultsComparison",
    "Side",
    "Uncompared",
    "Untrusted",
    "Verdict",
    "Worse",
    "compare_results",
    "judge_regression",
]
