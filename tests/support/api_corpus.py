"""The corpus of good and bad benchmarks, and the limits of the schema as cases: values just inside and just outside."""

import copy
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pydantic import JsonValue

from perbench.api.crd import resource_schema
from perbench.api.rules import ApiObject, Rule
from perbench.api.schema import INT_OR_STRING, Schema
from perbench.api.text import QUANTITY
from tests.support.golden import ROOT

GOOD = sorted((ROOT / "api/good").glob("*.yaml"))
BAD = sorted((ROOT / "api/bad").glob("*.yaml"))
REFUSERS = ("reader", "schema", "list", "rule", "perbench")

SERVING: dict[str, JsonValue] = {
    "runtime": "TGI",
    "image": "registry.example.org/tgi:1",
    "args": ["-x"],
    "env": [{"name": "A", "value": "1"}],
    "replicas": 2,
    "accelerator": {"resource": "example.org/gpu", "count": 1, "product": "P"},
    "resources": {"requests": {"x": "500m"}, "limits": {"x": "8Gi"}},
    "nodeSelector": {"x": "y"},
    "tolerations": [{"key": "gpu", "operator": "Exists"}],
    "affinity": {"podAntiAffinity": {}},
    "runtimeClassName": "nvidia",
    "priorityClassName": "low",
    "imagePullSecrets": [{"name": "registry"}],
    "serviceAccountName": "server",
    "huggingFaceTokenSecretKeyRef": {"name": "hub", "key": "token"},
    "modelCache": {"claimName": "models", "readOnly": True, "emptyDir": {"sizeLimit": "10Gi"}},
    "sharedMemory": "1Gi",
    "prefixCache": "On",
    "podPatch": {"spec": {"terminationGracePeriodSeconds": 5}},
}
CLIENT: dict[str, JsonValue] = {
    "resources": {"requests": {"x": "2"}, "limits": {"x": "1Gi"}},
    "nodeSelector": {"x": "y"},
    "tolerations": [{"key": "quiet", "operator": "Exists"}],
    "lingerSeconds": 65,
}

EVERYTHING: dict[str, JsonValue] = {
    "apiVersion": "perbench.dev/v1alpha1",
    "kind": "PERBenchmark",
    "metadata": {"name": "everything"},
    "spec": {
        "models": [
            {
                "name": "a",
                "model": "gpt2",
                "revision": "main",
                "volume": {"claimName": "models", "path": "a/b"},
                "endpoint": {
                    "url": "http://a",
                    "protocol": "TGI",
                    "model": "a",
                    "accelerators": 1,
                    "apiKeySecretKeyRef": {"name": "server", "key": "key"},
                },
                "serving": SERVING,
            }
        ],
        "serving": SERVING,
        "tasks": [
            {
                "name": "t",
                "preset": "PackagedTopics",
                "dataset": {
                    "inline": [{"input": "q", "answers": ["a"], "fields": {"x": "y"}, "source": "page"}],
                    "file": "a.jsonl",
                    "configMap": {"name": "items", "key": "a.jsonl"},
                    "volume": {"claimName": "items", "path": "a.jsonl"},
                    "prompt": "{{ input }}",
                    "scoring": {"scorer": "Regex", "pattern": "x", "choices": ["a", "b"]},
                },
                "synthetic": {"inputTokens": 1, "outputTokens": 1},
                "limit": 1,
                "maxTokens": 1,
            }
        ],
        "load": {
            "api": "Chat",
            "concurrency": 1,
            "rate": "0.5",
            "arrival": "Gamma",
            "burstiness": 2,
            "maxInFlight": 1,
            "warmup": {"requests": 0, "seconds": 0},
            "repeats": 1,
            "maxSeconds": 1,
            "validity": {
                "errorPercent": "2.5",
                "clientErrorMilliseconds": 1,
                "clientErrorPercent": 1,
                "clientErrorTailMilliseconds": 1,
                "clientErrorTailPercent": 1,
                "readDelayMilliseconds": "0.1",
                "readDelayPercent": 1,
                "readDelayTailMilliseconds": 1,
                "readDelayTailPercent": 1,
                "concurrencyPercent": 95,
                "onTimePercent": 98,
            },
            "client": CLIENT,
        },
        "per": {
            "reference": "a",
            "bounds": {
                unit: {"low": 0, "high": "1.5"}
                for unit in (
                    "accuracy",
                    "tokensPerSecond",
                    "itemsPerSecond",
                    "millisecondsPerToken",
                    "millisecondsPerItem",
                    "memoryMebibytes",
                )
            },
            "weights": {"accuracy": 2, "throughput": "0.5", "memory": 0, "latency": 1},
            "latencyBasis": "Request",
            "memoryBasis": "Footprint",
            "qualityFloor": "0.5",
        },
        "capacity": {"prices": [{"unit": "server", "dollarsPerHour": "0.40"}]},
        "baselineRef": {"name": "nightly", "runID": "0123456789", "tolerancePercent": "2.5"},
        "execution": {
            "rounds": 1,
            "onModelFailure": "Stop",
            "retries": 1,
            "suspend": False,
            "keepModels": "Never",
            "historyLimit": 1,
            "deadlines": {"schedulingSeconds": 1, "imageSeconds": 1, "readySeconds": 1, "totalSeconds": 1},
        },
    },
}
"""Every field of the spec at once, each right by itself. It breaks rules between fields, so only fields are judged."""

