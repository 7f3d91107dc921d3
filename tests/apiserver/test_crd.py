"""The CRD in a real API server: what it takes, refuses, forgets, shows and keeps as it is."""

import json
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from perbench.api.crd import FREE_DURING_A_RUN, custom_resource_definition, fields, resource_schema
from perbench.api.load import MAX_RATE
from perbench.api.reading import check_text, parse
from perbench.api.resource import BenchmarkSpec
from perbench.api.yamltext import read_documents
from tests.cluster.control_plane import ControlPlane
from tests.support import largest
from tests.support.golden import ROOT
from tests.support.kube_api import STRICT, TRIAL, KubeApi, benchmarks

CRD = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/perbenchmarks.perbench.dev"
RUNNING = {"startTime": "2026-01-01T00:00:00Z"}
FINISHED = RUNNING | {"completionTime": "2026-01-01T01:00:00Z"}
CHANGES: dict[str, Any] = {
    "models": [{"name": "other", "model": "packaged:smollm2-135m"}],
    "serving": {"runtime": "VLLM"},
    "tasks": [{"name": "other", "preset": "PackagedTopics"}],
    "load": {"concurrency": 5},
    "per": {"memoryBasis": "Weights"},
    "capacity": {"prices": [{"unit": "server", "dollarsPerHour": 2}]},
    "baselineRef": {"name": "other", "runID": "0123456789", "tolerancePercent": "7.5"},
    "execution": {"suspend": True, "deadlines": {"readySeconds": 60}},
}
"""Another value for each field of the spec of `benchmark`."""

LARGEST = (largest.many_models, largest.many_tasks, largest.many_items, largest.many_pods)

Make = Callable[[dict[str, Any]], str]
"""Creates a benchmark in the API; gives its path."""


def benchmark(name: str, **spec: Any) -> dict[str, Any]:
    models = [{"name": "a", "model": "packaged:smollm2-135m"}]
    tasks = [{"name": "topics", "preset": "PackagedTopics"}]
    return largest.metadata(name) | {"spec": {"models": models, "tasks": tasks} | spec}


@pytest.fixture
def make(admin: KubeApi) -> Iterator[Make]:
    made: list[str] = []

    def create(document: dict[str, Any]) -> str:
        answer = admin.create(benchmarks(), document)
        assert answer.ok, answer.message
        made.append(f"{benchmarks()}/{document['metadata']['name']}")
        return made[-1]

    yield create
    for path in made:
        admin.delete(path)


def test_the_crd_is_accepted_without_complaint(admin: KubeApi) -> None:
    status = admin.get(CRD).body["status"]
    found = {condition["type"]: condition["status"] for condition in status["conditions"]}
    # A schema that is not structural, or a rule that may cost too much, would be said here or refused before.
    assert found == {"NamesAccepted": "True", "Established": "True"}


def test_applying_it_again_changes_nothing(admin: KubeApi) -> None:
    """What is stored is what is generated: the API server adds no defaults that later look like a difference."""
    generation = admin.get(CRD).body["metadata"]["generation"]
    answer = admin.apply(custom_resource_definition(), CRD)
    assert (answer.ok, answer.body["metadata"]["generation"]) == (True, generation)


@pytest.mark.parametrize("build", LARGEST, ids=lambda build: build.__name__)
def test_the_largest_objects_pass(admin: KubeApi, make: Make, build: Callable[[], dict[str, Any]]) -> None:
    """The cost of rules is bounded when they run as well: also of those that compare a change with what was there."""
    document = build()
    assert len(json.dumps(document)) < largest.SIZE_LIMIT
    parse(document)
    path = make(document)
    answer = admin.patch(f"{path}/status", {"status": RUNNING})
    assert answer.ok, answer.message
    answer = admin.patch(path, {"spec": {"per": {"memoryBasis": "Weights"}}})
    assert answer.ok, answer.message
    answer = admin.patch(path, {"spec": {"load": {"repeats": 99}}})
    assert "load cannot change while a run is on" in answer.message


def test_the_largest_is_near_the_limit_of_an_object() -> None:
    assert max(len(json.dumps(build())) for build in LARGEST) > 0.7 * largest.SIZE_LIMIT


def test_a_run_can_be_recorded(admin: KubeApi, make: Make) -> None:
    """Every field of the status, as perbench itself writes it."""
    (document,) = [d.data for d in read_documents((ROOT / "api/good/finished.yaml").read_text(encoding="utf-8"))]
    assert isinstance(document, dict)
    status = document.pop("status")
    document["metadata"] = {"name": "recorded"}
    path = make(document)
    answer = admin.patch(f"{path}/status", {"status": status})
    assert answer.ok, answer.message
    assert admin.get(path).body["status"] == status


