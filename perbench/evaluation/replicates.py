"""The replicates of a model on a task, from its stages: what `perbench.per.assessment` computes intervals from.

With several rounds a replicate is a launch: its repeats are taken together. With one round it is a repeat, and the
intervals are "within one launch".
"""

import math
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from perbench.evaluation.cells import DEFAULT_BASES, figures
from perbench.evaluation.groups import groups
from perbench.evaluation.settings import Bases, Settings
from perbench.evaluation.values import Figures, RoundFigures
from perbench.per.measured import is_figure
from perbench.per.replicates import Basis, FloatArray, Replicates
from perbench.results import ModelRecord, Results, StageRecord, TaskKind, TaskRecord


def replicates_by_model(
    results: Results,
    task: TaskRecord,
    settings: Settings | None = None,
    known: Mapping[str, Sequence[RoundFigures]] | None = None,
) -> dict[str, Replicates]:
    """Of every model of the run that has stages of this task; without `settings` on the default bases. `known`: the
    figures of their replicates, by model, on the same bases; they are not computed again."""
    items = measured_items(task, results.models)
    basis = basis_of(results)
    found = {}
    for model in results.models:
        if model.stages(task.name):
            bases = settings.bases(model) if settings else DEFAULT_BASES
            own = [entry.figures for entry in known[model.name]] if known else None
            found[model.name] = replicates(task, model, basis, items, bases, own)
    return found


def basis_of(results: Results) -> Basis:
    """What one replicate of this run is."""
    return Basis.LAUNCHES if results.resolved.rounds > 1 else Basis.REPEATS


def measured_items(task: TaskRecord, models: Iterable[ModelRecord]) -> tuple[int, ...]:
    """The items that were put to any of the models, in order: rows that all their replicates share."""
    return tuple(
        sorted({item for model in models for stage in model.stages(task.name) for item in stage.requests.item})
    )


def replicates(
    task: TaskRecord,
    model: ModelRecord,
    basis: Basis,
    items: Sequence[int],
    bases: Bases = DEFAULT_BASES,
    known: Sequence[Figures] | None = None,
) -> Replicates:
    """Of one model; `items` as `measured_items` gives them for all models that are compared. `known`: the figures of
    each replicate on these bases, where somebody has computed them."""
    found = groups(model, task.name, basis)
    computed = (figures(task, group.stages, model.units, bases, group.unloaded) for group in found)
    own = list(computed if known is None else known)
    synthetic = task.kind is TaskKind.SYNTHETIC
    return Replicates(
        model=model.name,
        throughput=_column(own, "throughput"),
        memory=_column(own, "memory_bytes"),
        latency=_column(own, "latency_ms"),
        items_per_second=_column(own, "items_per_second"),
        # As in the scores: a synthetic load has no items.
        seconds_per_item=np.full(len(own), math.nan) if synthetic else _column(own, "seconds_per_item"),
        scores=np.zeros((0, len(own))) if synthetic else _scores([group.stages for group in found], items),
        sources=None if synthetic else _sources(task, items),
        basis=basis,
    )


def _sources(task: TaskRecord, items: Sequence[int]) -> NDArray[np.int64] | None:
    """Per row of the scores a number from 0 without gaps: not all sources of the task need be among the items."""
    if task.sources is None:
        return None
    # A run that this one is compared with can have more items: their sources are not known here, so each is its own.
    known = len(task.sources)
    numbers = [task.sources[item] if item < known else -1 - item for item in items]
    return np.unique(numbers, return_inverse=True)[1].astype(np.int64)


def _column(own: Sequence[Figures], name: str) -> FloatArray:
    """NaN for what was not measured, and for magnitudes that only a damaged file can hold."""
    values = [getattr(entry, name) for entry in own]
    return np.array([math.nan if value is None or not is_figure(value) else value for value in values])


def _scores(groups: Sequence[Sequence[StageRecord]], items: Sequence[int]) -> FloatArray:
    """Mean score of each item in each replicate, shape (items, replicates); NaN where it was never scored."""
    rows = {item: row for row, item in enumerate(items)}
    sums, counts = np.zeros((len(items), len(groups))), np.zeros((len(items), len(groups)))
    for column, group in enumerate(groups):
        for stage in group:
            for item, score in zip(stage.requests.item, stage.requests.score, strict=True):
                if score is not None:
                    sums[rows[item], column] += score
                    counts[rows[item], column] += 1
    return np.divide(sums, counts, out=np.full_like(sums, math.nan), where=counts > 0)
