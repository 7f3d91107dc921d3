"""ConfigMaps of one namespace, read and patched through the API server.

Two verbs on two objects. Every call blocks, for up to two minutes where the API does not answer: for threads, never
for the load's event loop.
"""

import http.client
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from perbench.failures import Blame, Failure, RunError, shorten
from perbench_bench.api_server import Access, ApiServer

PATIENCE_SECONDS = 120.0
"""How long an API that does not answer is asked again: a control plane that is upgraded is away for about a minute."""
FORBIDDEN_SECONDS = 20.0
"""So long a right that is missing is asked for again: an API server that has just started, or is one of several, may
not know of the Role yet."""
KEEP_TRYING_SECONDS = 1800.0
"""So long what was measured is tried to be stored, and a change of state to be told, while the API is away: measuring
it again would take as long, and nothing else could be done meanwhile."""
MAY_PASS = frozenset({401, 403, 408, 429})
"""Answers after which the same question may be taken. 401: the token may just have been replaced."""
UNAVAILABLE = "ApiUnavailable"
"""The reason where the API did not answer. It is no end: a later attempt goes on with what is missing."""
FIRST_PAUSE_SECONDS = 0.5
LONGEST_PAUSE_SECONDS = 10.0


class ConflictError(Exception):
    """Somebody else has changed the object since it was read."""


@dataclass(frozen=True)
class ConfigMap:
    """One object as it was at one moment."""

    version: str
    """Its resourceVersion."""
    data: Mapping[str, str] = field(default_factory=dict)
    binary_data: Mapping[str, str] = field(default_factory=dict)
    """Values in base64."""


class ConfigMaps:
    """The two verbs. Raises RunError: `ApiUnavailable` after two minutes; `ApiRefused` at once, or after some seconds
    where a right is missing."""

    def __init__(
        self,
        access: Access,
        namespace: str,
        patience: float = PATIENCE_SECONDS,
        pause: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._server = ApiServer(access)
        self._path = f"/api/v1/namespaces/{quote(namespace, safe='')}/configmaps/"
        self._patience = patience
        self._pause = pause
        self._clock = clock

    @property
    def server(self) -> ApiServer:
        """Who is asked."""
        return self._server

    def read(self, name: str) -> ConfigMap:
        """The object now."""
        return _config_map(self._ask("GET", name, None))

    def patch(self, name: str, change: Mapping[str, object], version: str) -> ConfigMap:
        """Change fields of the object, if it still has this version. Raises ConflictError."""
        return _config_map(self._ask("PATCH", name, {**change, "metadata": {"resourceVersion": version}}))

    def _ask(self, method: str, name: str, body: Mapping[str, object] | None) -> dict[str, Any]:
        """The answer's JSON. An answer that got lost may have been done: a patch then meets a conflict."""
        began, pause = self._clock(), FIRST_PAUSE_SECONDS
        while True:
            wait, refused = pause, False
            try:
                answer = self._server.ask(method, self._path + quote(name, safe=""), body)
            except (OSError, http.client.HTTPException) as error:
                trouble = f"{type(error).__name__}: {error}"
            else:
                status = answer.status
                if status < 300:
                    return answer.said
                trouble = f"HTTP {status}: {answer.said.get('message', '')}"
                if status == 409:
                    raise ConflictError(trouble)
                if status not in MAY_PASS and status < 500:
                    raise RunError(_refused(method, name, trouble))
                wait, refused = max(pause, answer.wait_seconds), status == 403
            spent = self._clock() + wait - began
            if refused and spent > FORBIDDEN_SECONDS:
                raise RunError(_refused(method, name, trouble))
            if spent > self._patience:
                raise RunError(_unavailable(method, name, trouble, self._patience))
            self._pause(wait)
            pause = min(2 * pause, LONGEST_PAUSE_SECONDS)


def _config_map(document: Mapping[str, Any]) -> ConfigMap:
    return ConfigMap(
        version=document["metadata"]["resourceVersion"],
        data=document.get("data") or {},
        binary_data=document.get("binaryData") or {},
    )


def _refused(method: str, name: str, trouble: str) -> Failure:
    message = shorten(
        f"the API server refuses {method} of the ConfigMap {name} ({trouble}); the run's Role and objects must be "
        "there while it runs"
    )
    return Failure(blame=Blame.INFRASTRUCTURE, reason="ApiRefused", message=message)


def _unavailable(method: str, name: str, trouble: str, patience: float) -> Failure:
    message = shorten(
        f"the API server did not answer {method} of the ConfigMap {name} within {patience:g} s ({trouble}); check the "
        "control plane and network policies for the bench pod"
    )
    return Failure(blame=Blame.INFRASTRUCTURE, reason=UNAVAILABLE, message=message)
