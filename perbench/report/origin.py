"""Where the figures come from and how to get them again, as the page shows it."""

import json
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from pydantic import JsonValue

from perbench.api.resource import API_VERSION, KIND
from perbench.evaluation.settings import Settings
from perbench.evaluation.values import Evaluation
from perbench.report.figures import duration, load_text, significant
from perbench.report.manifest import to_yaml
from perbench.results import LaunchRecord, ModelRecord, Results

GIBIBYTE = 1024**3
TIME = "%Y-%m-%d %H:%M:%S UTC"
Fact = tuple[str, str]
"""Name and value."""


@dataclass(frozen=True)
class ModelOrigin:
    """What one model was and how it was served."""

    name: str
    facts: tuple[Fact, ...]


def run_facts(results: Results) -> tuple[Fact, ...]:
    """The run: when, how long, with which settings."""
    settings = results.resolved
    end = results.completion_time
    warmup = settings.warmup
    return tuple(
        _present(
            ("Run", results.run_id),
            ("Started", results.start_time.strftime(TIME)),
            ("Took", duration((end - results.start_time).total_seconds()) if end else None),
            ("Prompts", settings.api.value),
            ("Load", load_text(settings)),
            ("Warm-up", f"{warmup.requests} requests and {warmup.seconds} s" if warmup else "default rule"),
            ("Rounds", f"{settings.rounds}, every model started afresh in each"),
            ("Repeats per round", str(settings.repeats)),
        )
    )


def score_facts(settings: Settings) -> tuple[Fact, ...]:
    """How figures became PER and costs."""
    weights = ", ".join(f"{axis} {weight:g}" for axis, weight in settings.weights.items())
    bounds = settings.bounds.model_dump(by_alias=True, exclude_none=True) if settings.bounds else {}
    ends = "; ".join(f"{unit} {pair['low']} to {pair['high']}" for unit, pair in bounds.items())
    prices = ", ".join(f"${price:g} per {unit} and hour" for unit, price in settings.prices.items())
    floor = settings.quality_floor
    return tuple(
        _present(
            ("Reference", settings.reference),
            ("Latency", settings.latency_basis.value),
            ("Memory", settings.memory_basis.value),
            ("Weights", weights or None),
            ("Fixed ends", ends or None),
            ("Quality floor", None if floor is None else f"{floor:g}"),
            ("Prices", prices or None),
        )
    )


def machine_facts(results: Results) -> tuple[Fact, ...]:
    """Provenance as it was recorded."""
    return tuple((name, _text(name, value)) for name, value in results.provenance.items())


def model_origins(evaluation: Evaluation) -> tuple[ModelOrigin, ...]:
    """Every model of the run, also those that failed."""
    ready = {model.name: model.ready_seconds for model in evaluation.models}
    return tuple(
        ModelOrigin(model.name, tuple(_present(*_model_facts(model, ready.get(model.name)))))
        for model in evaluation.results.models
    )


def task_facts(results: Results) -> tuple[Fact, ...]:
    """What was asked: enough to know that two runs asked the same."""
    return tuple(
        (task.name, f"{task.items} items, {task.max_tokens} output tokens at most, sha256 {task.sha256}")
        for task in results.tasks
    )


def resource_yaml(results: Results) -> str:
    """The benchmark as a file for `perbench run`."""
    spec = dict(results.spec)
    if results.models and results.resolved.reference != results.models[0].name:
        spec.setdefault("per", {"reference": results.resolved.reference})
    document: dict[str, JsonValue] = {
        "apiVersion": API_VERSION,
        "kind": KIND,
        "metadata": {"name": results.name},
        "spec": spec,
    }
    return to_yaml(document)


def command(results: Results) -> str:
    """What to type once the YAML is in a file."""
    return f"perbench run {shlex.quote(results.name + '.yaml')}"


def _model_facts(model: ModelRecord, ready: float | None) -> Sequence[tuple[str, str | None]]:
    runtime = " ".join(part for part in (model.runtime, model.runtime_version) if part)
    return (
        *((name, _text(name, value)) for name, value in model.source.items()),
        ("runtime", runtime or "an endpoint: served by somebody else"),
        ("in place of", model.substituted_for),
        ("arguments", _arguments(model.server_arguments)),
        ("units", f"{model.units} ({model.throughput_unit})"),
        ("memory basis", model.memory_basis),
        ("slowest start", None if ready is None else f"{ready:.1f} s to readiness"),
        ("load generator", _calibrations(model.launches)),
    )


def _calibrations(launches: Sequence[LaunchRecord]) -> str | None:
    """What its machine may add to a figure, and up to which load it may be believed, as it was tried before each
    launch: the worst over all of them. None: it was not tried."""
    found = [launch.calibration for launch in launches if launch.calibration is not None]
    if not found:
        return None
    untrusted = next((each.advice for each in found if each.ttft_error_ms is None or each.itl_error_ms is None), None)
    if untrusted is not None:
        return untrusted
    first, between = max(each.ttft_error_ms or 0.0 for each in found), max(each.itl_error_ms or 0.0 for each in found)
    off = f"time to first token within {significant(first, 2)} ms, between tokens within {significant(between, 2)} ms"
    heaviest = (
        ("requests/s", [each.rate_trusted for each in found]),
        ("in flight", [each.concurrency_trusted for each in found]),
    )
    limits = [f"{significant(min(map(float, filter(None, loads))))} {unit}" for unit, loads in heaviest if all(loads)]
    return f"{off}, in loads of up to {' and '.join(limits)}, tried before each launch" if limits else off


def _arguments(arguments: Mapping[str, JsonValue]) -> str | None:
    return ", ".join(f"{name} {_text(name, value)}" for name, value in arguments.items()) or None


def _present(*facts: tuple[str, str | None]) -> Iterator[Fact]:
    yield from ((name, value) for name, value in facts if value is not None)


def _text(name: str, value: JsonValue) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, int) and not isinstance(value, bool) and name.lower().endswith("bytes"):
        return f"{value / GIBIBYTE:.2f} GiB" if value >= GIBIBYTE / 10 else f"{value / 1024**2:.1f} MiB"
    if isinstance(value, dict) and all(isinstance(entry, str) for entry in value.values()):
        return ", ".join(f"{key} {entry}" for key, entry in value.items())
    return json.dumps(value, ensure_ascii=False)
