"""Runs of one benchmark after another, and a run that is interrupted: nothing is measured that need not be."""

from collections.abc import Iterator
from typing import Any

import pytest

from perbench.objects.results import read_object
from perbench_operator.names import RUN, Role, model_object
from tests.cluster.api import Kubectl, wait_until
from tests.cluster.images import IMAGES
from tests.cluster.pods import container, pod, service, wait_for
from tests.e2e.applied import LOAD_SECONDS, PATIENCE_SECONDS, Applied, condition, model
from tests.e2e.benchmarks import LLAMA_FILE, SMALL, benchmark, endpoint, llama

PORT = 8080
LABELS = {"app": "server"}
STAGES = 10
"""Of a run that is suspended in the middle: whoever does that may be late."""


@pytest.fixture
def server(place: Kubectl) -> Iterator[str]:
    """A model server that runs already; its url."""
    arguments = ["--model", LLAMA_FILE, "--host", "0.0.0.0", "-np", "2", "-c", "1024", "-t", "1", "--no-cache-prompt"]
    health = {"httpGet": {"path": "/health", "port": PORT}, "periodSeconds": 1}
    main = container(IMAGES["llamacpp"].tag, args=arguments, resources=SMALL, readinessProbe=health)
    place.apply(pod("server", {"containers": [main]}, LABELS), service("server", LABELS, PORT))
    wait_for(place, "pod/server", "condition=Ready")
    yield "http://server"
    place("delete", "pod", "server", "--now", "--wait=false")


def test_endpoints_are_measured_again_and_again(place: Kubectl, server: str) -> None:
    """No model is started; `per` recomputes without a run; the annotation asks for another; old results go."""
    models = [endpoint("one", server), endpoint("two", server)]
    applied = Applied.of(place, benchmark("life", *models, execution={"historyLimit": 1}))
    first = applied.wait_success()
    assert applied.pods("model") == []
    assert float(model(first, "one")["tasks"][0]["referencePer"]) == 1

    applied.change({"per": {"reference": "two"}})
    now = applied.get()["metadata"]["generation"]
    again = applied.wait("PER is recomputed", lambda status: status["observedGeneration"] == now)
    assert (again["run"]["id"], again["startTime"]) == (first["run"]["id"], first["startTime"])
    assert float(model(again, "two")["tasks"][0]["referencePer"]) == 1
    assert model(again, "one")["tasks"][0]["throughput"] == model(first, "one")["tasks"][0]["throughput"]
    applied.wait_event("Recomputed")

    runs = [first["run"]["id"]]
    for request in ("second", "third"):
        applied.ask_for_run(request)
        status = applied.wait_end(but=runs[-1])  # also a run that is not valid is one
        assert status["run"]["request"] == request
        assert status["progress"]["completed"] == 2, applied.account()
        runs.append(status["run"]["id"])
    assert len(set(runs)) == 3

    def kept() -> set[str]:
        return {each["metadata"]["labels"][RUN] for each in applied.children("configmaps")}

    # Cleared up after the status is written.
    wait_until(lambda: kept() == set(runs[1:]), "only the last run and the one before it are kept", PATIENCE_SECONDS)


def test_a_run_is_held_against_the_one_before(place: Kubectl) -> None:
    """The first has none; the second is compared; an edit of the tolerance compares again, and measures nothing."""
    document = benchmark("nightly", llama("a"), repeats=3, baselineRef={"name": "nightly"})
    applied = Applied.of(place, document)
    first = applied.wait_end()
    assert first["phase"] == "Succeeded", applied.account()
    applied.wait("it is looked for", lambda status: reason(status) == "NoBaselineRun")

    applied.ask_for_run("second")
    second = applied.wait_end(but=first["run"]["id"])
    assert second["phase"] == "Succeeded", applied.account()
    judged = applied.wait("it is compared", lambda status: reason(status) in {"Regressed", "NoRegression"})
    assert judged["baseline"]["runID"] == first["run"]["id"]
    assert f"run {first['run']['id']} of nightly" in condition(judged, "Regressed")["message"]

    applied.change({"baselineRef": {"tolerancePercent": "99"}})
    now = applied.get()["metadata"]["generation"]
    again = applied.wait("it is compared again", lambda status: status["observedGeneration"] == now)
    # A node may take turns at being twice as slow as before.
    held = reason(again) == "NoRegression"
    assert ("99 %" in condition(again, "Regressed")["message"]) == held
    assert again["baseline"].get("regressedFigures", 0) <= judged["baseline"].get("regressedFigures", 0)
    assert (again["baseline"].get("regressedFigures", 0) == 0) == held
    assert (again["run"]["id"], again["startTime"]) == (second["run"]["id"], second["startTime"])
    assert again["baseline"]["runID"] == first["run"]["id"]


def reason(status: dict[str, Any]) -> str:
    """Why it is, or is not, said to have become worse."""
    return str(condition(status, "Regressed")["reason"])


def test_a_run_is_suspended_and_goes_on(place: Kubectl) -> None:
    """Its pods go; what was measured stays, and is not measured again."""
    applied = Applied.of(place, benchmark("pause", llama("a"), repeats=STAGES))
    applied.wait("a stage is recorded", lambda status: status.get("progress", {}).get("completed", 0) > 0, LOAD_SECONDS)
    applied.change({"execution": {"suspend": True}})
    suspended = applied.wait_phase("Suspended")
    applied.wait_event("Suspended")
    applied.wait_torn_down()
    done = suspended["progress"]["completed"]
    assert 0 < done < STAGES
    name = model_object(applied.identity, "a", Role.RESULTS)
    former = place.get("configmap", name)["binaryData"]

    applied.change({"execution": {"suspend": False}})
    status = applied.wait_end()
    assert status["progress"]["completed"] == STAGES, applied.account()
    applied.wait_event("Resumed")
    assert status["run"]["id"] == suspended["run"]["id"]
    found = place.get("configmap", name)["binaryData"]
    assert {key: found[key] for key in former if key.startswith("stage.")} == {
        key: value for key, value in former.items() if key.startswith("stage.")
    }
    assert len(read_object(found).stages[0]) == STAGES


def test_deleting_a_benchmark_ends_its_run(place: Kubectl) -> None:
    """In the middle; garbage collection takes the rest, and nothing holds it up."""
    applied = Applied.of(place, benchmark("deleted", llama("a"), repeats=4))
    applied.wait_phase("Measuring", LOAD_SECONDS)
    place("delete", "perb", "deleted", "--wait", "--timeout=180s")