@pytest.mark.parametrize("field", [info.alias for info in BenchmarkSpec.model_fields.values()])
def test_what_belongs_to_a_run_is_immutable_while_it_is_on(admin: KubeApi, make: Make, field: str) -> None:
    rest = {"per": {}, "capacity": {}, "baselineRef": {"name": "another"}}
    document = benchmark(f"immutable-{field.lower()}", load={"concurrency": 4}, serving={"runtime": "TGI"}, **rest)
    path = make(document)
    change = {"spec": {field: CHANGES[field]}}
    dry = STRICT | {"dryRun": "All"}
    assert admin.patch(path, change, dry).ok
    assert admin.patch(f"{path}/status", {"status": RUNNING}).ok
    answer = admin.patch(path, change, dry)
    if field in FREE_DURING_A_RUN:
        assert answer.ok, answer.message
    else:
        message = f"{field} cannot change while a run is on: wait for its end, or delete the benchmark"
        assert (answer.status, answer.causes) == (422, [(f"spec.{field}", f'Invalid value: "object": {message}')])
    assert admin.patch(path, {"metadata": {"labels": {"team": "a"}}}, dry).ok
    assert admin.patch(f"{path}/status", {"status": FINISHED}).ok
    assert admin.patch(path, change, dry).ok


def test_a_field_cannot_be_added_or_taken_away_while_a_run_is_on(admin: KubeApi, make: Make) -> None:
    path = make(benchmark("added", load={"concurrency": 4}))
    assert admin.patch(f"{path}/status", {"status": RUNNING}).ok
    open_loop = {"load": {"concurrency": None, "rate": "0.5"}}
    for change, field in (
        ({"load": None}, "load"),
        (open_loop, "load"),
        ({"execution": {"rounds": 3}}, "execution.rounds"),
    ):
        answer = admin.patch(path, {"spec": change})
        assert f"{field} cannot change while a run is on" in answer.message


def test_of_the_execution_rounds_stay_while_a_run_is_on(admin: KubeApi, make: Make) -> None:
    path = make(benchmark("rounds", execution={"rounds": 2, "retries": 1}))
    dry = STRICT | {"dryRun": "All"}
    assert admin.patch(f"{path}/status", {"status": RUNNING}).ok
    message = "execution.rounds cannot change while a run is on: wait for its end, or delete the benchmark"
    for change in ({"rounds": 3}, {"rounds": None}, None):
        answer = admin.patch(path, {"spec": {"execution": change}}, dry)
        assert (answer.status, message in answer.message) == (422, True), answer.message
    free = {"retries": None, "suspend": True, "onModelFailure": "Stop", "keepModels": "OnFailure", "historyLimit": 0}
    assert admin.patch(path, {"spec": {"execution": free}}, dry).ok
    assert admin.patch(f"{path}/status", {"status": FINISHED}).ok
    assert admin.patch(path, {"spec": {"execution": {"rounds": 3}}}, dry).ok


@pytest.mark.parametrize(
    ("field", "before", "after"),
    [
        ("affinity", {"a": {"b": [1, 2]}}, {"a": {"b": [2, 1]}}),
        ("podPatch", {"spec": {"containers": [{"name": "model"}]}}, {"spec": {"containers": [{"name": "other"}]}}),
        ("tolerations", [{"key": "a"}], [{"key": "a", "operator": "Exists"}]),
    ],
)
def test_what_has_no_schema_is_kept_whole_and_compared_whole(
    admin: KubeApi, make: Make, field: str, before: Any, after: Any
) -> None:
    path = make(benchmark(f"preserved-{field.lower()}", serving={field: before}))
    assert admin.get(path).body["spec"]["serving"][field] == before
    assert admin.patch(f"{path}/status", {"status": RUNNING}).ok
    change = {"spec": {"serving": {field: after}}}
    answer = admin.patch(path, change, STRICT)
    assert (answer.status, "serving cannot change while a run is on" in answer.message) == (422, True), answer.message
    assert admin.patch(path, {"metadata": {"labels": {"team": "a"}}}, STRICT).ok


@pytest.mark.parametrize("rate", [1, 100_000, 100_001, 10**6, "0.00000000000001", "100000.00000000", "100000.00000001"])
def test_a_rate_is_compared_alike_as_number_and_as_text(admin: KubeApi, rate: int | str) -> None:
    """CEL has no type for a value that may be either: the rule must work on both, and on nothing by accident."""
    document = benchmark("rate", load={"rate": rate, "arrival": "Constant", "maxInFlight": 1})
    answer = admin.create(benchmarks(), document, TRIAL)
    fits = float(rate) <= MAX_RATE
    assert answer.ok == fits, answer.message
    said = [(field, message.partition(": ")[2].rpartition(": ")[2]) for field, message in answer.causes]
    assert fits or said == [("spec.load.rate", f"rate is {MAX_RATE} requests per second at most")]


