"""llm-d Benchmark Report v0.2: one report per model and task, as YAML.

Format: the package `llmd-benchmark-report`, with which tests read what is written here. It has no place for accuracy
and PER; those are in the CSV. What was not measured is left out. A server without an accelerator is a `generic`
component, since an `inference_engine` must name one.
"""

import hashlib
import json
import re
from collections.abc import Mapping, Sequence

from pydantic import JsonValue

from perbench.api.decimals import as_float
from perbench.api.defaults import Resolved
from perbench.evaluation import Evaluation
from perbench.evaluation.values import Cell
from perbench.report.manifest import to_yaml
from perbench.results import ModelRecord, Outcome, Results, StageRecord, TaskKind, TaskRecord
from perbench.statistics import histogram
from perbench.statistics.percentiles import PERCENTS, Percentile, Summary, summarise

VERSION = "0.2"
COMPONENT_VERSION = "0.0.1"
MEBIBYTE = 1024 * 1024
UNKNOWN = "unknown"
"""Where the format insists on a text and nothing is known."""

Document = dict[str, JsonValue]


def llmd_reports(evaluation: Evaluation) -> dict[str, str]:
    """By file name (`MODEL.TASK.yaml`): the report of each model and task that has a recorded stage."""
    results = evaluation.results
    models = {model.name: model for model in results.models}
    found: dict[str, str] = {}
    for task in evaluation.tasks:
        for row in task.rows:
            model = models[row.cell.model]
            if stages := model.stages(task.record.name):
                name = _file_name(f"{model.name}.{task.record.name}", found)
                found[name] = to_yaml(_report(results, model, task.record, row.cell, stages))
    return found


def _report(
    results: Results, model: ModelRecord, task: TaskRecord, cell: Cell, stages: Sequence[StageRecord]
) -> Document:
    load = _load(results, task, stages)
    return {
        "version": VERSION,
        "run": _run(results, model, task, cell, stages),
        "scenario": {"stack": [_component(model)], **({"load": load} if load else {})},
        "results": {
            "request_performance": {
                "aggregate": {
                    "requests": _requests(cell, stages),
                    "latency": _latency(cell, stages),
                    "throughput": _throughput(stages),
                }
            },
            **_observed(model, stages),
        },
    }


def _run(results: Results, model: ModelRecord, task: TaskRecord, cell: Cell, stages: Sequence[StageRecord]) -> Document:
    codes = [noted.finding.code for noted in cell.findings if noted.finding.invalidates]
    verdict = "valid" if cell.valid else f"not valid: {', '.join(codes)}"
    seconds = sum(stage.window_seconds for stage in stages)
    return {
        "uid": _digest([results.run_id, model.name, task.name]),
        "eid": results.run_id,
        "time": {"start": min(stage.started_at for stage in stages).isoformat(), "duration": f"PT{seconds:.3f}S"},
        "description": f"{results.name}: {model.name} on {task.name}, {len(stages)} stages pooled, {verdict}",
        "keywords": ["perbench", task.kind.value, "valid" if cell.valid else "invalid"],
    }


def _component(model: ModelRecord) -> Document:
    identity: Document = {
        "source": dict(model.source),
        "runtime": model.runtime,
        "runtimeVersion": model.runtime_version,
        "arguments": dict(model.server_arguments),
    }
    name = model.source.get("file") or model.source.get("repository") or model.source.get("model") or model.name
    return {
        "metadata": {"schema_version": COMPONENT_VERSION, "label": model.name, "cfg_id": _digest(identity)},
        "standardized": {
            "kind": "generic",
            "tool": model.runtime or "endpoint",
            "tool_version": model.runtime_version or UNKNOWN,
            "model": {"name": name},
            "throughput_unit": model.throughput_unit,
            "units": model.units,
        },
        "native": {"args": dict(model.server_arguments), "config": {"source": dict(model.source)}},
    }


def _load(results: Results, task: TaskRecord, stages: Sequence[StageRecord]) -> Document | None:
    """None where the server does not count input tokens: the format insists on their number."""
    lengths = [tokens for stage in stages for tokens in stage.requests.input_tokens if tokens is not None]
    if not lengths:
        return None
    version = results.provenance.get("perbench")
    synthetic = task.kind is TaskKind.SYNTHETIC
    settings = results.resolved.model_dump(mode="json", by_alias=True, exclude_none=True)
    return {
        "metadata": {"schema_version": COMPONENT_VERSION, "cfg_id": task.sha256, "description": task.name},
        "standardized": {
            "tool": "perbench",
            "tool_version": version if isinstance(version, str) else UNKNOWN,
            "source": "random" if synthetic else "sampled",
            "input_seq_len": {
                "distribution": "other",
                "value": sum(lengths) / len(lengths),
                "min": min(lengths),
                "max": max([1, *lengths]),
            },
            **({"output_seq_len": {"distribution": "fixed", "value": task.max_tokens}} if synthetic else {}),
            **_loop(results.resolved),
        },
        "native": {"config": settings},
    }


def _loop(resolved: Resolved) -> Document:
    """The load as the report's schema has it: concurrency, or the rate of an open loop."""
    if resolved.rate is None:
        return {"concurrency": resolved.concurrency}
    return {"rate_qps": as_float(resolved.rate)}


