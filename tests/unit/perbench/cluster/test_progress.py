from typing import Any

import pytest

from perbench.cluster.progress import Standing, is_current, standing


def body(status: dict[str, Any] | None, generation: int = 1, request: str | None = None) -> dict[str, Any]:
    annotations = {"perbench.dev/run": request} if request else {}
    metadata = {"name": "x", "namespace": "n", "generation": generation, "annotations": annotations}
    return {"metadata": metadata, **({"status": status} if status is not None else {})}


def ended(status: str, reason: str) -> dict[str, Any]:
    return {
        "observedGeneration": 1,
        "run": {"id": "0123456789"},
        "completionTime": "2026-01-01T01:00:00Z",
        "conditions": [{"type": "Succeeded", "status": status, "reason": reason, "message": "as it was"}],
    }


def test_before_the_operator_has_seen_it() -> None:
    assert standing(body(None)) == Standing("waiting for the operator", None)


def test_a_status_of_what_was_before_counts_as_none() -> None:
    done = ended("True", "Succeeded")
    assert standing(body(done)).exit_code == 0
    assert standing(body(done, generation=2)) == Standing("waiting for the operator", None)
    assert standing(body(done, request="again")) == Standing("waiting for the operator", None)
    assert is_current(body(done | {"run": {"id": "0123456789", "request": "again"}}, request="again"))


def test_under_way() -> None:
    status = {"observedGeneration": 1, "run": {"id": "0"}, "phase": "Measuring"}
    status |= {"progress": {"completed": 3, "total": 36, "message": "topics, repeat 1 of 3"}}
    assert standing(body(status)) == Standing("Measuring  3/36  topics, repeat 1 of 3", None)
    status |= {"progress": {"completed": 3, "total": 36, "message": "3/36 a: topics"}}
    assert standing(body(status)).line == "Measuring  3/36 a: topics"


@pytest.mark.parametrize(
    ("reason", "code"),
    [("MeasurementInvalid", 3), ("TooFewSamples", 3), ("SomeModelsFailed", 4), ("AllModelsFailed", 4)],
)
def test_exit_codes_are_those_of_local_mode(reason: str, code: int) -> None:
    assert standing(body(ended("False", reason))) == Standing(f"Failed  {reason}: as it was", code)


def test_not_accepted_is_a_mistake_of_the_file() -> None:
    condition = {"type": "Accepted", "status": "False", "reason": "PolicyDenied", "message": "image x"}
    found = standing(body({"observedGeneration": 1, "conditions": [condition]}))
    assert found == Standing("not accepted: PolicyDenied: image x", 2)


@pytest.mark.parametrize(
    ("refused", "asked"),
    [({}, None), ({"id": "b"}, None), ({"request": "b"}, "b"), ({"request": "b" * 253}, "b" * 300)],
)
def test_a_run_that_was_refused_is_the_one_that_was_asked_for_last(refused: dict[str, str], asked: str | None) -> None:
    """Whatever run its figures are of."""
    status = ended("True", "Succeeded")
    status["run"]["request"] = "a"
    status["conditions"].append({"type": "Accepted", "status": "False", "reason": "PolicyDenied", "message": "image x"})
    assert standing(body(status, request="a")).line == "not accepted: PolicyDenied: image x"
    assert not is_current(body(status, request=asked))
    found = standing(body(status | {"refused": refused}, request=asked))
    assert found == Standing("not accepted: PolicyDenied: image x", 2)
    assert not is_current(body(status | {"refused": refused}, request="a"))


def test_a_run_that_is_suspended_before_it_has_begun_is_not_at_its_end() -> None:
    """Whatever came of the run before."""
    status = ended("True", "Succeeded") | {"refused": {"id": "b"}, "phase": "Suspended"}
    status["conditions"].append({"type": "Accepted", "status": "Unknown", "reason": "Suspended", "message": "waits"})
    assert standing(body(status)) == Standing("Suspended  waits", None)


def test_the_best_is_said_at_the_end() -> None:
    best = {"model": "a", "tasksWon": 2, "tasks": 3, "referencePer": "1.25"}
    line = standing(body(ended("True", "Succeeded") | {"best": best})).line
    assert line == "Succeeded  best: a, 2 of 3 tasks, Reference PER 1.25"
