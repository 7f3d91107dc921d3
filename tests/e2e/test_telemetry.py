"""A node whose accelerators an exporter tells of: found by the operator, read by the bench pod beside a real load.

The exporter is one of the tests': a pod with the labels that the chart is told, which shows lines as dcgm-exporter
does.
"""

import json
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from perbench_operator.names import ROLE, Role
from tests.cluster import binaries, charts
from tests.cluster.api import Kubectl, wait_until
from tests.cluster.images import IMAGES, REPOSITORY
from tests.cluster.layout import NODE_NAME
from tests.cluster.node import Node
from tests.cluster.plugin import aloud
from tests.e2e.applied import LOAD_SECONDS, TRIES, Applied
from tests.e2e.benchmarks import TOPICS, benchmark, llama

RESOURCE = "nvidia.com/gpu"
LABEL = "dcgm-of-tests"
PORT = 9400
POD_FILE = "/tmp/pod"
SCRIPT = f"""
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from time import monotonic

class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        namespace, pod = open("{POD_FILE}").read().split()
        collected = int(monotonic() / 0.5)
        labels = f'gpu="0",UUID="GPU-0",device="nvidia0",namespace="{{namespace}}",pod="{{pod}}",container="model"'
        figures = {{"FB_USED": 70000, "GPU_UTIL": 90, "TOTAL_ENERGY_CONSUMPTION": 150000 * collected}}
        lines = (f"DCGM_FI_DEV_{{name}}{{{{{{labels}}}}}} {{value}}\\n" for name, value in figures.items())
        body = "".join(lines).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

open("{POD_FILE}", "w").write("nobody nothing")
ThreadingHTTPServer(("", {PORT}), Handler).serve_forever()
"""
"""It collects twice a second: 70,000 MiB in use, busy for nine tenths, 300 W."""
GIB_70000 = 70_000 * 2**20


def exporter_pod() -> dict[str, Any]:
    """As a DaemonSet would make it."""
    container = {
        "name": "exporter", "image": IMAGES["bench"].tag, "imagePullPolicy": "Never",
        "command": ["python3", "-c", SCRIPT], "ports": [{"containerPort": PORT}],
        "readinessProbe": {"httpGet": {"path": "/metrics", "port": PORT}, "periodSeconds": 1},
    }  # fmt: skip
    return {
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "exporter", "labels": {"app": LABEL}},
        "spec": {"containers": [container], "terminationGracePeriodSeconds": 0},
    }  # fmt: skip


@pytest.fixture
def gpu(own_node: Node) -> Iterator[None]:
    """One, as long as the test lasts."""
    own_node.offer(RESOURCE, 1, {"nvidia.com/gpu.product": "Example-GPU"})
    yield
    gone = json.dumps({"status": {"capacity": {RESOURCE: "0"}, "allocatable": {RESOURCE: "0"}}})
    own_node.kubectl("patch", "node", NODE_NAME, "--subresource=status", f"--patch={gone}")
    own_node.kubectl("label", "node", NODE_NAME, "nvidia.com/gpu.product-")


@pytest.fixture
def exporter(request: pytest.FixtureRequest, operator: Kubectl) -> Iterator[Kubectl]:
    """kubectl in the exporter's namespace, which the operator has been told of."""
    namespace = f"gpus-{secrets.token_hex(4)}"
    operator("create", "namespace", namespace)
    there = operator.in_namespace(namespace)
    there("wait", "--for=create", "serviceaccount/default", "--timeout=120s")
    there.apply(exporter_pod())
    there("wait", "--for=condition=Ready", "pod/exporter", "--timeout=300s", seconds=400)
    helm = binaries.build(("helm",), aloud(request.config)) / "helm"

    def tell(*values: str) -> None:
        command = ["upgrade", "perbench", str(REPOSITORY / "charts/perbench"), f"--namespace={charts.NAMESPACE}"]
        charts.run_helm(
            helm, operator.kubeconfig, *command, "--reset-then-reuse-values", "--wait", "--timeout=300s", *values
        )

    tell(
        "--set=telemetry.dcgm.enabled=true",
        f"--set=telemetry.dcgm.namespace={namespace}",
        f"--set=telemetry.dcgm.podLabels.app={LABEL}",
    )
    yield there
    tell("--set=telemetry.dcgm.enabled=false")
    operator("delete", "namespace", namespace, "--wait", "--timeout=300s", seconds=400)


@pytest.mark.usefixtures("gpu")
def test_what_an_exporter_says_stands_in_the_results(place: Kubectl, exporter: Kubectl, tmp_path: Path) -> None:
    """On a busy machine the bench pod may have looked too seldom, or before the exporter knew the model's pod: the
    results then say why there is no figure, and the run is asked for again."""
    one = {"resource": RESOURCE, "count": 1}
    task = {**TOPICS, "limit": 32, "maxTokens": 24}
    document = benchmark("held", llama("a", accelerator=one), tasks=(task,), per={"memoryBasis": "Reserved"})
    applied = Applied.of(place, document)
    stage, former = one_run(applied, exporter, tmp_path, "")
    for number in range(1, TRIES):
        if has_figures(stage):
            break
        applied.ask_for_run(f"again-{number}")
        stage, former = one_run(applied, exporter, tmp_path, former)
    memory, use = stage["memory"], stage["use"]
    assert (memory["reservedBytes"], memory["reservedOrigin"]) == (GIB_70000, "DeviceTotal"), memory
    assert use["acceleratorUtilization"] == pytest.approx(0.9), use
    assert 2 / 3 < use["energyJoules"] / (300 * stage["windowSeconds"]) < 3 / 2, (use, stage["windowSeconds"])
    assert "Accelerators, watts" in (tmp_path / "report.html").read_text()


def one_run(applied: Applied, exporter: Kubectl, folder: Path, former: str) -> tuple[dict[str, Any], str]:
    """The stage of the run after the former, and that run's id. The exporter is told of its pod as soon as there is
    one."""

    def begun(status: dict[str, Any]) -> bool:
        return "startTime" in status and status["run"]["id"] != former

    run = str(applied.wait("the run begins", begun)["run"]["id"])

    def pods() -> list[str]:
        found = applied.children("pods", run=run)
        return [pod["metadata"]["name"] for pod in found if pod["metadata"]["labels"][ROLE] == Role.MODEL]

    wait_until(lambda: bool(pods()), "the model has a pod", LOAD_SECONDS)
    namespace, (name,) = applied.kubectl.namespace, pods()
    exporter("exec", "exporter", "--", "sh", "-c", f"echo {namespace} {name} > {POD_FILE}")
    status = applied.wait_end(but=former)
    assert status["phase"] == "Succeeded", applied.account()
    results = folder / "results.json"
    applied.plugin("report", "-o", str(folder / "report.html"), "--results", str(results))
    (stage,) = json.loads(results.read_text())["models"][0]["launches"][0]["stages"]
    return stage, run


def has_figures(stage: dict[str, Any]) -> bool:
    """Whether everything is known that the exporter can tell."""
    use = stage["use"]
    known = [use.get("acceleratorUtilization"), use.get("energyJoules"), stage["memory"].get("reservedBytes")]
    return None not in known
