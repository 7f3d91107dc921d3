"""kopf, as far as it is used: it watches benchmarks and hands each event on. It stores nothing and adds nothing."""

import socket
from collections.abc import Callable, Iterator
from typing import Any, cast

import kopf
from kubernetes.aio.client import Configuration

from perbench.api.crd import PLURAL
from perbench.api.resource import GROUP, VERSION
from perbench_operator.api import load_configuration
from perbench_operator.configuration import Scope

CONNECT_SECONDS = 10.0
REQUEST_SECONDS = 30.0
CHUNK = 500
"""Objects per page of the initial list."""


class Patience:
    """Waits between attempts at one request, in seconds: without end, for an API that is away comes back.

    With kopf's own, finite list the process would exit in any longer outage of the API, and be restarted for nothing.
    """

    def __iter__(self) -> Iterator[float]:
        """1, 2, 4, 8, 15, and then 15 for ever."""
        yield from (1.0, 2.0, 4.0, 8.0)
        while True:
            yield 15.0


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
    settings.process.ultimate_exiting_timeout = 20.0  # less than a pod's grace period of 30 s
    return settings


def operator_registry(received: Callable[[str | None, dict[str, Any]], None]) -> kopf.OperatorRegistry:
    """The handlers: each event of a benchmark goes to `received(type, object)`; type None is the initial list."""
    registry = kopf.OperatorRegistry()

    async def login(**_: object) -> kopf.ConnectionInfo:
        return await connection_info(await load_configuration())

    async def event(event: kopf.RawEvent, **_: object) -> None:
        received(event["type"], dict(event["object"]))

    kopf.on.login(id="login", errors=kopf.ErrorsMode.PERMANENT, registry=registry)(login)
    kopf.on.event(GROUP, VERSION, PLURAL, id="benchmarks", registry=registry)(event)
    return registry


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
