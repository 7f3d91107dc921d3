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
    try:
        urllib.request.urlopen(request, timeout=60).read()
    except OSError as error:
        print(error, flush=True)
    else:
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
LOOK_SECONDS = 300
"""For the kubelet to look again: it does every ten to twenty seconds, and sooner when it is asked."""
TRIES = 4
"""Between asking and answering a busy machine may let seconds pass, in which the load is another one."""


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

    pairs: list[Pair] = []
    while not any(pair.agree for pair in pairs):
        assert len(pairs) < TRIES, pairs
        ask("POST", "/window")
        first = later_look(pods, name, time.time())
        last = later_look(pods, name, first.at + APART_SECONDS)
        now = time.time()
        pairs.append(Pair(first, last, taken(ask("GET", window_path(Ages(now - first.at, now - last.at))))))
        with capsys.disabled():
            sys.stdout.write(f"\n{pairs[-1]}\n")
    use = pairs[-1].taken.use
    assert use is not None
    assert "control group of the server's container" in (use.cpu_source or "")


@dataclass(frozen=True)
class Pair:
    """Two looks of the kubelet, and what the reader says of the time between them."""

    first: Look
    last: Look
    taken: Taken

    @property
    def agree(self) -> bool:
        """Whether both mean the same; where the reader has no figure they do not."""
        anonymous, use = self.taken.memory.anonymous_peak_bytes, self.taken.use
        if anonymous is None or use is None or use.cpu_seconds is None:
            return False
        peak, used = max(self.first.anonymous, self.last.anonymous), self.last.cpu_seconds - self.first.cpu_seconds
        return bool(anonymous == pytest.approx(peak, rel=WITHIN) and use.cpu_seconds == pytest.approx(used, rel=WITHIN))

    def __str__(self) -> str:
        """Both, side by side."""
        first, last, memory, use = self.first, self.last, self.taken.memory, self.taken.use
        said = memory.reason if memory.anonymous_peak_bytes is None else f"{memory.anonymous_peak_bytes} bytes"
        cpu = f"{use.cpu_seconds} s ({use.cpu_source or use.cpu_reason})" if use else "nothing"
        return (
            f"anonymous memory: kubelet {first.anonymous:.0f} and {last.anonymous:.0f}, perbench-memory {said}\n"
            f"processor time in {last.at - first.at:.1f} s: kubelet {last.cpu_seconds - first.cpu_seconds:.3f} s,"
            f" perbench-memory {cpu}"
        )


def served(pods: Kubectl) -> tuple[str, str]:
    """A model server as the operator makes it: its pod and the pod's address."""
    platform = {"benchImage": IMAGES["bench"].tag}
    serving = {"accelerator": None, "resources": SMALL, **LLAMA["serving"]}
    made = cases.small(
        LLAMA["models"], platform, serving=serving, execution={"deadlines": {"readySeconds": READY_SECONDS}}
    )
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
