"""The objects of a model: what depends on what. How they look as a whole is in the golden files."""

from typing import Any

import pytest

from perbench.runtimes import RUNTIMES
from perbench_operator.children.model_pod import MEMORY_PORT, SERVER_VARIABLE
from perbench_operator.names import RUN, UID
from tests.support.operator_cases import Case, names, read, small

CPU = {"runtime": "LlamaCpp", "accelerator": None}


def job(case: Case) -> dict[str, Any]:
    return dict(case.model[-1])


def pod(case: Case) -> dict[str, Any]:
    return dict(job(case)["spec"]["template"]["spec"])


def container(case: Case) -> dict[str, Any]:
    (found,) = pod(case)["containers"]
    return dict(found)


def environment(case: Case) -> dict[str, Any]:
    entries = container(case)["env"]
    found = {entry["name"]: entry.get("value", entry.get("valueFrom")) for entry in entries}
    assert len(found) == len(entries)
    return found


def on_cpu(platform: Any = None, **serving: Any) -> Case:
    return small([{"name": "a", "model": "/m.gguf"}], platform, serving=CPU | serving)


@pytest.mark.parametrize("name", [name for name in names() if name != "endpoint-with-key"])
def test_everything_is_found_by_its_labels(name: str) -> None:
    case = read(name)
    template = job(case)["spec"]["template"]
    for manifest in (*case.model, case.bench):
        assert manifest["metadata"]["labels"][UID] == case.run.uid
        assert manifest["metadata"]["labels"][RUN] == case.run.run_id
    (service,) = [manifest for manifest in case.model if manifest["kind"] == "Service"]
    assert service["spec"]["selector"].items() <= template["metadata"]["labels"].items()
    for policy in [manifest for manifest in case.model if manifest["kind"] == "NetworkPolicy"]:
        assert policy["spec"]["podSelector"]["matchLabels"].items() <= template["metadata"]["labels"].items()
        bench = policy["spec"]["ingress"][0]["from"][0]["podSelector"]["matchLabels"]
        assert bench.items() <= case.bench["spec"]["template"]["metadata"]["labels"].items()


@pytest.mark.parametrize("name", [name for name in names() if name != "endpoint-with-key"])
def test_mounts_have_volumes_and_volumes_mounts(name: str) -> None:
    for spec in (pod(read(name)), read(name).bench["spec"]["template"]["spec"]):
        containers = [*spec["containers"], *spec.get("initContainers", ())]
        mounted = {mount["name"] for each in containers for mount in each.get("volumeMounts", ())}
        assert mounted == {volume["name"] for volume in spec["volumes"]}
        for each in containers:
            paths = [mount["mountPath"] for mount in each.get("volumeMounts", ())]
            assert len(paths) == len(set(paths))


def test_the_policy_comes_before_what_it_guards() -> None:
    assert [manifest["kind"] for manifest in small().model] == ["NetworkPolicy", "Service", "Job"]
    without = small(platform={"network": {"enabled": False}})
    assert [manifest["kind"] for manifest in without.model] == ["Service", "Job"]


@pytest.mark.parametrize(
    ("egress", "types"), [(None, ["Ingress"]), ([], ["Ingress", "Egress"]), ([{}], ["Ingress", "Egress"])]
)
def test_servers_reach_everything_unless_the_platform_says_otherwise(egress: Any, types: list[str]) -> None:
    policy = small(platform={"network": {"egress": egress}}).model[0]["spec"]
    assert policy["policyTypes"] == types
    assert policy.get("egress") == egress


def test_servers_are_confined_also_where_everybody_may_reach_them() -> None:
    """Whoever sets `networkPolicy.models.egress.enabled` and nothing else would think that they are."""
    policy, *others = small(platform={"network": {"enabled": False, "egress": []}}).model
    assert [manifest["kind"] for manifest in others] == ["Service", "Job"]
    assert policy["spec"]["policyTypes"] == ["Egress"]
    assert policy["spec"]["egress"] == []
    assert "ingress" not in policy["spec"]


@pytest.mark.parametrize(
    ("seconds", "period", "failures"), [(1, 1, 61), (60, 1, 120), (120, 2, 90), (3600, 10, 366), (604_800, 10, 60486)]
)
def test_the_start_up_probe_lasts_a_little_longer_than_the_deadline(seconds: int, period: int, failures: int) -> None:
    probe = container(small(execution={"deadlines": {"readySeconds": seconds}}))["startupProbe"]
    assert (probe["periodSeconds"], probe["failureThreshold"]) == (period, failures)
    assert probe["timeoutSeconds"] >= 5


def test_a_saturated_server_is_left_alone() -> None:
    assert "livenessProbe" not in container(small())
    assert "tcpSocket" in container(small())["readinessProbe"]


