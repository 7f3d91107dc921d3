"""What the operator makes, on a node: servers start as they are told to, may be looked into, and end in time.

The reader of memory is replaced by a few lines that look at the same files, and the bench pod by some that look at its
own: this is about what the pods may see and do.
"""

import json
from typing import Any

import pytest

from perbench.runtimes.base import NOBODY
from tests.cluster.api import Kubectl, wait_until
from tests.cluster.images import IMAGES
from tests.cluster.pods import wait_for
from tests.support import operator_cases as cases

READY_SECONDS = 400
LOOK = """
import pathlib, time
while True:
    for process in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            text = (process / "smaps_rollup").read_text()
            (process / "clear_refs").write_text("5")
            pss = next(int(line.split()[1]) for line in text.splitlines() if line.startswith("Pss:"))
            print(process.name, pss, (process / "comm").read_text().strip(), flush=True)
        except (OSError, StopIteration):
            pass
    time.sleep(1)
"""
SEE = """
import json, os, pathlib, socket, sys
def tries(path):
    try:
        pathlib.Path(path).write_text("x")
        return True
    except OSError:
        return False
print(json.dumps({
    "plan": json.loads(pathlib.Path("/etc/perbench/plan.json").read_text())["model"],
    "rows": pathlib.Path("/etc/perbench/datasets/t/rows.jsonl").read_text(),
    "uid": os.getuid(), "scratch": tries("/tmp/x"), "root": tries("/x"), "dataset": tries("/etc/perbench/datasets/t/x"),
    "token": pathlib.Path("/var/run/secrets/kubernetes.io/serviceaccount/token").exists(),
    "addresses": len(socket.getaddrinfo(sys.argv[1], 8080, type=socket.SOCK_STREAM)),
}))
"""
LLAMA = {
    "models": [{"name": "a", "model": "/models/SmolLM2-135M-Instruct.Q4_1.gguf"}],
    "serving": {"runtime": "LlamaCpp", "image": IMAGES["llamacpp"].tag, "args": ["-t", "1", "-c", "2048"]},
}
TGI = {
    "models": [{"name": "a", "model": "HuggingFaceTB/SmolLM2-135M-Instruct"}],
    "serving": {"runtime": "TGI", "image": IMAGES["tgi-contract"].tag},
}
HELD = "tests.perbench.dev/looked-at"
KILLED = "137"
"""Of SIGKILL."""
SMALL = {"requests": {"cpu": "200m", "memory": "256Mi"}, "limits": {"memory": "2Gi"}}


def case_of(kind: dict[str, Any], namespace: str) -> cases.Case:
    reader = {"name": "memory", "image": IMAGES["probe"].tag, "command": ["python3", "-u", "-c", LOOK]}
    patch = {"spec": {"initContainers": [reader]}}
    serving = {"accelerator": None, "resources": SMALL, "podPatch": patch, **kind["serving"]}
    dataset = {"configMap": {"name": "rows", "key": "rows.jsonl"}, "scoring": {"scorer": "Contains"}}
    made = cases.small(
        kind["models"],
        {"benchImage": IMAGES["probe"].tag},
        serving=serving,
        tasks=[{"name": "t", "dataset": dataset}],
        load={"concurrency": 2, "client": {"resources": {"requests": {"cpu": "50m", "memory": "64Mi"}}}},
        execution={"deadlines": {"readySeconds": READY_SECONDS}},
    )
    return cases.Case(made.benchmark, made.platform, namespace)


def unowned(manifest: dict[str, Any]) -> dict[str, Any]:
    """Without the owner, who does not exist here."""
    metadata = {name: value for name, value in manifest["metadata"].items() if name != "ownerReferences"}
    return {**manifest, "metadata": metadata}


@pytest.mark.parametrize("kind", [LLAMA, TGI], ids=["llama.cpp", "TGI contract"])
def test_a_model_and_its_bench_pod(pods: Kubectl, kind: dict[str, Any]) -> None:
    case = case_of(kind, pods.namespace)
    rows = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "rows"}, "data": {"rows.jsonl": "{}"}}
    pods.apply(rows, *map(unowned, (*case.shared, *case.model)))
    server, service = (manifest["metadata"]["name"] for manifest in (case.model[-1], case.model[-2]))
    pod = f"pod/{only_pod(pods, server)}"
    try:
        wait_for(pods, pod, "condition=Ready", READY_SECONDS)
    except RuntimeError as error:
        pytest.fail(f"{error}\n{pods.run('logs', pod, '--container=model').stdout}")
    assert pods("exec", pod, "--container=model", "--", "id", "-u").strip() == str(NOBODY)
    # KiB: the model's pages are among them, once somebody has looked since they were read.
    wait_until(lambda: max(resident(pods, pod).values(), default=0) > 100 * 1024, "the server is looked into", 120)

    bench = case.bench
    container = bench["spec"]["template"]["spec"]["containers"][0]
    container |= {"command": ["python3", "-c", SEE, f"{service}.{pods.namespace}.svc"], "args": []}
    pods.apply(unowned(bench))
    name = bench["metadata"]["name"]
    wait_for(pods, f"job/{name}", "condition=Complete")
    said = json.loads(pods("logs", f"job/{name}"))
    assert said == {
        "plan": "a", "rows": "{}", "uid": NOBODY, "scratch": True, "root": False, "dataset": False, "token": True,
        "addresses": 1,
    }  # fmt: skip

    # Ended when it was told to, and not killed when its time was up. The pod stays until that was looked at.
    held = [{"op": "add", "path": "/metadata/finalizers/-", "value": HELD}]
    pods("patch", pod, "--type=json", f"--patch={json.dumps(held)}")
    pods("delete", "job", server, "--cascade=foreground", "--wait=false")
    path = '{.status.containerStatuses[?(@.name=="model")].state.terminated.exitCode}'
    wait_for(pods, pod, f"jsonpath={path}")
    code = pods("get", pod, f"--output=jsonpath={path}")
    pods("patch", pod, "--type=merge", '--patch={"metadata": {"finalizers": null}}')
    wait_for(pods, f"job/{server}", "delete")
    assert code != KILLED


def only_pod(pods: Kubectl, job: str) -> str:
    selector = f"--selector=batch.kubernetes.io/job-name={job}"
    pods("wait", "--for=create", "pod", selector, "--timeout=120s")
    (found,) = pods.get("pods", selector)["items"]
    return str(found["metadata"]["name"])


def resident(pods: Kubectl, pod: str) -> dict[str, int]:
    """KiB by the number of each process that the reader may look into, as it saw them last."""
    lines = pods("logs", pod, "--container=memory").splitlines()
    return {number: int(size) for number, size, _ in (line.split(maxsplit=2) for line in lines)}
