import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from perbench.api.reading import parse
from perbench.api.resource import BenchmarkSpec
from perbench_operator.client import AnswerError
from perbench_operator.names import Role, RunIdentity
from perbench_operator.observe import (
    NODE_SECONDS,
    REMEMBERED,
    Lookup,
    NodeLabel,
    exporter_nodes,
    failing_of,
    product_labels,
    unmounted,
)
from perbench_operator.observed import Children, Exporter, Failing, Job, Pod
from perbench_operator.platform import DcgmExporter, Platform, TelemetryRules
from tests.support.in_memory_api import Call, InMemoryApi

NOW = datetime(2026, 1, 1, tzinfo=UTC)
RUN = RunIdentity("bench", "team", "u", "r1")
PLATFORM = Platform(
    bench_image="bench:1", accelerator_labels={"nvidia.com/gpu": "nvidia.com/gpu.product", "amd.com/gpu": "amd/product"}
)


def job(pods: int = 2, **changes: Any) -> Job:
    about = {
        "name": "j", "uid": "uid-j", "run_id": "r1", "role": Role.MODEL, "launch": "L", "model": "m", "attempt": None,
        "created": NOW - timedelta(seconds=6), "pods": pods,
    }  # fmt: skip
    return Job(**(about | changes))


def pod(name: str, model: str = "m", **changes: Any) -> Pod:
    about = {"name": name, "job": "j", "run_id": "r1", "role": Role.MODEL, "launch": "L", "model": model, "node": "n1"}
    return Pod(**(about | changes))


def event(moment: str, message: str) -> dict[str, Any]:
    return {
        "kind": "Event", "metadata": {"name": moment, "namespace": "team"}, "involvedObject": {"uid": "uid-j"},
        "reason": "FailedCreate", "message": message, "lastTimestamp": f"2026-01-01T00:00:{moment}Z",
    }  # fmt: skip


def refused(children: Children) -> list[str | None]:
    api = InMemoryApi(event("01", "first"), event("02", "exceeded quota"))
    lookup = Lookup(api, lambda: 0.0, read_nodes=True)
    return [found.refused for found in asyncio.run(lookup.explained(children, "team", NOW)).jobs]


@pytest.mark.parametrize("there", [0, 1])
def test_a_job_that_lacks_pods_is_told_why(there: int) -> None:
    pods = tuple(pod(str(number)) for number in range(there))
    assert refused(Children((job(),), pods)) == ["exceeded quota"]


@pytest.mark.parametrize(
    ("changes", "there"),
    [
        ({}, 2),
        ({"created": NOW - timedelta(seconds=4)}, 0),
        ({"finished": True}, 1),
        ({"deleting": True}, 0),
        ({"suspended": NOW}, 0),
    ],
    ids=["all there", "just made", "over", "on its way out", "suspended"],
)
def test_nobody_asks_about_a_job_that_lacks_nothing(changes: dict[str, Any], there: int) -> None:
    pods = tuple(pod(str(number)) for number in range(there))
    assert refused(Children((job(**changes),), pods)) == [None]


def told(moment: str, reason: str, message: str, count: int = 1, kind: str = "Warning") -> dict[str, Any]:
    """An event of a pod, as kubelets post it."""
    return {
        "kind": "Event", "metadata": {"name": f"{moment}{reason}{message[:8]}", "namespace": "team"},
        "involvedObject": {"uid": "uid-p"}, "type": kind, "reason": reason, "message": message, "count": count,
        "firstTimestamp": f"2026-01-01T00:{moment}Z", "lastTimestamp": "2026-01-01T00:59:00Z",
    }  # fmt: skip


PULLS = [
    told("00:01", "Scheduled", "Successfully assigned team/p to n1", kind="Normal"),
    told("00:02", "Pulling", 'Pulling image "img"', 3, "Normal"),
    told("08:00", "Failed", 'Failed to pull image "img": read tcp 10.0.0.1:4711: connection reset by peer'),
    told("08:40", "Failed", 'Failed to pull image "img": read tcp 10.0.0.1:4712: connection reset by peer', 2),
    told("08:00", "Failed", "Error: ErrImagePull", 3),
    told("08:15", "BackOff", 'Back-off pulling image "img"', 4, "Normal"),
    told("08:15", "Failed", "Error: ImagePullBackOff", 4),
]
LATER = [told("20:00", "Failed", 'Error: secret "hub" not found', 5)]


