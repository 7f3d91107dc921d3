from pathlib import Path

import pytest

from perbench import __version__
from perbench.api.load import ClientSpec
from perbench.api.serving import Runtime, Serving
from perbench.failures import UsageError
from perbench_operator.configuration import GrafanaTarget, LogLevel, OperatorConfiguration, read_configuration
from perbench_operator.platform import NetworkRules, Platform

LEAST = "platform: {benchImage: bench:1}\n"


def test_what_is_left_out_has_its_default(tmp_path: Path) -> None:
    path = tmp_path / "operator.yaml"
    path.write_text(LEAST)
    platform = Platform(version=__version__, bench_image="bench:1")
    assert read_configuration(path) == OperatorConfiguration(platform=platform)


def test_everything(tmp_path: Path) -> None:
    path = tmp_path / "operator.yaml"
    path.write_text(
        """
namespaces: [team-a, team-b]
probePort: 9090
metricsPort: 9091
logLevel: Debug
maxConcurrentModels: 2
readNodes: false
grafana:
  url: https://grafana.example.org/tools
  tokenFile: /etc/perbench-grafana/token
  dashboards: false
  folder: Model serving
  prometheusUrl: http://prometheus:9090
platform:
  benchImage: registry.example.org/bench@sha256:0
  benchPullPolicy: Always
  imagePullSecrets: [login]
  serving: {runtime: VLLM}
  client: {lingerSeconds: 5}
  acceleratorLabels: {nvidia.com/gpu: nvidia.com/gpu.product}
  imagePrefixes: [registry.example.org/]
  podPatch: false
  protectPods: false
  network: {enabled: false, monitoring: [{podSelector: {}}], egress: []}
"""
    )
    platform = Platform(
        version=__version__,
        bench_image="registry.example.org/bench@sha256:0",
        bench_pull_policy="Always",
        image_pull_secrets=("login",),
        serving=Serving(runtime=Runtime.VLLM),
        client=ClientSpec(linger_seconds=5),
        accelerator_labels={"nvidia.com/gpu": "nvidia.com/gpu.product"},
        image_prefixes=("registry.example.org/",),
        pod_patch=False,
        protect_pods=False,
        network=NetworkRules(enabled=False, monitoring=({"podSelector": {}},), egress=()),
    )
    expected = OperatorConfiguration(
        namespaces=("team-a", "team-b"),
        probe_port=9090,
        metrics_port=9091,
        log_level=LogLevel.DEBUG,
        max_concurrent_models=2,
        read_nodes=False,
        grafana=GrafanaTarget(
            url="https://grafana.example.org/tools",
            token_file=Path("/etc/perbench-grafana/token"),
            dashboards=False,
            folder="Model serving",
            prometheus_url="http://prometheus:9090",
        ),
        platform=platform,
    )
    assert read_configuration(path) == expected


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("- a", "the document: "),
        ("namespace: a\n" + LEAST, "namespace: Extra inputs are not permitted"),
        ("namespaces: [Team_A]", "namespaces.0: "),
        ("probe_port: 1\n" + LEAST, "probe_port: "),
        ("probePort: 0", "probePort: "),
        ("metricsPort: 65536", "metricsPort: "),
        ("logLevel: Loud", "logLevel: "),
        ("a: [", "not YAML: "),
        ("", "platform: "),
        ("platform: {benchImage: a, imagePrefixes: [ghcr.io]}", "platform.imagePrefixes.0: "),
        ("platform: {benchImage: a, acceleratorLabels: {gpu: product}}", "platform.acceleratorLabels.gpu"),
        ("platform: {benchImage: a, serving: {replicas: 0}}", "platform.serving.replicas: "),
        ("platform: {benchImage: a, serving: {modelCache: {}}}", "platform.serving.modelCache: "),
        ("maxConcurrentModels: 0", "maxConcurrentModels: "),
        ("grafana: {url: grafana, tokenFile: /t}", "grafana.url: "),
        ("grafana: {url: 'https://a:b@grafana', tokenFile: /t}", "grafana.url: "),
        ("grafana: {url: 'https://grafana'}", "grafana.tokenFile: "),
    ],
)
def test_a_mistake_is_one_line_that_names_its_place(tmp_path: Path, text: str, complaint: str) -> None:
    path = tmp_path / "operator.yaml"
    path.write_text(text)
    with pytest.raises(UsageError) as raised:
        read_configuration(path)
    assert str(raised.value).startswith(f"{path}: {complaint}")
    assert "\n" not in str(raised.value)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be read: No such file"):
        read_configuration(tmp_path / "operator.yaml")
