"""`examples/verify-gpu.sh` against a real API server; nodes and the operator's part are written by the test."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cluster.control_plane import ControlPlane
from tests.support.kube_api import KubeApi, benchmarks
from tests.support.processes import wait_until

SCRIPT = Path(__file__).parents[2] / "examples/verify-gpu.sh"
PAGE = Path(__file__).parents[2] / "docs/verified.md"
SECONDS = 300.0
"""The script asks kubectl some twenty times, with pauses of five seconds."""
MAPS = "/api/v1/namespaces/default/configmaps"
NODE = "/api/v1/nodes"
PATH = f"{benchmarks()}/verify-gpu-vllm"


def start(control_plane: ControlPlane, *arguments: str, folder: Path | None = None) -> subprocess.Popen[str]:
    environment = os.environ | {
        "KUBECONFIG": str(control_plane.kubeconfig),
        "KUBECACHEDIR": str(control_plane.kubeconfig.parent / "kubectl-cache"),
        "PATH": f"{control_plane.kubectl.program.parent}:{os.environ['PATH']}",
        "RESOURCE": "example.org/gpu",
    }
    pipe = subprocess.PIPE
    return subprocess.Popen([SCRIPT, *arguments], env=environment, cwd=folder, stdout=pipe, stderr=pipe, text=True)


@pytest.fixture
def gpu_node(admin: KubeApi) -> Iterator[None]:
    """A node that says it has accelerators."""
    metadata = {"name": "gpu-1"}
    assert admin.create(NODE, {"apiVersion": "v1", "kind": "Node", "metadata": metadata}).ok
    capacity = {"cpu": "8", "example.org/gpu": "2"}
    answer = admin.patch(f"{NODE}/gpu-1/status", {"status": {"capacity": capacity, "allocatable": capacity}})
    assert answer.ok, answer.message
    yield
    admin.delete(f"{NODE}/gpu-1")


def ended(admin: KubeApi, status: dict[str, Any]) -> None:
    wait_until(lambda: admin.get(PATH).ok, "the script applies its benchmark", SECONDS)
    answer = admin.patch(f"{PATH}/status", {"status": status})
    assert answer.ok, answer.message


def condition(kind: str, status: str, reason: str) -> dict[str, str]:
    time = "2026-01-01T00:00:00Z"
    return {"type": kind, "status": status, "reason": reason, "message": "as it was", "lastTransitionTime": time}


@pytest.mark.usefixtures("gpu_node")
def test_a_row_for_the_page_and_nothing_stays(control_plane: ControlPlane, admin: KubeApi, tmp_path: Path) -> None:
    task = {"name": "answers", "throughput": "812.5", "throughputUnit": "tokens/s per accelerator"}
    model = {"name": "model", "phase": "Succeeded", "image": "vllm:1", "accelerator": "1 x P", "readySeconds": 61}
    with start(control_plane, "VLLM", folder=tmp_path) as script:
        ended(
            admin,
            {
                "completionTime": "2026-01-01T01:00:00Z",
                "conditions": [condition("Succeeded", "True", "Succeeded")],
                "models": [model | {"tasks": [task]}],
            },
        )
        out, err = script.communicate(timeout=SECONDS)
    assert script.returncode == 0, err
    version = control_plane.kubectl("version", "-o", "json").rpartition('"gitVersion": "')[2].partition('"')[0]
    assert out == (
        f"| VLLM | vllm:1 | 1 x P | {version} | Qwen/Qwen2.5-0.5B-Instruct | 61 s | 812.5 tokens/s per accelerator |"
        " Succeeded |\n"
    )
    wait_until(lambda: admin.get(PATH).status == 404, "the script deletes its benchmark", SECONDS)
    assert not list(tmp_path.iterdir()), "evidence is kept of failures only"
    (header,) = [line for line in PAGE.read_text(encoding="utf-8").splitlines() if line.startswith("| Server |")]
    assert out.count("|") == header.count("|"), "the row fits the table"


@pytest.mark.usefixtures("gpu_node")
def test_of_a_failure_what_the_cluster_said_is_kept(
    control_plane: ControlPlane, admin: KubeApi, tmp_path: Path
) -> None:
    model = {"name": "model", "phase": "Failed", "image": "vllm:1"}
    with start(control_plane, "VLLM", folder=tmp_path) as script:
        wait_until(lambda: admin.get(PATH).ok, "the script applies its benchmark", SECONDS)
        uid = admin.get(PATH).body["metadata"]["uid"]
        labels = {"perbench.dev/uid": uid}
        made = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "its-results", "labels": labels}}
        assert admin.create(MAPS, made).ok
        ended(
            admin,
            {
                "completionTime": "2026-01-01T01:00:00Z",
                "conditions": [condition("Succeeded", "False", "AllModelsFailed")],
                "models": [model],
            },
        )
        out, err = script.communicate(timeout=SECONDS)
    admin.delete(f"{MAPS}/its-results")
    assert script.returncode == 1
    assert out.startswith("| VLLM | vllm:1 |")
    assert out.endswith("| AllModelsFailed |\n")
    (folder,) = tmp_path.iterdir()
    assert "verify-gpu: AllModelsFailed: as it was" in err
    assert err.splitlines()[-1] == f"verify-gpu: what the cluster said of it is in {folder.name}"
    assert "reason: AllModelsFailed" in (folder / "benchmark.yaml").read_text()
    assert "its-results" in (folder / "objects.txt").read_text()
    assert {"description.txt", "events.txt", "pods.txt"} <= {file.name for file in folder.iterdir()}
    wait_until(lambda: admin.get(PATH).status == 404, "the script deletes its benchmark", SECONDS)


@pytest.mark.usefixtures("gpu_node")
def test_what_is_not_accepted_ends_it(control_plane: ControlPlane, admin: KubeApi, tmp_path: Path) -> None:
    with start(control_plane, "VLLM", folder=tmp_path) as script:
        ended(admin, {"conditions": [condition("Accepted", "False", "PolicyDenied")]})
        out, err = script.communicate(timeout=SECONDS)
    assert (script.returncode, out, err.splitlines()[-2]) == (1, "", "verify-gpu: not accepted: as it was")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [((), "no node offers example.org/gpu"), (("Llama",), "Llama is none of TGI, VLLM, SGLang, LlamaCpp")],
)
def test_what_is_missing_is_said_before_anything_starts(
    control_plane: ControlPlane, admin: KubeApi, arguments: tuple[str, ...], words: str
) -> None:
    with start(control_plane, *arguments) as script:
        out, err = script.communicate(timeout=SECONDS)
    assert (script.returncode, out, err.startswith(f"verify-gpu: {words}")) == (1, "", True), err
    assert admin.get(f"{benchmarks()}/verify-gpu-tgi").status == 404
