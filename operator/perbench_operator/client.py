"""The Kubernetes API in plain objects: one call each, over the official client's connection. A rim."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import aiohttp
from kubernetes.aio.client import ApiClient

from perbench.api.crd import PLURAL
from perbench.api.resource import API_VERSION, KIND
from perbench.errors import PerbenchError
from perbench.failures import shorten

REQUEST_SECONDS = 15.0
"""A call of the API takes this long at most."""
PAGE = 500
"""Objects per page of a list."""
METADATA = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
"""Of each object of a list its metadata alone."""
JSON, MERGE, PATCH = "application/json", "application/merge-patch+json", "application/json-patch+json"

KINDS: Mapping[str, tuple[str, str]] = {
    KIND: (API_VERSION, PLURAL),
    "ConfigMap": ("v1", "configmaps"),
    "Event": ("v1", "events"),
    "Job": ("batch/v1", "jobs"),
    "NetworkPolicy": ("networking.k8s.io/v1", "networkpolicies"),
    "Node": ("v1", "nodes"),
    "PersistentVolumeClaim": ("v1", "persistentvolumeclaims"),
    "Pod": ("v1", "pods"),
    "Role": ("rbac.authorization.k8s.io/v1", "roles"),
    "RoleBinding": ("rbac.authorization.k8s.io/v1", "rolebindings"),
    "Service": ("v1", "services"),
    "ServiceAccount": ("v1", "serviceaccounts"),
}
"""By kind: API version and the plural in paths."""


class UnavailableError(PerbenchError):
    """The API did not answer, or is not able to for now. Trying again later may help."""


class AnswerError(PerbenchError):
    """The API refused. `status` is HTTP's."""

    def __init__(self, status: int, reason: str, message: str, causes: int = 0) -> None:
        super().__init__(shorten(message or reason, 900))
        self.status = status
        self.reason = reason
        self.causes = causes
        """How many fields it complains of."""

    @property
    def overtaken(self) -> bool:
        """Whether a write that holds for one state of the object alone found another: a conflict, or a `test` of a
        JSON patch that failed, of which the API says nothing but that it is invalid, and names no field."""
        return self.status == 409 or (self.status == 422 and self.reason == "Invalid" and self.causes == 0)


@dataclass(frozen=True)
class Page:
    """Objects of a list."""

    items: tuple[dict[str, Any], ...]
    version: int = 0
    """The resource version at which they were listed. 0: not known."""


def path_of(kind: str, namespace: str | None, name: str | None = None, subresource: str | None = None) -> str:
    """The path of an object, or of the list where no name is given. Without a namespace: all, or outside of them."""
    version, plural = KINDS[kind]
    parts = ["api" if "/" not in version else "apis", version]
    parts += ["namespaces", namespace] if namespace else []
    parts += [plural, *([name] if name else []), *([subresource] if subresource else [])]
    return "/" + "/".join(parts)


