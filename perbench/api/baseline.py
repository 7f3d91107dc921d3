"""`spec.baselineRef`: the run that this one is judged by. Changing it compares again, and measures nothing."""

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from perbench.api.decimals import PercentUnder100
from perbench.api.pods import ObjectName
from perbench.api.rules import ApiObject
from perbench.api.text import RUN_ID, DecimalText, Name

RunId = Annotated[str, Field(pattern=RUN_ID, max_length=10)]
LISTED = 16
"""Figures that got worse and stand in the status at most: the worst ones."""


class BaselineRef(ApiObject):
    """The run that this one is judged by: in a cluster, the condition `Regressed` says how that came out."""

    name: ObjectName
    """A PERBenchmark in the same namespace, also this one itself."""
    run_id: Annotated[RunId | None, Field(alias="runID")] = None
    """Which of its runs, by `status.run.id`; that run's result objects then outlive `execution.historyLimit`. Default:
    the last that has ended and is not the one that is judged; of this benchmark itself, the run before."""
    tolerance_percent: PercentUnder100 | None = None
    """A figure is worse when the 95 % interval of its ratio to the baseline excludes 1 by more than this.
    Default 5."""


class ComparedFigure(StrEnum):
    """What is compared with a baseline."""

    ACCURACY = "Accuracy"
    THROUGHPUT = "Throughput"
    MEMORY = "Memory"
    LATENCY = "Latency"
    REFERENCE_PER = "ReferencePER"


class RegressedFigure(ApiObject):
    """One figure that got worse."""

    model: Name
    """The model's name in `spec.models`."""
    task: Name
    """The task's name in `spec.tasks`."""
    figure: ComparedFigure
    """`Accuracy`, `Throughput`, `Memory`, `Latency` or `ReferencePER`."""
    ratio: DecimalText
    """The figure of this run divided by that of the baseline. Of memory and latency, more is worse."""
    low: DecimalText
    """Lower end of the ratio's 95 % interval."""
    high: DecimalText
    """Upper end of the ratio's 95 % interval."""


class BaselineStatus(ApiObject):
    """The run that this one was held against, and what got worse."""

    name: ObjectName
    """The benchmark that the baseline is a run of."""
    run_id: Annotated[RunId, Field(alias="runID")]
    """The id of that run."""
    regressed_figures: Annotated[int | None, Field(ge=0, le=2**31 - 1)] = None
    """How many figures got worse. Absent where that could not be judged: the condition `Regressed` says why."""
    regressed: Annotated[tuple[RegressedFigure, ...], Field(max_length=LISTED)] = ()
    """The figures that got worse, the worst first; the first 16."""
