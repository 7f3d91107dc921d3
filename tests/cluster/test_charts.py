"""The charts on a real node: installed, changed, rolled back, two side by side, removed.

What needs no pods, such as upgrades of the CRD, is in tests/apiserver/test_charts.py.
"""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from perbench.dashboards.frame import TITLES
from tests.cluster.api import wait_until
from tests.cluster.images import IMAGES
from tests.cluster.node import Node
from tests.cluster.pods import RESTRICTED, container, pod, wait_for
from tests.support import grafana_double, largest
from tests.support.charts import CHARTS, PROGRAMS, Helm, helm_program

IMAGE = ("--set", "imageRegistry=perb.local,images.operator.repository=operator,images.operator.tag=dev")
"""The image that the node holds."""
CRD = "crd/perbenchmarks.perbench.dev"
LONG = 600.0
"""It ends what hangs, and no more."""
RESUMED = {"spec": {"execution": {"suspend": False}}}
"""A model that is packaged with local mode is not accepted in a cluster, so that still nothing starts."""


def helm_of(name: str, node: Node, request: pytest.FixtureRequest, folders: pytest.TempPathFactory) -> Helm:
    return Helm(helm_program(name, request.config), folders.mktemp(name), node.kubeconfig)


@pytest.fixture(scope="module")
def helm(request: pytest.FixtureRequest, own_node: Node, tmp_path_factory: pytest.TempPathFactory) -> Helm:
    """Helm 4."""
    return helm_of(PROGRAMS["helm 4"], own_node, request, tmp_path_factory)


@pytest.fixture(scope="module", params=PROGRAMS)
def either(request: pytest.FixtureRequest, own_node: Node, tmp_path_factory: pytest.TempPathFactory) -> Helm:
    """Helm 4, then Helm 3."""
    return helm_of(PROGRAMS[request.param], own_node, request, tmp_path_factory)


@pytest.fixture(scope="module")
def crds(own_node: Node, helm: Helm) -> Iterator[None]:
    """The CRD by its chart; gone afterwards with everything of its kind."""
    helm("install", "perbench-crds", CHARTS / "perbench-crds", "--wait", "--namespace", "default")
    wait_until(lambda: own_node.kubectl.run("get", "perb").returncode == 0, "benchmarks are served", LONG)
    yield
    helm("uninstall", "perbench-crds", "--namespace", "default")
    own_node.kubectl("delete", CRD, "--wait")


@pytest.fixture
def namespaces(own_node: Node) -> Iterator[list[str]]:
    names = ["perbench-a", "perbench-b", "team-a", "team-b"]
    for name in names:
        own_node.kubectl("create", "namespace", name)
    # The pods must be allowed where only restricted ones are.
    for name in names[:2]:
        own_node.kubectl("label", "namespace", name, "pod-security.kubernetes.io/enforce=restricted")
    yield names
    own_node.kubectl("delete", "namespace", "--wait", *names, seconds=LONG)


def install(helm: Helm, namespace: str, *arguments: str | Path, command: str = "install") -> str:
    place = ("--namespace", namespace, "--wait", "--timeout", "300s")
    return helm(command, "perbench", CHARTS / "perbench", *place, *IMAGE, *arguments, seconds=LONG)


def benchmark(name: str) -> dict[str, Any]:
    """One that starts nothing: this is about who sees it."""
    models = [{"name": "a", "model": "packaged:smollm2-135m"}]
    tasks = [{"name": "topics", "preset": "PackagedTopics"}]
    return largest.metadata(name) | {"spec": {"models": models, "tasks": tasks, "execution": {"suspend": True}}}


def logs(own_node: Node, namespace: str) -> str:
    """Of a pod that has begun to say something: before that kubectl fails."""
    return own_node.kubectl.in_namespace(namespace).run("logs", "deployment/perbench-operator").stdout


def generation_and_config(own_node: Node, namespace: str) -> tuple[int, str]:
    kubectl = own_node.kubectl.in_namespace(namespace)
    deployment = kubectl.get("deployment", "perbench-operator")
    config = kubectl.get("configmap", "perbench-operator")
    return deployment["metadata"]["generation"], config["data"]["operator.yaml"]


