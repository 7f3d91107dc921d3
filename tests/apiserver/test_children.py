"""What the operator makes of the benchmarks in tests/golden/operator/children, judged by a real API server.

Nothing of it is kept (a dry run), but what the rights of a bench pod are tried out on. Unknown fields are refused.
"""

import secrets
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from perbench.api.resource import to_data
from perbench_operator.children import PLAN_KEY
from perbench_operator.children.objects import progress_object, results_object
from tests.cluster.control_plane import ControlPlane
from tests.support import operator_cases as cases
from tests.support.charts import path_of
from tests.support.kube_api import TRIAL, Answer, KubeApi, benchmarks
from tests.support.processes import wait_until

NAMES = cases.names()
SERVED = [name for name in NAMES if name != "endpoint-with-key"]
ROOT_NEEDED = {"tgi-minimal", "tgi-everything", "volume"}
"""TGI's own images: perbench/runtimes/tgi.py says why."""
ENFORCE = "pod-security.kubernetes.io/enforce"
CLASSES = {
    "/apis/scheduling.k8s.io/v1/priorityclasses": {"metadata": {"name": "benchmarks"}, "value": 1},
    "/apis/node.k8s.io/v1/runtimeclasses": {"metadata": {"name": "nvidia"}, "handler": "nvidia"},
}
"""What `tgi-everything` names: a pod is not taken without them."""

Namespace = Callable[[str], str]
"""Makes a namespace in which pods keep this standard of pod security."""


@pytest.fixture(scope="module")
def namespace(admin: KubeApi) -> Iterator[Namespace]:
    made: dict[str, str] = {}
    for path, document in CLASSES.items():
        admin.create(path, document)

    def new(standard: str) -> str:
        if standard not in made:
            name = made[standard] = f"children-{secrets.token_hex(3)}"
            answer = admin.create("/api/v1/namespaces", {"metadata": {"name": name, "labels": {ENFORCE: standard}}})
            assert answer.ok, answer.message
            wait_until(lambda: admin.get(f"/api/v1/namespaces/{name}/serviceaccounts/default").ok, "its account", 120)
        return made[standard]

    yield new
    for name in made.values():
        admin.delete(f"/api/v1/namespaces/{name}")
    for path, document in CLASSES.items():
        admin.delete(f"{path}/{document['metadata']['name']}")


def try_out(api: KubeApi, manifest: dict[str, Any]) -> Answer:
    """What the API says of an object, without keeping it."""
    return api.create(path_of(manifest).rpartition("/")[0], manifest, TRIAL)


def pod_of(job: dict[str, Any]) -> dict[str, Any]:
    """The pod that the Job's controller would make."""
    template = job["spec"]["template"]
    metadata = {**template["metadata"], "name": job["metadata"]["name"], "namespace": job["metadata"]["namespace"]}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": template["spec"]}


def with_account(admin: KubeApi, pod: dict[str, Any]) -> dict[str, Any]:
    """The pod, with the account that it names in place: it is not taken without one."""
    name, where = pod["spec"].get("serviceAccountName", "default"), pod["metadata"]["namespace"]
    admin.create(f"/api/v1/namespaces/{where}/serviceaccounts", {"metadata": {"name": name}})
    return pod


@pytest.mark.parametrize("name", NAMES)
def test_every_object_is_taken(admin: KubeApi, namespace: Namespace, name: str) -> None:
    case = cases.read(name, namespace("restricted"))
    for manifest in (*case.shared, *case.model, *case.access, case.bench):
        answer = try_out(admin, manifest)
        assert answer.ok, f"{manifest['kind']}: {answer.message}"
        assert not answer.body.get("warnings")


@pytest.mark.parametrize("name", NAMES)
def test_bench_pods_are_restricted(admin: KubeApi, namespace: Namespace, name: str) -> None:
    case = cases.read(name, namespace("restricted"))
    answer = try_out(admin, with_account(admin, pod_of(case.bench)))
    assert answer.ok, answer.message


@pytest.mark.parametrize("name", [name for name in SERVED if name not in ROOT_NEEDED])
def test_model_pods_are_restricted(admin: KubeApi, namespace: Namespace, name: str) -> None:
    case = cases.read(name, namespace("restricted"))
    answer = try_out(admin, with_account(admin, pod_of(case.model[-1])))
    assert answer.ok, answer.message


