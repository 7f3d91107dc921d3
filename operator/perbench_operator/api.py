"""The Kubernetes API as the operator asks it: credentials, and lists of benchmarks."""

import os
from typing import Any, cast

import aiohttp
from kubernetes.aio import config
from kubernetes.aio.client import ApiClient, ApiException, Configuration, CustomObjectsApi

from perbench.api.crd import PLURAL
from perbench.api.resource import GROUP, VERSION
from perbench.errors import PerbenchError
from perbench_operator.configuration import Scope

REQUEST_SECONDS = 15.0
"""A call of the API takes this long at most."""
PAGE = 500
"""Objects per page of a list: a page of the largest benchmarks still fits into memory."""


class ApiRefusalError(PerbenchError):
    """The API did not answer, or not with what was asked for. The message is one line."""


async def load_configuration() -> Configuration:
    """How to reach the API: `KUBECONFIG`, else the pod's service account, else the user's kubeconfig.

    Raises ConfigException (of the client) where there is none of them.
    """
    configuration = Configuration()
    if "KUBECONFIG" not in os.environ and "KUBERNETES_SERVICE_HOST" in os.environ:
        config.load_incluster_config(configuration)  # type: ignore[no-untyped-call]
    else:
        await config.load_kube_config(client_configuration=configuration)  # type: ignore[no-untyped-call]
    return configuration


class Benchmarks:
    """The PERBenchmarks of a scope, asked for over one client."""

    def __init__(self, client: ApiClient, scope: Scope) -> None:
        self._api = CustomObjectsApi(client)
        self._scope = scope

    async def uids(self) -> set[str]:
        """The uids of all of them. Raises ApiRefusalError."""
        found: set[str] = set()
        for namespace in self._scope or (None,):
            following: str | None = None
            while following != "":
                page = await self._page(namespace, PAGE, following)
                found.update(item["metadata"]["uid"] for item in page["items"])
                following = page["metadata"].get("continue", "")
        return found

    async def ask(self) -> None:
        """The cheapest question that needs the same permission, in every namespace. Raises ApiRefusalError."""
        for namespace in self._scope or (None,):
            await self._page(namespace, 1, None)

    async def _page(self, namespace: str | None, limit: int, following: str | None) -> dict[str, Any]:
        options: dict[str, Any] = {"limit": limit, "_continue": following, "_request_timeout": REQUEST_SECONDS}
        try:
            if namespace is None:
                page = await self._api.list_cluster_custom_object(GROUP, VERSION, PLURAL, **options)
            else:
                page = await self._api.list_namespaced_custom_object(GROUP, VERSION, namespace, PLURAL, **options)
        except (ApiException, aiohttp.ClientError, OSError, TimeoutError) as error:
            raise ApiRefusalError(refusal(error, namespace)) from error
        return cast("dict[str, Any]", page)


def refusal(error: Exception, namespace: str | None) -> str:
    """Why benchmarks cannot be listed, and what to do about it, on one line."""
    where = f"in namespace {namespace}" if namespace else "in all namespaces"
    return f"{PLURAL} {where} cannot be listed: {_cause(error)}"


def _cause(error: Exception) -> str:
    if not isinstance(error, ApiException):
        return f"no answer ({type(error).__name__})"
    advice = {
        401: "the API does not know this service account",
        403: "not allowed: is the operator's role bound here?",
        404: "the API does not have them: install the chart perbench-crds",
    }
    return advice.get(error.status or 0, f"the API says {error.status} {error.reason}")
