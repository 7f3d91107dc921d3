"""The largest benchmarks that the API takes: every list full, in several shapes that fit into an object of etcd."""

from typing import Any

SIZE_LIMIT = 1_400_000
"""Bytes of JSON that fit into an object of etcd (1.5 MiB), with what the API server and a client add."""

NAME = "n" * 37
"""With three digits a name of 40 characters."""


def metadata(name: str) -> dict[str, Any]:
    """What is around the spec."""
    return {"apiVersion": "perbench.dev/v1alpha1", "kind": "PERBenchmark", "metadata": {"name": name}}


def many_models() -> dict[str, Any]:
    """32 models, each with as many arguments and variables as it may have, on 4 tasks."""
    models = [
        {"name": f"{NAME}{number:03}", "model": "m" * 512, "revision": "r" * 128, "serving": _serving("v" * 80)}
        for number in range(32)
    ]
    tasks = [{"name": f"{NAME}{number:03}", "preset": "PackagedTopics"} for number in range(4)]
    return metadata("many-models") | {"spec": _rest() | {"models": models, "tasks": tasks}}


def many_tasks() -> dict[str, Any]:
    """8 models on 16 tasks of 64 own items each, with as many answers and fields as they may have."""
    models = [{"name": f"{NAME}{number:03}", "endpoint": _endpoint()} for number in range(8)]
    return metadata("many-tasks") | {
        "spec": _rest() | {"models": models, "tasks": [_task(n, 64, 16) for n in range(16)]}
    }


def many_items() -> dict[str, Any]:
    """One model on 16 tasks of 256 own items each, in an open loop."""
    models = [{"name": NAME, "endpoint": _endpoint()}]
    rest = _rest() | {"per": {"reference": NAME}, "load": _load(open_loop=True)}
    return metadata("many-items") | {"spec": rest | {"models": models, "tasks": [_task(n, 256, 3) for n in range(16)]}}


def _serving(value: str) -> dict[str, Any]:
    names = [f"V{number}" for number in range(64)]
    return {
        "runtime": "TGI",
        "args": [f"{value}{number}" for number in range(64)],
        "env": [{"name": name, "value": value} for name in names],
    }


def _endpoint() -> dict[str, Any]:
    return {"url": "http://" + "h" * 2041, "protocol": "OpenAIChat", "model": "m" * 256, "accelerators": 4096}


def _task(number: int, items: int, parts: int) -> dict[str, Any]:
    item = {
        "input": "i" * 40,
        "answers": [f"answer {part}" for part in range(parts)],
        "fields": {f"field{part}": "value" for part in range(parts)},
        "source": "s" * 40,
    }
    scoring = {"scorer": "Choice", "choices": [f"answer {choice}" for choice in range(64)]}
    dataset = {"inline": [item] * items, "prompt": "p" * 1000, "scoring": scoring}
    return {"name": f"{NAME}{number:03}", "dataset": dataset, "limit": items, "maxTokens": 1_000_000}


def _load(*, open_loop: bool) -> dict[str, Any]:
    number = "1234567890.12345"
    kind: dict[str, Any] = {"concurrency": 8}
    if open_loop:
        kind = {"rate": "99999.1234567890", "arrival": "Gamma", "burstiness": number, "maxInFlight": 65_536}
    delays = ("clientErrorMilliseconds", "clientErrorTailMilliseconds", "readDelayMilliseconds")
    shares = ("error", "clientError", "clientErrorTail", "readDelay", "concurrency", "onTime")
    return kind | {
        "api": "Chat",
        "warmup": {"requests": 100_000, "seconds": 3600},
        "repeats": 100,
        "maxSeconds": 86_400,
        "validity": dict.fromkeys(delays, number) | {f"{share}Percent": "12.1234567890123" for share in shares},
    }


def _rest() -> dict[str, Any]:
    units = ("accuracy", "tokensPerSecond", "itemsPerSecond", "millisecondsPerToken", "millisecondsPerItem")
    number = "1234567890123.25"
    return {
        "serving": _serving("v" * 1000),
        "load": _load(open_loop=False),
        "per": {
            "reference": f"{NAME}007",
            "bounds": {unit: {"low": "0.00000000000001", "high": 1} for unit in (*units, "memoryMebibytes")},
            "weights": dict.fromkeys(("accuracy", "throughput", "memory", "latency"), number),
            "latencyBasis": "Unloaded",
            "memoryBasis": "Footprint",
            "qualityFloor": "0.99999999999999",
        },
        "capacity": {
            "prices": [{"unit": unit, "dollarsPerHour": number} for unit in ("server", "accelerator", "endpoint")]
        },
        "execution": {"rounds": 100},
    }
