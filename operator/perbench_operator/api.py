"""How the API is reached, and whether it lets benchmarks be listed."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

from kubernetes.aio import config
from kubernetes.aio.client import Configuration

from perbench.api.crd import PLURAL
from perbench.api.resource import KIND
from perbench.errors import PerbenchError
from perbench_operator.client import AnswerError, KubernetesApi, UnavailableError
from perbench_operator.configuration import Scope


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
    """The PERBenchmarks of a scope."""

    def __init__(self, api: KubernetesApi, scope: Scope) -> None:
        self._api = api
        self._scope = scope

    async def uids(self) -> set[str]:
        """The uids of all of them. Raises ApiRefusalError."""
        found: set[str] = set()
        for namespace in self._scope or (None,):
            with _refusals(namespace):
                page = await self._api.list(KIND, namespace, metadata_only=True)
            found.update(body["metadata"]["uid"] for body in page.items)
        return found

    async def ask(self) -> None:
        """The cheapest question that needs the same permission, in every namespace. Raises ApiRefusalError."""
        for namespace in self._scope or (None,):
            with _refusals(namespace):
                await self._api.peek(KIND, namespace)


@contextmanager
def _refusals(namespace: str | None) -> Iterator[None]:
    try:
        yield
    except (AnswerError, UnavailableError) as error:
        raise ApiRefusalError(refusal(error, namespace)) from error


def refusal(error: AnswerError | UnavailableError, namespace: str | None) -> str:
    """Why benchmarks cannot be listed, and what to do about it, on one line."""
    where = f"in namespace {namespace}" if namespace else "in all namespaces"
    return f"{PLURAL} {where} cannot be listed: {_cause(error)}"


def _cause(error: AnswerError | UnavailableError) -> str:
    if isinstance(error, UnavailableError):
        return str(error).partition(": ")[2]  # without the request, which the line tells in words
    advice = {
        401: "the API does not know this service account",
        403: "not allowed: is the operator's role bound here?",
        404: "the API does not have them: install the chart perbench-crds",
    }
    return advice.get(error.status, f"the API says {error.status} {error.reason}")
