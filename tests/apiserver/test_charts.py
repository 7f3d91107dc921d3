"""The charts in a real API server, by Helm 4 and Helm 3: what is made, changed, kept and removed. Pods need a node."""

import copy
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from perbench.api.crd import custom_resource_definition
from tests.cluster import control_plane as planes
from tests.cluster.cache import CannotRunError
from tests.cluster.plugin import aloud, not_run
from tests.support import largest, operator_cases
from tests.support.charts import CHARTS, MONITORING_KINDS, PROGRAMS, VALUES, Helm, helm_program, path_of
from tests.support.kube_api import CRDS, TRIAL, Answer, KubeApi, benchmarks
from tests.support.processes import wait_until

CRD = f"{CRDS}/perbenchmarks.perbench.dev"
SECONDS = 180.0
"""For what takes seconds."""
NEWER_FIELD = "accelerators"
"""A field of endpoints that the older CRD of the tests does not have."""
NO_KIND = "the cluster has no"
OWN = "app.kubernetes.io/name=perbench"
MADE = {
    "ClusterRole": "/apis/rbac.authorization.k8s.io/v1/clusterroles",
    "ClusterRoleBinding": "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings",
    "Role": "/apis/rbac.authorization.k8s.io/v1/roles",
    "RoleBinding": "/apis/rbac.authorization.k8s.io/v1/rolebindings",
    "Policy": "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies",
    "PolicyBinding": "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicybindings",
    "NetworkPolicy": "/apis/networking.k8s.io/v1/networkpolicies",
    "Deployment": "/apis/apps/v1/deployments",
    "ConfigMap": "/api/v1/configmaps",
    "ServiceAccount": "/api/v1/serviceaccounts",
    "Service": "/api/v1/services",
}
"""Where all objects of a kind are listed, over all namespaces."""


@pytest.fixture(scope="module")
def plane(request: pytest.FixtureRequest) -> Iterator[planes.ControlPlane]:
    """A control plane of its own, without the CRD."""
    try:
        with planes.running(aloud(request.config)) as plane:
            yield plane
    except CannotRunError as error:
        not_run(error)


@pytest.fixture(scope="module")
def api(plane: planes.ControlPlane) -> Iterator[KubeApi]:
    with KubeApi(plane.kubeconfig) as api:
        yield api


@pytest.fixture(params=PROGRAMS)
def tool(request: pytest.FixtureRequest, plane: planes.ControlPlane, tmp_path: Path) -> Helm:
    """Helm 4, then Helm 3, with this control plane."""
    return Helm(helm_program(PROGRAMS[request.param], request.config), tmp_path, plane.kubeconfig)


def older_chart(folder: Path) -> Path:
    """The chart of the CRD as an older version would have it: a field less."""
    chart = folder / "perbench-crds"
    shutil.copytree(CHARTS / "perbench-crds", chart)
    crd = copy.deepcopy(custom_resource_definition())
    del endpoint_fields(crd)[NEWER_FIELD]
    crd["metadata"]["annotations"] = {"helm.sh/resource-policy": "keep"}
    plain = json.loads(json.dumps(crd))
    (chart / "templates/perbenchmarks.yaml").write_text(yaml.safe_dump(plain).replace("{{", '{{ "{{" }}'))
    return chart


def endpoint_fields(crd: dict[str, Any]) -> dict[str, Any]:
    spec = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]
    fields: dict[str, Any] = spec["properties"]["models"]["items"]["properties"]["endpoint"]["properties"]
    return fields


def benchmark(name: str) -> dict[str, Any]:
    endpoint = {"url": "http://a", "protocol": "TGI", NEWER_FIELD: 2}
    tasks = [{"name": "topics", "preset": "PackagedTopics"}]
    return largest.metadata(name) | {"spec": {"models": [{"name": "a", "endpoint": endpoint}], "tasks": tasks}}


