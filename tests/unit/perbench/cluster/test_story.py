from typing import Any

import pytest

from perbench.cluster.reasons import REASONS, advice
from perbench.cluster.story import story

METADATA = {"name": "study", "namespace": "team-a", "generation": 2}
STATUS: dict[str, Any] = {
    "observedGeneration": 2,
    "phase": "Failed",
    "run": {"id": "0123456789"},
    "startTime": "2026-01-01T00:00:00Z",
    "completionTime": "2026-01-01T01:00:00Z",
    "conditions": [
        {"type": "Accepted", "status": "True", "reason": "Accepted", "message": ""},
        {"type": "Succeeded", "status": "False", "reason": "SomeModelsFailed", "message": "b failed"},
    ],
    "models": [
        {
            "name": "a",
            "phase": "Succeeded",
            "runtime": "TGI",
            "node": "n1",
            "readySeconds": 93,
            "tasks": [{"name": "t"}],
        },
        {"name": "b", "phase": "Failed"},
    ],
    "failure": {"blame": "Infrastructure", "reason": "Unschedulable", "message": "no node", "model": "b"},
}
POD = {
    "metadata": {"name": "pb-x-model-0", "annotations": {"perbench.dev/model": "b"}},
    "status": {
        "phase": "Pending",
        "conditions": [
            {
                "type": "PodScheduled",
                "status": "False",
                "reason": "Unschedulable",
                "message": "0/3 nodes are available: 3 Insufficient nvidia.com/gpu.",
            }
        ],
    },
}
STUCK = {
    "metadata": {"name": "pb-y-model-0"},
    "status": {
        "phase": "Running",
        "initContainerStatuses": [{"name": "memory", "state": {"terminated": {"exitCode": 1, "reason": "Error"}}}],
        "containerStatuses": [
            {"name": "model", "state": {"waiting": {"reason": "ImagePullBackOff", "message": "back\x1b[31m off"}}}
        ],
    },
}


def event(number: int) -> dict[str, Any]:
    time = f"2026-01-01T00:00:{number:02}Z"
    return {"metadata": {}, "lastTimestamp": time, "type": "Normal", "reason": "R", "message": f"event {number}"}


def test_the_whole_story() -> None:
    told = story({"metadata": METADATA, "status": STATUS}, [POD, STUCK], [event(2), event(1)])
    assert told == (
        "team-a/study: Failed  SomeModelsFailed: b failed\n"
        "run 0123456789, began 2026-01-01T00:00:00Z, ended 2026-01-01T01:00:00Z\n"
        "\n"
        "Accepted          True     Accepted\n"
        "Succeeded         False    SomeModelsFailed: b failed\n"
        "\n"
        "model a: Succeeded (TGI, on n1, ready after 93 s, 1 task measured)\n"
        "model b: Failed\n"
        "\n"
        "Unschedulable, blame Infrastructure, model b: no node\n"
        f"What to do: {REASONS['Unschedulable']}.\n"
        "\n"
        "pod pb-x-model-0 of b: Pending: Unschedulable: 0/3 nodes are available: 3 Insufficient nvidia.com/gpu.\n"
        "pod pb-y-model-0: Running: container memory ended with 1: Error, container model waits: ImagePullBackOff:"
        " back [31m off\n"
        "\n"
        "2026-01-01T00:00:01  Normal   R: event 1\n"
        "2026-01-01T00:00:02  Normal   R: event 2\n"
    )


def test_nothing_has_happened_yet() -> None:
    assert story({"metadata": METADATA}, [], []) == "team-a/study: waiting for the operator\n"


def test_what_is_not_accepted_is_told_with_what_to_do() -> None:
    refused = {"type": "Accepted", "status": "False", "reason": "PolicyDenied", "message": "image x"}
    told = story({"metadata": METADATA, "status": {"observedGeneration": 2, "conditions": [refused]}}, [], [])
    assert f"\nWhat to do: {REASONS['PolicyDenied']}.\n" in told


def test_what_was_never_accepted_is_nobodys_blame() -> None:
    failure = {"blame": "Infrastructure", "reason": "PolicyDenied", "message": "image x"}
    told = story({"metadata": METADATA, "status": {"phase": "Failed", "failure": failure}}, [], [])
    assert f"\nPolicyDenied: image x\nWhat to do: {REASONS['PolicyDenied']}.\n" in told


def test_what_has_no_failure_yet_is_told_with_what_to_do() -> None:
    """Of a run that is on: one stage is invalid already."""
    invalid = {"type": "MeasurementValid", "status": "False", "reason": "OtherTraffic", "message": "a on t"}
    told = story({"metadata": METADATA, "status": {"observedGeneration": 2, "conditions": [invalid]}}, [], [])
    assert f"\nWhat to do: {REASONS['OtherTraffic']}.\n" in told


def test_further_reasons_are_told_after_the_first() -> None:
    invalid = {"type": "MeasurementValid", "status": "False", "reason": "OtherTraffic", "message": "a on t"}
    told = story({"metadata": METADATA, "status": STATUS | {"conditions": [invalid]}}, [], [])
    lines = told.splitlines()
    first = lines.index(f"What to do: {REASONS['Unschedulable']}.")
    assert lines[first + 1] == f"About OtherTraffic: {REASONS['OtherTraffic']}."


def test_what_a_run_came_to_stays_when_what_follows_is_not_accepted() -> None:
    refused = {"type": "Accepted", "status": "False", "reason": "PolicyDenied", "message": "image x"}
    status = STATUS | {"refused": {"id": "abc"}, "conditions": [refused, STATUS["conditions"][1]]}
    told = story({"metadata": METADATA, "status": status}, [], [])
    assert "Figures, if any, are of run 0123456789" in told
    assert f"\nAbout PolicyDenied: {REASONS['PolicyDenied']}.\n" in told, "not under the failure of the run before"
    assert "as it was before its last change" not in told


def test_a_status_of_before_the_last_change_is_said_to_be_one() -> None:
    told = story({"metadata": METADATA | {"generation": 3}, "status": STATUS}, [], [])
    assert "waiting for the operator" in told
    assert "as it was before its last change" in told


def test_only_the_latest_events_are_shown() -> None:
    told = story({"metadata": METADATA}, [], [event(number) for number in range(40)])
    assert "event 24\n" not in told
    assert told.count("event ") == 15


def test_advice_is_one_sentence() -> None:
    assert advice(None) is advice("Unheard") is None
    for reason, what in REASONS.items():
        assert reason.isidentifier()
        assert what[0].islower() or what.startswith("execution.")
        assert not what.endswith(".")


@pytest.mark.parametrize(
    ("status", "reason", "told"),
    [
        ("True", "Regressed", True),
        ("Unknown", "BaselineUnlike", True),
        ("Unknown", "NotFinished", False),
        ("False", "NoRegression", False),
    ],
)
def test_what_to_do_about_a_baseline(status: str, reason: str, told: bool) -> None:
    found = {"type": "Regressed", "status": status, "reason": reason, "message": "large on topics"}
    lines = story({"metadata": METADATA, "status": {"phase": "Succeeded", "conditions": [found]}}, [], []).splitlines()
    assert any(line.startswith("What to do") for line in lines) == told
