"""The API server of the cluster, asked over HTTPS as a pod's service account.

A few verbs on a few objects need no client library: the standard one speaks HTTPS and JSON. Every call blocks: for
threads, never for the load's event loop.
"""

import http.client
import json
import os
import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from perbench.failures import UsageError

SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
"""Where a pod finds its token and the API's certificate authority."""
MERGE_PATCH = "application/merge-patch+json"
CALL_SECONDS = 20.0
LONGEST_WAIT_SECONDS = 10.0
"""The most that a server is believed which asks to be left alone for a while."""
LARGEST_ANSWER = 8 * 1024 * 1024
"""Bytes. An object of etcd has 1.5 MiB at most."""
CHUNK = 64 * 1024


@dataclass(frozen=True)
class Access:
    """How the API server is reached."""

    host: str
    port: int
    service_account: Path = SERVICE_ACCOUNT

    def token(self) -> str:
        """Read anew for each call: the kubelet replaces it within the hour. Raises OSError."""
        return (self.service_account / "token").read_text(encoding="ascii").strip()


@dataclass(frozen=True)
class Answer:
    """What the API server said."""

    status: int
    said: dict[str, Any]
    """The JSON object; empty where it was none, as of a proxy in between."""
    wait_seconds: float = 0.0
    """How long it wants to be left alone."""


def access_of_pod(environment: Mapping[str, str] = os.environ, service_account: Path = SERVICE_ACCOUNT) -> Access:
    """As every pod is told. Raises UsageError: this is not a pod with a service account."""
    host = environment.get("KUBERNETES_SERVICE_HOST")
    port = environment.get("KUBERNETES_SERVICE_PORT_HTTPS") or environment.get("KUBERNETES_SERVICE_PORT") or "443"
    if not host or not port.isdecimal():
        raise UsageError("KUBERNETES_SERVICE_HOST is not set: a plan with `cluster` is for a pod in a cluster")
    if not (service_account / "token").is_file():
        raise UsageError(f"{service_account / 'token'} is not there: the pod needs its service account's token mounted")
    return Access(host, int(port), service_account)


class ApiServer:
    """Asks once, on a connection of its own. For any thread."""

    def __init__(self, access: Access) -> None:
        self._access = access
        self._tls: ssl.SSLContext | None = None

    def ask(
        self,
        method: str,
        path: str,
        body: Mapping[str, object] | None = None,
        seconds: float = CALL_SECONDS,
        largest: int = LARGEST_ANSWER,
    ) -> Answer:
        """The answer. `body`: of a merge patch. `seconds`: for each step of the way there, and for the answer's body.
        `largest`: bytes of the answer.

        Raises OSError (TimeoutError and TLS errors among them) and http.client.HTTPException.
        """
        access = self._access
        self._tls = self._tls or ssl.create_default_context(cafile=str(access.service_account / "ca.crt"))
        headers = {"Authorization": f"Bearer {access.token()}", "Accept": "application/json", "User-Agent": "perbench"}
        content = None if body is None else json.dumps(body).encode()
        if content is not None:
            headers["Content-Type"] = MERGE_PATCH
        connection = http.client.HTTPSConnection(access.host, access.port, timeout=seconds, context=self._tls)
        try:
            connection.request(method, path, content, headers)
            answer = connection.getresponse()
            text = _body(answer, seconds, largest)
            after = answer.headers.get("Retry-After", "")
        finally:
            connection.close()
        said = _object(text)
        if answer.status < 300 and "metadata" not in said:
            raise http.client.HTTPException("the answer is no object of the API")
        wait = min(float(after), LONGEST_WAIT_SECONDS) if after.isdecimal() else 0.0
        return Answer(answer.status, said, wait)


def _body(answer: http.client.HTTPResponse, seconds: float, largest: int) -> bytes:
    """Raises TimeoutError and HTTPException."""
    parts, size, latest = [], 0, time.monotonic() + seconds
    while part := answer.read1(CHUNK):
        parts.append(part)
        size += len(part)
        if size > largest:
            raise http.client.HTTPException(f"the answer has more than {largest} bytes")
        if time.monotonic() > latest:
            raise TimeoutError(f"the answer took longer than {seconds:g} s")
    return b"".join(parts)


def _object(text: bytes) -> dict[str, Any]:
    try:
        said = json.loads(text)
    except ValueError:
        return {}
    return said if isinstance(said, dict) else {}
