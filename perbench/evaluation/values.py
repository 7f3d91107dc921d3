"""What an evaluation consists of: computed from results, shown by the status, the report and the terminal."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from perbench.api.status import ConditionStatus, ConditionType, Phase
from perbench.evaluation.settings import Settings
from perbench.evaluation.use import Use
from perbench.failures import Failure
from perbench.per import Best, Cost, LeftOut, ModelUncertainty, ReferenceScores, Score, TaskUncertainty
from perbench.resources import MemoryOrigin, MemoryQuality
from perbench.results import Finding, Outcome, Results, TaskKind, TaskRecord
from perbench.statistics.percentiles import Summary


class Exclusion(StrEnum):
    """Why figures of a model on a task are shown but not compared."""

    MODEL_FAILED = "ModelFailed"
    NOT_FINISHED = "NotFinished"
    MEASUREMENT_INVALID = "MeasurementInvalid"
    TOO_MANY_ERRORS = "TooManyErrors"
    TOO_FEW_SAMPLES = "TooFewSamples"
    OUTPUT_LENGTH_MISSED = "OutputLengthMissed"


@dataclass(frozen=True)
class Figures:
    """The axes of one model on one task over some stages. None: not measured."""

    accuracy: float | None = None
    """Mean score, 0 to 1."""
    throughput: float | None = None
    """Per second and unit: output tokens (Generation, Synthetic) or items (Classification)."""
    items_per_second: float | None = None
    """Per unit. None for synthetic loads, which have no items."""
    latency_ms: float | None = None
    """Milliseconds per output token (Generation, Synthetic) or per item (Classification), by latency basis."""
    seconds_per_item: float | None = None
    """Mean end-to-end time of successful measured requests; with basis Reciprocal 1 / items/s of the whole server."""
    memory_bytes: float | None = None
    """By memory basis: mean over the stages of the peak within each, or the size of the model's files."""

    @property
    def correct_items_per_second(self) -> float | None:
        """Items per second times their mean score."""
        if self.accuracy is None or self.items_per_second is None:
            return None
        return self.items_per_second * self.accuracy


@dataclass(frozen=True)
class RoundFigures:
    """The axes of one launch; where every model was started once, of one repeat."""

    round: int
    figures: Figures


@dataclass(frozen=True)
class NotedFinding:
    """A finding and in how many of a cell's stages it was made. Where in several: the one furthest over its limit."""

    finding: Finding
    stages: int


@dataclass(frozen=True)
class MemoryKind:
    """What kind of figure a model's memory is. Figures of unlike kinds count unlike things."""

    origin: MemoryOrigin
    quality: MemoryQuality
    source: str
    """Where it comes from."""


@dataclass(frozen=True)
class Cell:
    """One model on one task: everything measured, over all rounds and repeats."""

    model: str
    task: str
    kind: TaskKind
    figures: Figures
    rounds: tuple[RoundFigures, ...]
    stages: int
    planned_stages: int
    requests: int
    outcomes: Mapping[Outcome, int]
    scored: int
    planned_items: int
    """Items that the recorded stages were to put: `task.items` for each."""
    mean_output_tokens: float | None
    stopped_by_length: float | None
    """Share of successful requests that ended at the token limit."""
    ttft: Summary
    """Time to first token from when the slot came free, milliseconds, pooled over all stages."""
    itl_p50_ms: float | None
    """Median time between tokens. None: too few, or tokens per chunk were only estimated."""
    flip_percent: float | None
    """Items whose answers differ between repeats, of those answered more than once."""
    client_error_ms: float | None
    """What the load generator added to the median request: a bias, beside the intervals and not in them."""
    error_limit: float
    """Percent of failed requests beyond which the model failed."""
    memory_kind: MemoryKind | None
    """None: there is no memory figure, or it is the size of the model's files."""
    memory_reason: str | None
    """Why there is no memory figure, where there is none."""
    use: Use
    """What its server used under load."""
    findings: tuple[NotedFinding, ...]
    excluded: Exclusion | None
    """None: compared."""

    @property
    def failed_requests(self) -> int:
        """Measured requests that ended in anything but success."""
        return self.requests - self.outcomes.get(Outcome.SUCCESS, 0)

    @property
    def error_percent(self) -> float | None:
        """Share of measured requests that failed, in percent. None without requests."""
        return 100 * self.failed_requests / self.requests if self.requests else None

    @property
    def valid(self) -> bool | None:
        """Whether all recorded stages are valid. None without stages."""
        return not any(noted.finding.invalidates for noted in self.findings) if self.stages else None