@pytest.mark.usefixtures("crds")
def test_install_upgrade_rollback_uninstall(own_node: Node, either: Helm, namespaces: list[str]) -> None:
    place, team = namespaces[0], namespaces[2]
    notes = install(either, place)
    assert f"kubectl rollout status -n {place} deployment/perbench-operator" in notes
    own_node.kubectl.in_namespace(team).apply(benchmark("first"))
    wait_until(lambda: f"{team}/first: Suspended" in logs(own_node, place), "the operator sees a benchmark", LONG)

    first = generation_and_config(own_node, place)
    install(either, place, "--set", f"watch.namespaces={{{team}}}", command="upgrade")
    second = generation_and_config(own_node, place)
    assert (second[0] > first[0], second[1] != first[1]) == (True, True)
    wait_until(lambda: f"watching {team};" in logs(own_node, place), "the new pod has the new settings", LONG)
    own_node.kubectl.in_namespace(team)("patch", "perb", "first", "--type=merge", f"--patch={json.dumps(RESUMED)}")
    wait_until(lambda: f"{team}/first: NotAccepted" in logs(own_node, place), "it sees what was there before", LONG)

    either("rollback", "perbench", "1", "--namespace", place, "--wait", "--timeout", "300s", seconds=LONG)
    assert generation_and_config(own_node, place)[1] == first[1]
    wait_until(lambda: "watching all namespaces;" in logs(own_node, place), "the old settings are back", LONG)

    either("uninstall", "perbench", "--namespace", place, "--wait", "--timeout", "300s", seconds=LONG)
    assert left(own_node, place) == []
    assert own_node.kubectl.in_namespace(team).get("perb", "first")["spec"]


@pytest.mark.usefixtures("crds")
def test_the_pod_runs_with_nothing_it_does_not_need(own_node: Node, helm: Helm, namespaces: list[str]) -> None:
    place = namespaces[0]
    install(helm, place, "--set", "networkPolicy.egress.enabled=true")
    kubectl = own_node.kubectl.in_namespace(place)
    (pod,) = kubectl.get("pods", "--selector=app.kubernetes.io/component=operator")["items"]
    assert pod["status"]["containerStatuses"][0]["restartCount"] == 0
    name = pod["metadata"]["name"]
    looks = "import os; print(os.getuid(), open('/proc/self/status').read())"
    said = kubectl("exec", name, "--", "python", "-c", looks)
    assert said.startswith("65532 ")
    assert "CapEff:\t0000000000000000" in said
    assert "NoNewPrivs:\t1" in said
    assert "Seccomp:\t2" in said
    write = kubectl.run("exec", name, "--", "python", "-c", "open('/tmp/a', 'w')")
    assert "Read-only file system" in write.stderr
    helm("uninstall", "perbench", "--namespace", place, "--wait", "--timeout", "300s", seconds=LONG)


@pytest.mark.usefixtures("crds")
def test_the_operator_brings_grafana_its_dashboards(own_node: Node, helm: Helm, namespaces: list[str]) -> None:
    """By the environment of its own in the image, with a token that the operator's pod alone can read."""
    place = namespaces[0]
    kubectl = own_node.kubectl.in_namespace(place)
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "perbench-grafana"}}
    kubectl.apply(*grafana_in_a_pod(), secret | {"stringData": {"token": grafana_double.TOKEN, "other": "unseen"}})
    wait_for(kubectl, "pod/grafana", "condition=Ready")
    install(helm, place, "--set", "grafana.url=http://grafana:3000")
    wait_until(lambda: len(held(own_node, place)["dashboards"]) == len(TITLES), "Grafana has the dashboards", LONG)
    where = "/etc/perbench-grafana"
    looks = f"import os; s = os.stat('{where}/token'); print(oct(s.st_mode)[-3:], s.st_uid, s.st_gid)"
    assert kubectl("exec", "deployment/perbench-operator", "--", "python", "-c", looks).split() == ["440", "0", "65532"]
    entries = f"import os; print(*(each for each in os.listdir('{where}') if not each.startswith('.')))"
    assert kubectl("exec", "deployment/perbench-operator", "--", "python", "-c", entries).split() == ["token"]
    assert grafana_double.TOKEN not in logs(own_node, place)
    helm("uninstall", "perbench", "--namespace", place, "--wait", "--timeout", "300s", seconds=LONG)


def grafana_in_a_pod() -> tuple[dict[str, object], ...]:
    """The double of Grafana's API behind a Service, as the restricted standard wants pods to be."""
    source = Path(grafana_double.__file__).read_text(encoding="utf-8")
    script = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "grafana"}, "data": {"double.py": source}}
    main = container(
        IMAGES["operator"].tag,
        command=["python3", "/double/double.py", "3000"],
        securityContext=RESTRICTED,
        readinessProbe={"httpGet": {"path": "/held", "port": 3000}, "periodSeconds": 1},
        volumeMounts=[{"name": "double", "mountPath": "/double"}],
    )
    user = {"runAsNonRoot": True, "runAsUser": 65532, "seccompProfile": {"type": "RuntimeDefault"}}
    volumes = [{"name": "double", "configMap": {"name": "grafana"}}]
    spec: dict[str, object] = {"containers": [main], "securityContext": user, "volumes": volumes}
    service = {"selector": {"app": "grafana"}, "ports": [{"port": 3000}]}
    return (
        script,
        pod("grafana", spec, {"app": "grafana"}),
        {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "grafana"}, "spec": service},
    )


