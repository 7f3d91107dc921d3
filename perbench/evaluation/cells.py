"""One model on one task: its stages turned into figures.

Figures over several stages are totals over totals (tokens over seconds), so a long stage weighs as much as it lasted;
memory is the mean of the peaks, one per stage (measurement.md §5), because a maximum grows with the number of repeats.
What latency and memory are made of is a setting of `spec.per` (`Bases`).
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace

from perbench.api.per import LatencyBasis, MemoryBasis
from perbench.evaluation.groups import groups
from perbench.evaluation.settings import Bases
from perbench.evaluation.use import use
from perbench.evaluation.values import Cell, Exclusion, Figures, MemoryKind, NotedFinding, RoundFigures
from perbench.per import Basis
from perbench.plan import DEFAULT_VALIDITY
from perbench.resources import MemoryQuality, MemoryRecord
from perbench.results import Finding, ModelRecord, Outcome, StageRecord, TaskKind, TaskRecord, TokensPerChunk
from perbench.statistics import histogram
from perbench.statistics.accuracy import SCORED_SHARE, accuracy
from perbench.statistics.percentiles import Summary, summarise

CHUNK_RATIO = 1.05
"""Estimated tokens per chunk beyond this: percentiles over tokens are withheld (measurement.md §1)."""
FINISH_LENGTH = "length"
MILLISECONDS = 1000.0
"""Per second."""
DEFAULT_BASES = Bases()
SUCCESS = Outcome.SUCCESS
"""Looked up once: in Python 3.11 that of a member takes as long as the rest of a comparison, and there is one a row."""


def measure(
    model: ModelRecord,
    task: TaskRecord,
    planned_stages: int,
    bases: Bases = DEFAULT_BASES,
    basis: Basis = Basis.LAUNCHES,
    error_limit: float = DEFAULT_VALIDITY.error_percent,
) -> Cell:
    """The cell of a model and a task.

    `planned_stages`: rounds x (repeats, and the unloaded stage where asked for). `basis`: what one replicate is.
    `error_limit`: failed requests beyond so many percent make the run fail: the figures are then those of the
    survivors.
    """
    stages, unloaded = model.stages(task.name), model.unloaded_stages(task.name)
    used = (*stages, *unloaded) if bases.latency is LatencyBasis.UNLOADED else stages
    outcomes = Counter(outcome for stage in stages for outcome in stage.requests.outcome)
    cell = Cell(
        model=model.name,
        task=task.name,
        kind=task.kind,
        figures=figures(task, stages, model.units, bases, unloaded),
        rounds=_replicates(task, model, bases, basis),
        stages=len(stages) + len(unloaded),
        planned_stages=planned_stages,
        requests=outcomes.total(),
        outcomes=dict(outcomes),
        scored=sum(score is not None for stage in stages for score in stage.requests.score),
        planned_items=task.items * len(stages),
        mean_output_tokens=_mean(_successes(stages, "output_tokens")),
        stopped_by_length=_stopped_by_length(stages),
        ttft=_ttft(stages),
        itl_p50_ms=_itl_median(stages),
        flip_percent=flip_percent(stages),
        client_error_ms=client_error_ms(stages),
        error_limit=error_limit,
        memory_kind=_memory_kind(stages, bases),
        memory_reason=_memory_reason(stages, bases),
        use=use(task.kind, stages),
        findings=_noted(used),
        excluded=None,
    )
    return _judged(cell, model)


def figures(
    task: TaskRecord,
    stages: Sequence[StageRecord],
    units: int,
    bases: Bases = DEFAULT_BASES,
    unloaded: Sequence[StageRecord] = (),
) -> Figures:
    """The axes over these stages under load, and those of one request at a time."""
    if not stages:
        return Figures()
    by_items = task.kind is TaskKind.CLASSIFICATION
    seconds = sum(stage.window_seconds for stage in stages)
    items = _rate(sum(stage.requests_in_window for stage in stages), seconds, units)
    tokens = _rate(sum(stage.output_tokens_in_window for stage in stages), seconds, units)
    if bases.latency is LatencyBasis.RECIPROCAL:
        mean_ms, per_token_ms = _milliseconds_per(items, units), _milliseconds_per(tokens, units)
    else:
        timed = unloaded if bases.latency is LatencyBasis.UNLOADED else stages
        mean_ms, per_token_ms = _mean(_successes(timed, "e2e_ms")), _milliseconds_per_token(timed)
    return Figures(
        accuracy=_accuracy(task, stages),
        throughput=items if by_items else tokens,
        items_per_second=None if task.kind is TaskKind.SYNTHETIC else items,
        latency_ms=mean_ms if by_items else per_token_ms,
        seconds_per_item=None if mean_ms is None else mean_ms / MILLISECONDS,
        memory_bytes=_memory(stages, bases),
    )


def is_complete(cell: Cell) -> bool:
    """Whether all its stages are recorded."""
    return cell.stages >= cell.planned_stages


def flip_percent(stages: Sequence[StageRecord]) -> float | None:
    """Share of items whose answers differ, of the items answered more than once, in percent. None: no such items."""
    answers: dict[int, list[str]] = {}
    for stage in stages:
        for item, answer in zip(stage.requests.item, stage.requests.answer, strict=True):
            if answer is not None:
                answers.setdefault(item, []).append(answer)
    repeated = [given for given in answers.values() if len(given) > 1]
    if not repeated:
        return None
    return 100 * sum(len(set(given)) > 1 for given in repeated) / len(repeated)


def client_error_ms(stages: Sequence[StageRecord]) -> float | None:
    """What the load generator added to the median request: the largest of the stages' medians. None: not known."""
    known = [stage.client.error_p50_ms for stage in stages if stage.client.error_p50_ms is not None]
    return max(known, default=None)


