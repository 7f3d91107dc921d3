"""The Performance-Efficiency Ratio: pure functions of the figures of the compared models (docs/per.md)."""

from perbench.per.assessment import assess
from perbench.per.comparison import Weights
from perbench.per.costs import Cost, cost
from perbench.per.figure_draws import Chance
from perbench.per.front import pareto
from perbench.per.leave_one_out import Removal, Stability, stability
from perbench.per.measured import Axis, LeftOut, Measured, Reason, Score
from perbench.per.published_scale import Bounds, PublishedScores, published
from perbench.per.reference_scale import Best, ReferenceScores, best, reference
from perbench.per.replicates import Basis, Replicates
from perbench.per.uncertainty import Assessment, FigureIntervals, ModelUncertainty, Settings, TaskUncertainty

__all__ = [
    "Assessment",
    "Axis",
    "Basis",
    "Best",
    "Bounds",
    "Chance",
    "Cost",
    "FigureIntervals",
    "LeftOut",
    "Measured",
    "ModelUncertainty",
    "PublishedScores",
    "Reason",
    "ReferenceScores",
    "Removal",
    "Replicates",
    "Score",
    "Settings",
    "Stability",
    "TaskUncertainty",
    "Weights",
    "assess",
    "best",
    "cost",
    "pareto",
    "published",
    "reference",
    "stability",
]
