"""The largest benchmarks that the API takes: every list full, in several shapes that fit into an object of etcd."""

from typing import Any

SIZE_LIMIT = 1_400_000
"""Bytes of JSON that fit into an object of etcd (1.5 MiB), with what the API server and a client add."""

NAME = "n" * 37
"""With three digits a name of 40 characters."""

OBJECT = "o" * 253
"""The longest name of a Kubernetes object."""


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


def many_pods() -> dict[str, Any]:
    """32 models, each with every part of a pod that it may have, and patches that go far beyond a usual pod's."""
    models = [
        {"name": f"{NAME}{number:03}", "volume": _place(), "serving": _serving("v") | _pod(64)} for number in range(32)
    ]
    tasks = [
        {"name": f"{NAME}{number:03}", "dataset": {kind: place, "scoring": {"scorer": "F1"}}, "limit": 64}
        for number, (kind, place) in enumerate(
            [("configMap", {"name": OBJECT, "key": "k" * 253}), ("volume", _place())]
        )
    ]
    rest = _rest()
    rest["serving"] |= _pod(256)
    return metadata("many-pods") | {"spec": rest | {"models": models, "tasks": tasks}}


def _serving(value: str) -> dict[str, Any]:
    names = [f"V{number}" for number in range(64)]
    return {
        "runtime": "TGI",
        "args": [f"{value}{number}" for number in range(64)],
        "env": [{"name": name, "value": value} for name in names],
    }


def _pod(patches: int) -> dict[str, Any]:
    """Everything of a pod that a model may set; `patches` variables in the patch."""
    secret = {"name": OBJECT, "key": "k" * 253}
    return {
        "image": "i" * 512,
        "replicas": 64,
        "accelerator": {"resource": "r" * 253 + "/" + "r" * 63, "count": 64, "product": "p" * 63},
        "resources": _resources(),
        "nodeSelector": {f"example.org/label-{number}": "v" * 63 for number in range(32)},
        "tolerations": [{"key": f"example.org/taint-{number}", "operator": "Exists"} for number in range(16)],
        "affinity": {"nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": _terms(16)}},
        "runtimeClassName": OBJECT,
        "priorityClassName": OBJECT,
        "imagePullSecrets": [{"name": f"{OBJECT[:-1]}{number}"} for number in range(8)],
        "serviceAccountName": OBJECT,
        "huggingFaceTokenSecretKeyRef": secret,
        "modelCache": {"claimName": OBJECT, "readOnly": True},
        "sharedMemory": "1" * 30 + "Gi",
        "prefixCache": "Off",
        "podPatch": {
            "spec": {
                "containers": [
                    {"name": "model", "env": [{"name": f"P{number}", "value": "v" * 80} for number in range(patches)]}
                ]
            }
        },
    }


def _terms(count: int) -> list[dict[str, Any]]:
    wanted = {"key": "example.org/label", "operator": "In", "values": ["a", "b"]}
    return [{"weight": weight, "preference": {"matchExpressions": [wanted]}} for weight in range(1, count + 1)]


def _resources() -> dict[str, Any]:
    quantities = {f"example.org/resource-{number}": "1" * 30 + "Gi" for number in range(16)}
    return {"requests": quantities, "limits": quantities}


def _place() -> dict[str, Any]:
    return {"claimName": OBJECT, "path": "p" * 1024}


def _endpoint() -> dict[str, Any]:
    secret = {"name": OBJECT, "key": "k" * 253}
    return {
        "url": "http://" + "h" * 2041,
        "protocol": "OpenAIChat",
        "model": "m" * 256,
        "accelerators": 4096,
        "apiKeySecretKeyRef": secret,
    }


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
        "client": {
            "resources": _resources(),
            "nodeSelector": {f"example.org/label-{number}": "v" * 63 for number in range(32)},
            "tolerations": [{"key": f"example.org/taint-{number}", "operator": "Exists"} for number in range(16)],
            "lingerSeconds": 3600,
        },
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
        "baselineRef": {"name": OBJECT, "runID": "0123456789", "tolerancePercent": "99.1234567890123"},
        "execution": {
            "rounds": 100,
            "onModelFailure": "Continue",
            "retries": 10,
            "suspend": False,
            "keepModels": "OnFailure",
            "historyLimit": 100,
            "deadlines": dict.fromkeys(("schedulingSeconds", "imageSeconds", "readySeconds"), 604_800)
            | {"totalSeconds": 2_592_000},
        },
    }