def _judged(cell: Cell, model: ModelRecord) -> Cell:
    """The cell with the reason why it is not compared. The first that applies: what a reader must know first."""
    excluded: Exclusion | None = None
    if model.failure is not None:
        excluded = Exclusion.MODEL_FAILED
    elif not is_complete(cell):
        excluded = Exclusion.NOT_FINISHED
    elif not cell.valid:
        excluded = Exclusion.MEASUREMENT_INVALID
    elif (cell.error_percent or 0) > cell.error_limit:
        excluded = Exclusion.TOO_MANY_ERRORS
    elif cell.requests < cell.planned_items or (
        cell.kind is not TaskKind.SYNTHETIC and cell.scored < SCORED_SHARE * cell.planned_items
    ):
        excluded = Exclusion.TOO_FEW_SAMPLES
    return replace(cell, excluded=excluded)


def _milliseconds_per(rate: float | None, units: int) -> float | None:
    """The inverse of the work of the whole server; a rate of 0 has none."""
    return MILLISECONDS / (rate * units) if rate else None


def _milliseconds_per_token(stages: Sequence[StageRecord]) -> float | None:
    """Sum of end-to-end times over the sum of output tokens, of the requests that have both."""
    pairs = [
        (time, tokens)
        for stage in stages
        for time, tokens, outcome in zip(
            stage.requests.e2e_ms, stage.requests.output_tokens, stage.requests.outcome, strict=True
        )
        if time is not None and tokens is not None and outcome is SUCCESS
    ]
    generated = sum(tokens for _, tokens in pairs)
    return sum(time for time, _ in pairs) / generated if generated else None


def _replicates(task: TaskRecord, model: ModelRecord, bases: Bases, basis: Basis) -> tuple[RoundFigures, ...]:
    return tuple(
        RoundFigures(group.number, figures(task, group.stages, model.units, bases, group.unloaded))
        for group in groups(model, task.name, basis)
    )


def _accuracy(task: TaskRecord, stages: Sequence[StageRecord]) -> float | None:
    if task.kind is TaskKind.SYNTHETIC:
        return None
    return accuracy((score for stage in stages for score in stage.requests.score), task.items * len(stages))


def _memory(stages: Sequence[StageRecord], bases: Bases) -> float | None:
    """Mean of the stages' peaks. None where one of them has no figure, or one of another origin: a mean of both would
    be no measurement."""
    if bases.memory is MemoryBasis.WEIGHTS:
        return bases.weight_bytes
    peaks = [_peak(stage.memory, bases) for stage in stages]
    known = [peak for peak in peaks if peak is not None]
    return _mean(known) if len(known) == len(peaks) and len(_origins(stages, bases)) <= 1 else None


def _origins(stages: Sequence[StageRecord], bases: Bases) -> tuple[str, ...]:
    """Whose memory the stages' figures are of."""
    known = [stage.memory for stage in stages if stage.memory is not None and _peak(stage.memory, bases) is not None]
    reserved = bases.memory is MemoryBasis.RESERVED
    return tuple(sorted({(each.reserved_origin or each.origin if reserved else each.origin).value for each in known}))