def test_memory_is_read_beside_a_server_on_the_cpu() -> None:
    found = pod(on_cpu())
    (reader,) = found["initContainers"]
    command = ["perbench-memory", "--port", str(MEMORY_PORT), "--server-variable", SERVER_VARIABLE]
    assert (reader["restartPolicy"], reader["command"]) == ("Always", command)
    assert SERVER_VARIABLE in environment(on_cpu())
    assert SERVER_VARIABLE not in environment(small())
    assert found["shareProcessNamespace"] is True
    assert "runAsUser" not in reader["securityContext"]  # the pod's, which is the server's
    assert [port["port"] for port in on_cpu().model[1]["spec"]["ports"]] == [8080, MEMORY_PORT]
    on_gpu = pod(small())
    assert "initContainers" not in on_gpu
    assert "shareProcessNamespace" not in on_gpu


def test_no_server_listens_where_the_reader_does() -> None:
    assert MEMORY_PORT not in {runtime.port for runtime in RUNTIMES.values()}
    assert MEMORY_PORT != 9000  # TGI's --prometheus-port: it ends where that is taken


def test_no_device_comes_without_being_asked_for() -> None:
    assert environment(on_cpu())["NVIDIA_VISIBLE_DEVICES"] == "void"
    assert "NVIDIA_VISIBLE_DEVICES" not in environment(small())


def test_the_users_variables_replace_ours() -> None:
    env = [{"name": "USAGE_STATS", "value": "on"}, {"name": "HF_TOKEN", "value": "public"}]
    token = {"name": "s", "key": "k"}
    found = environment(small(serving={"env": env, "huggingFaceTokenSecretKeyRef": token}))
    assert (found["USAGE_STATS"], found["HF_TOKEN"]) == ("on", "public")
    assert environment(small(serving={"huggingFaceTokenSecretKeyRef": token}))["HF_TOKEN"] == {
        "secretKeyRef": {"name": "s", "key": "k"}
    }


@pytest.mark.parametrize(
    ("serving", "size"),
    [
        ({}, "1Gi"),
        ({"sharedMemory": "4Gi"}, "4Gi"),
        ({"runtime": "LlamaCpp"}, None),
        ({"runtime": "LlamaCpp", "accelerator": {"resource": "nvidia.com/gpu", "count": 2}}, "1Gi"),
    ],
)
def test_shared_memory(serving: dict[str, Any], size: str | None) -> None:
    volumes = {volume["name"]: volume for volume in pod(small(serving=serving))["volumes"]}
    found = volumes.get("shared-memory")
    assert (found and found["emptyDir"]) == (size and {"medium": "Memory", "sizeLimit": size})


def test_the_accelerators_are_a_limit_whatever_else_is_asked_for() -> None:
    resources = {"requests": {"cpu": "1", "nvidia.com/gpu": "4"}, "limits": {"nvidia.com/gpu": "4"}}
    assert container(small(serving={"resources": resources}))["resources"] == {
        "requests": {"cpu": "1"},
        "limits": {"nvidia.com/gpu": "1"},
    }


@pytest.mark.parametrize("selector", [{"zone": "c"}, {"product": "A", "zone": "c"}])
def test_the_products_label_stands_beside_the_users_selector(selector: dict[str, str]) -> None:
    accelerator = {"resource": "nvidia.com/gpu", "count": 1, "product": "A"}
    serving = {"accelerator": accelerator, "nodeSelector": selector}
    found = pod(small(platform={"acceleratorLabels": {"*": "product"}}, serving=serving))
    assert found["nodeSelector"] == {"product": "A", "zone": "c"}


def test_each_pull_secret_once() -> None:
    case = on_cpu({"imagePullSecrets": ["b", "c"]}, imagePullSecrets=[{"name": "a"}, {"name": "b"}])
    assert pod(case)["imagePullSecrets"] == [{"name": "a"}, {"name": "b"}, {"name": "c"}]
    on_gpu = small(platform={"imagePullSecrets": ["c"]}, serving={"imagePullSecrets": [{"name": "a"}]})
    assert pod(on_gpu)["imagePullSecrets"] == [{"name": "a"}]  # no bench image in this pod


def test_no_secret_is_in_what_is_kept() -> None:
    case = read("tgi-everything")
    token = "hugging-face"
    assert token in str(case.model)
    assert token not in str(case.plan) + str(case.record) + str(case.shared)
    assert token not in str([manifest["metadata"] for manifest in (*case.model, case.bench)])


def test_servers_of_all_users_may_write_to_one_claim_of_models() -> None:
    cache = {"modelCache": {"claimName": "models"}}
    cases = [
        small(serving=cache | runtime)
        for runtime in ({"runtime": "TGI"}, {"runtime": "VLLM"}, {"runtime": "SGLang"}, {"runtime": "LlamaCpp"})
    ]
    found = [pod(case)["securityContext"] for case in cases]
    assert [each["runAsUser"] for each in found] == [0, 2000, 65532, 65532]
    assert {each["fsGroup"] for each in found} == {65532}
    assert {each["fsGroupChangePolicy"] for each in found} == {"Always"}, "what another user made since is opened, too"


@pytest.mark.parametrize("cache", [{}, {"modelCache": {"claimName": "models", "readOnly": True}}])
def test_a_claim_that_is_only_read_is_not_walked_at_every_start(cache: dict[str, Any]) -> None:
    assert pod(small(serving=cache))["securityContext"]["fsGroupChangePolicy"] == "OnRootMismatch"
