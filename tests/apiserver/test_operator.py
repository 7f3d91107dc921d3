"""The operator against a real API server, with the rights that the chart gives it and no others."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
import yaml

from tests.cluster import control_plane as planes
from tests.cluster.cache import CannotRunError
from tests.cluster.plugin import aloud, not_run
from tests.cluster.supervisor import ask
from tests.support import largest
from tests.support.charts import NAMESPACE, VALUES, Helm, of_kind, path_of
from tests.support.kube_api import KubeApi, benchmarks, install_crd
from tests.support.operator_process import operator_process

ACCOUNT = f"system:serviceaccount:{NAMESPACE}:perbench-operator"

Rights = Callable[..., None]
"""Gives the operator the rights of the chart: for the namespaces named, or all."""


def benchmark(name: str) -> dict[str, Any]:
    models = [{"name": "a", "model": "packaged:smollm2-135m"}]
    return largest.metadata(name) | {
        "spec": {"models": models, "tasks": [{"name": "topics", "preset": "PackagedTopics"}]}
    }


@pytest.fixture
def rights(admin: KubeApi, helm: Helm, tmp_path: Path) -> Iterator[Rights]:
    made: list[str] = []

    def give(*namespaces: str) -> None:
        values = tmp_path / "values.yaml"
        values.write_text(yaml.safe_dump({"watch": {"namespaces": list(namespaces)}}))
        manifests = helm.template("perbench", "--values", VALUES / "default-values.yaml", "--values", values)
        bindings = of_kind(manifests, "RoleBinding", "ClusterRoleBinding")
        assert {subject["name"] for each in bindings for subject in each["subjects"]} == {"perbench-operator"}
        names = {each["roleRef"]["name"] for each in bindings}
        roles = [each for each in of_kind(manifests, "Role", "ClusterRole") if each["metadata"]["name"] in names]
        for each in (*roles, *bindings):
            answer = admin.apply(each, path_of(each))
            assert answer.ok, answer.message
            made.append(path_of(each))

    yield give
    for path in reversed(made):
        admin.delete(path)


@pytest.fixture(scope="module")
def kubeconfig(control_plane: planes.ControlPlane) -> Path:
    """Of the chart's service account."""
    return control_plane.kubeconfig_for(ACCOUNT, "system:serviceaccounts", f"system:serviceaccounts:{NAMESPACE}")


@pytest.mark.parametrize("namespaces", [(), ("watched",)], ids=["all namespaces", "one namespace"])
def test_it_watches_and_leaves_objects_alone(
    admin: KubeApi, rights: Rights, kubeconfig: Path, tmp_path: Path, namespaces: tuple[str, ...]
) -> None:
    for name in ("watched", "other"):
        admin.create("/api/v1/namespaces", {"metadata": {"name": name}})
    rights(*namespaces)
    created = admin.create(benchmarks("watched"), benchmark("early"))
    assert created.ok, created.message
    with operator_process(tmp_path, kubeconfig, namespaces) as operator:
        operator.wait_ready()
        assert operator.ask("/healthz") == (200, "ok")
        operator.wait_logs("watched/early: 1 model, 1 task")
        admin.create(benchmarks("other"), benchmark("elsewhere"))
        admin.create(benchmarks("watched"), benchmark("late"))
        operator.wait_logs("watched/late: 1 model, 1 task")
        assert admin.get(f"{benchmarks('watched')}/early").body == created.body
        for path in (f"{benchmarks('watched')}/early", f"{benchmarks('watched')}/late"):
            assert admin.delete(path).ok
        assert admin.get(f"{benchmarks('watched')}/early").status == 404
        operator.wait_logs("watched/late: gone")
        assert ("elsewhere" in operator.log.read_text()) == (namespaces == ())
        assert "Handler" not in operator.log.read_text()  # kopf's line for every event
        assert operator.stop() == 0
    admin.delete(f"{benchmarks('other')}/elsewhere")


def test_without_rights_it_says_so_and_waits(admin: KubeApi, rights: Rights, kubeconfig: Path, tmp_path: Path) -> None:
    admin.create("/api/v1/namespaces", {"metadata": {"name": "watched"}})
    with operator_process(tmp_path, kubeconfig, ("watched",)) as operator:
        operator.wait_says("/readyz", 503, "in namespace watched cannot be listed: not allowed")
        assert operator.ask("/healthz") == (200, "ok")
        rights("watched")
        operator.wait_ready()
        assert operator.log.read_text().count("not allowed") == 1


def test_told_to_stop_while_it_waits_it_stops(control_plane: planes.ControlPlane, tmp_path: Path) -> None:
    with operator_process(tmp_path, control_plane.kubeconfig_for("nobody"), ("default",)) as operator:
        operator.wait_says("/readyz", 503, "not allowed")
        assert operator.stop() == 0
        assert "Traceback" not in operator.log.read_text()


def test_without_a_kubeconfig_it_ends_in_one_line(tmp_path: Path) -> None:
    with operator_process(tmp_path, tmp_path / "none") as operator:
        assert operator.process.wait(30) == 2
        said = operator.log.read_text().splitlines()
        assert said[-1].startswith("perbench-operator: no way to a Kubernetes API: ")
        assert not [line for line in said if "Traceback" in line]


def test_it_waits_for_the_crd_and_for_an_api_that_is_away(own_plane: planes.ControlPlane, tmp_path: Path) -> None:
    plane = own_plane
    with operator_process(tmp_path, plane.kubeconfig) as operator:
        operator.wait_says("/readyz", 503, "install the chart perbench-crds")
        assert operator.ask("/healthz") == (200, "ok")
        with KubeApi(plane.kubeconfig) as api:
            install_crd(api)
            operator.wait_ready()
            api.create(benchmarks(), benchmark("before"))
            operator.wait_logs("default/before: 1 model")
        ask(plane.layout.control_socket, "stop kube-apiserver")
        time.sleep(5)
        assert operator.ask("/healthz") == (200, "ok")
        ask(plane.layout.control_socket, "start kube-apiserver")
        with KubeApi(plane.kubeconfig) as api:
            planes.wait_ready(lambda: answers(api), "the API is back", plane.layout)
            api.create(benchmarks(), benchmark("after"))
            operator.wait_logs("default/after: 1 model")
        operator.wait_ready()
        assert operator.process.poll() is None
        assert operator.stop() == 0


@pytest.fixture
def own_plane(request: pytest.FixtureRequest) -> Iterator[planes.ControlPlane]:
    """A control plane in which there is no CRD, and which may go away."""
    try:
        with planes.running(aloud(request.config)) as plane:
            yield plane
    except CannotRunError as error:
        not_run(error)


def answers(api: KubeApi) -> bool:
    try:
        return api.get(benchmarks()).ok
    except httpx2.TransportError:
        return False
