import asyncio
import logging
from collections.abc import Collection
from types import SimpleNamespace
from typing import Any

import pytest
from kubernetes.aio.client import ApiClient

from perbench.api.resource import API_VERSION, KIND
from perbench_operator import work
from perbench_operator.api import Benchmarks
from perbench_operator.cache import Cache
from perbench_operator.client import AnswerError, KubernetesApi, Page, UnavailableError
from perbench_operator.health import Health
from perbench_operator.names import ROLE, UID
from perbench_operator.work import ask, beat, discovered, prime, sweep
from tests.support.in_memory_api import InMemoryApi
from tests.support.processes import until


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


NO = AnswerError(403, "Forbidden", "no")
AWAY = UnavailableError("GET /apis/batch/v1/jobs: 503 starting")
REFUSED = "perbenchmarks in namespace team-b cannot be listed: not allowed: is the operator's role bound here?"


class Places(InMemoryApi):
    """An API that refuses what is asked of some namespaces."""

    def __init__(self, *bodies: dict[str, object], refused: dict[str | None, Exception]) -> None:
        super().__init__(*bodies)
        self.refused = refused
        self.listed: list[str | None] = []

    async def list(self, kind: str, namespace: str | None, **how: Any) -> Page:
        self.listed.append(namespace)
        if namespace in self.refused:
            raise self.refused[namespace]
        return await super().list(kind, namespace, **how)


def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """How long the loops mean to wait; they do not."""
    found: list[float] = []

    async def at_once(seconds: float) -> None:
        found.append(seconds)
        await asyncio.sleep(0)

    monkeypatch.setattr(work, "asyncio", SimpleNamespace(sleep=at_once))
    return found


def test_a_namespace_that_is_refused_holds_the_others_up_in_nothing(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    api = Places(body("a", "team-a"), body("b", "team-b"), refused={"team-b": NO})
    health = Health(0.0, ("team-a", "team-b"))
    waited = waits(monkeypatch)

    async def run() -> None:
        answered = asyncio.Event()
        asking = asyncio.create_task(ask(Benchmarks(api, ("team-b", "team-a")), health, lambda: 1.0, answered))
        async with asyncio.timeout(30):
            await answered.wait()
        health.seen("uid-a", "team-a")
        assert health.caught_up
        assert health.not_ready(1.0) == REFUSED
        before = len(waited)
        await until(lambda: len(waited) > before + 3)
        assert set(waited[before + 1 :]) == {work.ASK_SECONDS}
        api.refused.clear()
        health.seen("uid-b", "team-b")
        await until(lambda: health.not_ready(1.0) is None)
        asking.cancel()

    caplog.set_level(logging.INFO, "perbench_operator")
    asyncio.run(run())
    assert caplog.messages == [REFUSED, "perbenchmarks in namespace team-b can be listed now"]


def test_a_namespace_whose_list_timed_out_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    api = Places(body("a", "team-a"), refused={"team-b": AWAY})
    health = Health(0.0, ("team-a", "team-b"))
    waited = waits(monkeypatch)

    async def run() -> None:
        health.seen("uid-a", "team-a")
        asking = asyncio.create_task(ask(Benchmarks(api, ("team-b", "team-a")), health, lambda: 1.0, asyncio.Event()))
        await until(lambda: len(waited) > 3)
        assert not health.caught_up
        api.refused.clear()
        await until(lambda: health.caught_up)
        asking.cancel()

    asyncio.run(run())


def test_an_api_that_refuses_everything_is_asked_ever_more_rarely(monkeypatch: pytest.MonkeyPatch) -> None:
    api = Places(refused={None: AnswerError(404, "NotFound", "")})
    waited = waits(monkeypatch)

    async def run() -> None:
        answered = asyncio.Event()
        asking = asyncio.create_task(ask(Benchmarks(api, ()), Health(0.0), lambda: 1.0, answered))
        await until(lambda: len(waited) >= 6)
        assert not answered.is_set()
        asking.cancel()

    asyncio.run(run())
    assert waited[:6] == [1.0, 2.0, 4.0, 8.0, 15.0, 15.0]


def test_what_waits_for_the_api_lives(monkeypatch: pytest.MonkeyPatch) -> None:
    waits(monkeypatch)
    ticks: list[None] = []

    async def run() -> None:
        beating = asyncio.create_task(beat(lambda: ticks.append(None)))
        await until(lambda: len(ticks) > 2)
        beating.cancel()

    asyncio.run(run())


def job(name: str, namespace: str) -> dict[str, object]:
    labels = {UID: f"uid-{name}", ROLE: "model"}
    owner = {
        "kind": KIND,
        "apiVersion": API_VERSION,
        "name": name,
        "uid": f"uid-{name}",
        "controller": True,
    }
    metadata = {"name": f"pb-{name}", "namespace": namespace, "labels": labels, "ownerReferences": [owner]}
    return {"kind": "Job", "metadata": metadata, "spec": {}, "status": {}}


@pytest.mark.parametrize(
    ("refused", "hindered"),
    [
        ({"team-b": NO}, ""),
        (
            {"team-b": AWAY},
            "jobs in namespace team-b cannot be listed: 503",
        ),
        ({"team-a": NO, "team-b": NO}, "jobs in namespace team-a cannot be listed: not allowed"),
    ],
    ids=["refused in one", "away", "refused in all"],
)
def test_what_runs_have_made_is_listed_before_anything_is_decided(
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    refused: dict[str | None, Exception],
    hindered: str,
) -> None:
    """What is refused of one namespace is left to the watch; an API that is away, or refuses all, is waited for."""
    api = Places(job("a", "team-a"), job("b", "team-b"), refused=dict(refused))
    health, cache = Health(0.0, ("team-a", "team-b")), Cache()
    for place in ("team-a", "team-b"):
        health.listed(1.0, (), place)
    waited = waits(monkeypatch)

    async def run() -> None:
        priming = asyncio.create_task(prime(api, cache, ("team-a", "team-b"), health))
        await until(lambda: len(waited) > 3 or priming.done())
        assert priming.done() is not bool(hindered)
        assert (health.not_ready(1.0) or "").startswith(hindered)
        api.refused.clear()
        await priming

    asyncio.run(run())
    assert health.not_ready(1.0) is None
    assert len(caplog.messages) == 1
    everything = {"uid-a"} if not hindered else {"uid-a", "uid-b"}
    assert cache.holders() == everything