def _peak(memory: MemoryRecord | None, bases: Bases) -> int | None:
    if memory is None:
        return None
    return memory.reserved_bytes if bases.memory is MemoryBasis.RESERVED else memory.footprint_bytes


def _memory_kind(stages: Sequence[StageRecord], bases: Bases) -> MemoryKind | None:
    """Modelled where any stage is. None: there is no figure, or it is that of the model's files."""
    records = [stage.memory for stage in stages if stage.memory is not None]
    if bases.memory is MemoryBasis.WEIGHTS or not records or _memory(stages, bases) is None:
        return None
    if bases.memory is MemoryBasis.RESERVED:  # read as it is, wherever it is known; the quality is the footprint's
        first = records[0]
        origin = first.reserved_origin or first.origin
        return MemoryKind(origin, MemoryQuality.MEASURED, first.reserved_source or first.source)
    worst = next((record for record in records if record.quality is MemoryQuality.MODELLED), records[0])
    return MemoryKind(worst.origin, worst.quality or MemoryQuality.MEASURED, worst.source)


def _memory_reason(stages: Sequence[StageRecord], bases: Bases) -> str | None:
    """Why there is no memory figure; None where there is one, or nobody says why."""
    if bases.memory is MemoryBasis.WEIGHTS:
        return "the size of its files is not known" if bases.weight_bytes is None else None
    lacking = [stage.memory for stage in stages if stage.memory and _peak(stage.memory, bases) is None]
    reserved = bases.memory is MemoryBasis.RESERVED
    if not lacking and len(unlike := _origins(stages, bases)) > 1:
        return f"its stages have figures of unlike kinds ({', '.join(unlike)}), which have no mean"
    return next((record.reserved_reason if reserved else record.reason for record in lacking), None)


def _ttft(stages: Sequence[StageRecord]) -> Summary:
    """Failed requests count as +infinity, also those that had begun to answer."""
    return summarise(_successes(stages, "ttft_ms"), failed=_failures(stages))


def _itl_median(stages: Sequence[StageRecord]) -> float | None:
    guessed = any(
        stage.tokens_per_chunk is TokensPerChunk.ESTIMATED and (stage.tokens_per_chunk_ratio or 0) > CHUNK_RATIO
        for stage in stages
    )
    return None if guessed else histogram.percentile(histogram.merge(stage.itl for stage in stages), 50).value


def _stopped_by_length(stages: Sequence[StageRecord]) -> float | None:
    finishes = [
        finish
        for stage in stages
        for finish, outcome in zip(stage.requests.finish, stage.requests.outcome, strict=True)
        if outcome is SUCCESS
    ]
    return finishes.count(FINISH_LENGTH) / len(finishes) if finishes else None


def _noted(stages: Sequence[StageRecord]) -> tuple[NotedFinding, ...]:
    """Findings by code, those that invalidate first; of several the one furthest over its limit."""
    by_code: dict[str, list[Finding]] = {}
    for stage in stages:
        for code in dict.fromkeys(finding.code for finding in stage.findings):
            worst = max((f for f in stage.findings if f.code == code), key=_excess)
            by_code.setdefault(code, []).append(worst)
    noted = [NotedFinding(max(found, key=_excess), len(found)) for found in by_code.values()]
    return tuple(sorted(noted, key=lambda entry: not entry.finding.invalidates))


def _excess(finding: Finding) -> tuple[bool, float]:
    """How far over its limit, in multiples; a finding that invalidates comes before one that does not."""
    if finding.measured is None or not finding.threshold:
        return (finding.invalidates, 0.0)
    ratio = abs(finding.measured / finding.threshold)
    return (finding.invalidates, max(ratio, 1 / ratio) if ratio else float("inf"))


def _successes(stages: Iterable[StageRecord], column: str) -> list[float]:
    """The values of a column over successful measured requests."""
    return [
        value
        for stage in stages
        for value, outcome in zip(getattr(stage.requests, column), stage.requests.outcome, strict=True)
        if value is not None and outcome is SUCCESS
    ]


def _failures(stages: Iterable[StageRecord]) -> int:
    return sum(outcome is not SUCCESS for stage in stages for outcome in stage.requests.outcome)


def _rate(count: int, seconds: float, units: int) -> float | None:
    return count / seconds / units if seconds > 0 and units > 0 else None


def _mean(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None
