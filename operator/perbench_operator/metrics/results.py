"""What came out of a run that has ended, as samples of its status. Pure.

While a run is on there are none: the status of a new run has replaced that of the one before, and figures of part of
the stages are no result. Live figures are the bench pod's. A figure that the status does not have has no sample, and
neither has text that is no number.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from perbench.api.defaults import LATENCY_BASIS, MEMORY_BASIS
from perbench.api.status import ConditionStatus, ConditionType, ModelPhase
from perbench.api.text import DECIMAL, NUMBER, THROUGHPUT_UNIT
from perbench.evaluation.settings import MEBIBYTE
from perbench.evaluation.verdict import CONCERN_ALL_MODELS
from perbench.per.costs import cost
from perbench.per.measured import Measured, is_figure
from perbench_operator.decide.regression import TO_COME
from perbench_operator.metrics.families import (
    RESULT,
    RESULT_ACCURACY,
    RESULT_COST,
    RESULT_ITEMS,
    RESULT_LATENCY,
    RESULT_MEMORY,
    RESULT_NOT_JUDGED,
    RESULT_PARETO,
    RESULT_PER,
    RESULT_RATIO,
    RESULT_REGRESSED,
    RESULT_TOKENS,
    RESULT_VALID,
    Sample,
)
from perbench_operator.metrics.standing import Body, condition, place_of

Fields = Mapping[str, Any]
Place = tuple[str, str, str, str]
"""Namespace, benchmark, model, task."""

PER_FIELDS = {
    "per": ("published", "point"), "perLow": ("published", "low"), "perHigh": ("published", "high"),
    "referencePer": ("reference", "point"), "referencePerLow": ("reference", "low"),
    "referencePerHigh": ("reference", "high"),
}  # fmt: skip
"""Scale and bound of each field of the status."""
RATIO_FIELDS = {"ratio": "point", "low": "low", "high": "high"}
COMPARED = ("per", "referencePer", "paretoOptimal")
"""A row that was compared has at least one of these."""
MILLISECOND = 1e-3
TOKENS = "tokens"


@dataclass(frozen=True)
class _Meaning:
    """What the spec says figures are of."""

    tasks: tuple[str, ...]
    latency_basis: str
    memory_basis: str
    prices: Mapping[str, float]
    """Dollars per hour, by unit of throughput."""


def results(body: Body) -> Iterator[Sample]:
    """The samples of a benchmark; none where its run has not ended."""
    status = body.get("status") or {}
    if not status.get("completionTime"):
        return
    place, meaning = place_of(body), _meaning(body)
    spoiled = condition(status, ConditionType.MEASUREMENT_VALID, ConditionStatus.FALSE) in CONCERN_ALL_MODELS
    for model in status.get("models") or ():
        failed = model.get("phase") == ModelPhase.FAILED.value
        rows = {row["name"]: row for row in model.get("tasks") or ()}
        for task in dict.fromkeys((*rows, *(meaning.tasks if meaning else ()))):
            cell, row = (*place, model["name"], task), rows.get(task)
            if row is None:
                yield Sample(RESULT_VALID, cell, 0.0)
                continue
            valid = row.get("valid") is True and _is_compared(row) and not failed and not spoiled
            yield Sample(RESULT_VALID, cell, float(valid))
            yield from _figures(cell, row)
            yield from _meant(cell, model, row, meaning)
    yield from _against_baseline(place, status)


def _against_baseline(place: tuple[str, str], status: Fields) -> Iterator[Sample]:
    """What came of the comparison with a baseline."""
    untold = condition(status, ConditionType.REGRESSED, ConditionStatus.UNKNOWN)
    if untold is not None and untold not in TO_COME:
        yield Sample(RESULT_NOT_JUDGED, (*place, untold), 1.0)
    baseline = status.get("baseline")
    if not baseline:
        return
    for says, value in ((ConditionStatus.TRUE, 1.0), (ConditionStatus.FALSE, 0.0)):
        if condition(status, ConditionType.REGRESSED, says) is not None:
            yield Sample(RESULT_REGRESSED, (*place, str(baseline.get("name") or "")), value)
    for entry in baseline.get("regressed") or ():
        labels = (*place, *(str(entry.get(name) or "") for name in ("model", "task", "figure")))
        for name, bound in RATIO_FIELDS.items():
            if (ratio := number(entry.get(name))) is not None:
                yield Sample(RESULT_RATIO, (*labels, bound), ratio)


def _figures(cell: Place, row: Fields) -> Iterator[Sample]:
    """What the status alone tells."""
    for name, (scale, bound) in PER_FIELDS.items():
        if (per := number(row.get(name))) is not None:
            yield Sample(RESULT_PER, (*cell, scale, bound), per)
    if isinstance(optimal := row.get("paretoOptimal"), bool):
        yield Sample(RESULT_PARETO, cell, float(optimal))
    if (accuracy := number(row.get("accuracy"))) is not None:
        yield Sample(RESULT_ACCURACY, cell, accuracy)
    if (ttft := number(row.get("ttftP95Milliseconds"))) is not None:
        yield Sample(RESULT_LATENCY, (*cell, "ttft_p95"), ttft * MILLISECOND)
    counted, _ = _unit(row)
    throughput, latency = number(row.get("throughput")), number(row.get("latencyMilliseconds"))
    if counted and throughput is not None:
        yield Sample(RESULT_TOKENS if counted == TOKENS else RESULT_ITEMS, cell, throughput)
    if counted and latency is not None:
        stat = "per_token" if counted == TOKENS else "per_item"
        yield Sample(RESULT_LATENCY, (*cell, stat), latency * MILLISECOND)


def _meant(cell: Place, model: Fields, row: Fields, meaning: _Meaning | None) -> Iterator[Sample]:
    """What needs the spec as well."""
    counted, unit = _unit(row)
    served = (str(model.get("runtime") or ""), str(model.get("accelerator") or ""))
    yield Sample(RESULT, (*cell, unit, meaning.latency_basis if meaning else "", *served), 1.0)
    if meaning is None:
        return
    if (memory := number(row.get("memoryMebibytes"))) is not None:
        yield Sample(RESULT_MEMORY, (*cell, meaning.memory_basis), memory * MEBIBYTE)
    price, throughput = meaning.prices.get(unit), number(row.get("throughput"))
    if price is None or throughput is None or not is_figure(throughput) or not _is_compared(row):
        return
    measured = Measured(cell[2], accuracy=None, throughput=throughput, memory=None, latency=None)
    if (dollars := cost(measured, price, counts_tokens=counted == TOKENS).per_million_tokens) is not None:
        yield Sample(RESULT_COST, cell, dollars)


def _meaning(body: Body) -> _Meaning | None:
    """What the spec says. None: the figures are of an earlier spec, or of none that was understood."""
    status, spec = body.get("status") or {}, body.get("spec") or {}
    if status.get("observedGeneration") != body["metadata"].get("generation"):
        return None
    # A run that is suspended before it begins stands in `refused` as well, and `Accepted` is Unknown then.
    if status.get("refused") or condition(status, ConditionType.ACCEPTED, ConditionStatus.FALSE) is not None:
        return None
    per, capacity = spec.get("per") or {}, spec.get("capacity") or {}
    prices = {price.get("unit"): _price(price.get("dollarsPerHour")) for price in capacity.get("prices") or ()}
    return _Meaning(
        tasks=tuple(task["name"] for task in spec.get("tasks") or ()),
        latency_basis=str(per.get("latencyBasis") or LATENCY_BASIS.value),
        memory_basis=str(per.get("memoryBasis") or MEMORY_BASIS.value),
        prices={unit: price for unit, price in prices.items() if price is not None},
    )


def number(text: object) -> float | None:
    """A decimal of the status. None: it is none."""
    return float(text) if isinstance(text, str) and re.fullmatch(DECIMAL, text, re.ASCII) else None


def _price(value: object) -> float | None:
    """A number of the spec: whole, or text."""
    if isinstance(value, int) and not isinstance(value, bool):
        return float(value) if value >= 0 else None
    return float(value) if isinstance(value, str) and re.fullmatch(NUMBER, value, re.ASCII) else None


def _unit(row: Fields) -> tuple[str, str]:
    """What throughput counts, and per what: `tokens` and `server`. Empty: the status does not say."""
    found = re.fullmatch(THROUGHPUT_UNIT, str(row.get("throughputUnit") or ""), re.ASCII)
    return (found[1], found[2]) if found else ("", "")


def _is_compared(row: Fields) -> bool:
    return any(row.get(name) is not None for name in COMPARED)
