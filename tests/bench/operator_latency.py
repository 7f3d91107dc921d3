"""How fast the operator is, on a node of its own (`python -m tests.bench.operator_latency`; root, Linux).

- A benchmark is applied: its model's Job is there (95th percentile of 20, one after the other: 0.5 s). No node takes
  the pods, so that none of them takes the cores.
- A model has loaded, by its own log: its first request comes (3 s). It takes 15 s to load, as real ones take longer
  still: the bench pod starts and calibrates meanwhile.
- The last model has answered for the last time: PER is in the status (3 s).
- 2 models x 2 tasks x 3 repeats: writes of the status (30).

The last three of two runs, the worst of which counts. Exit 1 where one is above its limit.
"""

import contextlib
import math
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

import httpx2

from perbench.objects.progress import read_progress
from perbench_operator.names import ROLE, UID, Role
from tests.cluster import binaries, charts, existing, images, node
from tests.cluster.api import Kubectl, wait_until
from tests.e2e.applied import Applied, model
from tests.e2e.benchmarks import ANSWERS, TOPICS, benchmark, llama, tgi
from tests.support.kube_api import KubeApi, benchmarks

APPLIED = 20
RUNS = 2
JOB_SECONDS, FIRST_REQUEST_SECONDS, PER_SECONDS, WRITES = 0.5, 3.0, 3.0, 30
LOAD_SECONDS = "15"
WATCH_SECONDS = 3600
NAMESPACE = "perbench-latency"
JOBS = f"/apis/batch/v1/namespaces/{NAMESPACE}/jobs"
CONFIG_MAPS = f"/api/v1/namespaces/{NAMESPACE}/configmaps"
ANSWERED = "stop processing"
"""What llama.cpp's server logs when it has answered."""
LOADED = "Shard ready in"
"""What TGI's launcher logs, as does the server that keeps its contract; its web server starts next."""

Object = dict[str, Any]


class Watched:
    """What a watch brings, each with the time it came."""

    def __init__(self, kubeconfig: Path, path: str, selector: str = UID) -> None:
        self.seen: list[tuple[float, Object]] = []
        self._api = KubeApi(kubeconfig)
        self._query = {"labelSelector": selector} if selector else {}
        threading.Thread(target=self._read, args=(path,), daemon=True).start()

    def _read(self, path: str) -> None:
        with contextlib.suppress(httpx2.RemoteProtocolError, httpx2.ReadError):  # the cluster may end before it does
            for _, found in self._api.watch(path, self._query, WATCH_SECONDS):
                self.seen.append((time.time(), found))

    def first(self, holds: Callable[[Object], bool], seconds: float) -> float:
        """When the first came of which this holds. Raises TimeoutError."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            for moment, found in list(self.seen):
                if holds(found):
                    return moment
            time.sleep(0.01)
        raise TimeoutError(f"nothing like it within {seconds:g} s")


def seconds_to_a_job(kubectl: Kubectl, api: KubeApi) -> list[float]:
    """From sending a benchmark to its model's Job, for each of them."""
    jobs, found = Watched(kubectl.kubeconfig, JOBS), []
    for number in range(APPLIED):
        document = benchmark(f"apply-{number}", llama("a", nodeSelector={"perbench.dev/no-node": "has-this"}))
        sent = time.time()
        answer = api.create(benchmarks(NAMESPACE), document)
        if not answer.ok:
            raise RuntimeError(answer.message)
        uid = answer.body["metadata"]["uid"]
        found.append(jobs.first(partial(labelled, uid=uid, role=Role.MODEL), 30) - sent)
        remove(kubectl, f"apply-{number}")
    return found


def remove(kubectl: Kubectl, name: str) -> None:
    """Delete a benchmark; afterwards its pods hold none of the places for models that run at the same time."""
    kubectl("delete", "perb", name, "--wait")
    wait_until(lambda: not kubectl.get("jobs,pods")["items"], "its Jobs and pods are gone", 60)


def labelled(found: Object, *, uid: str, role: str) -> bool:
    """Whether an object is of this benchmark and role."""
    labels = found["metadata"]["labels"]
    return bool(labels[UID] == uid and labels.get(ROLE) == role)


def one_run(kubectl: Kubectl, name: str) -> tuple[float, float, int]:
    """Seconds from ready to the first request, seconds from the last answer to PER, writes of the status."""
    slow = tgi("slow", env=[{"name": "TGI_CONTRACT_LOAD_SECONDS", "value": LOAD_SECONDS}])
    document = benchmark(name, slow, llama("last"), tasks=(TOPICS, ANSWERS), repeats=3)
    progress = Watched(kubectl.kubeconfig, CONFIG_MAPS)
    statuses = Watched(kubectl.kubeconfig, benchmarks(NAMESPACE), "")
    applied = Applied.of(kubectl, document)
    uid = applied.get()["metadata"]["uid"]
    with followed(kubectl, applied, "slow", "Starting", LOADED) as loaded:
        first = first_request(progress, uid)
        ready = loaded()
    with followed(kubectl, applied, "last", "Measuring", ANSWERED) as answered:
        status = applied.wait_end(300)
        last = answered()
    per = statuses.first(lambda each: each["metadata"]["uid"] == uid and "best" in each.get("status", {}), 5)
    if status["phase"] != "Succeeded" or not model(status, "last")["tasks"]:
        raise RuntimeError(applied.account())
    own = {each["metadata"]["resourceVersion"] for _, each in statuses.seen if each["metadata"]["uid"] == uid}
    remove(kubectl, name)
    return first - ready, per - last, len(own) - 1  # the first version is what was applied


