from pathlib import Path
from typing import Any

import pytest

from perbench.api.execution import ExecutionSpec
from perbench.api.load import ClientSpec
from perbench.api.reading import parse
from perbench.api.resource import BenchmarkSpec
from perbench.api.serving import Runtime, Serving
from perbench.failures import UsageError
from perbench.local.prepare import prepare
from perbench.local.unused import EXECUTION, SERVING, refusals, unused_fields, unused_sentence
from tests.support.api_corpus import CLIENT
from tests.support.api_corpus import SERVING as EVERY_SERVING
from tests.support.benchmarks import endpoint, inline_task, write_benchmark

MODEL = {"name": "a", "model": "packaged:smollm2-135m"}
TASK = {"name": "topics", "preset": "PackagedTopics"}


def spec(models: list[dict[str, Any]] | None = None, **parts: Any) -> BenchmarkSpec:
    metadata = {"apiVersion": "perbench.dev/v1alpha1", "kind": "PERBenchmark", "metadata": {"name": "x"}}
    return parse(metadata | {"spec": {"models": models or [MODEL], "tasks": [TASK]} | parts}).spec


def test_what_means_nothing_here_is_named_in_one_line() -> None:
    given = spec(
        [
            MODEL | {"serving": {"accelerator": {"resource": "nvidia.com/gpu", "count": 1}, "args": ["-np", "2"]}},
            MODEL | {"name": "b"},
        ],
        serving={"runtime": "LlamaCpp", "nodeSelector": {"a": "b"}, "modelCache": {"emptyDir": {}}},
        load={"client": {"lingerSeconds": 0}},
        execution={
            "rounds": 2,
            "retries": 0,
            "deadlines": {"readySeconds": 60},
            "onModelFailure": "Stop",
            "suspend": False,
        },
    )
    assert unused_sentence(unused_fields(given, None)) == (
        "not used on this machine: models[].serving.accelerator, serving.nodeSelector, serving.modelCache, load.client,"
        " execution.retries, execution.deadlines"
    )
    assert refusals(given, None, with_key=False) == ()


def test_a_baseline_is_named() -> None:
    """Results on one's own machine are compared by `perbench compare`."""
    assert unused_fields(spec(baselineRef={"name": "nightly"}), None) == ("baselineRef",)


def test_nothing_is_said_where_nothing_is_unused() -> None:
    assert unused_sentence(unused_fields(spec(), None)) is None


def test_every_field_of_a_pod_is_carried_out_named_or_refused() -> None:
    """A field that comes to the API is not forgotten here."""
    carried_out = {"runtime", "args", "env"}
    refused = {"image", "replicas", "prefix_cache"}
    assert set(SERVING) | carried_out | refused == set(Serving.model_fields)
    assert set(EXECUTION) | {"rounds", "on_model_failure", "suspend"} == set(ExecutionSpec.model_fields)
    assert set(CLIENT) == {info.alias for info in ClientSpec.model_fields.values()}
    pod = {name: value for name, value in EVERY_SERVING.items() if name not in {"runtime", "args", "env"}}
    pod |= {"modelCache": {"claimName": "models"}}
    given = spec(serving=pod | {"runtime": "LlamaCpp"})
    named = {name.partition(".")[2] for name in unused_fields(given, None)}
    assert len(named) == len(SERVING)
    assert set(pod) - named == {"image", "replicas", "prefixCache"}
    assert len(refusals(given, None, with_key=False)) == 3


def test_one_server_of_a_model_is_started() -> None:
    (line,) = refusals(spec(serving={"replicas": 2, "runtime": "LlamaCpp"}), None, with_key=False)
    assert line.startswith("model a: serving.replicas: one server")
    assert refusals(spec(serving={"replicas": 1}), None, with_key=False) == ()


def test_a_prefix_cache_is_refused() -> None:
    (line,) = refusals(spec(serving={"prefixCache": "On"}), None, with_key=False)
    assert line.startswith("model a: serving.prefixCache On")
    assert refusals(spec(serving={"prefixCache": "Off"}), None, with_key=False) == ()


def test_an_image_is_refused_unless_a_substitute_is_asked_for() -> None:
    given = spec(serving={"runtime": "LlamaCpp", "image": "llama:1"})
    (line,) = refusals(given, None, with_key=False)
    assert "--runtime LlamaCpp" in line
    assert refusals(given, Runtime.LLAMA_CPP, with_key=False) == ()
    assert unused_fields(given, Runtime.LLAMA_CPP) == ("serving.image",)


def test_a_key_comes_from_the_environment() -> None:
    server = endpoint("e", "http://h:1")["endpoint"]
    assert isinstance(server, dict)
    given = spec([{"name": "e", "endpoint": server | {"apiKeySecretKeyRef": {"name": "s", "key": "k"}}}])
    (line,) = refusals(given, None, with_key=False)
    assert line == "model e: endpoint.apiKeySecretKeyRef: Secrets are in a cluster only: set PERBENCH_API_KEY"
    assert refusals(given, None, with_key=True) == ()


def test_what_cannot_be_had_here_ends_with_one_line_each(tmp_path: Path) -> None:
    place = {"claimName": "c", "path": "p"}
    scoring = {"scoring": {"scorer": "F1"}}
    tasks = [
        inline_task("own"),
        {"name": "map", "dataset": {"configMap": {"name": "c", "key": "k"}} | scoring},
        {"name": "claim", "dataset": {"volume": place} | scoring},
    ]
    models = [MODEL, {"name": "v", "volume": place}]
    serving = {"runtime": "LlamaCpp"}
    file = write_benchmark(tmp_path / "x.yaml", models, tasks, serving=serving, execution={"suspend": True})
    with pytest.raises(UsageError) as caught:
        prepare(file, None, with_key=False)
    said = [line.removeprefix(f"{file}: ").split(": ")[0:2] for line in str(caught.value).splitlines()]
    assert said == [
        ["model v", "volume is in a cluster only"],
        ["task map", "dataset.configMap is in a cluster only"],
        ["task claim", "dataset.volume is in a cluster only"],
        ["execution.suspend is true, so nothing is run", "leave it out, or stop a run with Ctrl-C"],
    ]
