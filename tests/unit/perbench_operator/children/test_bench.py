"""The Job of a bench pod, its datasets, and what it is told."""

from typing import Any

import pytest

from perbench.api.defaults import resolve_defaults
from perbench.api.models import Protocol
from perbench.objects.results import read_object
from perbench.plan import DeviceMemory, MemorySource, Plan, PodMetrics, Telemetry, TelemetryPod
from perbench.schedule import Launch
from perbench_operator import children
from perbench_operator.children.datasets import dataset_volumes, planned_tasks
from perbench_operator.children.model_pod import MEMORY_PORT
from perbench_operator.serving import Refused
from tests.support.operator_cases import Case, read, small

SCORING = {"scoring": {"scorer": "Contains"}}
ON_TWO = {"runtime": "VLLM", "accelerator": {"resource": "nvidia.com/gpu", "count": 2}}
MODELS = [{"name": "a", "model": "org/a"}, {"name": "b", "model": "org/b"}]


def with_datasets(*datasets: dict[str, Any]) -> Case:
    tasks = [{"name": f"t{number}", "dataset": dataset | SCORING} for number, dataset in enumerate(datasets)]
    return small(tasks=tasks)


def test_attempts_differ_in_name_and_number_alone() -> None:
    case = small()
    first, second = (
        children.bench_job(case.run, case.launch, attempt, case.benchmark.spec, case.served, case.platform)
        for attempt in (0, 1)
    )
    assert first["metadata"]["name"].endswith("-a0")
    assert second["metadata"]["name"].endswith("-a1")
    assert second["metadata"]["annotations"]["perbench.dev/attempt"] == "1"
    assert second["spec"]["template"]["spec"]["containers"][0]["args"] == ["/etc/perbench/plan.json", "--attempt", "1"]
    assert first["spec"]["template"]["spec"]["volumes"] == second["spec"]["template"]["spec"]["volumes"]


def test_it_mounts_the_plan_that_is_made_for_it() -> None:
    case = small()
    plan = case.shared[-1]
    (volume,) = [each for each in case.bench["spec"]["template"]["spec"]["volumes"] if each["name"] == "plan"]
    assert volume["configMap"]["name"] == plan["metadata"]["name"]
    assert plan["immutable"] is True
    assert plan["data"]["plan.json"] == case.plan.to_json()


@pytest.mark.parametrize("protect", [True, False])
def test_prometheus_finds_the_port_at_which_the_plan_has_it_answer(protect: bool) -> None:
    case = small(platform={"protectPods": protect})
    template = case.bench["spec"]["template"]
    place = case.plan.cluster
    assert place is not None
    assert template["spec"]["containers"][0]["ports"] == [{"name": "metrics", "containerPort": place.metrics_port}]
    found = {name: value for name, value in template["metadata"]["annotations"].items() if "prometheus" in name}
    assert found == {
        "prometheus.io/scrape": "true", "prometheus.io/port": str(place.metrics_port), "prometheus.io/path": "/metrics",
    }  # fmt: skip
    assert (place.namespace, place.benchmark, place.runtime) == (case.run.namespace, case.run.name, "TGI")


def test_what_a_pod_monitor_finds_is_not_found_by_annotations_as_well() -> None:
    template = small(platform={"scrapeAnnotations": False}).bench["spec"]["template"]
    assert not [name for name in template["metadata"]["annotations"] if "prometheus" in name]
    assert template["spec"]["containers"][0]["ports"][0]["name"] == "metrics"


MONITORING = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}}


@pytest.mark.parametrize(
    ("network", "peers"),
    [({}, [{}]), ({"monitoring": [MONITORING]}, [{"from": [MONITORING]}]), ({"enabled": False}, [])],
)
def test_nothing_but_metrics_can_be_reached_and_by_whom_monitoring_says(
    network: dict[str, Any], peers: list[dict[str, Any]]
) -> None:
    case = small(platform={"network": network})
    policies = [each for each in case.shared if each["kind"] == "NetworkPolicy"]
    assert [policy["spec"]["policyTypes"] for policy in policies] == [["Ingress"]] * len(peers)
    place = case.plan.cluster
    assert place is not None
    ports = [{"protocol": "TCP", "port": place.metrics_port}]
    assert [rule for policy in policies for rule in policy["spec"]["ingress"]] == [
        {**one, "ports": ports} for one in peers
    ]
    labels = case.bench["spec"]["template"]["metadata"]["labels"]
    for policy in policies:
        assert policy["spec"]["podSelector"]["matchLabels"].items() <= labels.items()


