"""kopf, as far as it is used: it watches benchmarks and what runs made, and hands each event on. It stores nothing."""

import logging
import re
import socket
from collections.abc import Awaitable, Callable, Iterator
from typing import Any, cast
from urllib.parse import parse_qs, urlsplit

import aiohttp
import kopf
from kubernetes.aio.client import Configuration

from perbench.api.crd import PLURAL
from perbench.api.resource import GROUP, KIND, VERSION
from perbench_operator.api import load_configuration
from perbench_operator.configuration import Scope
from perbench_operator.names import ROLE, UID, Role

CONNECT_SECONDS = 10.0
REQUEST_SECONDS = 30.0
CHUNK = 500
"""Objects per page of the initial list."""
WATCH_SECONDS = 60
"""After so long a watch is opened anew, from where it was: that the API still opens it shows that it would tell."""
CHILDREN = {"Job": ("batch", "v1", "jobs"), "Pod": ("", "v1", "pods"), "ConfigMap": ("", "v1", "configmaps")}
"""What runs make and is watched, by kind: group, version, plural. Of ConfigMaps those for progress."""

WATCHED_KINDS = {PLURAL: KIND, **{plural: kind for kind, (_, _, plural) in CHILDREN.items()}}
"""Every kind that is watched, by its plural in paths."""

Received = Callable[[str, str | None, dict[str, Any]], None]
"""Takes an event: kind of the object, type of the event (None: the initial list), the object."""
Opened = Callable[[str, str], None]
"""Is told of a watch that the API has opened: kind, and namespace (empty: all)."""


class Patience:
    """Waits between attempts at one request, in seconds: without end, for an API that is away comes back.

    With kopf's own, finite list the process would exit in any longer outage of the API, and be restarted for nothing.
    """

    def __iter__(self) -> Iterator[float]:
        """1, 2, 4, 8, 15, and then 15 for ever."""
        yield from (1.0, 2.0, 4.0, 8.0)
        while True:
            yield 15.0


RETRIED = re.compile(r"Request attempt #(\d+)(?:/\d+)? failed; will retry: ")
"""kopf's word on every attempt that failed."""


def is_worth_a_line(record: logging.LogRecord) -> bool:
    """Of attempts at one request that fail without end the 1st, 2nd, 4th, 8th … are told: a namespace that is refused
    would else fill the log with four lines every 15 seconds."""
    failed = RETRIED.match(record.getMessage())
    count = int(failed[1]) if failed else 1
    return count & (count - 1) == 0


def operator_settings() -> kopf.OperatorSettings:
    """kopf's settings: nothing is scanned, posted or persisted; names of our own where kopf would use its author's."""
    settings = kopf.OperatorSettings()
    settings.scanning.disabled = True  # else it needs to list namespaces and CRDs in the whole cluster
    settings.peering.standalone = True  # one replica, never two: peering is no election
    settings.posting.enabled = False
    settings.persistence.finalizer = f"{GROUP}/unused"
    settings.persistence.progress_storage = kopf.AnnotationsProgressStorage(prefix=GROUP)
    settings.persistence.diffbase_storage = kopf.AnnotationsDiffBaseStorage(prefix=GROUP)
    settings.networking.connect_timeout = CONNECT_SECONDS
    settings.networking.request_timeout = REQUEST_SECONDS
    settings.networking.error_backoffs = Patience()
    settings.watching.chunk_size = CHUNK
    settings.watching.server_timeout = WATCH_SECONDS
    for group, version, plural in CHILDREN.values():  # else every pod of the cluster would be streamed
        selector = f"{ROLE}={Role.PROGRESS}" if plural == "configmaps" else UID
        settings.watching.label_selectors[group, version, plural] = selector
    settings.process.ultimate_exiting_timeout = 20.0  # less than a pod's grace period of 30 s
    return settings


def operator_registry(received: Received, opened: Opened) -> kopf.OperatorRegistry:
    """The handlers: each event of a benchmark, or of what belongs to one, goes to `received`."""
    registry = kopf.OperatorRegistry()

    async def login(**_: object) -> kopf.AiohttpSession:
        return session(await connection_info(await load_configuration()), opened)

    kopf.on.login(id="login", errors=kopf.ErrorsMode.PERMANENT, registry=registry)(login)
    kopf.on.event(GROUP, VERSION, PLURAL, id="benchmarks", registry=registry)(_handler(KIND, received))
    for kind, (group, version, plural) in CHILDREN.items():
        kopf.on.event(group, version, plural, id=plural, registry=registry)(_handler(kind, received))
    return registry


def _handler(kind: str, received: Received) -> Callable[..., Awaitable[None]]:
    async def event(event: kopf.RawEvent, **_: object) -> None:
        received(kind, event["type"], dict(event["object"]))

    return event


async def connection_info(configuration: Configuration) -> kopf.ConnectionInfo:
    """The client's configuration in kopf's words, so that both reach the API in the same way."""
    header = await configuration.get_api_key_with_prefix("BearerToken", alias="authorization")
    return kopf.ConnectionInfo(
        server=configuration.host,
        ca_path=configuration.ssl_ca_cert,
        insecure=not configuration.verify_ssl,
        username=configuration.username or None,
        password=configuration.password or None,
        scheme="Bearer" if header else None,
        token=header.split(" ")[-1].strip() if header else None,
        certificate_path=configuration.cert_file,
        private_key_path=configuration.key_file,
        proxy_url=configuration.proxy,
    )


def session(info: kopf.ConnectionInfo, opened: Opened) -> kopf.AiohttpSession:
    """A session as kopf makes one itself, that also tells of each watch that the API opens."""

    async def answered(_session: object, _context: object, end: aiohttp.TraceRequestEndParams) -> None:
        found = watched_by(str(end.url))
        if found is not None and end.response.status == 200:
            opened(*found)

    tracing = aiohttp.TraceConfig()
    tracing.on_request_end.append(answered)
    made = aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0, ssl=info.as_ssl_context()),
        headers=info.as_http_headers(),
        proxy=info.proxy_url,
        trust_env=info.trust_env,
        trace_configs=[tracing],
    )
    return kopf.AiohttpSession(server=info.server, aiohttp_session=made)


def watched_by(url: str) -> tuple[str, str] | None:
    """Kind and namespace (empty: all) that a request watches. None: it is another request."""
    parts = urlsplit(url)
    *before, plural = parts.path.split("/")
    kind = WATCHED_KINDS.get(plural)
    if kind is None or parse_qs(parts.query).get("watch") != ["true"]:
        return None
    return kind, before[-1] if before[-2:-1] == ["namespaces"] else ""


async def watch(scope: Scope, registry: kopf.OperatorRegistry) -> None:
    """Watch until the process is told to stop. Raises what ends a watch for good; the process should then end too."""
    await kopf.operator(
        registry=registry,
        settings=operator_settings(),
        standalone=True,
        # For peering only, which is off; but kopf would look for the name of a user, and a pod's uid has none.
        identity=cast("Any", socket.gethostname()),
        clusterwide=not scope,
        namespaces=scope,
    )
