import asyncio
from typing import Any

import pytest

from perbench.api.resource import KIND
from perbench_operator.api import ApiRefusalError, Benchmarks, refusal
from perbench_operator.client import AnswerError, UnavailableError
from tests.support.in_memory_api import Call, InMemoryApi


def benchmark(namespace: str, uid: str) -> dict[str, Any]:
    return {"kind": KIND, "metadata": {"name": uid, "namespace": namespace, "uid": uid}}


API = (benchmark("a", "1"), benchmark("a", "2"), benchmark("b", "3"), benchmark("c", "4"))


@pytest.mark.parametrize(("scope", "uids"), [((), {"1", "2", "3", "4"}), (("a", "b"), {"1", "2", "3"})])
def test_the_benchmarks_of_a_scope(scope: tuple[str, ...], uids: set[str]) -> None:
    assert asyncio.run(Benchmarks(InMemoryApi(*API), scope).uids()) == uids


def test_every_namespace_is_asked_for_as_little_as_can_be() -> None:
    api = InMemoryApi(*API)
    asyncio.run(Benchmarks(api, ("a", "b")).ask())
    assert api.calls == [Call("PEEK", KIND, "a"), Call("PEEK", KIND, "b")]


def test_a_refusal_is_one_line_that_names_the_namespace() -> None:
    api = InMemoryApi(*API)
    api.refuses = lambda call: AnswerError(403, "Forbidden", "no") if call.name == "b" else None
    with pytest.raises(ApiRefusalError, match="in namespace b cannot be listed: not allowed: is the operator's role"):
        asyncio.run(Benchmarks(api, ("a", "b")).ask())


def test_refusals_say_what_to_do() -> None:
    assert refusal(AnswerError(404, "NotFound", "404 page not found"), None) == (
        "perbenchmarks in all namespaces cannot be listed: the API does not have them: install the chart perbench-crds"
    )
    assert refusal(AnswerError(403, "Forbidden", "no"), "team-a") == (
        "perbenchmarks in namespace team-a cannot be listed: not allowed: is the operator's role bound here?"
    )
    assert refusal(AnswerError(410, "Expired", "too old"), None).endswith("the API says 410 Expired")
    away = "GET /apis/perbench.dev/v1alpha1/perbenchmarks: no answer (TimeoutError)"
    assert refusal(UnavailableError(away), None).endswith("cannot be listed: no answer (TimeoutError)")