def test_it_writes_the_objects_that_its_account_may_write() -> None:
    case = small(MODELS)
    _, account, role, binding, _, progress, results, _ = case.shared
    place = case.plan.cluster
    assert place is not None
    written = {place.progress, place.results}
    assert written == {progress["metadata"]["name"], results["metadata"]["name"]}
    (rule,) = role["rules"]
    assert written == set(rule["resourceNames"]), "and no other model's"
    assert (rule["resources"], rule["verbs"]) == (["configmaps"], ["get", "patch"])
    spec = case.bench["spec"]["template"]["spec"]
    assert spec["serviceAccountName"] == account["metadata"]["name"] == binding["subjects"][0]["name"]
    assert (account["automountServiceAccountToken"], spec["automountServiceAccountToken"]) == (False, True)


def test_objects_over_all_rounds_have_the_same_name_in_each() -> None:
    case = small()
    places = []
    for number in (0, 1):
        launch = Launch("a", number, 0)
        resolved = resolve_defaults(case.benchmark.spec, local=False)
        plan = children.launch_plan(case.run, launch, case.benchmark.spec, resolved, case.served, case.platform)
        assert plan.cluster is not None
        places.append((plan.cluster.progress, plan.cluster.results))
        assert plan.round == number
    assert places[0] == places[1]


def test_files_of_datasets() -> None:
    spec = with_datasets(
        {"configMap": {"name": "c", "key": "k.jsonl"}},
        {"volume": {"claimName": "v", "path": "a/b.jsonl"}},
        {"volume": {"claimName": "v", "path": "c.jsonl"}},
        {"configMap": {"name": "c", "key": "other"}},
        {"inline": [{"input": "?", "answers": ["!"]}] * 32},
    ).benchmark.spec
    files = [dataset.file for task in planned_tasks(spec.tasks) if (dataset := task.dataset)]
    root = "/etc/perbench/datasets"
    assert files == [f"{root}/t0/k.jsonl", f"{root}/t1/a/b.jsonl", f"{root}/t2/c.jsonl", f"{root}/t3/other", None]
    volumes, mounts = dataset_volumes(spec.tasks)
    assert [mount["mountPath"] for mount in mounts] == [f"{root}/t{number}" for number in range(4)]
    assert [mount["name"] for mount in mounts] == ["dataset-0", "dataset-1", "dataset-1", "dataset-2"]
    assert [volume["name"] for volume in volumes] == ["dataset-0", "dataset-1", "dataset-2"]
    assert all(mount["readOnly"] for mount in mounts)


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("x" * 1024, "task t0: dataset.volume.path is over 998 characters: shorten it"),
    ],
)
def test_paths_that_cannot_be(path: str, message: str) -> None:
    case = with_datasets({"volume": {"claimName": "v", "path": path}})
    for make in (lambda: case.bench, lambda: case.plan):
        with pytest.raises(Refused) as raised:
            make()
        assert (raised.value.reason, raised.value.message) == ("InvalidDataset", message)


def test_a_task_without_files_travels_as_it_is() -> None:
    tasks = small().benchmark.spec.tasks
    assert planned_tasks(tasks) == tasks


def test_a_plan_fits_into_a_config_map() -> None:
    def inline(characters: int) -> Case:
        return with_datasets({"inline": [{"input": "x" * characters, "answers": ["!"]}] * 64})

    assert len(inline(15_900).shared[-1]["data"]["plan.json"]) < 1024**2
    with pytest.raises(Refused) as raised:
        _ = inline(16_384).bench
    assert raised.value.message == (
        "the tasks take 1025 KiB, and a plan has 1000 KiB for them: move inline items into dataset.configMap or"
        " dataset.volume"
    )


@pytest.mark.parametrize(("api", "protocol"), [("Completion", Protocol.TGI), ("Chat", Protocol.OPENAI_CHAT)])
def test_the_load_says_how_the_server_is_spoken_to(api: str, protocol: Protocol) -> None:
    assert small(load={"api": api}).plan.target.protocol is protocol


def test_the_plan_of_a_served_model() -> None:
    case = small()
    plan = case.plan
    service = case.model[1]
    assert plan.target.url == f"http://{service['metadata']['name']}.team.svc:{service['spec']['ports'][0]['port']}"
    assert plan.calibrate_seconds == 5
    assert plan.memory == MemorySource(device=DeviceMemory(accelerators=1))
    assert plan.cluster is not None
    assert (plan.cluster.replicas, plan.cluster.health_path) == (1, "/health")
    assert plan.hub_model is not None
    assert plan.hub_model.id == "org/a"


def test_the_plan_of_an_endpoint() -> None:
    plan = read("endpoint-with-key").plan
    assert plan.target.api_key_variable == "PERBENCH_API_KEY"
    assert plan.cluster is not None
    assert (plan.cluster.replicas, plan.cluster.health_path) == (0, None)
    assert plan.memory is None
    assert plan.hub_model is None


def test_a_model_on_a_volume_is_not_looked_for_at_the_hub() -> None:
    assert read("volume").plan.hub_model is None