def test_a_loop_is_opened_and_closed_again(admin: KubeApi, make: Make) -> None:
    path = make(benchmark("loops", load={"concurrency": 4}))
    for load, field in (
        ({"rate": 2}, "rate"),
        ({"arrival": "Poisson"}, "arrival"),
        ({"burstiness": 2}, "burstiness"),
        ({"maxInFlight": 2}, "maxInFlight"),
    ):
        answer = admin.patch(path, {"spec": {"load": load}})
        assert (answer.status, [where for where, _ in answer.causes]) == (422, [f"spec.load.{field}"]), answer.message
    opened = {"concurrency": None, "rate": "2.5", "arrival": "Gamma", "burstiness": 2, "maxInFlight": 2}
    assert admin.patch(path, {"spec": {"load": opened}}).ok
    assert not admin.patch(path, {"spec": {"load": {"rate": None}}}).ok
    closed = dict.fromkeys(opened, None)
    answer = admin.patch(path, {"spec": {"load": closed}})
    assert (answer.ok, answer.body["spec"]["load"]) == (True, {}), answer.message


def test_spec_and_status_are_written_apart(admin: KubeApi, make: Make) -> None:
    path = make(benchmark("apart") | {"status": RUNNING})
    assert "status" not in admin.get(path).body
    answer = admin.patch(f"{path}/status", {"spec": {"load": {"concurrency": 1}}, "status": RUNNING})
    assert answer.ok, answer.message
    stored = admin.get(path).body
    assert "load" not in stored["spec"]
    assert stored["status"] == RUNNING
    assert stored["metadata"]["generation"] == 1
    answer = admin.patch(path, {"spec": {"per": {"reference": "a"}}, "status": FINISHED})
    assert answer.ok, answer.message
    assert answer.body["status"] == RUNNING
    assert answer.body["metadata"]["generation"] == 2


def test_a_float_in_the_status_is_refused(admin: KubeApi, make: Make) -> None:
    path = make(benchmark("float"))
    answer = admin.patch(f"{path}/status", {"status": {"best": {"model": "a", "tasksWon": 1.5, "tasks": 2}}})
    assert answer.status == 422
    assert "status.best.tasksWon" in answer.message


def test_unknown_fields_are_refused_or_dropped_as_the_client_asks(admin: KubeApi) -> None:
    document = benchmark("unknown", nonsense=1)
    answer = admin.create(benchmarks(), document)
    assert (answer.status, 'unknown field "spec.nonsense"' in answer.message) == (400, True)
    answer = admin.create(benchmarks(), document, {"fieldValidation": "Ignore", "dryRun": "All"})
    assert answer.ok
    assert "nonsense" not in answer.body["spec"]


def test_explain_tells_every_field(control_plane: ControlPlane, admin: KubeApi) -> None:
    del admin  # the CRD has to be there
    told = " ".join(control_plane.kubectl("explain", "perbenchmarks", "--recursive").split())
    for path, _, _ in fields(resource_schema()):
        assert path.split(".")[-1].removesuffix("[]") in told
    for path in ("spec.models.serving.env", "spec.load", "spec.load.validity", "spec.per", "status.models.tasks"):
        said = " ".join(control_plane.kubectl("explain", f"perb.{path}").split())
        part = next(part for name, part, _ in fields(resource_schema()) if name.replace("[]", "") == path)
        assert plain(part["description"]) in plain(said)
        for name, child, required in fields(part.get("items", part)):
            if "." not in name and "[]" not in name:
                assert plain(child["description"]) in plain(said)
                assert not required or re.search(rf"{name} <[^>]+> -required-", said)


def plain(text: str) -> str:
    return " ".join(text.split())


def test_columns(control_plane: ControlPlane, admin: KubeApi, make: Make) -> None:
    (document,) = check_text((ROOT / "api/good/finished.yaml").read_text(encoding="utf-8"))
    assert document.benchmark is not None
    path = make(benchmark("columns"))
    kubectl = control_plane.kubectl
    header, row = (line.split() for line in kubectl("get", "perb", "columns").splitlines())
    assert header == ["NAME", "PHASE", "PROGRESS", "BEST", "PER", "VALID", "REASON", "AGE"]
    assert len(row) == 2
    condition = {"lastTransitionTime": "2026-01-01T00:00:00Z", "message": ""}
    status = {
        "phase": "Failed",
        "progress": {"completed": 3, "total": 4, "message": "3/4"},
        "best": {"model": "a", "tasksWon": 1, "tasks": 1, "referencePer": "1.25"},
        "conditions": [
            condition | {"type": "MeasurementValid", "status": "True", "reason": "Valid"},
            condition | {"type": "Succeeded", "status": "False", "reason": "SomeModelsFailed"},
        ],
    }
    answer = admin.patch(f"{path}/status", {"status": status})
    assert answer.ok, answer.message
    row = kubectl("get", "perf").splitlines()[1].split()
    assert row[:-1] == ["columns", "Failed", "3/4", "a", "1.25", "True", "SomeModelsFailed"]
