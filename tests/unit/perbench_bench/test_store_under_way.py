"""A stage that is being stored when the pod is told to go."""

import asyncio
import contextlib
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from perbench.objects.results import ModelFacts, read_object
from perbench.results import StageRecord
from perbench_bench.cluster_store import ClusterStore
from perbench_bench.config_maps import ConfigMaps
from tests.support.config_map_api import NAMESPACE, ConfigMapApi, config_map_api
from tests.support.results import ONE_SLOT, TOPICS, stage

NAME = "results"


@pytest.fixture
def api(tmp_path: Path) -> Iterator[ConfigMapApi]:
    with config_map_api(tmp_path / "account") as found:
        found.create(NAME, binaryData={})
        yield found


def test_it_is_stored_though_nobody_waits_for_it_any_more(api: ConfigMapApi) -> None:
    stored: list[StageRecord] = []
    writing, go_on = threading.Event(), threading.Event()

    def may_write() -> None:
        writing.set()
        assert go_on.wait(60)

    async def interrupted() -> None:
        store = ClusterStore(ConfigMaps(api.access, NAMESPACE), NAME, 0, may_write, stored.append)
        task = asyncio.create_task(store.store(stage(TOPICS, ONE_SLOT["topics"])))
        assert await asyncio.to_thread(writing.wait, 60)
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        assert stored == []
        go_on.set()
        await store.finish(60)

    asyncio.run(interrupted())
    assert [record.task for record in stored] == ["topics"]
    assert read_object(api.objects[NAME]["binaryData"]).recorded(0) == (("topics", 0),)


def test_nothing_under_way_is_not_waited_for(api: ConfigMapApi) -> None:
    store = ClusterStore(ConfigMaps(api.access, NAMESPACE), NAME, 0, lambda: None, lambda _record: None)
    asyncio.run(store.finish(10))


def test_facts_are_given_back_with_what_was_known_before(api: ConfigMapApi) -> None:
    """The hub said once how large the files are: an attempt that it does not answer still knows."""

    async def twice() -> ModelFacts:
        store = ClusterStore(ConfigMaps(api.access, NAMESPACE), NAME, 0, lambda: None, lambda _record: None)
        await store.store_facts(ModelFacts(source={"kind": "Hub", "bytes": 5}))
        return await store.store_facts(ModelFacts(source={"kind": "Hub"}))

    assert asyncio.run(twice()).source == {"kind": "Hub", "bytes": 5}
