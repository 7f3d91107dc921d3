"""A Kubernetes API, asked with plain requests as one user: its own answers, not what a client makes of them."""

import base64
import json
import ssl
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any, Self

import httpx2
import yaml

from perbench.api.crd import custom_resource_definition
from tests.support.processes import wait_until

CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
BENCHMARKS = "/apis/perbench.dev/v1alpha1/namespaces/{namespace}/perbenchmarks"
MERGE = "application/merge-patch+json"
APPLY = "application/apply-patch+yaml"
STRICT: Mapping[str, str] = {"fieldValidation": "Strict"}
TRIAL: Mapping[str, str] = {"fieldValidation": "Strict", "dryRun": "All"}
"""The API judges as strictly as kubectl asks it to, and stores nothing."""


@dataclass(frozen=True)
class Answer:
    """What the API said."""

    status: int
    body: dict[str, Any]

    @property
    def ok(self) -> bool:
        """Whether it did what was asked."""
        return self.status < 300

    @property
    def message(self) -> str:
        """What it complains of, as a user reads it."""
        return str(self.body.get("message", ""))

    @property
    def causes(self) -> list[tuple[str, str]]:
        """What it complains of, one by one: field and message."""
        causes = self.body.get("details", {}).get("causes", [])
        return [(cause.get("field", ""), cause.get("message", "")) for cause in causes]


class KubeApi:
    """The API as one user sees it."""

    def __init__(self, kubeconfig: Path) -> None:
        """`kubeconfig` holds a client certificate or a token, and needs no other file."""
        document = yaml.safe_load(kubeconfig.read_text(encoding="utf-8"))
        cluster, user = document["clusters"][0]["cluster"], document["users"][0]["user"]
        context = ssl.create_default_context(cadata=_decoded(cluster["certificate-authority-data"]))
        if "client-certificate-data" in user:
            with NamedTemporaryFile("w", suffix=".pem") as pair:  # ssl wants a file
                pair.write(_decoded(user["client-certificate-data"]) + _decoded(user["client-key-data"]))
                pair.flush()
                context.load_cert_chain(pair.name)
        headers = {"Authorization": f"Bearer {user['token']}"} if "token" in user else {}
        server = cluster["server"]
        self._client = httpx2.Client(base_url=server, headers=headers, verify=context, timeout=30.0, trust_env=False)

    def ask(
        self,
        method: str,
        path: str,
        body: object = None,
        query: Mapping[str, str] = STRICT,
        kind: str = "application/json",
    ) -> Answer:
        """One request; `body` goes as JSON of the content type `kind`."""
        content = None if body is None else json.dumps(body).encode()
        headers = {"Content-Type": kind, "Accept": "application/json"}
        answer = self._client.request(method, path, content=content, params=dict(query), headers=headers)
        said = answer.headers.get("Content-Type", "").startswith("application/json")
        return Answer(answer.status_code, answer.json() if said else {"message": answer.text})

    def get(self, path: str, query: Mapping[str, str] = STRICT) -> Answer:
        """Read."""
        return self.ask("GET", path, query=query)

    def watch(self, path: str, query: Mapping[str, str], seconds: int) -> Iterator[tuple[str, dict[str, Any]]]:
        """Changes of the objects of a list, as they come: `ADDED`, `MODIFIED`, `DELETED`, and the object. First those
        that are there."""
        params = {**query, "watch": "true", "timeoutSeconds": str(seconds)}
        with self._client.stream("GET", path, params=params, timeout=seconds + 10.0) as answer:
            for line in answer.iter_lines():
                change = json.loads(line)
                yield change["type"], change["object"]

    def create(self, path: str, body: object, query: Mapping[str, str] = STRICT) -> Answer:
        """Create an object in the collection at `path`."""
        return self.ask("POST", path, body, query)

    def patch(self, path: str, change: object, query: Mapping[str, str] = STRICT) -> Answer:
        """Change an object by a merge patch."""
        return self.ask("PATCH", path, change, query, MERGE)

    def delete(self, path: str) -> Answer:
        """Delete what is at `path`."""
        return self.ask("DELETE", path)

    def apply(self, manifest: Mapping[str, Any], path: str) -> Answer:
        """Create or change by server-side apply; `path` is the object's own."""
        return self.ask("PATCH", path, manifest, {**STRICT, "fieldManager": "tests", "force": "true"}, APPLY)

    def __enter__(self) -> Self:
        """Connections last to the end of the block."""
        return self

    def __exit__(self, *_: object) -> None:
        """Let them go."""
        self._client.close()


def install_crd(api: KubeApi) -> None:
    """Apply the CRD, and wait until benchmarks are served."""
    crd = custom_resource_definition()
    answer = api.apply(crd, f"{CRDS}/{crd['metadata']['name']}")
    assert answer.ok, answer.message
    wait_until(lambda: api.get(benchmarks()).ok, "the API serves benchmarks")


def benchmarks(namespace: str = "default") -> str:
    """The path of a namespace's benchmarks."""
    return BENCHMARKS.format(namespace=namespace)


def _decoded(text: str) -> str:
    return base64.b64decode(text).decode()
