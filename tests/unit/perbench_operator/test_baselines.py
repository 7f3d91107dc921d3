"""Reading a baseline out of the API: what is asked, whose objects count, and what an API that is away comes to."""

import asyncio
import copy
from typing import Any

import pytest

from perbench.api.resource import KIND
from perbench.objects.run import RUN as RUN_KEY
from perbench_operator.baselines import read_baseline
from perbench_operator.client import AnswerError, UnavailableError
from perbench_operator.decide.situation import Baseline, NoBaseline
from perbench_operator.names import ROLE, Role
from perbench_operator.reading import read_benchmark
from tests.support.in_memory_api import Call, InMemoryApi
from tests.support.simulated_cluster import Cluster
from tests.support.simulated_operator import Operator, benchmark

NIGHTLY = {"name": "nightly"}


@pytest.fixture(scope="module")
def nightly() -> Operator:
    """A benchmark whose run has ended."""
    body = benchmark()
    body["metadata"] |= NIGHTLY
    run = Operator(Cluster(blinks=0), body)
    run.run()
    return run


def api_of(run: Operator) -> InMemoryApi:
    maps = [body for (kind, _), body in run.cluster.objects.items() if kind == "ConfigMap"]
    return InMemoryApi(copy.deepcopy(run.body), *copy.deepcopy(maps))


def read(api: InMemoryApi, **reference: str) -> Baseline | NoBaseline | None:
    body = benchmark(baselineRef=NIGHTLY | reference)
    body["metadata"] |= {"name": "candidate", "uid": "u-2"}
    body["status"] = {"run": {"id": "aaaaaaaaaa"}, "startTime": "2026-01-02T00:00:00Z"}
    return asyncio.run(read_baseline(api, read_benchmark(body)))


def why(found: Baseline | NoBaseline | None) -> str:
    assert isinstance(found, NoBaseline)
    return found.reason


def of_role(api: InMemoryApi, role: str) -> list[dict[str, Any]]:
    return [body for body in api.objects.values() if (body["metadata"].get("labels") or {}).get(ROLE) == role]


def test_a_whole_run_with_as_few_requests_as_it_has_objects(nightly: Operator) -> None:
    api = api_of(nightly)
    found = read(api)
    assert isinstance(found, Baseline)
    assert set(found.objects) == {"small", "large"}
    assert all(len(stored.stages[0]) == 6 for stored in found.objects.values())
    assert [(call.verb, call.kind) for call in api.calls] == [
        ("LIST", "ConfigMap"), ("GET", KIND), ("GET", "ConfigMap"), ("GET", "ConfigMap"), ("GET", "ConfigMap"),
    ]  # fmt: skip


def test_nothing_is_asked_where_there_is_no_reference() -> None:
    api = InMemoryApi()
    assert asyncio.run(read_baseline(api, read_benchmark(benchmark()))) is None
    assert api.calls == []


def test_what_is_not_there(nightly: Operator) -> None:
    assert why(read(InMemoryApi())) == "BaselineNotFound"
    assert why(read(InMemoryApi(nightly.body))) == "NoBaselineRun"
    assert why(read(api_of(nightly), runID="bbbbbbbbbb")) == "BaselineGone"


@pytest.mark.parametrize("role", [Role.SNAPSHOT, Role.RESULTS])
def test_what_only_says_that_it_belongs_to_the_benchmark_does_not_count(nightly: Operator, role: str) -> None:
    api = api_of(nightly)
    for body in of_role(api, role):
        body["metadata"]["ownerReferences"] = []
    assert why(read(api)) == ("NoBaselineRun" if role == Role.SNAPSHOT else "BaselineGone")


@pytest.mark.parametrize("data", [None, {RUN_KEY: "AAAA"}])
def test_a_record_that_cannot_be_read(nightly: Operator, data: Any) -> None:
    api = api_of(nightly)
    for body in of_role(api, Role.SNAPSHOT):
        body["binaryData"] = data
    assert why(read(api)) == "BaselineUnreadable"


@pytest.mark.parametrize("number", range(5))
def test_an_api_that_is_away_is_no_answer(nightly: Operator, number: int) -> None:
    """Nor is one that refuses: it is asked again, as for everything else."""
    for error in (UnavailableError("away"), AnswerError(403, "Forbidden", "no")):
        api = api_of(nightly)

        def refuses(_call: Call, api: InMemoryApi = api, error: Exception = error) -> Exception | None:
            return error if len(api.calls) > number else None

        api.refuses = refuses
        with pytest.raises(type(error)):
            read(api)
