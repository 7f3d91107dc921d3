"""The cluster that the user's kubeconfig names. A rim.

Its rules are kubectl's: KUBECONFIG or ~/.kube/config, `--context`, `-n`, the context's own namespace.
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import quote

import urllib3
from kubernetes import client, config

from perbench.api.crd import PLURAL
from perbench.api.resource import GROUP, VERSION
from perbench.errors import PerbenchError
from perbench.failures import UsageError, shorten
from perbench.plan import METRICS_PATH

FIELD_MANAGER = "kubectl-perbench"
TIMEOUT_SECONDS = 30
PAGE = 100
"""Objects of a list that are asked for at once: results objects are large."""

Body = dict[str, Any]


class ClusterError(PerbenchError):
    """The cluster does not answer, or does not do what it is asked."""

    exit_code = 1


class UnavailableError(ClusterError):
    """It does not answer, or is not able to for now: asking again later may help. After any other error it does not."""


class Cluster:
    """The API server of one context."""

    def __init__(self, context: str | None, namespace: str | None) -> None:
        """Read the kubeconfig. Raises UsageError where there is none, or no such context."""
        settings = client.Configuration()
        settings.retries = False
        try:
            self._client = config.new_client_from_config(  # type: ignore[no-untyped-call]
                context=context, persist_config=False, client_configuration=settings
            )
            contexts, active = config.list_kube_config_contexts()  # type: ignore[no-untyped-call]
        except config.ConfigException as error:
            raise UsageError(f"no cluster to talk to: {error}: set KUBECONFIG, or name a --context") from error
        chosen = next((entry for entry in contexts if entry["name"] == context), active)
        self._given = namespace
        self._own = str(chosen.get("context", {}).get("namespace") or "default")

    def namespace(self, of_file: str | None = None) -> str:
        """Where an object is: `-n`, else what its file says, else the context's. UsageError: `-n` and file differ."""
        if self._given and of_file and self._given != of_file:
            raise UsageError(f"the file says namespace {of_file}, and -n {self._given}: leave one out")
        return self._given or of_file or self._own

    def benchmark(self, namespace: str, name: str) -> Body:
        """A PERBenchmark. ClusterError also where there is none of the name."""
        return self._json("GET", _benchmark(namespace, name))

    def apply(self, namespace: str, body: Body, *, force: bool) -> Body:
        """Create it, or make it what `body` says (server-side apply)."""
        query = {"fieldManager": FIELD_MANAGER, "fieldValidation": "Strict", "force": str(force).lower()}
        path = _benchmark(namespace, body["metadata"]["name"])
        return self._json("PATCH", path, query, json.dumps(body), "application/apply-patch+yaml")

    def annotate(self, namespace: str, name: str, annotations: Mapping[str, str]) -> Body:
        """Set annotations, apart from what is applied."""
        body = {"metadata": {"annotations": dict(annotations)}}
        query = {"fieldManager": f"{FIELD_MANAGER}-again"}
        return self._json("PATCH", _benchmark(namespace, name), query, body, "application/merge-patch+json")

    def config_maps(self, namespace: str, labels: str) -> list[Body]:
        """ConfigMaps with these labels."""
        return list(self._list(f"/api/v1/namespaces/{quote(namespace)}/configmaps", {"labelSelector": labels}))

    def pods(self, namespace: str, labels: str) -> list[Body]:
        """Pods with these labels."""
        return list(self._list(f"/api/v1/namespaces/{quote(namespace)}/pods", {"labelSelector": labels}))

    def events(self, namespace: str, uid: str) -> list[Body]:
        """Events about one object."""
        query = {"fieldSelector": f"involvedObject.uid={uid}"}
        return list(self._list(f"/api/v1/namespaces/{quote(namespace)}/events", query))

    def metrics(self, namespace: str, pod: str, port: int) -> str:
        """What a pod shows at /metrics, by way of the API server, which takes the right to `get` `pods/proxy`."""
        path = f"/api/v1/namespaces/{quote(namespace)}/pods/{quote(pod)}:{port}/proxy{METRICS_PATH}"
        return self._ask("GET", path, accept="text/plain;version=0.0.4").decode(errors="replace")

    def _list(self, path: str, query: Mapping[str, str]) -> Iterator[Body]:
        token = ""
        while True:
            page = self._json("GET", path, {**query, "limit": str(PAGE), **({"continue": token} if token else {})})
            yield from page["items"]
            token = page.get("metadata", {}).get("continue") or ""
            if not token:
                return

    def _json(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None = None,
        body: object = None,
        content_type: str = "application/json",
    ) -> Body:
        answer = self._ask(method, path, query, body, content_type=content_type)
        content: Body = json.loads(answer) if answer.startswith(b"{") else {}
        return content

    def _ask(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None = None,
        body: object = None,
        *,
        content_type: str = "application/json",
        accept: str = "application/json",
    ) -> bytes:
        request = self._client.param_serialize(
            method=method,
            resource_path=path,
            query_params=list((query or {}).items()),
            header_params={"Accept": accept, "Content-Type": content_type},
            body=body,
            auth_settings=["BearerToken"],
        )
        try:
            answer = self._client.call_api(*request, _request_timeout=TIMEOUT_SECONDS)
            answer.read()
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise UnavailableError(f"the API server does not answer: {shorten(str(error), 300)}") from error
        data = bytes(answer.data)
        if answer.status >= 300:
            said = json.loads(data) if data.startswith(b"{") else {}
            words = str(said.get("message") or data.decode(errors="replace") or answer.reason)
            raise _refusal(answer.status, path, shorten(words, 2000), is_status=bool(said.get("reason")))
        return data


def _refusal(status: int, path: str, words: str, *, is_status: bool) -> ClusterError:
    """What an answer other than success comes to. `is_status`: the API server's own words, not those of its router,
    which does not know the path."""
    if status == 429 or status >= 500:
        return UnavailableError(f"the API server is not able to answer ({status}): {words}")
    if status == 401:
        what = (
            "the API server does not know you (401): log in again, or mend the token or certificate of the kubeconfig"
        )
        return ClusterError(what)
    if status == 403:
        return ClusterError(f"{words}: ask whoever runs the cluster for that right (roles view and edit have it)")
    if status == 404 and not is_status and path.startswith(f"/apis/{GROUP}/"):
        what = f"this cluster has no {PLURAL}: install the chart perbench-crds, or choose another --context"
        return ClusterError(what)
    return ClusterError(words)


def _benchmark(namespace: str, name: str) -> str:
    return f"/apis/{GROUP}/{VERSION}/namespaces/{quote(namespace)}/{PLURAL}/{quote(name)}"
