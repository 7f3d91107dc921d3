"""CSV: one row per model and task, units in the names of the columns, an empty field for what was not measured."""

import csv
import io
from collections.abc import Iterator

from perbench.evaluation import Evaluation
from perbench.evaluation.values import Row
from perbench.per.uncertainty import FigureIntervals, ModelUncertainty
from perbench.results import TaskKind
from perbench.statistics.intervals import Interval

MEBIBYTE = 1024 * 1024
MILLISECONDS = 1000.0
FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""Beginnings that make a spreadsheet take text for a formula."""

NOTHING = (None, None)

Field = tuple[str, str | float | None]
"""Column and value."""


def to_csv(evaluation: Evaluation) -> str:
    """Rows in the order of tasks and models. Every run has the same columns; 95 % intervals end in `_low`, `_high`."""
    out = io.StringIO()
    writer: csv.DictWriter[str] | None = None
    for task in evaluation.tasks:
        for row in task.rows:
            fields = dict(_fields(evaluation, row))
            if writer is None:
                writer = csv.DictWriter(out, fieldnames=list(fields), lineterminator="\n")
                writer.writeheader()
            writer.writerow({name: _text(value) for name, value in fields.items()})
    return out.getvalue()


def _fields(evaluation: Evaluation, row: Row) -> Iterator[Field]:
    cell, scores = row.cell, row.scores
    model = next(entry for entry in evaluation.results.models if entry.name == cell.model)
    yield "benchmark", evaluation.results.name
    yield "run_id", evaluation.results.run_id
    yield "task", cell.task
    yield "kind", cell.kind.value
    yield "model", cell.model
    yield "runtime", model.runtime
    yield "runtime_version", model.runtime_version
    yield "stages", cell.stages
    yield "requests", cell.requests
    yield "error_percent", cell.error_percent
    yield "valid", _yes(cell.valid)
    yield "not_compared_because", cell.excluded.value if cell.excluded else None
    known = scores.uncertainty or ModelUncertainty(cell.model)
    yield from _figures(row, known.figures)
    yield "ttft_p50_ms", cell.ttft.value(50)
    yield "ttft_p95_ms", cell.ttft.value(95)
    yield "output_tokens_mean", cell.mean_output_tokens
    yield "cores_used", cell.use.cores
    yield "cpu_seconds_per_million_output_tokens", cell.use.cpu_seconds_per_million_tokens
    yield "accelerator_utilization", cell.use.accelerator_utilization
    yield "accelerator_watts", cell.use.watts
    yield "accelerator_joules_per_million_output_tokens", cell.use.energy_joules_per_million_tokens
    yield from _with_ends("published_per", scores.published.value if scores.published else None, known.per)
    yield from _with_ends("reference_per", scores.reference.value if scores.reference else None, known.reference_per)
    yield "probability_best", known.probability_best
    yield "pareto_optimal", _yes(scores.pareto)


def _figures(row: Row, ends: FigureIntervals) -> Iterator[Field]:
    """The axes, each in a column of its unit."""
    figures = row.cell.figures
    by_tokens = row.cell.kind is not TaskKind.CLASSIFICATION
    per_item = None if figures.seconds_per_item is None else figures.seconds_per_item * MILLISECONDS
    memory = None if figures.memory_bytes is None else figures.memory_bytes / MEBIBYTE
    yield from _with_ends("accuracy", figures.accuracy, ends.accuracy)
    yield "throughput_is_per", row.unit
    yield from _with_ends(
        "output_tokens_per_second", *((figures.throughput, ends.throughput) if by_tokens else NOTHING)
    )
    yield from _with_ends("items_per_second", figures.items_per_second, ends.items_per_second)
    yield from _with_ends("latency_ms_per_token", *((figures.latency_ms, ends.latency) if by_tokens else NOTHING))
    yield from _with_ends("latency_ms_per_item", per_item, _scaled(ends.seconds_per_item, MILLISECONDS))
    yield from _with_ends("memory_mib", memory, _scaled(ends.memory, 1 / MEBIBYTE))


def _with_ends(name: str, value: float | None, interval: Interval | None) -> Iterator[Field]:
    yield name, value
    yield f"{name}_low", interval.low if interval else None
    yield f"{name}_high", interval.high if interval else None


def _scaled(interval: Interval | None, factor: float) -> Interval | None:
    return Interval(interval.low * factor, interval.high * factor) if interval else None


def _yes(value: bool | None) -> str | None:
    return None if value is None else "yes" if value else "no"


def _text(value: str | float | None) -> str:
    """Numbers with six significant digits or as whole ones; text that cannot be taken for a formula."""
    if value is None:
        return ""
    if isinstance(value, str):
        return f"'{value}" if value.startswith(FORMULA) else value
    return str(value) if isinstance(value, int) else f"{value:.6g}"
