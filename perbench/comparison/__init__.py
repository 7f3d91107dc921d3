"""Two results compared: ratios with intervals, verdicts, what forbids to compare them. Pure (docs/statistics.md)."""

from perbench.comparison.compare import compare_results
from perbench.comparison.provenance import differences, remarks
from perbench.comparison.values import (
    Difference,
    Figure,
    ModelComparison,
    Ratio,
    ResultsComparison,
    Side,
    Uncompared,
    Verdict,
)

__all__ = [
    "Difference",
    "Figure",
    "ModelComparison",
    "Ratio",
    "ResultsComparison",
    "Side",
    "Uncompared",
    "Verdict",
    "compare_results",
    "differences",
    "remarks",
]
