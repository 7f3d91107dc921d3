"""A real Prometheus in a pod of the cluster, which finds what to scrape as a user's does: by the pods' annotations."""

import json
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import yaml

from tests.cluster.api import Kubectl, wait_until
from tests.cluster.images import IMAGES, REPOSITORY

SCRAPE = REPOSITORY / "examples" / "prometheus" / "scrape.yaml"
"""What the documentation tells to add to a Prometheus."""
NAME = "prometheus"
PORT = 9090
READY_SECONDS = 400.0
PAUSE_SECONDS = 1.0

Labels = dict[str, str]
Object = dict[str, Any]


@dataclass(frozen=True)
class Sample:
    """One series of an answer, and its value."""

    labels: Labels
    value: float


@dataclass(frozen=True)
class Prometheus:
    """One that runs in a namespace of its own."""

    kubectl: Kubectl

    def get(self, path: str) -> Any:
        """`data` of an answer of its HTTP API, through the API server. Raises RuntimeError with what it says."""
        answer = json.loads(self.kubectl("get", "--raw", f"{self._service}/api/v1/{path}"))
        if answer["status"] != "success":
            raise RuntimeError(f"{path}: {answer['errorType']}: {answer['error']}")
        return answer["data"]

    def query(self, expression: str) -> list[Sample]:
        """An instant query."""
        found = self.get(f"query?query={quote(expression)}")["result"]
        return [Sample(each["metric"], float(each["value"][1])) for each in found]

    def wait(self, expression: str, seconds: float) -> list[Sample]:
        """The answer to a query as soon as there is one. Raises AssertionError with the targets' state."""
        deadline = time.monotonic() + seconds
        while not (found := self._found(expression)):
            assert time.monotonic() < deadline, f"nothing within {seconds:g} s: {expression}\n{self.account()}"
            time.sleep(PAUSE_SECONDS)
        return found

    def _found(self, expression: str) -> list[Sample]:
        try:
            return self.query(expression)
        except RuntimeError as error:
            if "bad_data" in str(error) or "BadRequest" in str(error):
                raise
            return []  # nobody answers for the moment

    def account(self) -> str:
        """Its targets, and what went wrong with them."""
        targets = self.get("targets?state=active")["activeTargets"]
        return "\n".join(f"{each['scrapeUrl']} {each['health']} {each['lastError']}" for each in targets)

    @property
    def _service(self) -> str:
        return f"/api/v1/namespaces/{self.kubectl.namespace}/services/{NAME}:{PORT}/proxy"


@contextmanager
def running(kubectl: Kubectl, *, honor_labels: bool = False) -> Iterator[Prometheus]:
    """Start one, and remove it with everything that was made for it."""
    name = f"prometheus-{secrets.token_hex(4)}"
    kubectl("create", "namespace", name)
    there = kubectl.in_namespace(name)
    try:
        there.apply(*_access(name))
        there.apply(*_server(honor_labels=honor_labels))
        found = Prometheus(there)
        wait_until(lambda: _answers(found), "Prometheus answers", READY_SECONDS)
        yield found
    finally:
        there("delete", "clusterrole,clusterrolebinding", name, "--ignore-not-found")
        there("delete", "namespace", name, "--wait", "--timeout=300s", seconds=400)


def _answers(prometheus: Prometheus) -> bool:
    try:
        return prometheus.query("vector(1)") != []
    except RuntimeError:
        return False


def configuration(*, honor_labels: bool) -> str:
    """The scrape jobs of the documentation, once a second."""
    document = yaml.safe_load(Path(SCRAPE).read_text())
    for job in document["scrape_configs"]:
        job["honor_labels"] = honor_labels
        job["scrape_interval"] = job["scrape_timeout"] = "1s"
    return yaml.safe_dump(document)


def _access(name: str) -> list[Object]:
    rules = [{"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "list", "watch"]}]
    group = "rbac.authorization.k8s.io"
    return [
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": NAME}},
        {"apiVersion": f"{group}/v1", "kind": "ClusterRole", "metadata": {"name": name}, "rules": rules},
        {
            "apiVersion": f"{group}/v1",
            "kind": "ClusterRoleBinding",
            "metadata": {"name": name},
            "roleRef": {"apiGroup": group, "kind": "ClusterRole", "name": name},
            "subjects": [{"kind": "ServiceAccount", "name": NAME, "namespace": name}],
        },
    ]


def _server(*, honor_labels: bool) -> list[Object]:
    labels = {"app": NAME}
    container = {
        "name": NAME,
        "image": IMAGES["prometheus"].tag,
        "args": ["--config.file=/config/prometheus.yml", "--storage.tsdb.path=/data", f"--web.listen-address=:{PORT}"],
        "ports": [{"containerPort": PORT}],
        "resources": {"requests": {"cpu": "50m", "memory": "128Mi"}},
        "volumeMounts": [{"name": "config", "mountPath": "/config"}, {"name": "data", "mountPath": "/data"}],
    }
    return [
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": NAME},
            "data": {"prometheus.yml": configuration(honor_labels=honor_labels)},
        },
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": NAME},
            "spec": {"selector": labels, "ports": [{"port": PORT}]},
        },
        {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": NAME, "labels": labels},
            "spec": {
                "serviceAccountName": NAME,
                "terminationGracePeriodSeconds": 1,
                "containers": [container],
                "volumes": [{"name": "config", "configMap": {"name": NAME}}, {"name": "data", "emptyDir": {}}],
            },
        },
    ]
