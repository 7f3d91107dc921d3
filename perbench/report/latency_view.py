"""Latency distributions of a task: one small drawing per model and kind of time, on a scale that all models share."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from perbench.evaluation.values import Row
from perbench.report.figures import significant
from perbench.report.scales import Scale, Tick
from perbench.results import ModelRecord, Outcome, StageRecord, TaskKind, TaskRecord
from perbench.statistics import histogram
from perbench.statistics.percentiles import Percentile, percentile

FloatArray = NDArray[np.float64]

POINTS = 72
"""Of a curve."""
HEIGHT = 24.0
"""Of a curve, in the units of its view box; it is 100 wide."""
CELLS = 256
"""Times are counted in so many cells of the line first: the work does not grow with the requests."""
ROOM = 0.12
"""Of the line, on a logarithmic scale, left free at each end for the curve to come down."""
WITHHELD = "withheld, for want of requests"
LEAST_WIDTH = 0.012
"""Of the kernel, as a share of the line: a curve of equal times is still a curve."""


@dataclass(frozen=True)
class Times:
    """Times of one kind of one model, in milliseconds."""

    values: FloatArray
    weights: FloatArray
    p50: Percentile
    p95: Percentile


@dataclass(frozen=True)
class Curve:
    """One model's drawing."""

    model: str
    best: bool
    path: str
    p50: float | None
    """Where, in percent of the line."""
    p95: float | None
    text: str
    described: str
    """The same for who cannot see it."""


@dataclass(frozen=True)
class LatencyPanel:
    """One kind of time."""

    title: str
    ticks: tuple[Tick, ...]
    curves: tuple[Curve, ...]


def latency_panels(
    task: TaskRecord, rows: Sequence[Row], models: Mapping[str, ModelRecord], place: Mapping[str, int]
) -> tuple[LatencyPanel, ...]:
    """Time to the first token, between tokens, of whole requests, and of requests without load where there are some."""
    loaded = {row.cell.model: models[row.cell.model].stages(task.name) for row in rows}
    unloaded = {row.cell.model: models[row.cell.model].unloaded_stages(task.name) for row in rows}
    kinds: list[tuple[str, Mapping[str, Times | None]]] = [
        ("To the first token", _each(loaded, lambda stages: _requests(stages, "ttft_ms"))),
        ("Whole request", _each(loaded, lambda stages: _requests(stages, "e2e_ms"))),
        ("Whole request, without load", _each(unloaded, lambda stages: _requests(stages, "e2e_ms"))),
    ]
    if task.kind is not TaskKind.CLASSIFICATION:
        trusted = {row.cell.model for row in rows if row.cell.itl_p50_ms is not None}
        between = {model: stages for model, stages in loaded.items() if model in trusted}
        kinds.insert(1, ("Between tokens", _each(between, _between_tokens)))
    panels = [_panel(title, times, rows, place) for title, times in kinds]
    return tuple(panel for panel in panels if panel is not None)


def client_note(rows: Sequence[Row]) -> str:
    """What the load generator itself added to each model's requests. Empty where that is not known of any."""
    known = [(row.cell.model, row.cell.client_error_ms) for row in rows if row.cell.client_error_ms is not None]
    added = ", ".join(f"{model} {significant(error, 2)} ms" for model, error in known)
    return (
        f"The load generator added to the median request, beside all intervals and in none: {added}." if added else ""
    )


def _each(
    stages: Mapping[str, Sequence[StageRecord]], times: Callable[[Sequence[StageRecord]], Times | None]
) -> dict[str, Times | None]:
    return {model: times(own) for model, own in stages.items()}


def _requests(stages: Sequence[StageRecord], column: str) -> Times | None:
    """Over successful measured requests; failed ones count as +infinity in the percentiles."""
    found, failed = [], 0
    for stage in stages:
        for value, outcome in zip(getattr(stage.requests, column), stage.requests.outcome, strict=True):
            if outcome is not Outcome.SUCCESS:
                failed += 1
            elif value is not None and value > 0:
                found.append(value)
    if not found:
        return None
    values = np.array(found)
    return Times(values, np.ones(len(found)), percentile(values, 50, failed), percentile(values, 95, failed))


def _between_tokens(stages: Sequence[StageRecord]) -> Times | None:
    merged = histogram.merge(stage.itl for stage in stages)
    if not merged.total:
        return None
    ends = histogram.edges(merged.bins)
    middles = np.sqrt(np.maximum(ends.low, ends.high / 2) * ends.high)
    return Times(
        middles,
        np.array(merged.counts, dtype=np.float64),
        histogram.percentile(merged, 50),
        histogram.percentile(merged, 95),
    )


def _panel(
    title: str, times: Mapping[str, Times | None], rows: Sequence[Row], place: Mapping[str, int]
) -> LatencyPanel | None:
    known = {model: own for model, own in times.items() if own is not None}
    if not known:
        return None
    low = min(float(own.values.min()) for own in known.values())
    high = max(float(own.values.max()) for own in known.values())
    room = max(ROOM * math.log(high / low), ROOM / 2)
    scale = Scale(low * math.exp(-room), high * math.exp(room), logarithmic=True)
    return LatencyPanel(
        title=title,
        ticks=scale.ticks(),
        curves=tuple(
            _curve(row.cell.model, known[row.cell.model], scale, best=place.get(row.cell.model) == 1)
            for row in rows
            if row.cell.model in known
        ),
    )


def _curve(model: str, times: Times, scale: Scale, *, best: bool) -> Curve:
    p50, p95 = times.p50.value, times.p95.value
    shown = {"p50": _said(times.p50), "p95": _said(times.p95)}
    return Curve(
        model=model,
        best=best,
        path=_path(times, scale),
        p50=None if p50 is None else scale.position(p50),
        p95=None if p95 is None else scale.position(p95),
        text=", ".join(f"{name} {value}" for name, value in shown.items() if value),
        described=f"{model}: median {shown['p50'] or WITHHELD}, 95th percentile {shown['p95'] or WITHHELD}",
    )


def _said(found: Percentile) -> str:
    """Empty where it is withheld: too few requests."""
    if found.value is not None:
        return f"{significant(found.value)} ms"
    return "unbounded" if found.unbounded else ""


def _path(times: Times, scale: Scale) -> str:
    """A kernel estimate over the logarithm of the times, its highest point at the top of the box."""
    along = np.log(times.values / scale.low) / np.log(scale.high / scale.low)
    mean = float(np.average(along, weights=times.weights))
    spread = float(np.sqrt(np.average((along - mean) ** 2, weights=times.weights)))
    width = max(0.9 * spread * times.weights.sum() ** -0.2, LEAST_WIDTH)
    counts, edges = np.histogram(along, bins=CELLS, range=(0.0, 1.0), weights=times.weights)
    at, grid = (edges[1:] + edges[:-1]) / 2, np.linspace(0, 1, POINTS)
    heights = (np.exp(-0.5 * ((grid[:, None] - at[None, :]) / width) ** 2) * counts).sum(axis=1)
    tops = HEIGHT * (1 - heights / heights.max())
    points = [f"{100 * x:.1f} {y:.1f}" for x, y in zip(grid, tops, strict=True)]
    return f"M0 {HEIGHT:g}L{'L'.join(points)}L100 {HEIGHT:g}Z"
