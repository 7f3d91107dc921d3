"""Benchmark files of tests: small, and as fast as their server."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import yaml

CONCURRENCY = 8
ITEMS = 4 * CONCURRENCY
FIRST_STAGE = ITEMS + 1
"""Requests until the first stage has ended: its items, and one before the load to see that the server answers."""


def endpoint(name: str, url: str) -> dict[str, object]:
    """A model that already runs, by its URL."""
    return {"name": name, "endpoint": {"url": url, "protocol": "OpenAIChat", "model": "scripted"}}


def inline_task(name: str, items: int = ITEMS, max_tokens: int = 16) -> dict[str, object]:
    """A task to which the answer of `sport_server` is right."""
    return {
        "name": name,
        "maxTokens": max_tokens,
        "dataset": {
            "inline": [{"input": f"Question {number} of {name}?", "answers": ["sport"]} for number in range(items)],
            "scoring": {"scorer": "Contains"},
        },
    }


def file_task(name: str, directory: Path, items: int = ITEMS) -> dict[str, object]:
    """A task whose items stand in a file beside the benchmark's."""
    rows = [{"input": f"Question {number} of {name}?", "answers": ["sport"]} for number in range(items)]
    (directory / f"{name}.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    scoring = {"scorer": "Contains"}
    return {"name": name, "maxTokens": 16, "dataset": {"file": f"{name}.jsonl", "scoring": scoring}}


def write_benchmark(
    path: Path,
    models: Sequence[Mapping[str, object]],
    tasks: Sequence[Mapping[str, object]] = (inline_task("first"), inline_task("second")),
    rounds: int = 1,
    load: Mapping[str, object] | None = None,
    serving: Mapping[str, object] | None = None,
    execution: Mapping[str, object] | None = None,
) -> Path:
    """A benchmark file without warm-up."""
    common = {"concurrency": CONCURRENCY, "repeats": 1, "warmup": {"requests": 0, "seconds": 0}}
    document = {
        "apiVersion": "perbench.dev/v1alpha1",
        "kind": "PERBenchmark",
        "metadata": {"name": path.stem},
        "spec": {
            "models": list(models),
            **({"serving": dict(serving)} if serving else {}),
            "tasks": list(tasks),
            "load": common | dict(load or {}),
            "execution": {"rounds": rounds, **(execution or {})},
        },
    }
    path.write_text(yaml.safe_dump(document, sort_keys=False))
    return path
