import copy
import json
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perbench.api.identity import canonical_json, measured_part, run_id
from perbench.api.reading import parse
from perbench.api.resource import BenchmarkSpec

DOCUMENT: dict[str, Any] = {
    "apiVersion": "perbench.dev/v1alpha1",
    "kind": "PERBenchmark",
    "metadata": {"name": "x"},
    "spec": {
        "models": [
            {"name": "a", "model": "gpt2", "serving": {"args": ["-np", "2"]}},
            {"name": "b", "model": "./b.gguf", "serving": {"env": [{"name": "A", "value": "ü"}]}},
        ],
        "tasks": [{"name": "t", "preset": "PackagedTopics"}],
        "load": {"concurrency": 4},
        "per": {"reference": "a"},
        "execution": {"rounds": 2},
    },
}


def spec(**changes: object) -> BenchmarkSpec:
    document = copy.deepcopy(DOCUMENT)
    for name, value in changes.items():
        if value is None:
            document["spec"].pop(name)
        else:
            document["spec"][name] = value
    return parse(document).spec


BASE = run_id("local", spec())


def test_known_value() -> None:
    """Ids are stored: if this changes, every benchmark of every user runs again at the next upgrade."""
    assert BASE == "b47bda2e0e"


def test_canonical_form_in_full() -> None:
    assert canonical_json(measured_part(spec())) == (
        '{"execution":{"rounds":2},"load":{"concurrency":4},'
        '"models":[{"model":"gpt2","name":"a","serving":{"args":["-np","2"]}},'
        '{"model":"./b.gguf","name":"b","serving":{"env":[{"name":"A","value":"ü"}]}}],'
        '"tasks":[{"name":"t","preset":"PackagedTopics"}]}'
    )


@pytest.mark.parametrize(
    "changes",
    [
        {"per": None},
        {"per": {}},
        {"per": {"reference": "b"}},
        {"per": {"latencyBasis": "Unloaded", "memoryBasis": "Weights", "qualityFloor": "0.5"}},
        {"per": {"weights": {"memory": 0}, "bounds": {"accuracy": {"low": 0, "high": 1}}}},
        {"capacity": {"prices": [{"unit": "server", "dollarsPerHour": "0.40"}]}},
        {"baselineRef": {"name": "x"}},
        {"baselineRef": {"name": "nightly", "runID": "0123456789", "tolerancePercent": "2.5"}},
    ],
)
def test_how_figures_are_read_does_not_matter(changes: dict[str, object]) -> None:
    assert run_id("local", spec(**changes)) == BASE


@pytest.mark.parametrize(
    "changes",
    [
        {"load": {"concurrency": 5}},
        {"load": None},
        {"execution": {"rounds": 3}},
        {"execution": None},
        {"serving": {"runtime": "LlamaCpp"}},
        {"tasks": [{"name": "t", "preset": "PackagedAnswers"}]},
        {"models": DOCUMENT["spec"]["models"][:1]},
    ],
)
def test_what_is_measured_matters(changes: dict[str, object]) -> None:
    assert run_id("local", spec(**changes)) != BASE


def test_uid_and_request_matter() -> None:
    assert len({BASE, run_id("other", spec()), run_id("local", spec(), "1"), run_id("local", spec(), "")}) == 4


def test_a_default_written_out_is_another_spec() -> None:
    """Otherwise a new default in a later version would change the ids of stored benchmarks, and start their runs."""
    assert run_id("local", spec(load={"concurrency": 4, "repeats": 3})) != BASE


def test_objects_without_fields_say_nothing() -> None:
    assert run_id("local", spec(serving={})) == BASE
    assert run_id("local", spec(execution={})) == run_id("local", spec(execution=None))


def test_lists_with_keys_are_equal_in_any_order_as_they_are_to_the_api_server() -> None:
    assert run_id("local", spec(models=DOCUMENT["spec"]["models"][::-1])) == BASE


def test_the_order_of_arguments_matters() -> None:
    models = copy.deepcopy(DOCUMENT["spec"]["models"])
    models[0]["serving"]["args"].reverse()
    assert run_id("local", spec(models=models)) != BASE


def test_the_order_of_choices_does_not_matter() -> None:
    def choosing(*choices: str) -> str:
        scoring = {"scorer": "Choice", "choices": choices}
        return run_id("local", spec(tasks=[{"name": "t", "dataset": {"file": "t.jsonl", "scoring": scoring}}]))

    assert choosing("red", "blue") == choosing("blue", "red")
    assert choosing("red", "blue") != choosing("red", "green")


def patched(**serving: object) -> str:
    return run_id("local", spec(serving=serving))


@pytest.mark.parametrize(
    ("serving", "other"),
    [
        ({"tolerations": [{"key": "a"}, {"key": "b"}]}, {"tolerations": [{"key": "b"}, {"key": "a"}]}),
        ({"affinity": {"x": [1, 2]}}, {"affinity": {"x": [2, 1]}}),
        ({"podPatch": {"spec": {"volumes": [{"name": "a", "emptyDir": {}}]}}}, {"podPatch": {"spec": {"volumes": []}}}),
        ({"podPatch": {"spec": {"hostname": None}}}, {"podPatch": {"spec": {}}}),
        ({"affinity": {}}, {}),
        ({"modelCache": {"emptyDir": {}}}, {}),
        ({"tolerations": []}, {}),
    ],
)
def test_what_kubernetes_is_told_matters_as_it_is_written(serving: dict[str, Any], other: dict[str, Any]) -> None:
    assert patched(**serving) != patched(**other)


def test_numbers_without_schema_are_as_the_api_server_stores_them() -> None:
    assert patched(podPatch={"spec": {"x": [2.0, 0.5]}}) == patched(podPatch={"spec": {"x": [2, 0.5]}})


def test_pull_secrets_have_no_order() -> None:
    secrets = [{"name": "a"}, {"name": "b"}]
    assert patched(imagePullSecrets=secrets) == patched(imagePullSecrets=secrets[::-1])


def test_of_the_execution_rounds_alone_matter() -> None:
    execution = {"rounds": 2, "suspend": True, "retries": 0, "deadlines": {"readySeconds": 1}}
    assert run_id("local", spec(execution=execution)) == BASE


@given(st.randoms(use_true_random=False))
def test_the_order_of_keys_does_not_matter(random: Random) -> None:
    def shuffled(value: object) -> object:
        if isinstance(value, dict):
            keys = list(value)
            random.shuffle(keys)
            return {key: shuffled(value[key]) for key in keys}
        return [shuffled(entry) for entry in value] if isinstance(value, list) else value

    document = json.loads(json.dumps(shuffled(DOCUMENT)))
    assert run_id("local", parse(document).spec) == BASE
