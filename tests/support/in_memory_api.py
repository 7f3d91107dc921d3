"""The Kubernetes API as far as the operator asks it, in memory: objects with versions, and refusals where told so."""

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from perbench.api.resource import KIND
from perbench_operator.client import AnswerError, KubernetesApi, Page

Body = dict[str, Any]
TEST_FAILED = "the server rejected our request due to an error in our request"
"""All that Kubernetes says of a JSON patch whose `test` fails."""


@dataclass(frozen=True)
class Call:
    """One request."""

    verb: str
    kind: str
    name: str = ""
    labels: str = ""


class InMemoryApi(KubernetesApi):
    """Takes everything as it is."""

    def __init__(self, *bodies: Body) -> None:
        self.objects: dict[tuple[str, str, str], Body] = {}
        self.calls: list[Call] = []
        self.refuses: Callable[[Call], Exception | None] = lambda _call: None
        """What a request comes to. None: it is done."""
        self.version = 1_000
        for body in bodies:
            self.put(body)

    def put(self, body: Body) -> Body:
        """Store an object, in its next version."""
        self.version += 1
        metadata = body["metadata"]
        stored = copy.deepcopy(body)
        stored["metadata"] |= {"resourceVersion": str(self.version)}
        stored["metadata"].setdefault("uid", f"uid-{self.version}")
        self.objects[body["kind"], metadata.get("namespace", ""), metadata["name"]] = stored
        return copy.deepcopy(stored)

    def asked(self, verb: str, kind: str | None = None) -> list[str]:
        """Names that were asked for."""
        return [call.name for call in self.calls if call.verb == verb and kind in {None, call.kind}]

    async def get(self, kind: str, namespace: str | None, name: str) -> Body:
        self._ask(Call("GET", kind, name))
        return copy.deepcopy(self._found(kind, namespace, name))

    async def peek(self, kind: str, namespace: str | None) -> None:
        self._ask(Call("PEEK", kind, namespace or ""))

    async def list(
        self, kind: str, namespace: str | None, *, labels: str = "", fields: str = "", metadata_only: bool = False
    ) -> Page:
        self._ask(Call("LIST", kind, labels=labels))
        found = [
            copy.deepcopy({"metadata": body["metadata"]} if metadata_only else body)
            for (its_kind, its_namespace, _), body in self.objects.items()
            if its_kind == kind and namespace in {None, its_namespace} and _fits(body, labels) and _is_of(body, fields)
        ]
        return Page(tuple(found), self.version)

    async def create(self, manifest: Mapping[str, Any], *, dry_run: bool = False) -> Body:
        kind, metadata = manifest["kind"], dict(manifest["metadata"])
        name = metadata.setdefault("name", f"{metadata.get('generateName')}{self.version}")
        self._ask(Call("DRY RUN" if dry_run else "POST", kind, name))
        if (kind, metadata["namespace"], name) in self.objects:
            raise AnswerError(409, "AlreadyExists", f"{kind} {name} already exists")
        body = {**manifest, "metadata": metadata}
        return body if dry_run else self.put(body)

    async def merge(self, kind: str, namespace: str, name: str, change: Mapping[str, Any]) -> Body:
        self._ask(Call("MERGE", kind, name))
        return self.put(_merged(self._found(kind, namespace, name), change))

    async def replace_status(
        self, namespace: str, name: str, uid: str, status: Mapping[str, Any], resource_version: str | None = None
    ) -> Body:
        self._ask(Call("STATUS", KIND, name))
        body = self._found(KIND, namespace, name)
        if body["metadata"]["uid"] != uid or resource_version not in {None, body["metadata"]["resourceVersion"]}:
            raise AnswerError(422, "Invalid", TEST_FAILED)
        return self.put({**body, "status": dict(status)})

    async def delete(self, kind: str, namespace: str, name: str, uid: str | None) -> None:
        self._ask(Call("DELETE", kind, name))
        body = self.objects.get((kind, namespace, name))
        if body is not None and uid in {None, body["metadata"]["uid"]}:
            del self.objects[kind, namespace, name]

    def _ask(self, call: Call) -> None:
        self.calls.append(call)
        refusal = self.refuses(call)
        if refusal is not None:
            raise refusal

    def _found(self, kind: str, namespace: str | None, name: str) -> Body:
        try:
            return self.objects[kind, namespace or "", name]
        except KeyError:
            raise AnswerError(404, "NotFound", f"{kind} {name} not found") from None


def _fits(body: Body, selector: str) -> bool:
    labels = body["metadata"].get("labels") or {}
    for term in filter(None, selector.split(",")):
        key, other, value = term.partition("!=")
        if not other:
            key, _, value = term.partition("=")
        if (labels.get(key) == value) == bool(other) if value else key not in labels:
            return False
    return True


def _is_of(body: Body, fields: str) -> bool:
    wanted = dict(term.split("=") for term in filter(None, fields.split(",")))
    own = {
        "involvedObject.uid": body.get("involvedObject", {}).get("uid"),
        "reason": body.get("reason"),
        "spec.nodeName": body.get("spec", {}).get("nodeName"),
    }
    return all(own[key] == value for key, value in wanted.items())


def _merged(body: Mapping[str, Any], change: Mapping[str, Any]) -> Body:
    """RFC 7396, without its nulls."""
    merged = dict(body)
    for key, value in change.items():
        merged[key] = _merged(merged.get(key) or {}, value) if isinstance(value, dict) else value
    return merged
