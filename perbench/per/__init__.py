"""The Performance-Efficiency Ratio: pure functions of the figures of the compared models (docs/per.md)."""

from perbench.per.front import pareto
from perbench.per.leave_one_out import Removal, Stability, stability
from perbench.per.measured import Axis, LeftOut, Measured, Reason, Score
from perbench.per.published_scale import Bounds, PublishedScores, published
from perbench.per.reference_scale import Best, ReferenceScores, best, reference

__all__ = [
    "Axis",
    "Best",
    "Bounds",
    "LeftOut",
    "Measured",
    "PublishedScores",
    "Reason",
    "ReferenceScores",
    "Removal",
    "Score",
    "Stability",
    "best",
    "pareto",
    "published",
    "reference",
    "stability",
]