def test_an_older_crd_is_upgraded_kept_and_taken_back(api: KubeApi, tool: Helm, tmp_path: Path) -> None:
    chart = CHARTS / "perbench-crds"
    tool("install", "perbench-crds", older_chart(tmp_path), "--wait")
    wait_until(lambda: api.get(benchmarks()).ok, "benchmarks are served", SECONDS)
    answer = api.create(benchmarks(), benchmark("kept"))
    assert f'unknown field "spec.models[0].endpoint.{NEWER_FIELD}"' in answer.message

    tool("upgrade", "perbench-crds", chart, "--wait")
    wait_until(lambda: api.create(benchmarks(), benchmark("kept")).ok, "the newer field is known", SECONDS)

    tool("uninstall", "perbench-crds", "--wait")
    assert api.get(f"{benchmarks()}/kept").ok
    tool("install", "perbench-crds", chart, "--wait")
    assert api.get(f"{benchmarks()}/kept").ok

    tool("upgrade", "perbench-crds", chart, "--wait", "--set", "keep=false")
    tool("uninstall", "perbench-crds", "--wait")
    wait_until(lambda: api.get(CRD).status == 404, "the CRD is gone, as was asked for", SECONDS)


def test_a_crd_applied_by_hand_is_taken_over(api: KubeApi, tool: Helm) -> None:
    assert api.apply(custom_resource_definition(), CRD).ok
    chart = CHARTS / "perbench-crds"
    assert tool.run("install", "perbench-crds", chart).returncode != 0
    tool("install", "perbench-crds", chart, "--wait", "--take-ownership", *forced(tool))
    tool("uninstall", "perbench-crds", "--wait")
    assert api.delete(CRD).ok
    wait_until(lambda: api.get(CRD).status == 404, "the CRD is gone", SECONDS)


def forced(tool: Helm) -> tuple[str, ...]:
    """Helm 4 applies on the server, which has to be told to give it what somebody else applied."""
    return ("--force-conflicts",) if tool("version", "--short").startswith("v4") else ()


def test_objects_for_prometheus_operator_need_its_kinds(api: KubeApi, tool: Helm) -> None:
    """Helm asks the cluster which kinds it has."""
    for name in ("monitored", "gpus"):  # the exporter of accelerators has a namespace of its own
        api.create("/api/v1/namespaces", {"metadata": {"name": name}})
    chart = (CHARTS / "perbench", "--namespace", "monitored", "--values", VALUES / "everything-values.yaml")
    own = ("--set", "watch.namespaces={monitored}")
    refused = tool.run("install", "perbench", *chart, *own)
    assert f"{NO_KIND} PodMonitor: install the CRDs of prometheus-operator first" in refused.stderr
    crds = [f"{CRDS}/{kind.lower()}s.monitoring.coreos.com" for kind in MONITORING_KINDS]
    for kind, path in zip(MONITORING_KINDS, crds, strict=True):
        answer = api.apply(open_kind(kind), path)
        assert answer.ok, answer.message
    places = {kind: f"/apis/monitoring.coreos.com/v1/{kind.lower()}s" for kind in MONITORING_KINDS}
    wait_until(lambda: all(api.get(place).ok for place in places.values()), "the kinds are served", SECONDS)

    # Kinds are served some time before the API tells Helm of them.
    wait_until(lambda: NO_KIND not in tool.run("install", "perbench", *chart, *own).stderr, "Helm is told", SECONDS)
    found = [[each["metadata"]["name"] for each in api.get(place).body["items"]] for place in places.values()]
    assert found == [["perbench-bench"], ["perbench-operator"], ["perbench-operator"]]
    tool("uninstall", "perbench", "--namespace", "monitored", "--wait")
    assert [api.get(place).body["items"] for place in places.values()] == [[], [], []]
    for path in crds:
        api.delete(path)
    wait_until(lambda: all(api.get(path).status == 404 for path in crds), "the kinds are gone", SECONDS)