@pytest.mark.parametrize(
    ("serving", "expected"),
    [
        ({}, {}),
        ({"modelCache": {"claimName": "c", "readOnly": True}}, {"HF_HUB_OFFLINE": "1"}),
        (
            {"env": [{"name": "HF_ENDPOINT", "value": "http://hub"}, {"name": "A", "value": "b"}]},
            {"HF_ENDPOINT": "http://hub"},
        ),
    ],
)
def test_it_asks_the_hub_that_the_server_asks(serving: dict[str, Any], expected: dict[str, str]) -> None:
    entries = small(serving=serving).bench["spec"]["template"]["spec"]["containers"][0]["env"]
    found = {entry["name"]: entry["value"] for entry in entries}
    assert found == {"HF_HOME": "/tmp/huggingface", "HF_HUB_DISABLE_TELEMETRY": "1"} | expected


def test_memory_is_read_where_a_reader_stands() -> None:
    memory = read("llamacpp-on-cpu").plan.memory
    assert memory is not None
    ports = [port["port"] for port in read("llamacpp-on-cpu").model[1]["spec"]["ports"]]
    assert memory.sidecar_port in ports


BOTH = {"prometheusUrl": "http://p:9090", "dcgm": {"namespace": "gpus", "podLabels": {"app": "dcgm"}, "port": 9401}}
PODS = (TelemetryPod(name="a-1", exporter="10.0.0.1"), TelemetryPod(name="a-2", exporter_reason="none runs there"))


def telemetry(resource: str | None = "nvidia.com/gpu", pods: tuple[TelemetryPod, ...] = PODS, **rules: Any) -> (
    Telemetry | None
):  # fmt: skip
    """Who is asked of accelerators of this kind, where the owner of the cluster set these rules."""
    accelerator = {"resource": resource, "count": 1} if resource else None
    runtime = "VLLM" if resource else "LlamaCpp"
    models = [{"name": "a", "model": "org/a"}]
    serving = {"runtime": runtime, "image": "i:1", "accelerator": accelerator}
    case = small(models, {"telemetry": rules}, serving=serving)
    resolved = resolve_defaults(case.benchmark.spec, local=False)
    plan = children.launch_plan(case.run, case.launch, case.benchmark.spec, resolved, case.served, case.platform, pods)
    assert plan.memory is not None
    assert Plan.model_validate_json(plan.to_json()) == plan
    return plan.memory.telemetry


def test_who_knows_of_accelerators_stands_in_the_plan() -> None:
    assert telemetry(**BOTH) == Telemetry(
        namespace="team", pods=PODS, exporter_port=9401, prometheus_url="http://p:9090"
    )
    only = telemetry(prometheusUrl="http://p:9090")
    assert only is not None
    assert (only.exporter_port, only.prometheus_url) == (None, "http://p:9090")


@pytest.mark.parametrize(
    ("resource", "pods", "rules"),
    [
        ("nvidia.com/gpu", PODS, {}),
        ("nvidia.com/gpu", (), BOTH),
        ("amd.com/gpu", PODS, BOTH),
        (None, PODS, BOTH),
    ],
    ids=["nobody to ask", "no pods yet", "not NVIDIA's", "on the CPU"],
)
def test_nobody_is_asked_who_cannot_know(
    resource: str | None, pods: tuple[TelemetryPod, ...], rules: dict[str, Any]
) -> None:
    assert telemetry(resource, pods, **rules) is None


def memory_source(pods: tuple[TelemetryPod, ...] = PODS, **serving: Any) -> MemorySource | None:
    """Where memory is read if metrics of pods may be asked for."""
    case = small([{"name": "a", "model": "org/a"}], {"telemetry": {"podMetrics": True}}, serving=serving)
    resolved = resolve_defaults(case.benchmark.spec, local=False)
    plan = children.launch_plan(case.run, case.launch, case.benchmark.spec, resolved, case.served, case.platform, pods)
    assert Plan.model_validate_json(plan.to_json()) == plan
    return plan.memory


def test_metrics_of_pods_stand_in_for_a_sidecar_alone() -> None:
    on_cpu = {"runtime": "LlamaCpp", "image": "i:1", "accelerator": None}
    port = MemorySource(sidecar_port=MEMORY_PORT)
    asked = PodMetrics(namespace="team", pods=("a-1", "a-2"), container="model")
    assert memory_source(**on_cpu) == port.model_copy(update={"pod_metrics": asked})
    assert memory_source((), **on_cpu) == port, "no pods yet"
    on_gpu = memory_source(runtime="VLLM", image="i:1")
    assert on_gpu is not None
    assert (on_gpu.pod_metrics, on_gpu.telemetry) == (None, None)


