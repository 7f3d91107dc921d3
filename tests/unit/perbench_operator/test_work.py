import asyncio
from collections.abc import Collection

import pytest

from perbench.api.resource import KIND
from perbench_operator import work
from perbench_operator.client import UnavailableError
from perbench_operator.work import sweep
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