def held(own_node: Node, namespace: str) -> dict[str, Any]:
    """What that double has been given."""
    path = f"/api/v1/namespaces/{namespace}/services/grafana:3000/proxy/held"
    read: dict[str, Any] = json.loads(own_node.kubectl("get", "--raw", path))
    return read


@pytest.mark.usefixtures("crds")
def test_two_releases_side_by_side(own_node: Node, helm: Helm, namespaces: list[str]) -> None:
    """Two teams, each with an operator that watches its namespace and knows nothing of the other."""
    place_a, place_b, team_a, team_b = namespaces
    pairs = ((place_a, team_a), (place_b, team_b))
    for place, team in pairs:
        install(helm, place, "--set", f"watch.namespaces={{{team}}}")
    for _, team in pairs:
        own_node.kubectl.in_namespace(team).apply(benchmark("own"))
    for place, team in pairs:
        seen = f"{team}/own: Suspended"
        wait_until(lambda place=place, seen=seen: seen in logs(own_node, place), f"{place} sees {team}", LONG)
    assert f"{team_b}/own" not in logs(own_node, place_a)
    assert f"{team_a}/own" not in logs(own_node, place_b)

    helm("uninstall", "perbench", "--namespace", place_a, "--wait", "--timeout", "300s", seconds=LONG)
    assert left(own_node, place_a) == []
    own_node.kubectl.in_namespace(team_b).apply(benchmark("later"))
    wait_until(lambda: f"{team_b}/later: Suspended" in logs(own_node, place_b), "the other release goes on", LONG)
    refused = create_as(own_node, "stranger", team_b)
    assert "may not create pods in namespace" in refused.stderr or "cannot create resource" in refused.stderr
    helm("uninstall", "perbench", "--namespace", place_b, "--wait", "--timeout", "300s", seconds=LONG)
    assert left(own_node, place_b) == []


@pytest.mark.usefixtures("crds")
def test_kubernetes_own_roles_get_their_part(own_node: Node, helm: Helm, namespaces: list[str]) -> None:
    """`view` may look, `edit` may write; who may write may create pods, so the admission policy lets them."""
    place, _, team, other = namespaces
    install(helm, place)
    for user, role in (("viewer", "view"), ("writer", "edit")):
        own_node.kubectl.in_namespace(team)("create", "rolebinding", user, f"--clusterrole={role}", f"--user={user}")

    def may(user: str, verb: str, namespace: str) -> bool:
        kubectl = own_node.kubectl.in_namespace(namespace).as_user(own_node.kubeconfig_for(user))
        return kubectl.run("auth", "can-i", verb, "perbenchmarks.perbench.dev").returncode == 0

    wait_until(lambda: may("writer", "create", team), "the role edit is aggregated", LONG)
    wait_until(lambda: may("viewer", "watch", team), "the role view is aggregated", LONG)
    assert not may("viewer", "create", team)
    assert not may("writer", "create", other)
    done = create_as(own_node, "writer", team)
    assert done.returncode == 0, done.stderr
    assert create_as(own_node, "viewer", team).returncode != 0
    helm("uninstall", "perbench", "--namespace", place, "--wait", "--timeout", "300s", seconds=LONG)


def create_as(own_node: Node, user: str, namespace: str) -> subprocess.CompletedProcess[str]:
    kubectl = own_node.kubectl.in_namespace(namespace).as_user(own_node.kubeconfig_for(user))
    return kubectl.run("create", "--filename=-", document=benchmark(f"by-{user}"))


def left(own_node: Node, namespace: str) -> list[str]:
    """What is still there of a release that was uninstalled, inside and outside its namespace."""
    kinds = "all,configmap,serviceaccount,role,rolebinding,networkpolicy"
    cluster = "clusterrole,clusterrolebinding,validatingadmissionpolicy,validatingadmissionpolicybinding"
    label = "--selector=app.kubernetes.io/name=perbench"
    inside = own_node.kubectl.get(kinds, "--all-namespaces", label)["items"]
    outside = own_node.kubectl.get(cluster, label)["items"]
    names = [f"{each['kind']} {each['metadata']['name']}" for each in (*inside, *outside) if ours(each, namespace)]
    return [name for name in names if not name.startswith(("Pod ", "ReplicaSet "))]  # garbage is collected later


def ours(document: dict[str, Any], namespace: str) -> bool:
    release = document["metadata"].get("annotations", {}).get("meta.helm.sh/release-namespace")
    return release == namespace