def test_pulls_that_failed_are_counted_from_the_first_on() -> None:
    assert failing_of(PULLS, pulls=True) == Failing(NOW + timedelta(minutes=8), 3)
    assert failing_of(PULLS[:2], pulls=True) is None


def test_what_fails_after_the_pull_counts_from_its_own_first_failure() -> None:
    assert failing_of(PULLS, pulls=False) is None
    assert failing_of([*PULLS, *LATER], pulls=False) == Failing(NOW + timedelta(minutes=20), 5)
    crashes = told("21:00", "BackOff", "Back-off restarting failed container memory in pod p")
    assert failing_of([crashes], pulls=False) == Failing(NOW + timedelta(minutes=21), 1)


def test_events_of_a_pod_are_asked_for_only_where_it_fails_to_start() -> None:
    api = InMemoryApi(*PULLS, *LATER)
    idle = pod("p", uid="uid-p", scheduled=NOW)
    seen = [
        replace(idle, name=name, waiting=waiting, started=started)
        for name, waiting, started in (
            ("a", ("ErrImagePull", ""), None), ("b", ("CreateContainerConfigError", ""), None),
            ("c", ("InvalidImageName", ""), None), ("d", None, None), ("e", ("CrashLoopBackOff", ""), NOW),
        )
    ]  # fmt: skip
    found = asyncio.run(Lookup(api, lambda: 0.0, read_nodes=True).explained(Children(pods=tuple(seen)), "team", NOW))
    assert [each.failing and each.failing.times for each in found.pods] == [3, 5, None, None, None]
    assert len(api.calls) == 2


NO_CONFIG = 'MountVolume.SetUp failed for volume "dataset-0" : configmap "x" not found'


def of_pod(moment: str, reason: str, message: str = "") -> dict[str, Any]:
    first = {"firstTimestamp": "2026-01-01T00:00:00Z", "count": 2}
    return event(moment, message) | {"involvedObject": {"uid": "uid-p"}, "reason": reason} | first


def silent(*events: dict[str, Any], **changes: Any) -> Pod:
    api = InMemoryApi(*events)
    waits = pod("p", **({"uid": "uid-p", "scheduled": NOW - timedelta(seconds=6)} | changes))
    found = asyncio.run(Lookup(api, lambda: 0.0, read_nodes=True).explained(Children(pods=(waits,)), "team", NOW))
    return found.pods[0]


def test_a_volume_that_cannot_be_mounted_shows() -> None:
    found = silent(of_pod("01", "FailedMount", NO_CONFIG))
    assert found.waiting == ("FailedMount", NO_CONFIG)
    assert found.failing == Failing(NOW, 2)
    assert silent(of_pod("01", "Scheduled"), event("02", "exceeded quota")).waiting is None


@pytest.mark.parametrize(
    "changes",
    [{"scheduled": NOW}, {"scheduled": None}, {"started": NOW}, {"leaves": NOW}, {"over": True}],
    ids=["just placed", "no node", "runs", "on its way out", "over"],
)
def test_nobody_asks_about_a_pod_that_waits_for_no_volume(changes: dict[str, Any]) -> None:
    assert silent(of_pod("01", "FailedMount", NO_CONFIG), **changes).waiting is None


def test_of_volumes_the_last_word_counts_and_of_those_the_one_with_a_cause() -> None:
    failed, general = of_pod("01", "FailedMount", NO_CONFIG), of_pod("03", "FailedMount", "timed out waiting for")
    assert unmounted([failed, general]) == failed
    assert unmounted([general]) == general
    assert unmounted([failed, of_pod("02", "Pulling")]) is None
    assert unmounted([failed, of_pod("01", "Pulling")]) is None, "of one second"
    assert unmounted([of_pod("00", "SuccessfulAttachVolume"), failed]) == failed
    assert unmounted([]) is None