@pytest.mark.parametrize("name", sorted(ROOT_NEEDED))
def test_of_tgis_own_images_nothing_but_root_is_too_much(admin: KubeApi, namespace: Namespace, name: str) -> None:
    refused = try_out(admin, with_account(admin, pod_of(cases.read(name, namespace("restricted")).model[-1])))
    assert refused.status == 403
    assert "runAsNonRoot" in refused.message
    assert "runAsUser=0" in refused.message
    assert not [word for word in ("seccomp", "capabilities", "allowPrivilege", "volumes") if word in refused.message]
    baseline = try_out(admin, with_account(admin, pod_of(cases.read(name, namespace("baseline")).model[-1])))
    assert baseline.ok, baseline.message


def test_a_patched_user_makes_it_restricted(admin: KubeApi, namespace: Namespace) -> None:
    user = {"runAsUser": 10001, "runAsGroup": 10001, "fsGroup": 10001, "runAsNonRoot": True}
    case = cases.small(serving={"podPatch": {"spec": {"securityContext": user}}})
    moved = cases.Case(case.benchmark, case.platform, namespace("restricted"))
    answer = try_out(admin, pod_of(moved.model[-1]))
    assert answer.ok, answer.message


def test_a_patch_that_is_no_pod_is_told_by_the_api(admin: KubeApi, namespace: Namespace) -> None:
    case = cases.small(serving={"podPatch": {"spec": {"hostNetworking": True}}})
    moved = cases.Case(case.benchmark, case.platform, namespace("restricted"))
    answer = try_out(admin, moved.model[-1])
    assert answer.status == 400
    assert 'unknown field "spec.template.spec.hostNetworking"' in answer.message


def owned(admin: KubeApi, case: cases.Case, where: str) -> cases.Case:
    """The case in a namespace, its benchmark in place: what belongs to one that does not exist is collected at once."""
    answer = admin.create(benchmarks(where), to_data(case.benchmark))
    assert answer.ok, answer.message
    return cases.Case(case.benchmark, case.platform, where, answer.body["metadata"]["uid"])


def test_a_plan_is_not_changed(admin: KubeApi, namespace: Namespace) -> None:
    case = owned(admin, cases.read("tgi-minimal"), namespace("restricted"))
    plan = case.shared[-1]
    assert admin.create(path_of(plan).rpartition("/")[0], plan).ok
    answer = admin.patch(path_of(plan), {"data": {PLAN_KEY: "{}"}})
    assert answer.status == 422
    assert "immutable" in answer.message


def test_bench_pods_write_their_own_objects_only(
    admin: KubeApi, control_plane: ControlPlane, namespace: Namespace
) -> None:
    models = [{"name": "a", "model": "org/a"}, {"name": "b", "model": "org/b"}]
    here = owned(admin, cases.small(models), namespace("restricted"))
    snapshot, account, _, _, _, progress, results, plan = here.shared
    others = (progress_object(here.run, "b"), results_object(here.run, here.record.model_copy(update={"name": "b"})))
    for manifest in (*here.shared, *others):
        answer = admin.create(path_of(manifest).rpartition("/")[0], manifest)
        assert answer.ok, answer.message
    user = f"system:serviceaccount:{here.namespace}:{account['metadata']['name']}"
    with KubeApi(control_plane.kubeconfig_for(user)) as bench:
        wait_until(lambda: bench.get(path_of(progress)).ok, "its rights hold", 120)
        assert bench.patch(path_of(progress), {"data": {"progress.json": "{}"}}).ok
        assert bench.patch(path_of(results), {"binaryData": {"tasks": "AA=="}}).ok
        for path in map(path_of, (plan, snapshot, *others)):
            assert bench.patch(path, {"data": {"x": "y"}}).status == 403
            assert bench.get(path).status == 403
        assert bench.delete(path_of(results)).status == 403
        assert bench.get(path_of(results).rpartition("/")[0]).status == 403
        assert bench.create(path_of(results).rpartition("/")[0], {"metadata": {"name": "x"}}).status == 403
