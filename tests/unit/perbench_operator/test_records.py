import asyncio
import threading
import time
from collections.abc import Mapping
from typing import Any

import pytest

from perbench.objects.progress import BenchProgress
from perbench.objects.results import ModelObject, read_object
from perbench_operator.client import AnswerError, UnavailableError
from perbench_operator.names import Role, RunIdentity, metadata, model_object, run_object
from perbench_operator.observed import Children
from perbench_operator.platform import Platform
from perbench_operator.records import RecordCache
from tests.support.in_memory_api import InMemoryApi

RUN = RunIdentity("bench", "team", "u", "r1")
RESULTS, PROGRESS = model_object(RUN, "m", Role.RESULTS), model_object(RUN, "m", Role.PROGRESS)
PLATFORM = Platform(bench_image="bench:1")


def config_map(name: str, role: str, **changes: Any) -> dict[str, Any]:
    return {"kind": "ConfigMap", "metadata": metadata(RUN, name, role)} | changes


def snapshot(text: str) -> dict[str, Any]:
    return config_map(run_object(RUN, Role.SNAPSHOT), Role.SNAPSHOT, data={"platform.json": text})


def heard(recorded: int) -> Children:
    said = {"round": 0, "attempt": 0, "state": "Measuring", "recorded": recorded, "updatedAt": "2026-01-01T00:00:00Z"}
    return Children(progress={PROGRESS: BenchProgress.model_validate(said)})


def test_results_are_read_when_there_is_more_in_them_and_after_they_were_forgotten() -> None:
    api = InMemoryApi(config_map(RESULTS, Role.RESULTS))
    records = RecordCache(api)

    async def reads(children: Children) -> int:
        await records.read(RUN, ["m"], children)
        return len(api.calls)

    async def run() -> None:
        assert [await reads(heard(number)) for number in (0, 0, 1, 1)] == [1, 1, 2, 2]
        records.forget("u", but="r1")
        assert await reads(heard(1)) == 2
        records.forget("u")
        assert await reads(heard(1)) == 3
        records.drop(RUN, "m")
        assert await reads(heard(1)) == 4

    asyncio.run(run())


def test_an_object_that_is_made_later_is_found_though_no_bench_pod_has_spoken() -> None:
    api = InMemoryApi()
    records = RecordCache(api)
    assert asyncio.run(records.read(RUN, ["m"], Children())) == {}
    api.put(config_map(RESULTS, Role.RESULTS))
    assert set(asyncio.run(records.read(RUN, ["m"], Children()))) == {"m"}


def test_an_object_of_the_name_that_is_not_the_runs_is_not_read() -> None:
    """It shows when the run's own is to be made: it then stands in the way."""
    api = InMemoryApi(config_map(RESULTS, Role.RESULTS), snapshot(PLATFORM.model_dump_json(by_alias=True)))
    for body in api.objects.values():
        body["metadata"]["ownerReferences"][0]["uid"] = "another"
    records = RecordCache(api)
    assert asyncio.run(records.read(RUN, ["m"], Children())) == {}
    assert asyncio.run(records.snapshot(RUN)) is None


def test_the_platform_of_a_run_is_read_once() -> None:
    api = InMemoryApi()
    records = RecordCache(api)
    assert asyncio.run(records.snapshot(RUN)) is None
    api.put(snapshot(PLATFORM.model_dump_json(by_alias=True)))
    assert [asyncio.run(records.snapshot(RUN)) for _ in range(2)] == [PLATFORM, PLATFORM]
    assert len(api.calls) == 2


def test_a_platform_that_cannot_be_read_is_no_reason_to_try_without_end() -> None:
    records = RecordCache(InMemoryApi(snapshot("{}")))
    with pytest.raises(UnavailableError, match="delete it"):
        asyncio.run(records.snapshot(RUN))


def test_what_the_api_refuses_is_not_what_is_not_there() -> None:
    api = InMemoryApi()
    api.refuses = lambda _call: AnswerError(403, "Forbidden", "no")
    with pytest.raises(AnswerError):
        asyncio.run(RecordCache(api).read(RUN, ["m"], Children()))


def test_objects_are_made_out_one_at_a_time_and_beside_the_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    """The largest take a quarter of a second each, and much memory while they do."""
    names = ["m", "n"]
    bodies = [config_map(model_object(RUN, name, Role.RESULTS), Role.RESULTS) for name in names]
    records = RecordCache(InMemoryApi(*bodies))
    threads: list[threading.Thread] = []
    busy = threading.Lock()

    def read(content: Mapping[str, str] | None) -> ModelObject:
        threads.append(threading.current_thread())
        assert busy.acquire(blocking=False), "another one is being made out"
        time.sleep(0.02)
        busy.release()
        return read_object(content)

    monkeypatch.setattr("perbench_operator.records.read_object", read)
    others = RunIdentity("another", "team", "u", "r2")

    async def run() -> None:
        put = (records.put(others, name, body) for name, body in zip(names, bodies, strict=True))
        await asyncio.gather(records.read(RUN, names, Children()), *put)

    asyncio.run(run())
    assert len(threads) == 4
    assert len(set(threads)) == 1
    assert threads[0] is not threading.main_thread()
