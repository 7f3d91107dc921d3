import asyncio
from collections.abc import Collection
from typing import Any

import pytest
from kubernetes.aio.client import ApiClient

from perbench.api.resource import KIND
from perbench_operator import work
from perbench_operator.client import AnswerError, KubernetesApi, UnavailableError
from perbench_operator.work import discovered, sweep
from tests.support.in_memory_api import InMemoryApi


def body(name: str, namespace: str) -> dict[str, object]:
    return {"kind": KIND, "metadata": {"name": name, "namespace": namespace, "uid": f"uid-{name}"}}


@pytest.mark.parametrize(
    ("scope", "told"),
    [((), [(None, {"uid-a", "uid-b"})]), (("team-a", "team-b"), [("team-a", {"uid-a"}), ("team-b", {"uid-b"})])],
)
def test_benchmarks_are_listed_now_and_then_also_after_an_outage(
    monkeypatch: pytest.MonkeyPatch, scope: tuple[str, ...], told: list[tuple[str | None, set[str]]]
) -> None:
    monkeypatch.setattr(work, "SWEEP_SECONDS", 0.0)
    api = InMemoryApi(body("a", "team-a"), body("b", "team-b"))
    outages = [UnavailableError("away")] * len(told)
    api.refuses = lambda _call: outages.pop() if outages else None
    heard: list[tuple[str | None, set[str]]] = []

    async def run() -> None:
        enough = asyncio.Event()

        def listed(namespace: str | None, uids: Collection[str], version: int) -> None:
            assert version == api.version
            heard.append((namespace, set(uids)))
            if len(heard) == len(told):
                enough.set()

        loop = asyncio.create_task(sweep(api, scope, listed))
        async with asyncio.timeout(60):
            await enough.wait()
        loop.cancel()

    asyncio.run(run())
    assert heard[: len(told)] == told


GROUPS = {"groups": [{"name": "batch"}, {"name": "perbench.dev"}]}
RESOURCES = {"resources": [{"name": "perbenchmarks"}, {"name": "perbenchmarks/status"}]}


class Discovery(KubernetesApi):
    """An API that answers one question after the other with what is in the script."""

    def __init__(self, *script: dict[str, Any] | Exception) -> None:
        super().__init__(ApiClient.__new__(ApiClient))
        self.script = list(script)

    async def _ask(self, *_: object, **__: object) -> dict[str, Any]:
        answer = self.script.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


@pytest.mark.parametrize(
    "before",
    [
        [UnavailableError("GET /apis: 503 starting")],
        [{"groups": [{"name": "batch"}]}, {"groups": None}],
        [GROUPS, AnswerError(404, "NotFound", "")],
        [GROUPS, {"resources": [{"name": "others"}]}],
    ],
    ids=["away", "group", "version", "kind"],
)
def test_the_watch_waits_until_the_api_tells_of_benchmarks(
    monkeypatch: pytest.MonkeyPatch, before: list[dict[str, Any] | Exception]
) -> None:
    """It serves a new kind some time before it tells of it."""
    monkeypatch.setattr(work, "ASK_SECONDS_AT_START", 0.0)
    api = Discovery(*before, GROUPS, RESOURCES)
    asyncio.run(discovered(api))
    assert api.script == []


def test_an_api_that_refuses_to_tell_is_not_waited_for() -> None:
    asyncio.run(discovered(Discovery(AnswerError(403, "Forbidden", "no"))))