class KubernetesApi:
    """Calls of the API. Raises UnavailableError and AnswerError."""

    def __init__(self, client: ApiClient) -> None:
        self._client = client

    async def get(self, kind: str, namespace: str | None, name: str) -> dict[str, Any]:
        """One object."""
        return await self._ask("GET", path_of(kind, namespace, name))

    async def peek(self, kind: str, namespace: str | None) -> None:
        """Ask for a list of one object: the cheapest question that needs the right to list."""
        await self._ask("GET", path_of(kind, namespace), query=[("limit", "1")])

    async def tells_of(self, kind: str) -> bool:
        """Whether who asks what the API serves is told of a kind. Of a new one that is some time after it is served."""
        version, plural = KINDS[kind]
        groups = (await self._ask("GET", "/apis")).get("groups") or ()
        if version.partition("/")[0] not in {group["name"] for group in groups}:
            return False
        try:
            resources = (await self._ask("GET", f"/apis/{version}")).get("resources") or ()
        except AnswerError as error:
            if error.status == 404:
                return False
            raise
        return plural in {resource["name"] for resource in resources}

    async def list(
        self, kind: str, namespace: str | None, *, labels: str = "", fields: str = "", metadata_only: bool = False
    ) -> Page:
        """All objects with these labels and fields; namespace None: in all namespaces."""
        accept = METADATA if metadata_only else JSON
        items: list[dict[str, Any]] = []
        following, version = "", ""
        while True:
            query = [("limit", str(PAGE))]
            for key, value in (("labelSelector", labels), ("fieldSelector", fields), ("continue", following)):
                query += [(key, value)] if value else []
            page = await self._ask("GET", path_of(kind, namespace), query=query, accept=accept)
            items += page.get("items") or []
            metadata = page.get("metadata") or {}
            version = version or str(metadata.get("resourceVersion") or "")
            following = metadata.get("continue") or ""
            if not following:
                return Page(tuple(items), int(version) if version.isdecimal() else 0)

    async def create(self, manifest: Mapping[str, Any], *, dry_run: bool = False) -> dict[str, Any]:
        """Make an object; `dry_run`: only ask whether it would be taken. Unknown fields are refused."""
        query = [("fieldValidation", "Strict"), *([("dryRun", "All")] if dry_run else [])]
        path = path_of(manifest["kind"], manifest["metadata"]["namespace"])
        return await self._ask("POST", path, body=manifest, query=query)

    async def merge(self, kind: str, namespace: str, name: str, change: Mapping[str, Any]) -> dict[str, Any]:
        """Merge a change into an object (RFC 7396)."""
        return await self._ask("PATCH", path_of(kind, namespace, name), body=change, content=MERGE)

    async def replace_status(
        self, namespace: str, name: str, uid: str, status: Mapping[str, Any], resource_version: str | None = None
    ) -> dict[str, Any]:
        """Put this status into a benchmark, if it is still the one with this uid, and in this version (RFC 6902)."""
        change: list[dict[str, Any]] = [{"op": "test", "path": "/metadata/uid", "value": uid}]
        if resource_version is not None:
            change.append({"op": "test", "path": "/metadata/resourceVersion", "value": resource_version})
        change.append({"op": "add", "path": "/status", "value": status})
        return await self._ask("PATCH", path_of(KIND, namespace, name, "status"), body=change, content=PATCH)

    async def delete(self, kind: str, namespace: str, name: str, uid: str | None) -> None:
        """Delete an object and, afterwards, what it owns. One that is gone, or another of the name, is left alone."""
        body: dict[str, Any] = {"propagationPolicy": "Background"}
        if uid is not None:
            body["preconditions"] = {"uid": uid}
        try:
            await self._ask("DELETE", path_of(kind, namespace, name), body=body)
        except AnswerError as error:
            if error.status not in {404, 409}:
                raise

    async def _ask(
        self, method: str, path: str, *, body: object = None, query: Sequence[tuple[str, str]] = (),
        content: str = JSON, accept: str = JSON,
    ) -> dict[str, Any]:  # fmt: skip
        headers = {"Accept": accept, "Content-Type": content}
        try:
            request = await self._client.param_serialize(
                method, path, query_params=list(query), header_params=headers, body=body, auth_settings=["BearerToken"]
            )
            response = await self._client.call_api(*request, _request_timeout=REQUEST_SECONDS)
            text = await response.read()  # type: ignore[no-untyped-call]
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise UnavailableError(f"{method} {path}: no answer ({type(error).__name__})") from error
        try:
            answer = json.loads(text or b"{}")
        except ValueError:
            answer = {"message": text[:300].decode(errors="replace")}
        if response.status < 300:
            return dict(answer)
        reason, message = str(answer.get("reason") or ""), str(answer.get("message") or "")
        if response.status == 429 or response.status >= 500:
            raise UnavailableError(f"{method} {path}: {response.status} {message or reason}")
        causes = (answer.get("details") or {}).get("causes") or ()
        raise AnswerError(response.status, reason, message, len(causes))
