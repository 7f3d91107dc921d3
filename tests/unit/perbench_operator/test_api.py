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


@pytest.mark.parametrize(
    ("scope", "uids"),
    [((), {None: {"1", "2", "3", "4"}}), (("a", "b"), {"a": {"1", "2"}, "b": {"3"}})],
)
def test_the_benchmarks_of_a_scope(scope: tuple[str, ...], uids: dict[str | None, set[str]]) -> None:
    benchmarks = Benchmarks(InMemoryApi(*API), scope)

    async def listed() -> dict[str | None, set[str]]:
        return {place: await benchmarks.uids(place) for place in benchmarks.places}

    assert asyncio.run(listed()) == uids


def test_a_namespace_is_asked_for_as_little_as_can_be() -> None:
    api = InMemoryApi(*API)
    asyncio.run(Benchmarks(api, ("a", "b")).ask("b"))
    assert api.calls == [Call("PEEK", KIND, "b")]


@pytest.mark.parametrize("error", [AnswerError(403, "Forbidden", "no"), UnavailableError("GET /apis: 503 starting")])
def test_a_refusal_is_one_line_that_names_the_namespace(error: Exception) -> None:
    api = InMemoryApi(*API)
    api.refuses = lambda _: error
    with pytest.raises(ApiRefusalError, match=r"in namespace b cannot be listed: (not allowed|503)") as refused:
        asyncio.run(Benchmarks(api, ("a", "b")).ask("b"))
    assert refused.value.away is isinstance(error, UnavailableError)


def test_refusals_say_what_to_do() -> None:
    assert refusal(AnswerError(404, "NotFound", "404 page not found"), None) == (
        "perbenchmarks in all namespaces cannot be listed: the API does not have them: install the chart perbench-crds"
    )
    assert refusal(AnswerError(403, "Forbidden", "no"), "team-a") == (
        "perbenchmarks in namespace team-a cannot be listed: not allowed: is the operator's role bound here?"
    )
    assert refusal(AnswerError(403, "Forbidden", "no"), "team-a", "jobs").startswith("jobs in namespace team-a cannot")
    assert refusal(AnswerError(410, "Expired", "too old"), None).endswith("the API says 410 Expired")
    away = "GET /apis/perbench.dev/v1alpha1/perbenchmarks: no answer (TimeoutError)"
    assert refusal(UnavailableError(away), None).endswith("cannot be listed: no answer (TimeoutError)")