def spec(resource: str = "nvidia.com/gpu") -> BenchmarkSpec:
    def model(name: str, resource: str | None) -> dict[str, Any]:
        return {"name": name, "model": "gpt2"} | (
            {"serving": {"accelerator": {"resource": resource, "count": 1}}} if resource else {}
        )

    models = [model("m", resource), model("other", "amd.com/gpu"), model("cpu", None)]
    body = {
        "apiVersion": "perbench.dev/v1alpha1", "kind": "PERBenchmark", "metadata": {"name": "bench"},
        "spec": {"models": models, "tasks": [{"name": "t", "preset": "PackagedTopics"}]},
    }  # fmt: skip
    return parse(body).spec


def test_a_nodes_product_is_named_by_the_label_of_the_resource_that_the_model_has() -> None:
    pods = (
        pod("a", "m", node="n1", created=NOW), pod("b", "other", node="n2"), pod("c", "cpu", node="n3"),
        pod("d", "m", node=None), pod("e", "m", node="n4", run_id="r0"), pod("f", "m", node="n5", role=Role.BENCH),
    )  # fmt: skip
    labels = {"n1": NodeLabel("nvidia.com/gpu.product", "a"), "n2": NodeLabel("amd/product", "b")}
    assert product_labels(spec(), PLATFORM, RUN, Children(pods=pods)) == labels
    later = pod("z", "other", node="n1", created=NOW + timedelta(seconds=1))
    assert product_labels(spec(), PLATFORM, RUN, Children(pods=(later, *pods)))["n1"] == NodeLabel("amd/product", "z")


def node(**labels: str) -> dict[str, Any]:
    return {"kind": "Node", "metadata": {"name": "n1", "labels": {"other": "label"} | labels}}


def test_what_a_node_does_not_say_is_asked_again_a_minute_later_and_what_it_says_is_kept() -> None:
    clock = [100.0]
    api = InMemoryApi(node())
    lookup = Lookup(api, lambda: clock[0], read_nodes=True)

    def products() -> dict[str, str]:
        return asyncio.run(lookup.products({"n1": NodeLabel("product", "p")}))

    assert (products(), products(), len(api.calls)) == ({}, {}, 1)
    clock[0] += NODE_SECONDS
    api.refuses = lambda _call: AnswerError(403, "Forbidden", "nodes may not be read")
    assert (products(), len(api.calls)) == ({}, 2)
    clock[0] += NODE_SECONDS
    api.refuses = lambda _call: None
    api.put(node(product="A100"))
    assert (products(), products(), len(api.calls)) == ({"n1": "A100"}, {"n1": "A100"}, 3)
    assert api.calls[-1] == Call("GET", "Node", "n1")


def test_a_node_that_was_made_anew_under_its_name_is_asked_for_the_next_pod() -> None:
    api = InMemoryApi(node(product="A100"))
    lookup = Lookup(api, lambda: 100.0, read_nodes=True)

    def product(pod: str) -> str:
        return asyncio.run(lookup.products({"n1": NodeLabel("product", pod)}))["n1"]

    assert product("first") == "A100"
    api.put(node(product="H200"))
    assert (product("second"), product("first")) == ("H200", "A100")
    for number in range(REMEMBERED):
        product(str(number))
    asked = len(api.calls)
    product("first")
    assert len(api.calls) == asked + 1, "it does not remember for ever"


def test_nodes_that_may_not_be_read_are_not_asked() -> None:
    api = InMemoryApi(node(product="A100"))
    assert asyncio.run(Lookup(api, lambda: 0.0, read_nodes=False).products({"n1": NodeLabel("product", "p")})) == {}
    assert api.calls == []


DCGM = DcgmExporter(namespace="gpus", pod_labels={"app": "dcgm", "tier": "node"})


def exporter(name: str, node: str = "n1", **status: Any) -> dict[str, Any]:
    about = {"name": name, "namespace": "gpus", "labels": {"app": "dcgm", "tier": "node"}}
    return {
        "kind": "Pod", "metadata": about, "spec": {"nodeName": node},
        "status": {"phase": "Running", "podIP": f"ip-of-{name}"} | status,
    }  # fmt: skip


ASKING = PLATFORM.model_copy(update={"telemetry": TelemetryRules(dcgm=DCGM)})