@dataclass(frozen=True)
class Scores:
    """PER of one model on one task, on both scales. None: it is not compared, or the run is not at its end."""

    published: Score | None = None
    """0 to 1, relative to the models compared."""
    reference: Score | None = None
    """Ratio to the reference model, whose value is 1."""
    uncertainty: ModelUncertainty | None = None
    """Intervals of both, and of the figures; how likely it is the best."""
    reference_by_round: Mapping[int, float] = field(default_factory=dict)
    """Reference PER computed from each launch (or repeat) alone."""
    pareto: bool | None = None
    """Whether no other model is at least as good on all axes and better on one."""


@dataclass(frozen=True)
class Row:
    """A model's line in a task."""

    cell: Cell
    scores: Scores
    unit: str
    """What throughput is per: accelerator, server or endpoint."""
    apart: bool = False
    """Ranked apart: its unit or its prompts are unlike those of the reference model."""
    cost: Cost | None = None
    """In dollars. None: its unit has no price, or it is not compared."""


@dataclass(frozen=True)
class Warned:
    """A warning: it does not make the figures invalid, and the reader must know it."""

    code: str
    message: str
    task: str | None = None
    model: str | None = None


@dataclass(frozen=True)
class TaskEvaluation:
    """All models on one task."""

    record: TaskRecord
    rows: tuple[Row, ...]
    reference_model: str
    order: tuple[str, ...]
    """Models by Reference PER, best first; those ranked apart are not in it."""
    left_out: tuple[LeftOut, ...]
    """Axes that took no part in the Published scale, and why."""
    few: bool
    """Fewer models compared than the Published scale needs."""
    notes: tuple[str, ...]
    uncertainty: TaskUncertainty | None = None
    """Of the models ranked with the reference. None: the run is not at its end."""
    reference_scores: ReferenceScores | None = None
    """Of the same models. None: the run is not at its end."""
    flips: int | None = None
    """Pairs of models that change places on the Published scale when one other is left out, over all removals. None:
    there is no Published PER, or its ends are fixed."""

    def row(self, model: str) -> Row:
        """The line of a model. Raises KeyError for an unknown one."""
        for row in self.rows:
            if row.cell.model == model:
                return row
        raise KeyError(model)


@dataclass(frozen=True)
class ModelEvaluation:
    """One model over all tasks."""

    name: str
    failure: Failure | None
    launches: int
    ready_seconds: float | None
    """The longest of its launches."""
    tasks_won: int
    reference_per: float | None
    """Geometric mean of Reference PER over the tasks that have a ranking. None where one of them is missing."""


@dataclass(frozen=True)
class Condition:
    """A condition of the status."""

    type: ConditionType
    status: ConditionStatus
    reason: str
    message: str


@dataclass(frozen=True)
class Verdict:
    """How the run ended."""

    phase: Phase
    conditions: tuple[Condition, ...]
    failure: Failure | None
    exit_code: int | None
    """Of `perbench run`: 0 succeeded, 3 invalid, 4 a model failed. None: not at its end."""

    def condition(self, kind: ConditionType) -> Condition:
        """The condition of that type. Raises KeyError for an unknown one."""
        for condition in self.conditions:
            if condition.type == kind:
                return condition
        raise KeyError(kind)


@dataclass(frozen=True)
class Evaluation:
    """What the results mean."""

    results: Results
    settings: Settings
    tasks: tuple[TaskEvaluation, ...]
    models: tuple[ModelEvaluation, ...]
    best: Best | None
    compared_models: int
    warnings: tuple[Warned, ...]
    verdict: Verdict
    completed_stages: int
    planned_stages: int
