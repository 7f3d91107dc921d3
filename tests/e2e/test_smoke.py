"""The operator's main promises, on a real node: part of `make test`."""

import re
from typing import Any

from perbench.objects.results import read_object
from perbench_operator.names import Role, model_object
from tests.cluster.api import Kubectl
from tests.e2e.applied import LOAD_SECONDS, OPERATOR, Applied, Object, condition, model
from tests.e2e.benchmarks import ANSWERS, TOPICS, benchmark, llama, tgi

TASKS = (TOPICS, ANSWERS)
FIGURES = ("throughput", "latencyMilliseconds", "memoryMebibytes", "referencePer")
CHILD = re.compile(r"pb-[a-z0-9-]{1,20}-[0-9a-f]{10}-(model|bench|plan|progress|results|snapshot|a[0-9]+)(-.+)?")


def test_two_models_are_compared(place: Kubectl) -> None:
    """`kubectl apply`, and PER is in the status; what was made for it is gone, what was measured stays."""
    document = benchmark("happy", llama("llamacpp"), tgi("tgi"), tasks=TASKS, repeats=2)
    applied = Applied.of(place, document)
    applied.wait_phase("Measuring", LOAD_SECONDS)
    kinds = {each["kind"] for each in applied.children()}
    assert {"Job", "Pod", "Service", "NetworkPolicy", "ConfigMap", "ServiceAccount", "Role", "RoleBinding"} <= kinds
    for child in applied.children():
        assert CHILD.fullmatch(child["metadata"]["name"]), child["metadata"]["name"]
    (pod,) = applied.pods("model")
    assert quantity(pod, "cpu") <= 0.5

    status = applied.wait_success(complete=has_every_figure)
    assert {each["type"]: each["status"] for each in status["conditions"]} == dict.fromkeys(
        ("Accepted", "ModelsReady", "LoadFinished", "MeasurementValid", "Succeeded"), "True"
    )
    assert status["progress"]["completed"] == status["progress"]["total"] == 8
    assert (status["comparedModels"], status["best"]["tasks"]) == (2, 2)
    assert float(status["best"]["referencePer"]) > 0
    for name in ("llamacpp", "tgi"):
        found = model(status, name)
        assert found["phase"] == "Succeeded"
        assert found["node"]
        assert found["imageDigest"].startswith("sha256:")
        for task in found["tasks"]:
            assert task["throughputUnit"] in {"items/s per server", "tokens/s per server"}
            assert all(float(task[axis]) > 0 for axis in FIGURES)
            assert task["valid"] is True
    shown = columns(applied)
    assert (shown["PHASE"], shown["BEST"], shown["VALID"]) == ("Succeeded", status["best"]["model"], "True")
    assert float(shown["PER"]) == float(status["best"]["referencePer"])
    place("wait", "perb/happy", "--for=condition=Succeeded", "--timeout=120s")

    applied.wait_torn_down()
    assert results(applied, "llamacpp", "tgi") == {"llamacpp": 4, "tgi": 4}
    page = applied.plugin("report", "--output=-")
    assert page.startswith("<!DOCTYPE html>")
    assert status["best"]["referencePer"] in page
    applied.wait_event("RunSucceeded")  # told after the status is written
    story = [event.reason for event in applied.events()]
    for reason in ("RunStarted", "ModelStarting", "LoadStarted", "ModelMeasured", "RunSucceeded"):
        assert reason in story, story
    assert story.index("RunStarted") < story.index("LoadStarted") < story.index("RunSucceeded")


def has_every_figure(status: Object) -> bool:
    """Whether both models have all that they are compared by on every task."""
    return all(set(FIGURES) <= task.keys() for each in status["models"] for task in each["tasks"])


def columns(applied: Applied) -> dict[str, str]:
    """What `kubectl get perb` shows, by the heads of its columns."""
    head, line = applied.kubectl("get", "perb", applied.name).splitlines()
    starts = [found.start() for found in re.finditer(r"\S+", head)]
    ends = [*starts[1:], len(line)]
    return {head[a:b].strip(): line[a:b].strip() for a, b in zip(starts, ends, strict=True)}


def quantity(pod: dict[str, Any], resource: str) -> float:
    """What the containers of a pod ask for together."""
    containers = [*pod["spec"]["containers"], *pod["spec"].get("initContainers", [])]
    texts = [container["resources"].get("requests", {}).get(resource, "0") for container in containers]
    return sum(float(text[:-1]) / 1000 if text.endswith("m") else float(text) for text in texts)


def results(applied: Applied, *models: str) -> dict[str, int]:
    """Stages in the results object of each model; every one of them can be read, and knows how its launch ended."""
    found = {}
    for name in models:
        document = applied.kubectl.get("configmap", model_object(applied.identity, name, Role.RESULTS))
        record = read_object(document["binaryData"])
        assert record.unreadable == ()
        assert record.tasks
        assert [end.failure for end in record.ends.values()] == [None]
        found[name] = sum(map(len, record.stages.values()))
    return found


def test_the_operator_may_be_killed(place: Kubectl, operator: Kubectl) -> None:
    """In the middle of a measurement: it goes on, nothing is measured twice, and the run ends."""
    applied = Applied.of(place, benchmark("killed", llama("llamacpp"), repeats=6))
    applied.wait("a stage is recorded", lambda status: status.get("progress", {}).get("completed", 0) > 0, LOAD_SECONDS)
    operator("delete", "pods", *OPERATOR, "--grace-period=0", "--force")
    status = applied.wait_end()
    # Whether a stage is valid is not what this is about: what was measured is there once.
    assert status["progress"]["completed"] == 6, applied.account()
    assert results(applied, "llamacpp") == {"llamacpp": 6}
    story = [event.reason for event in applied.events()]
    assert "BenchRestarted" not in story
    assert story.count("RunStarted") == 1
    applied.wait_torn_down()


def test_a_model_that_crashes_leaves_the_comparison(place: Kubectl) -> None:
    """One exits at once: its last words are in the status, and the others are compared without it."""
    applied = Applied.of(place, benchmark("crash", llama("broken", "--no-such-flag"), llama("sound")))
    status = applied.wait_end()
    failure = status["failure"]
    assert (failure["blame"], failure["reason"], failure["model"]) == ("Target", "ServerExited", "broken"), failure
    assert failure["exitCode"] == 1
    assert "invalid argument: --no-such-flag" in failure["message"]
    succeeded = condition(status, "Succeeded")
    assert (succeeded["status"], succeeded["reason"]) == ("False", "SomeModelsFailed")
    assert status["comparedModels"] == 1
    assert model(status, "broken")["phase"] == "Failed"
    assert model(status, "sound")["phase"] == "Succeeded"
    assert results(applied, "sound") == {"sound": 1}
    assert "invalid argument" in applied.wait_event("ModelFailed").message
    applied.wait_torn_down()