_PREFIXES = {"url": "http://", "resource": "a/"}
"""What a text of any length must begin with to fit its pattern."""


@dataclass(frozen=True)
class LimitCase:
    """One value for one field, on the right or wrong side of one keyword of its schema."""

    path: tuple[str | int, ...]
    keyword: str
    accepted: bool
    value: JsonValue

    def __str__(self) -> str:
        place = ".".join(str(step) for step in self.path)
        return f"{place} {self.keyword} {'inside' if self.accepted else 'outside'}"

    @property
    def document(self) -> dict[str, JsonValue]:
        """`EVERYTHING` with this value in its place."""
        document = copy.deepcopy(EVERYTHING)
        parent: JsonValue = document
        for step in self.path[:-1]:
            parent = parent[step]
        if self.keyword == "required":
            del parent[self.path[-1]]
        else:
            parent[self.path[-1]] = self.value
        return document


def refuser(path: Path) -> str:
    """Who refuses a bad file, as its first line says."""
    return path.read_text(encoding="utf-8").splitlines()[0].removeprefix("# Refused by: ")


def all_rules(cls: type[ApiObject] = ApiObject) -> list[Rule]:
    """Every rule of the API that binds fields together."""
    own = list(cls.__dict__.get("RULES", ()))
    return own + [rule for child in cls.__subclasses__() for rule in all_rules(child)]


def limit_cases() -> list[LimitCase]:
    """Both sides of every limit of the spec's schema."""
    return list(_cases(resource_schema()["properties"]["spec"], EVERYTHING["spec"], ("spec",)))


def _cases(schema: Schema, value: JsonValue, path: tuple[str | int, ...]) -> Iterator[LimitCase]:
    for keyword, inside, outside in _edges(schema, value, str(path[-1])):
        yield from (LimitCase(path, keyword, True, inside), LimitCase(path, keyword, False, outside))
    wrong_type: JsonValue = [1] if schema.get("type") != "array" else {"a": 1}
    yield LimitCase(path, "type", False, wrong_type)
    if INT_OR_STRING in schema:
        yield LimitCase(path, "integer or string", True, 1)
        yield LimitCase(path, "integer or string", True, "1")
        yield LimitCase(path, "integer or string", False, 0.5)
        yield LimitCase(path, "integer or string", False, True)
    if "properties" in schema:
        yield LimitCase((*path, "unheardOf"), "unknown", False, 1)
        for name, part in schema["properties"].items():
            yield LimitCase((*path, name), "required", name not in schema.get("required", []), None)
            yield from _cases(part, value[name], (*path, name))
    elif "additionalProperties" in schema:
        yield from _cases(schema["additionalProperties"], value["x"], (*path, "x"))
    elif "items" in schema:
        yield from _cases(schema["items"], value[0], (*path, 0))


def _edges(schema: Schema, value: JsonValue, name: str) -> Iterator[tuple[str, JsonValue, JsonValue]]:
    """(keyword, a value just inside, one just outside)."""
    prefix = _PREFIXES.get(name, "0." if INT_OR_STRING in schema else "")
    letter = "1" if INT_OR_STRING in schema or schema.get("pattern") == QUANTITY else "a"
    if "enum" in schema:
        yield "enum", schema["enum"][-1], schema["enum"][-1] + "x"
    if "maxLength" in schema and name != "unit":  # its pattern allows three words, all shorter
        longest = prefix + letter * (schema["maxLength"] - len(prefix))
        yield "maxLength", longest, longest + letter
    if "minLength" in schema:
        yield "minLength", value if name == "unit" else prefix + letter, ""
    if "pattern" in schema:
        yield "pattern", value, " "
    if "maximum" in schema:
        yield "maximum", schema["maximum"], schema["maximum"] + 1
        yield "minimum", schema["minimum"], schema["minimum"] - 1
    if "maxItems" in schema:
        yield "maxItems", _many(value[0], schema["maxItems"]), _many(value[0], schema["maxItems"] + 1)
    if "minItems" in schema:
        yield "minItems", value, value[: schema["minItems"] - 1]
    if "maxProperties" in schema:
        most = {f"k{number}": value["x"] for number in range(schema["maxProperties"])}
        yield "maxProperties", most, most | {"more": value["x"]}


def _many(entry: JsonValue, count: int) -> list[JsonValue]:
    """`count` different entries like `entry`, without mistakes of their own (pydantic does not count those)."""
    if isinstance(entry, str):
        return [f"{entry}{number}" for number in range(count)]
    if "unit" in entry:
        return [entry | {"unit": unit} for unit in ("server", "accelerator", "endpoint", "server")[:count]]
    key = next(name for name in ("input", "name", "key") if name in entry)
    plain = {name: part for name, part in entry.items() if name in {"model", "preset", "value", "answers"}}
    return [plain | {key: f"{entry[key]}{number}"} for number in range(count)]
