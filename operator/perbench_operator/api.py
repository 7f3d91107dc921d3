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

    def __init__(self, message: str, *, away: bool = False) -> None:
        super().__init__(message)
        self.away = away
        """Whether it did not answer at all, or is not able to for now."""


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
    """The PERBenchmarks of a scope, one place at a time: a namespace, or all of them."""

    def __init__(self, api: KubernetesApi, scope: Scope) -> None:
        self._api = api
        self.places: tuple[str | None, ...] = scope or (None,)
        """Each is listed and watched by itself: what is refused in one says nothing of the others. None: all."""

    async def uids(self, place: str | None) -> set[str]:
        """The uids of all that there are. Raises ApiRefusalError."""
        with refusals(place):
            page = await self._api.list(KIND, place, metadata_only=True)
        return {body["metadata"]["uid"] for body in page.items}

    async def ask(self, place: str | None) -> None:
        """The cheapest question that needs the same permission. Raises ApiRefusalError."""
        with refusals(place):
            await self._api.peek(KIND, place)


@contextmanager
def refusals(namespace: str | None, plural: str = PLURAL) -> Iterator[None]:
    """Raises ApiRefusalError where objects cannot be listed."""
    try:
        yield
    except (AnswerError, UnavailableError) as error:
        away = isinstance(error, UnavailableError)
        raise ApiRefusalError(refusal(error, namespace, plural), away=away) from error


def refusal(error: AnswerError | UnavailableError, namespace: str | None, plural: str = PLURAL) -> str:
    """Why benchmarks, or what runs make, cannot be listed, and what to do about it, on one line."""
    return f"{plural} {where(namespace)} cannot be listed: {_cause(error)}"


def where(namespace: str | None) -> str:
    """A place, for people."""
    return f"in namespace {namespace}" if namespace else "in all namespaces"


def _cause(error: AnswerError | UnavailableError) -> str:
    if isinstance(error, UnavailableError):
        return str(error).partition(": ")[2]  # without the request, which the line tells in words
    advice = {
        401: "the API does not know this service account",
        403: "not allowed: is the operator's role bound here?",
        404: "the API does not have them: install the chart perbench-crds",
    }
    return advice.get(error.status, f"the API says {error.status} {error.reason}")
