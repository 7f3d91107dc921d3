"""Who may ask for pods by writing a benchmark: the chart's admission policy, asked by users with different rights."""

import secrets
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from tests.cluster.control_plane import ControlPlane
from tests.support import largest
from tests.support.charts import VALUES, Helm, of_kind, path_of
from tests.support.kube_api import KubeApi, benchmarks
from tests.support.processes import wait_until

RBAC = "/apis/rbac.authorization.k8s.io/v1"
RUN = "perbench.dev/run"
WRITE = {"apiGroups": ["perbench.dev"], "resources": ["perbenchmarks", "perbenchmarks/status"], "verbs": ["*"]}
SECONDS = 120.0
"""For what takes a moment."""
PODS = {"apiGroups": [""], "resources": ["pods"], "verbs": ["create"]}

Tenant = Callable[..., KubeApi]
"""Gives the API as a new user with these rules in this namespace."""


def benchmark(**spec: Any) -> dict[str, Any]:
    models = [{"name": "a", "model": "packaged:smollm2-135m"}]
    return largest.metadata("bench") | {
        "spec": {"models": models, "tasks": [{"name": "topics", "preset": "PackagedTopics"}]} | spec
    }


@pytest.fixture(scope="module")
def policy(admin: KubeApi, helm: Helm) -> Iterator[dict[str, Any]]:
    """The policy as the chart has it, in force."""
    kinds = ("ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding")
    manifests = helm.template("perbench", "--values", VALUES / "default-values.yaml")
    found = of_kind(manifests, *kinds)
    assert [each["kind"] for each in found] == list(kinds)
    for each in found:
        answer = admin.apply(each, path_of(each))
        assert answer.ok, answer.message
    yield found[0]
    for each in found:
        admin.delete(path_of(each))


@pytest.fixture(scope="module")
def tenant(control_plane: ControlPlane, admin: KubeApi) -> Iterator[Tenant]:
    with ExitStack() as stack:

        def new(namespace: str, *rules: dict[str, Any]) -> KubeApi:
            user = f"user-{secrets.token_hex(3)}"
            give(admin, namespace, user, rules)
            api = stack.enter_context(KubeApi(control_plane.kubeconfig_for(user)))
            wait_until(lambda: api.get(benchmarks(namespace)).ok, "the rights have come through", SECONDS)
            return api

        yield new


def give(admin: KubeApi, namespace: str, user: str, rules: tuple[dict[str, Any], ...]) -> None:
    admin.create("/api/v1/namespaces", {"metadata": {"name": namespace}})
    metadata = {"name": user, "namespace": namespace}
    kind = {"apiVersion": "rbac.authorization.k8s.io/v1", "metadata": metadata}
    subject = {"kind": "User", "apiGroup": "rbac.authorization.k8s.io", "name": user}
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": user}
    place = f"{RBAC}/namespaces/{namespace}"
    assert admin.create(f"{place}/roles", kind | {"kind": "Role", "rules": list(rules)}).ok
    binding = kind | {"kind": "RoleBinding", "roleRef": role, "subjects": [subject]}
    assert admin.create(f"{place}/rolebindings", binding).ok


@pytest.fixture(scope="module")
def strangers(policy: dict[str, Any], tenant: Tenant) -> KubeApi:
    """A user who may write benchmarks in team-a, and no pods. The policy is known to be in force."""
    del policy
    api = tenant("team-a", WRITE)
    wait_until(
        lambda: "may not create pods" in api.create(benchmarks("team-a"), benchmark(), {"dryRun": "All"}).message,
        "it is in force",
        SECONDS,
    )
    return api


def test_the_policy_has_no_warnings(admin: KubeApi, policy: dict[str, Any]) -> None:
    """The API server checks the types of its expressions against the CRD, and says here what does not fit."""
    # kube-controller-manager does the check; without one the status stays empty.
    status = admin.get(path_of(policy)).body.get("status", {})
    assert not status.get("typeChecking", {}).get("expressionWarnings")


def test_who_may_not_create_pods_may_not_create_benchmarks(strangers: KubeApi) -> None:
    answer = strangers.create(benchmarks("team-a"), benchmark())
    assert answer.status == 403
    assert "may not create pods in namespace team-a, and a PERBenchmark starts pods there" in answer.message
    assert "user-" in answer.message


