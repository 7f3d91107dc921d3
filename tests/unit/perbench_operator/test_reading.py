from datetime import UTC, datetime
from typing import Any

import pytest

from perbench.api.resource import to_data
from perbench.api.status import Condition, ConditionStatus, ConditionType, Phase, RunStatus, Status, StatusWarning
from perbench_operator.decide import Decision, Situation, decide
from perbench_operator.platform import Platform
from perbench_operator.reading import read_benchmark

NOW = datetime(2026, 1, 1, tzinfo=UTC)
WRITTEN = Status(
    observed_generation=3,
    run=RunStatus(id="0123456789"),
    phase=Phase.SUCCEEDED,
    start_time=NOW,
    completion_time=NOW,
    conditions=tuple(
        Condition(type=kind, status=ConditionStatus.TRUE, last_transition_time=NOW, reason="R", message="")
        for kind in (ConditionType.ACCEPTED, ConditionType.SUCCEEDED)
    ),
    warnings=(StatusWarning(reason="NotSteady", message="a"),),
)


def body(**spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "perbench.dev/v1alpha1",
        "kind": "PERBenchmark",
        "metadata": {
            "name": "bench", "namespace": "team-a", "uid": "u", "generation": 3, "managedFields": [],
            "annotations": {"perbench.dev/run": "again"},
        },
        "spec": {
            "models": [{"name": "a", "model": "gpt2"}], "tasks": [{"name": "t", "preset": "PackagedTopics"}], **spec
        },
        "status": {"phase": "Pending"},
    }  # fmt: skip


def test_a_benchmark_is_read_with_what_decisions_need() -> None:
    found = read_benchmark(body())
    assert (found.name, found.namespace, found.uid, found.generation, found.request) == (
        "bench", "team-a", "u", 3, "again",
    )  # fmt: skip
    assert found.spec is not None
    assert found.status is not None
    assert not found.deleting


def test_metadata_is_the_api_servers_affair() -> None:
    found = body()
    found["metadata"] |= {"generateName": "bench-", "ofALaterVersion": {"a": 1}}
    assert read_benchmark(found).mistake == ""


def test_a_spec_that_is_not_understood_is_one_line() -> None:
    """A CRD of another version may let through what this operator does not know."""
    found = read_benchmark(body(later={"a": 1}))
    assert found.spec is None
    assert found.mistake.startswith("spec.later: unknown field.")
    assert "\n" not in found.mistake


def test_a_spec_from_before_a_rule_is_read_with_what_is_wrong_with_it() -> None:
    found = read_benchmark(body(load={"concurrency": 13}))
    assert found.spec is not None
    assert found.mistake.startswith("spec.tasks[0]: every task needs at least ")
    found = read_benchmark(body(load={"concurrency": 13}, per={"reference": "b"}))
    assert found.spec is None
    assert found.mistake == "spec.per.reference: per.reference names none of the models"


def test_what_a_later_version_says_besides_is_left_out_of_a_status() -> None:
    """After the operator was set back to the version before nothing is measured again."""
    later = to_data(WRITTEN)
    condition = {"type": "OfTomorrow", "status": "True", "reason": "R", "message": "", "lastTransitionTime": NOW}
    later["conditions"] = [condition, later["conditions"][0] | {"also": 1}, *later["conditions"], condition]
    later["warnings"] = [*later["warnings"], {"reason": "a", "message": "b", "also": {"c": 1}}]
    later |= {"tomorrow": {"a": [1]}, "run": later["run"] | {"tomorrow": "x"}}
    found = read_benchmark(body() | {"status": later})
    assert (found.status, found.unreadable) == (WRITTEN, "")


@pytest.mark.parametrize("change", [{"phase": "OfTomorrow"}, {"run": {"id": 5}}, {"startTime": "yesterday"}])
def test_a_status_that_cannot_be_understood_is_left_alone(change: dict[str, Any]) -> None:
    found = read_benchmark(body() | {"status": {**to_data(WRITTEN), **change, "tomorrow": 1}})
    assert found.status is None
    assert found.unreadable.startswith(f"{next(iter(change))}"), found.unreadable
    assert "\n" not in found.unreadable
    assert decide(Situation(found, Platform(bench_image="bench:1"), NOW)) == Decision()