def first_request(progress: Watched, uid: str) -> float:
    """When the bench pod says that it sent its first request."""

    def sent(found: Object) -> datetime | None:
        said = read_progress(found.get("data")) if found["metadata"]["labels"][UID] == uid else None
        return said.first_request_at if said else None

    progress.first(lambda found: sent(found) is not None, 60)
    return min(moment.timestamp() for _, found in progress.seen if (moment := sent(found)))


@contextlib.contextmanager
def followed(kubectl: Kubectl, applied: Applied, name: str, phase: str, words: str) -> Iterator[Callable[[], float]]:
    """While the block runs a model's log is read, from when it is in a phase; the function gives the time of the last
    line that holds these words."""
    applied.wait(f"{name} is {phase}", lambda status: has_phase(status, name, phase), 180)
    command = [str(kubectl.program), f"--kubeconfig={kubectl.kubeconfig}", f"--namespace={kubectl.namespace}"]
    wait_until(lambda: bool(running(applied)), "the model's pod runs", 60)
    (pod,) = running(applied)
    with tempfile.TemporaryFile("w+") as log:
        command += ["logs", "--follow", "--timestamps", pod, "--container=model"]
        with subprocess.Popen(command, stdout=log, stderr=subprocess.DEVNULL) as reader:
            try:
                yield lambda: _last_moment(log, words)
            finally:
                reader.terminate()


def has_phase(status: Object, name: str, phase: str) -> bool:
    """Whether a model is in this phase."""
    return any(each["name"] == name and each["phase"] == phase for each in status.get("models", ()))


def running(applied: Applied) -> list[str]:
    """Names of the models' pods that run."""
    pods = applied.pods(Role.MODEL)
    return [pod["metadata"]["name"] for pod in pods if pod["status"]["phase"] == "Running"]


def _last_moment(log: Any, words: str) -> float:
    log.seek(0)
    lines = [line for line in log if words in line]
    whole, _, fraction = lines[-1].split()[0].removesuffix("Z").partition(".")
    return datetime.fromisoformat(f"{whole}+00:00").timestamp() + float(f"0.{fraction}")


@contextlib.contextmanager
def cluster() -> Iterator[Kubectl]:
    """kubectl in a namespace for this, in a cluster that has the operator of this checkout."""
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        if existing.asked_for():
            kubectl = existing.attach(folder, say).kubectl
        else:
            kubectl = stack.enter_context(node.running(images.prepare(images.available(), say), say)).kubectl
        charts.install(binaries.build(("helm",), say) / "helm", kubectl, say)
        kubectl("create", "namespace", NAMESPACE)
        try:
            yield kubectl.in_namespace(NAMESPACE)
        finally:
            kubectl("delete", "namespace", NAMESPACE, "--wait", seconds=120)


def say(line: str) -> None:
    """Progress."""
    sys.stderr.write(f"{line}\n")


def told(what: str, values: list[float], worst: float, limit: float) -> bool:
    """Print a figure with its spread; whether it is within its limit."""
    spread = f"median {statistics.median(values):.2f}, {min(values):.2f} to {max(values):.2f}, n = {len(values)}"
    verdict = "ok" if worst <= limit else "ABOVE"
    sys.stdout.write(f"{what}: {worst:.2f} (limit {limit:g}, {verdict}; {spread})\n")
    sys.stdout.flush()
    return worst <= limit


def main() -> int:
    """Measure; the exit code."""
    with cluster() as kubectl, KubeApi(kubectl.kubeconfig) as api:
        jobs = sorted(seconds_to_a_job(kubectl, api))
        worst = jobs[math.ceil(0.95 * len(jobs)) - 1]
        good = [told("seconds from apply to the model's Job, p95", jobs, worst, JOB_SECONDS)]
        runs = [one_run(kubectl, f"run-{number}") for number in range(RUNS)]
    first, per, writes = (list(map(float, column)) for column in zip(*runs, strict=True))
    good += [
        told("seconds from the model being loaded to its first request", first, max(first), FIRST_REQUEST_SECONDS),
        told("seconds from the last answer to PER in the status", per, max(per), PER_SECONDS),
        told("writes of the status for 2 models, 2 tasks, 3 repeats", writes, max(writes), WRITES),
    ]
    return 0 if all(good) else 1


if __name__ == "__main__":
    sys.exit(main())
