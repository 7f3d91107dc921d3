"""What a real API server says to writes of a status that holds for one state of the benchmark alone."""

import asyncio
from typing import Any

import pytest
from kubernetes.aio import config
from kubernetes.aio.client import ApiClient, Configuration

from perbench.api.resource import KIND
from perbench_operator.client import AnswerError, KubernetesApi
from tests.cluster.control_plane import ControlPlane
from tests.support import largest
from tests.support.kube_api import KubeApi, benchmarks


def test_a_status_for_another_state_of_the_benchmark_is_refused_as_overtaken_and_a_wrong_one_is_not(
    admin: KubeApi, control_plane: ControlPlane
) -> None:
    name = "status-writes"
    models = [{"name": "a", "model": "gpt2"}]
    spec = {"models": models, "tasks": [{"name": "topics", "preset": "PackagedTopics"}]}
    created = admin.create(benchmarks(), largest.metadata(name) | {"spec": spec})
    assert created.ok, created.message
    metadata = created.body["metadata"]

    async def write(api: KubernetesApi, phase: str = "Pending", uid: str = "", version: str | None = None) -> Any:
        return await api.replace_status("default", name, uid or metadata["uid"], {"phase": phase}, version)

    async def run() -> None:
        access = Configuration()
        await config.load_kube_config(str(control_plane.kubeconfig), client_configuration=access)  # type: ignore[no-untyped-call]
        async with ApiClient(access) as client:
            api = KubernetesApi(client)
            for changes in ({"uid": "another"}, {"version": "1"}):
                with pytest.raises(AnswerError) as refused:
                    await write(api, **changes)
                assert (refused.value.status, refused.value.reason, refused.value.causes) == (422, "Invalid", 0)
                assert refused.value.overtaken
            with pytest.raises(AnswerError) as refused:
                await write(api, phase="Latest")
            assert (refused.value.status, refused.value.reason) == (422, "Invalid")
            assert not refused.value.overtaken
            written = await write(api, version=metadata["resourceVersion"])
            assert written["status"] == {"phase": "Pending"}
            assert int(written["metadata"]["resourceVersion"]) > int(metadata["resourceVersion"])
            listed = await api.list(KIND, "default")
            assert listed.version >= int(written["metadata"]["resourceVersion"])

    try:
        asyncio.run(run())
    finally:
        admin.delete(f"{benchmarks()}/{name}")
