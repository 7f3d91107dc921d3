"""What `perbench-memory` says of a server in a pod, beside what the kubelet says of the same container.

A real model answers real requests meanwhile. The kubelet's own figures come from the control group and carry their own
time; the reader of memory looks at the processes. They are two ways to the same two quantities:

- anonymous memory: the kernel's `rss` of the group (version 2: `anon`) and RssAnon of the processes;
- processor time: the group's counter between two looks of the kubelet, and the reader's over the same time.
"""

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

import pytest
from prometheus_client.parser import text_string_to_metric_families

from perbench_bench.cpu_series import Ages
from perbench_bench.memory_now import TAKEN_JSON, Taken
from perbench_bench.memory_sidecar import window_path
from perbench_operator.children.model_pod import MEMORY_PORT
from tests.cluster.api import Kubectl
from tests.cluster.images import IMAGES
from tests.cluster.pods import container, pod, wait_for
from tests.cluster.test_children import LLAMA, READY_SECONDS, SMALL, only_pod, unowned
from tests.support import operator_cases as cases

WITHIN = 0.05
"""What the two may differ by, as a share of the kubelet's figure."""
LOAD = """
import json, sys, urllib.request
body = json.dumps({"prompt": "Once upon a time", "max_tokens": 64, "ignore_eos": True, "temperature": 0}).encode()
while True:
    request = urllib.request.Request(sys.argv[1], body, {"Content-Type": "application/json"})
    urllib.request.urlopen(request, timeout=60).read()
    print("answered", flush=True)
"""
ASK = """
import sys, urllib.request
method, url = sys.argv[1:]
print(urllib.request.urlopen(urllib.request.Request(url, b"" if method == "POST" else None)).read().decode())
"""
CPU, ANONYMOUS = "container_cpu_usage_seconds_total", "container_memory_rss"
APART_SECONDS = 15.0
"""The two looks whose processor time is compared: what the reader does not see between its own is then little."""
LOOK_SECONDS = 60
"""For the kubelet to look again: it does every ten to twenty seconds, and sooner when it is asked."""


@dataclass(frozen=True)
class Look:
    """What the kubelet saw of a container."""

    at: float
    """Seconds since 1970, by the node's clock."""
    cpu_seconds: float
    anonymous: float


def test_the_reader_and_the_kubelet_agree(pods: Kubectl, capsys: pytest.CaptureFixture[str]) -> None:
    name, address = served(pods)
    url = f"http://{address}:8080/v1/completions"
    commands = {"load": ["python3", "-u", "-c", LOAD, url], "client": ["sleep", "3600"]}
    for each, command in commands.items():
        spec = {"containers": [container(IMAGES["probe"].tag, command=command)], "terminationGracePeriodSeconds": 0}
        pods.apply(pod(each, spec))
        wait_for(pods, f"pod/{each}", "condition=Ready")
    until(lambda: "answered" in pods("logs", "load"), "the first answer: what a server allocates late is there")

    def ask(method: str, path: str) -> str:
        return pods("exec", "client", "--", "python3", "-c", ASK, method, f"http://{address}:{MEMORY_PORT}{path}")

    ask("POST", "/window")
    first = later_look(pods, name, time.time())
    last = later_look(pods, name, first.at + APART_SECONDS)
    now = time.time()
    found = taken(ask("GET", window_path(Ages(now - first.at, now - last.at))))

    anonymous, use = found.memory.anonymous_peak_bytes, found.use
    assert anonymous is not None, found.memory.reason
    assert use is not None
    assert use.cpu_seconds is not None, use.cpu_reason
    used, seconds = last.cpu_seconds - first.cpu_seconds, last.at - first.at
    lines = (
        f"anonymous memory: kubelet {first.anonymous:.0f} and {last.anonymous:.0f}, perbench-memory {anonymous} bytes",
        f"processor time in {seconds:.1f} s: kubelet {used:.3f} s, perbench-memory {use.cpu_seconds:.3f} s",
        f"  ({use.cpu_source})",
    )
    with capsys.disabled():
        sys.stdout.write("\n" + "\n".join(lines) + "\n")
    assert anonymous == pytest.approx(max(first.anonymous, last.anonymous), rel=WITHIN)
    assert use.cpu_seconds == pytest.approx(used, rel=WITHIN)
    assert "control group of the server's container" in (use.cpu_source or "")


def served(pods: Kubectl) -> tuple[str, str]:
    """A model server as the operator makes it: its pod and the pod's address."""
    platform = {"benchImage": IMAGES["bench"].tag}
    serving = {"accelerator": None, "resources": SMALL, **LLAMA["serving"]}
    made = cases.small(LLAMA["models"], platform, serving=serving, execution={"deadlines": {"readySeconds": 120}})
    case = cases.Case(made.benchmark, made.platform, pods.namespace)
    pods.apply(*map(unowned, (*case.shared, *case.model)))
    name = only_pod(pods, case.model[-1]["metadata"]["name"])
    try:
        wait_for(pods, f"pod/{name}", "condition=Ready", READY_SECONDS)
    except RuntimeError as error:
        pytest.fail(f"{error}\n{pods.run('logs', name, '--all-containers').stdout}")
    return name, str(pods.get("pod", name)["status"]["podIP"])


def taken(text: str) -> Taken:
    return TAKEN_JSON.validate_json(text)


def later_look(pods: Kubectl, name: str, after: float) -> Look:
    """The kubelet's first look at the server's container that is later than this."""
    seen: list[Look] = []

    def looked() -> bool:
        seen.extend(look for look in [kubelets_look(pods, name)] if look is not None and look.at > after)
        return bool(seen)

    until(looked, "the kubelet looks again")
    return seen[-1]


def kubelets_look(pods: Kubectl, name: str) -> Look | None:
    """Out of cAdvisor in the kubelet, whose samples carry their own time. None: it does not know the container yet."""
    node = pods.get("pod", name)["spec"]["nodeName"]
    text = pods("get", "--raw", f"/api/v1/nodes/{node}/proxy/metrics/cadvisor")
    wanted = {"namespace": pods.namespace, "pod": name, "container": "model"}
    found = {
        sample.name: sample
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name in {CPU, ANONYMOUS} and wanted.items() <= sample.labels.items()
    }
    if found.keys() != {CPU, ANONYMOUS}:
        return None
    return Look(float(found[CPU].timestamp), found[CPU].value, found[ANONYMOUS].value)


def until(done: Callable[[], bool], what: str) -> None:
    latest = time.monotonic() + LOOK_SECONDS
    while not done():
        assert time.monotonic() < latest, f"not within {LOOK_SECONDS} s: {what}"
        time.sleep(0.5)