def on(*nodes: str) -> Children:
    """A model whose pods run there, and that has no bench pod yet."""
    return Children((job(pods=len(nodes)),), tuple(pod(f"p-{node}", node=node, started=NOW) for node in nodes))


def exporters(*bodies: dict[str, Any], nodes: tuple[str, ...] = ("n1",)) -> dict[str, Exporter]:
    lookup = Lookup(InMemoryApi(*bodies), lambda: 0.0, read_nodes=False)
    return asyncio.run(lookup.exporters(spec(), ASKING, RUN, on(*nodes)))


def test_the_exporter_that_runs_on_a_node_is_found() -> None:
    ended, other = exporter("a", phase="Succeeded"), exporter("c", node="n2")
    left = exporter("d")
    left["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    found = exporters(ended, exporter("b"), other, left, nodes=("n1", "n2"))
    assert found == {"n1": Exporter(address="ip-of-b"), "n2": Exporter(address="ip-of-c")}


@pytest.mark.parametrize("there", [(), (exporter("a", podIP=None),), (exporter("a", node="n2"),)])
def test_a_node_without_an_exporter_says_what_was_looked_for(there: tuple[dict[str, Any], ...]) -> None:
    assert exporters(*there)["n1"] == Exporter(
        reason="no pod with app=dcgm,tier=node in namespace gpus runs on its node (telemetry.dcgm)"
    )


def test_an_operator_that_may_not_look_says_so_and_goes_on() -> None:
    api = InMemoryApi(exporter("a"))
    api.refuses = lambda _call: AnswerError(403, "Forbidden", "pods may not be listed")
    lookup = Lookup(api, lambda: 0.0, read_nodes=False)
    assert asyncio.run(lookup.exporters(spec(), ASKING, RUN, on("n1")))["n1"].reason == (
        "the operator cannot look for a pod with app=dcgm,tier=node in namespace gpus: pods may not be listed"
    )
    asked = len(api.calls)
    assert asyncio.run(lookup.exporters(spec(), PLATFORM, RUN, on("n1"))) == {}
    assert asyncio.run(lookup.exporters(spec(), None, RUN, on("n1"))) == {}
    assert len(api.calls) == asked


def nodes_of(children: Children, resource: str = "nvidia.com/gpu") -> tuple[str, ...]:
    return exporter_nodes(spec(resource), PLATFORM, RUN, children)


def test_nodes_are_those_of_models_whose_bench_pod_is_next() -> None:
    runs = {"started": NOW}
    both = (pod("a", **runs), pod("b", node="n2", **runs))
    assert nodes_of(Children((job(),), both)) == ("n1", "n2")
    assert nodes_of(Children((job(),), both[:1])) == (), "not all of them run"
    assert nodes_of(Children((job(run_id="r0"),), both)) == (), "another run's"


def test_a_bench_pod_that_was_lost_is_followed_by_one_that_is_told_where_the_exporter_is_now() -> None:
    both = (pod("a", started=NOW), pod("b", node="n2", started=NOW))
    bench = job(name="bench", uid="uid-b", role=Role.BENCH, attempt=0)
    own = pod("c", job="bench", role=Role.BENCH, node="n3", started=NOW)
    assert nodes_of(Children((job(), bench), both)) == (), "its pod is still to come"
    assert nodes_of(Children((job(), bench), (*both, own))) == (), "it goes on"
    over = replace(own, over=True)
    assert nodes_of(Children((job(), bench), (*both, over))) == ("n1", "n2")
    lost = replace(bench, finished=True)
    assert nodes_of(Children((job(), lost), both)) == ("n1", "n2")
    tries = [replace(lost, name=f"bench-{attempt}", attempt=attempt) for attempt in range(4)]
    assert nodes_of(Children((job(), *tries), both)) == (), "no other will be made"


@pytest.mark.parametrize("resource", ["amd.com/gpu", "nvidia.com/gpu.shared"])
def test_of_accelerators_that_no_exporter_can_tell_of_none_is_looked_for(resource: str) -> None:
    both = (pod("a", started=NOW), pod("b", started=NOW))
    assert nodes_of(Children((job(),), both), resource) == ()