def test_who_may_create_pods_may(strangers: KubeApi, tenant: Tenant) -> None:
    del strangers
    api = tenant("team-b", WRITE, PODS)
    answer = api.create(benchmarks("team-b"), benchmark())
    assert answer.ok, answer.message
    for change in ({"spec": {"load": {"concurrency": 4}}}, {"metadata": {"annotations": {RUN: "2"}}}):
        answer = api.patch(f"{benchmarks('team-b')}/bench", change)
        assert answer.ok, answer.message


def test_pods_of_another_namespace_do_not_count(strangers: KubeApi, admin: KubeApi, tenant: Tenant) -> None:
    del strangers
    api = tenant("team-c", WRITE)
    answer = api.create(benchmarks("team-c"), benchmark())
    assert answer.status == 403
    assert admin.create(benchmarks("team-c"), benchmark()).ok


@pytest.fixture(scope="module")
def existing(admin: KubeApi, strangers: KubeApi) -> str:
    """The path of a benchmark in team-a, which somebody with the right has made."""
    del strangers
    document = benchmark()
    document["metadata"]["annotations"] = {RUN: "1", "other": "1"}
    assert admin.create(benchmarks("team-a"), document).ok
    return f"{benchmarks('team-a')}/bench"


@pytest.mark.parametrize(
    "change",
    [
        {"spec": {"load": {"concurrency": 4}}},
        {"spec": {"per": {"reference": "a"}}},
        {"metadata": {"annotations": {RUN: "2"}}},
        {"metadata": {"annotations": {RUN: ""}}},
        {"metadata": {"annotations": {RUN: None}}},
        {"metadata": {"annotations": None}},
    ],
    ids=str,
)
def test_what_asks_for_a_run_is_refused(strangers: KubeApi, existing: str, change: dict[str, Any]) -> None:
    answer = strangers.patch(existing, change)
    assert (answer.status, "may not create pods" in answer.message) == (403, True), answer.message


@pytest.mark.parametrize(
    "change",
    [
        {"metadata": {"labels": {"team": "a"}}},
        {"metadata": {"annotations": {"other": "2"}}},
        {"metadata": {"annotations": {"other": None}}},
        {"spec": {}},
    ],
    ids=str,
)
def test_what_does_not_ask_for_a_run_is_free(strangers: KubeApi, existing: str, change: dict[str, Any]) -> None:
    answer = strangers.patch(existing, change)
    assert answer.ok, answer.message


def test_status_is_free(strangers: KubeApi, existing: str) -> None:
    """The operator's own writes need no right to create pods by this policy."""
    answer = strangers.patch(f"{existing}/status", {"status": {"phase": "Pending"}})
    assert answer.ok, answer.message


def test_to_delete_is_free(strangers: KubeApi, tenant: Tenant, admin: KubeApi) -> None:
    del strangers
    api = tenant("team-d", WRITE)
    assert admin.create(benchmarks("team-d"), benchmark()).ok
    assert api.delete(f"{benchmarks('team-d')}/bench").ok


@pytest.mark.parametrize("build", [largest.many_models, largest.many_tasks, largest.many_items])
def test_the_largest_objects_can_be_compared(
    strangers: KubeApi, tenant: Tenant, build: Callable[[], dict[str, Any]]
) -> None:
    """An expression that costs too much would refuse everybody (failurePolicy is Fail)."""
    del strangers
    api = tenant("team-e", WRITE, PODS)
    document = build()
    answer = api.create(benchmarks("team-e"), document)
    assert answer.ok, answer.message
    path = f"{benchmarks('team-e')}/{document['metadata']['name']}"
    answer = api.patch(path, {"spec": {"capacity": None}})
    assert answer.ok, answer.message
    answer = api.patch(path, {"metadata": {"labels": {"a": "b"}}})
    assert answer.ok, answer.message


def test_a_namespaced_release_judges_its_namespaces_only(helm: Helm) -> None:
    values = ("--values", VALUES / "everything-values.yaml")
    (binding,) = of_kind(helm.template("perbench", *values), "ValidatingAdmissionPolicyBinding")
    (expression,) = binding["spec"]["matchResources"]["namespaceSelector"]["matchExpressions"]
    assert expression == {"key": "kubernetes.io/metadata.name", "operator": "In", "values": ["team-a"]}