def test_metrics_of_pods_are_handed_out_by_who_holds_them(api: KubeApi, plane: planes.ControlPlane, tool: Helm) -> None:
    """The operator's own rights, with `telemetry.podMetrics` and without it."""
    where = "handing-out"
    api.create("/api/v1/namespaces", {"metadata": {"name": where}})
    chart = (CHARTS / "perbench", "--namespace", where, "--set", "imageRegistry=registry.example.org")
    own = ("--set", f"watch.namespaces={{{where}}}", "--set", "readNodes=false")
    role, binding = operator_cases.read("llamacpp-on-cpu", where).access
    operator = f"system:serviceaccount:{where}:perbench-operator"
    with KubeApi(plane.kubeconfig_for(operator)) as made:

        def tried() -> Answer:
            return made.create(path_of(role).rpartition("/")[0], role, TRIAL)

        tool("install", "perbench", *chart, *own)
        wait_until(lambda: "not currently held" in tried().message, "its other rights hold", SECONDS)
        tool("upgrade", "perbench", *chart, *own, "--set", "telemetry.podMetrics=true")
        wait_until(lambda: tried().ok, "it may hand it out", SECONDS)
        assert made.create(path_of(role).rpartition("/")[0], role).ok
        # A role that has just been made is not known at once to who checks what is handed out.
        wait_until(
            lambda: made.create(path_of(binding).rpartition("/")[0], binding).ok, "the role is handed out", SECONDS
        )
    (pod,) = role["rules"][0]["resourceNames"]
    (account,) = (subject["name"] for subject in binding["subjects"])
    metrics = f"/apis/metrics.k8s.io/v1beta1/namespaces/{where}/pods"
    with KubeApi(plane.kubeconfig_for(f"system:serviceaccount:{where}:{account}")) as bench:
        wait_until(
            lambda: bench.get(f"{metrics}/{pod}").status == 404, "it may ask, and nobody serves it here", SECONDS
        )
        assert bench.get(f"{metrics}/another").status == 403
        assert bench.get(metrics).status == 403
    for manifest in (binding, role):
        api.delete(path_of(manifest))
    tool("uninstall", "perbench", "--namespace", where, "--wait")


def open_kind(kind: str) -> dict[str, Any]:
    """The CRD of a kind of prometheus-operator, which takes any spec."""
    group, plural = "monitoring.coreos.com", f"{kind.lower()}s"
    schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{group}"},
        "spec": {
            "group": group,
            "scope": "Namespaced",
            "names": {"kind": kind, "plural": plural, "singular": kind.lower(), "listKind": f"{kind}List"},
            "versions": [{"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}],
        },
    }


def test_releases_come_change_and_go_side_by_side(api: KubeApi, tool: Helm) -> None:
    for name in ("system-a", "system-b", "team-a", "team-b"):
        api.create("/api/v1/namespaces", {"metadata": {"name": name}})
    registry = "imageRegistry=registry.example.org"
    for letter in "ab":
        place, watched = ("--namespace", f"system-{letter}"), f"watch.namespaces={{team-{letter}}}"
        notes = tool("install", "perbench", CHARTS / "perbench", *place, "--set", registry, "--set", watched)
        assert f"kubectl rollout status -n system-{letter} deployment/perbench-operator" in notes
    both = made(api)
    assert {kind: len(names) for kind, names in both.items()} == {
        kind: 6 if kind == "ClusterRole" else 2 for kind in MADE
    }

    place = ("--namespace", "system-a")
    tool("upgrade", "perbench", CHARTS / "perbench", *place, "--set", registry)
    changed = made(api)
    assert len(changed["Role"]) == 1
    assert len(changed["ClusterRoleBinding"]) == 3  # for nodes, of each; for benchmarks, of the one that was changed
    assert settings(api, "system-a") != settings(api, "system-b")
    tool("rollback", "perbench", "1", *place)
    assert made(api) == both

    tool("uninstall", "perbench", *place, "--wait")
    left = made(api)
    assert {kind: len(names) for kind, names in left.items()} == {kind: len(names) // 2 for kind, names in both.items()}
    assert settings(api, "system-b") == "team-b"
    tool("uninstall", "perbench", "--namespace", "system-b", "--wait")
    assert made(api) == {}


def made(api: KubeApi) -> dict[str, list[str]]:
    """The objects of all releases, by kind."""
    found: dict[str, list[str]] = {}
    for kind, path in MADE.items():
        items = api.get(path, {"labelSelector": OWN}).body["items"]
        names = sorted(f"{each['metadata'].get('namespace', '')}/{each['metadata']['name']}" for each in items)
        if names:
            found[kind] = names
    return found


def settings(api: KubeApi, namespace: str) -> str:
    config = api.get(f"/api/v1/namespaces/{namespace}/configmaps/perbench-operator").body["data"]["operator.yaml"]
    return ",".join(yaml.safe_load(config)["namespaces"])
