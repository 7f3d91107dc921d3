"""Cells with literal figures, for tests of what is computed from them."""

from dataclasses import replace

from perbench.evaluation.use import NOTHING_USED
from perbench.evaluation.values import Cell, Exclusion, Figures, RoundFigures
from perbench.results import Outcome, TaskKind
from perbench.statistics.percentiles import summarise


def figures(
    accuracy: float | None = 0.5, throughput: float = 10.0, seconds: float = 2.0, memory: float | None = 400.0
) -> Figures:
    """Items per second a tenth of the throughput, latency a tenth of the time per item."""
    return Figures(
        accuracy=accuracy,
        throughput=throughput,
        items_per_second=throughput / 10,
        latency_ms=seconds * 100,
        seconds_per_item=seconds,
        memory_bytes=memory,
    )


def cell(
    model: str,
    own: Figures | None = None,
    *rounds: Figures,
    kind: TaskKind = TaskKind.GENERATION,
    excluded: Exclusion | None = None,
    **changes: object,
) -> Cell:
    """A cell of ten answered items."""
    base = Cell(
        model=model,
        task="t",
        kind=kind,
        figures=own or figures(),
        rounds=tuple(RoundFigures(number, entry) for number, entry in enumerate(rounds)),
        stages=1,
        planned_stages=1,
        requests=10,
        outcomes={Outcome.SUCCESS: 10},
        scored=10,
        planned_items=10,
        mean_output_tokens=12.0,
        stopped_by_length=0.0,
        ttft=summarise([1.0] * 10),
        itl_p50_ms=None,
        flip_percent=0.0,
        client_error_ms=0.08,
        error_limit=1.0,
        memory_kind=None,
        memory_reason=None,
        use=NOTHING_USED,
        findings=(),
        excluded=excluded,
    )
    return replace(base, **changes)