def _requests(cell: Cell, stages: Sequence[StageRecord]) -> Document:
    return {
        "total": cell.requests,
        "failures": cell.failed_requests,
        **_statistics("input_length", "count", _values(stages, "input_tokens")),
        **_statistics("output_length", "count", _values(stages, "output_tokens")),
    }


def _latency(cell: Cell, stages: Sequence[StageRecord]) -> Document:
    """Percentiles by the rules of perbench: none without ten requests beyond it, failed requests as infinitely slow."""
    pairs = zip(_successes(stages, "e2e_ms"), _successes(stages, "output_tokens"), strict=True)
    per_token = [time / tokens for time, tokens in pairs if time is not None and tokens]
    return {
        **_summary("time_to_first_token", "ms", cell.ttft),
        **_statistics("normalized_time_per_output_token", "ms/token", per_token),
        **_statistics("time_per_output_token", "ms/token", _values(stages, "tpot_ms")),
        **_between_tokens(cell, stages),
        **_summary("request_latency", "ms", summarise(_values(stages, "e2e_ms"), failed=cell.failed_requests)),
    }


def _between_tokens(cell: Cell, stages: Sequence[StageRecord]) -> Document:
    if cell.itl_p50_ms is None:
        return {}
    merged = histogram.merge(stage.itl for stage in stages)
    found = {percent: histogram.percentile(merged, percent) for percent in PERCENTS}
    mean = histogram.mean(merged)
    return {} if mean is None else {"inter_token_latency": _numbers("ms/token", mean, found, merged.max)}


def _throughput(stages: Sequence[StageRecord]) -> Document:
    """Of the whole server, not per unit."""
    seconds = sum(stage.window_seconds for stage in stages)
    if seconds <= 0:
        return {}
    tokens = sum(stage.output_tokens_in_window for stage in stages)
    requests = sum(stage.requests_in_window for stage in stages)
    return {
        "output_token_rate": {"units": "tokens/s", "mean": tokens / seconds},
        "request_rate": {"units": "queries/s", "mean": requests / seconds},
    }


def _observed(model: ModelRecord, stages: Sequence[StageRecord]) -> Document:
    """One figure per stage: peaks of host memory, which only a server on a host of its own has; means of what its
    accelerators did. Processor time is left out: the format wants a percentage, and nobody says of how many cores."""
    peaks = [
        stage.memory.footprint_bytes / MEBIBYTE
        for stage in stages
        if model.throughput_unit == "server" and stage.memory is not None and stage.memory.footprint_bytes is not None
    ]
    used = [(stage.use, stage.window_seconds) for stage in stages if stage.use is not None and stage.window_seconds > 0]
    busy = [100 * use.accelerator_utilization for use, _ in used if use.accelerator_utilization is not None]
    watts = [use.energy_joules / seconds for use, seconds in used if use.energy_joules is not None]
    aggregate: Document = {
        **_over_stages("cpu_memory_usage", "MiB", peaks),
        **_over_stages("gpu_utilization", "percent", busy),
        **_over_stages("power_consumption", "Watts", watts),
    }
    if not aggregate:
        return {}
    component: Document = {"component_label": model.name, "aggregate": aggregate}
    return {"observability": {"components": [component]}}


def _over_stages(name: str, unit: str, values: Sequence[float]) -> Document:
    if not values:
        return {}
    return {name: {"units": unit, "mean": sum(values) / len(values), "min": min(values), "max": max(values)}}


def _statistics(name: str, unit: str, values: Sequence[float]) -> Document:
    return _summary(name, unit, summarise(values))


def _summary(name: str, unit: str, found: Summary) -> Document:
    if found.mean is None:
        return {}
    return {name: _numbers(unit, found.mean, found.percentiles, found.max)}


def _numbers(unit: str, mean: float, percentiles: Mapping[int, Percentile], most: float | None) -> Document:
    given: Document = {f"p{p}": found.value for p, found in percentiles.items() if found.value is not None}
    return {"units": unit, "mean": mean, **given, **({} if most is None else {"max": most})}


def _values(stages: Sequence[StageRecord], column: str) -> list[float]:
    """What a column holds of successful requests."""
    return [value for value in _successes(stages, column) if value is not None]


def _successes(stages: Sequence[StageRecord], column: str) -> list[float | None]:
    """A column over successful requests: columns stay side by side."""
    return [
        value
        for stage in stages
        for value, outcome in zip(getattr(stage.requests, column), stage.requests.outcome, strict=True)
        if outcome is Outcome.SUCCESS
    ]


def _digest(value: JsonValue | Sequence[str]) -> str:
    text = json.dumps(value, sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()[:32]


def _file_name(wanted: str, taken: Mapping[str, str]) -> str:
    """A name that is one on every system, and not taken."""
    base = re.sub(r"[^A-Za-z0-9._-]", "_", wanted).strip(".")[:120] or "report"
    number = 1
    while (name := f"{base}.yaml" if number == 1 else f"{base}-{number}.yaml") in taken:
        number += 1
    return name