def test_of_shared_devices_the_plan_says_why_nobody_knows() -> None:
    found = telemetry("nvidia.com/gpu.shared", **BOTH)
    assert found is not None
    assert found.obstacle == "nvidia.com/gpu.shared: what a pod takes of a shared device is not known"
    parts = telemetry("nvidia.com/mig-1g.10gb", **BOTH)
    assert parts is not None
    assert parts.obstacle is None


def test_memory_of_accelerators_is_read_of_their_server() -> None:
    memory = small(serving=ON_TWO | {"args": ["--kv-cache-dtype", "fp8"]}).plan.memory
    assert memory == MemorySource(device=DeviceMemory(accelerators=2, unlike_config="it was told --kv-cache-dtype fp8"))
    again = MemorySource.model_validate_json(memory.model_dump_json(by_alias=True, exclude_unset=True))
    assert again == memory


@pytest.mark.parametrize(
    ("name", "unit", "units", "basis"),
    [
        ("tgi-everything", "accelerator", 6, "Footprint"),
        ("llamacpp-on-cpu", "server", 1, "Footprint"),
        ("endpoint-with-key", "accelerator", 8, None),
    ],
)
def test_units(name: str, unit: str, units: int, basis: str | None) -> None:
    record = read(name).record
    assert (record.throughput_unit, record.units, record.memory_basis) == (unit, units, basis)


@pytest.mark.parametrize("name", ["tgi-minimal", "endpoint-with-key"])
def test_the_record_is_in_the_results_object_from_the_beginning(name: str) -> None:
    case = read(name)
    made = children.results_object(case.run, case.record)
    assert read_object(made["binaryData"]).model == case.record
    assert made["metadata"]["annotations"]["perbench.dev/model"] == case.record.name


def test_a_secret_in_the_environment_is_not_recorded() -> None:
    env = [{"name": "MY_API_KEY", "value": "s3cret"}, {"name": "DTYPE", "value": "half"}]
    case = small(serving={"env": env})
    made = children.results_object(case.run, case.record)
    record = read_object(made["binaryData"]).model
    assert record is not None
    environment = record.server_arguments["environment"]
    assert isinstance(environment, dict)
    assert (environment["MY_API_KEY"], environment["DTYPE"]) == ("…", "half")


@pytest.mark.parametrize(
    ("runtime", "more"),
    [("TGI", {}), ("VLLM", {}), ("SGLang", {}), ("LlamaCpp", {}), ("Custom", {"image": "a/b:1"})],
)
def test_how_a_server_was_started_does_not_say_which_files_it_loads(runtime: str, more: dict[str, str]) -> None:
    """That is what `source` is for: runs that differ in it alone are compared."""
    serving = {"runtime": runtime, "args": ["--flag", "org/one"], **more}
    pinned = {} if runtime == "LlamaCpp" else {"revision": "v1"}
    sources = [{"model": "org/one", **pinned}, {"model": "org/two"}, {"volume": {"claimName": "files", "path": "a"}}]
    cases = [small([{"name": "a", **source}], serving=serving) for source in sources]
    first, *others = [case.record.server_arguments for case in cases]
    assert all(other == first for other in others)
    assert str(first["arguments"]).endswith("--flag org/one")
    assert len({str(case.record.source) for case in cases}) == len(cases)


def test_what_the_pods_of_a_model_have_is_recorded() -> None:
    serving: dict[str, Any] = {
        "resources": {"requests": {"cpu": "4"}, "limits": {"memory": "8Gi"}},
        "nodeSelector": {"pool": "fast"},
        "runtimeClassName": "nvidia",
        "podPatch": {"spec": {"containers": [{"name": "model", "args": ["--api-key", "s3cret"]}]}},
        "tolerations": [{"key": "a", "operator": "Exists"}],
    }
    found = small(serving=serving).record.server_arguments
    for name in ("resources", "nodeSelector", "runtimeClassName"):
        assert found[name] == serving[name]
    assert found["podPatch"] == {"spec": {"containers": [{"name": "model", "args": ["--api-key", "…"]}]}}
    assert "tolerations" not in found
    assert found["sharedMemory"] == "1Gi", "as the pod has it, also where the benchmark does not say it"
    assert small(serving={"sharedMemory": "2Gi"}).record.server_arguments["sharedMemory"] == "2Gi"


def test_a_secret_among_the_arguments_is_not_recorded() -> None:
    case = small(serving={"runtime": "Custom", "image": "a/b:1", "args": ["--api-key", "s3cret", "--slots", "4"]})
    assert case.record.server_arguments["arguments"] == "--api-key … --slots 4"


def test_what_is_recorded_of_a_server_names_no_directory_of_its_pod() -> None:
    environment = read("tgi-minimal").record.server_arguments["environment"]
    assert isinstance(environment, dict)
    assert "NUM_SHARD" in environment
    assert "HOME" not in environment
