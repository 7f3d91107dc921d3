import asyncio
import contextlib
import copy
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from perbench.api.defaults import resolve_defaults
from perbench.api.identity import run_id
from perbench.api.resource import KIND
from perbench.api.status import Phase, RunStatus, Status
from perbench.grafana.annotations import RunAnnotation
from perbench.objects.run import RunRecord, kept_spec
from perbench_operator import reconcile
from perbench_operator.cache import Cache
from perbench_operator.client import AnswerError, UnavailableError
from perbench_operator.configuration import OperatorConfiguration
from perbench_operator.decide import Decision, Situation, decide
from perbench_operator.decide.begin import LOOK_SECONDS
from perbench_operator.decide.situation import (
    Baseline,
    Benchmark,
    Create,
    NoBaseline,
    Prune,
    Seal,
    Story,
    Told,
)
from perbench_operator.names import Role, RunIdentity, metadata, model_object
from perbench_operator.platform import Platform
from perbench_operator.reading import read_benchmark
from perbench_operator.reconcile import (
    COMPARING_SECONDS,
    DEAF_SECONDS,
    FORBIDDEN_SECONDS,
    OVERTAKEN_SECONDS,
    PASSES,
    RESYNC_SECONDS,
    Reconciler,
)
from tests.support.in_memory_api import Call, InMemoryApi
from tests.support.processes import until

NOW = datetime(2026, 1, 1, tzinfo=UTC)
START = "2026-01-01T00:00:00Z"
RUN_ID = "0123456789"


def benchmark(uid: str, phase: Phase | None, *, start: str = START, name: str = "", **status: Any) -> dict[str, Any]:
    """A benchmark with a run that is on, unless `status` says otherwise."""
    found: dict[str, Any] = {
        "apiVersion": "perbench.dev/v1alpha1",
        "kind": "PERBenchmark",
        "metadata": {
            "name": name or f"bench-{uid}", "namespace": "team-a", "uid": uid, "generation": 3, "managedFields": [],
        },
        "spec": {"models": [{"name": "a", "model": "gpt2"}], "tasks": [{"name": "t", "preset": "PackagedTopics"}]},
    }  # fmt: skip
    if phase is not None:
        found["status"] = {"phase": phase.value, "run": {"id": RUN_ID}, "startTime": start, **status}
    return found


def pod(uid: str, name: str = "pod", **status: Any) -> dict[str, Any]:
    """A pod of a model of the benchmark `uid`."""
    run = RunIdentity(f"bench-{uid}", "team-a", uid, RUN_ID)
    return {"kind": "Pod", "metadata": metadata(run, name, Role.MODEL) | {"uid": f"{uid}-{name}"}, "status": status}


class Desk:
    """A reconciler over an API in memory. What is decided is what the test says."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.api = InMemoryApi()
        self.cache = Cache()
        self.time = 1_000.0
        self.situations: list[Situation] = []
        self.decide: Callable[[Situation], Decision] = lambda _situation: Decision()
        platform = Platform(bench_image="bench:1")
        self.reconciler = Reconciler(
            self.api,
            self.cache,
            OperatorConfiguration(max_concurrent_models=1, platform=platform),
            lambda: self.time,
            lambda: NOW,
        )
        monkeypatch.setattr(reconcile, "decide", self._decide)

    def _decide(self, situation: Situation) -> Decision:
        self.situations.append(situation)
        return self.decide(situation)

    def knows(self, *bodies: dict[str, Any]) -> None:
        """These are there, and have come through the watch."""
        for each in bodies:
            self.hears("ADDED", self.api.put(each))

    def hears(self, event: str | None, each: dict[str, Any]) -> None:
        self.reconciler.received(each["kind"], event, copy.deepcopy(each))

    def loses(self, kind: str, name: str) -> dict[str, Any]:
        """Something is deleted. No watch tells of it."""
        return self.api.objects.pop((kind, "team-a", name))

    def look(self, uid: str) -> float | None:
        return asyncio.run(self.reconciler.reconcile(uid))

    def woken(self) -> list[str]:
        """Who was to be looked at, until now."""

        async def take() -> list[str]:
            found = []
            while (uid := await self.reconciler.queue.take(0.0)) is not None:
                found.append(uid)
                self.reconciler.queue.done(uid)
            return found

        return asyncio.run(take())


@pytest.fixture
def desk(monkeypatch: pytest.MonkeyPatch) -> Desk:
    return Desk(monkeypatch)


def test_a_benchmark_that_vanished_unnoticed_is_noticed(desk: Desk) -> None:
    desk.knows(benchmark("a", Phase.QUEUED), benchmark("b", Phase.QUEUED))
    gone = desk.loses(KIND, "bench-a")
    desk.woken()
    assert desk.look("a") is None
    assert list(desk.cache.benchmarks) == ["b"]
    assert desk.woken() == ["b"], "it may be its turn now"
    assert desk.situations == []
    desk.hears("MODIFIED", gone)
    assert list(desk.cache.benchmarks) == ["b"]


def test_after_the_api_was_away_silence_counts_anew(desk: Desk) -> None:
    desk.knows(benchmark("a", Phase.MEASURING), pod("a"))
    desk.look("a")
    began = desk.situations[-1].children.pods[0].heard
    desk.api.refuses = lambda _call: UnavailableError("away")
    desk.time += DEAF_SECONDS / 2
    with pytest.raises(UnavailableError):
        desk.look("a")
    desk.api.refuses = lambda _call: None
    desk.look("a")
    assert desk.situations[-1].children.pods[0].heard == began, "it was away for a moment only"
    desk.time += DEAF_SECONDS + 1
    desk.look("a")
    heard = desk.situations[-1].children.pods[0].heard
    assert heard is not None
    assert began is not None
    assert heard > began


def test_another_benchmark_of_the_name_is_not_the_same(desk: Desk) -> None:
    desk.knows(benchmark("a", Phase.MEASURING))
    desk.api.put(benchmark("b", None, name="bench-a"))
    assert desk.look("a") is None
    assert list(desk.cache.benchmarks) == []


def test_an_edit_that_no_watch_told_of_is_seen(desk: Desk) -> None:
    desk.knows(benchmark("a", Phase.MEASURING))
    edited = benchmark("a", Phase.MEASURING)
    edited["metadata"]["generation"] = 4
    desk.api.put(edited)
    assert desk.look("a") == RESYNC_SECONDS
    assert [situation.benchmark.generation for situation in desk.situations] == [4]
    desk.look("a")
    assert desk.api.asked("GET", KIND) == ["bench-a"], "not at every look"
    desk.time += RESYNC_SECONDS
    desk.look("a")
    assert desk.api.asked("GET", KIND) == ["bench-a"] * 2


def test_pods_that_vanished_unnoticed_hold_no_place_even_if_their_run_has_ended(desk: Desk) -> None:
    desk.knows(
        benchmark("a", Phase.FAILED, completionTime=START), benchmark("b", Phase.QUEUED), pod("a", phase="Running")
    )
    assert desk.cache.holders() == {"a"}
    assert desk.look("a") == RESYNC_SECONDS
    desk.loses("Pod", "pod")
    desk.woken()
    desk.time += RESYNC_SECONDS
    assert desk.look("a") is None
    assert desk.cache.holders() == set()
    assert desk.woken() == ["b"]


def test_pods_of_a_deleted_benchmark_are_listed_until_they_have_ended(desk: Desk) -> None:
    desk.knows(benchmark("a", Phase.MEASURING), pod("a", phase="Running"))
    desk.hears("DELETED", desk.loses(KIND, "bench-a"))
    assert desk.look("a") == RESYNC_SECONDS
    desk.loses("Pod", "pod")
    desk.time += RESYNC_SECONDS
    assert desk.look("a") is None
    assert desk.cache.holders() == set()
    assert desk.api.asked("GET", KIND) == []
    assert desk.situations == []


def test_what_is_known_before_its_benchmark_is_waited_for_before_it_is_asked_for(desk: Desk) -> None:
    desk.knows(pod("a", phase="Running"))
    assert desk.look("a") == RESYNC_SECONDS
    assert desk.api.calls == []
    desk.time += RESYNC_SECONDS
    assert desk.look("a") == RESYNC_SECONDS, "its pod holds a place"
    assert desk.cache.is_gone("a")


def test_a_suspended_run_that_has_nothing_is_not_looked_at_again_and_again(desk: Desk) -> None:
    desk.knows(benchmark("a", Phase.SUSPENDED), benchmark("b", Phase.SUSPENDED), pod("b", phase="Running"))
    assert (desk.look("a"), desk.look("b")) == (None, RESYNC_SECONDS)
    assert desk.api.asked("GET", KIND) == ["bench-b"]


def test_only_those_who_wait_are_before_others(desk: Desk) -> None:
    """Runs on endpoints started earlier, take no places and want none."""
    early = "2025-12-31T00:00:00Z"
    desk.knows(
        benchmark("endpoint", Phase.MEASURING, start=early), benchmark("next", Phase.QUEUED),
        benchmark("later", Phase.QUEUED, start="2026-01-02T00:00:00Z"),
        benchmark("new", Phase.PENDING, start="2026-01-01T12:00:00Z"),
    )  # fmt: skip
    for uid in ("later", "new", "next"):
        desk.look(uid)
    assert {each.benchmark.uid: each.may_start for each in desk.situations} == {
        "later": False, "new": False, "next": True,
    }  # fmt: skip


def test_who_waits_learns_who_has_the_places(desk: Desk) -> None:
    kept = benchmark("kept", Phase.FAILED, completionTime="2026-01-01T01:00:00Z")
    desk.knows(
        benchmark("a", Phase.QUEUED), benchmark("z", Phase.MEASURING), kept, benchmark("idle", Phase.MEASURING),
        pod("z", phase="Running"), pod("kept", phase="Running"), pod("gone", phase="Running"),
    )  # fmt: skip
    desk.look("a")
    assert desk.situations[-1].holders == (
        "team-a/bench-gone, which is deleted", "team-a/bench-kept (its run is over, its model still there)",
        "team-a/bench-z",
    )  # fmt: skip
    assert not desk.situations[-1].may_start


def test_a_place_that_becomes_free_wakes_who_waits(desk: Desk) -> None:
    desk.knows(benchmark("a", Phase.MEASURING), benchmark("b", Phase.QUEUED), pod("a", phase="Running"))
    desk.woken()
    desk.hears("MODIFIED", desk.api.put(pod("a", phase="Running", message="still there")))
    assert "b" not in desk.woken()
    desk.hears("MODIFIED", desk.api.put(pod("a", phase="Succeeded")))
    assert desk.woken() == ["a", "b"]


def test_who_leaves_the_queue_wakes_who_waits(desk: Desk) -> None:
    desk.knows(benchmark("a", Phase.QUEUED), benchmark("b", Phase.QUEUED))
    desk.woken()
    desk.hears("DELETED", desk.loses(KIND, "bench-a"))
    assert desk.woken() == ["a", "b"]


def test_who_is_being_deleted_wakes_who_waits_before_it_is_gone(desk: Desk) -> None:
    desk.knows(benchmark("a", Phase.QUEUED), benchmark("b", Phase.QUEUED))
    desk.woken()
    leaving = benchmark("a", Phase.QUEUED)
    leaving["metadata"]["deletionTimestamp"] = START
    desk.hears("MODIFIED", desk.api.put(leaving))
    assert desk.woken() == ["a", "b"]


@pytest.mark.parametrize("first", ["Pod", KIND])
def test_who_is_just_being_queued_is_woken_as_well(desk: Desk, first: str) -> None:
    """Whoever was before it goes between the look and the writing of what came of it."""
    before = Phase.MEASURING if first == "Pod" else Phase.QUEUED
    desk.knows(benchmark("a", before), benchmark("b", Phase.PENDING))
    name = "bench-a"
    if first == "Pod":
        desk.knows(pod("a", phase="Running"))
        name = "pod"
    desk.woken()
    queued = BEGUN.model_copy(update={"phase": Phase.QUEUED})
    desk.decide = lambda situation: Decision(status=queued) if situation.benchmark.uid == "b" else Decision()

    def goes(call: Call) -> None:
        if call.verb == "STATUS":
            desk.hears("DELETED", desk.loses(first, name))

    desk.api.refuses = goes
    desk.look("b")
    assert "b" in desk.woken(), "not after half a minute"


def test_an_event_that_says_nothing_new_starts_no_look(desk: Desk) -> None:
    desk.knows(benchmark("a", Phase.MEASURING))
    assert desk.woken() == ["a"]
    desk.hears("MODIFIED", desk.api.objects[KIND, "team-a", "bench-a"])
    assert desk.woken() == []


BEGUN = Status(phase=Phase.PENDING, run=RunStatus(id=RUN_ID), start_time=NOW)


def test_a_run_does_not_begin_with_a_spec_that_was_edited_meanwhile(desk: Desk) -> None:
    desk.knows(benchmark("a", None))
    edited = benchmark("a", None)
    edited["metadata"]["generation"] = 4
    desk.api.put(edited)
    desk.decide = lambda _situation: Decision(status=BEGUN, story=(Story("RunStarted", "run r1"),), wake_after=0.0)
    assert desk.look("a") == OVERTAKEN_SECONDS
    assert "status" not in desk.api.objects[KIND, "team-a", "bench-a"]
    assert desk.api.asked("POST") == [], "nothing is told that is not so"
    desk.decide = lambda situation: Decision(status=BEGUN) if situation.benchmark.status is None else Decision()
    desk.look("a")
    assert desk.situations[-1].benchmark.generation == 4
    assert desk.api.objects[KIND, "team-a", "bench-a"]["status"]["phase"] == "Pending"


def test_a_run_begins_once_its_dataset_is_there(desk: Desk) -> None:
    dataset = {"configMap": {"name": "questions", "key": "a.jsonl"}, "scoring": {"scorer": "Contains"}}
    accelerator = {"resource": "nvidia.com/gpu", "count": 1}
    waiting = benchmark("a", None)
    waiting["spec"] |= {"tasks": [{"name": "t", "dataset": dataset}], "serving": {"accelerator": accelerator}}
    desk.knows(waiting)
    desk.decide = decide
    assert desk.look("a") == LOOK_SECONDS
    status = desk.api.objects[KIND, "team-a", "bench-a"]["status"]
    assert status["conditions"][0]["reason"] == "ConfigMissing"
    assert "startTime" not in status
    assert desk.api.asked("POST", "Job") == []
    desk.api.put(
        {"kind": "ConfigMap", "metadata": {"name": "questions", "namespace": "team-a"}, "data": {"a.jsonl": ""}}
    )
    desk.look("a")
    status = desk.api.objects[KIND, "team-a", "bench-a"]["status"]
    assert status["conditions"][0]["status"] == "True"
    assert "refused" not in status
    assert len(desk.api.asked("POST", "Job")) == 1


def test_a_run_that_is_on_goes_on_whatever_is_edited(desk: Desk) -> None:
    desk.knows(benchmark("a", Phase.PENDING))
    desk.look("a")
    desk.api.put(benchmark("a", Phase.PENDING))
    desk.decide = lambda _situation: Decision(status=BEGUN.model_copy(update={"phase": Phase.MEASURING}))
    desk.look("a")
    assert desk.api.objects[KIND, "team-a", "bench-a"]["status"]["phase"] == "Measuring"


def test_a_run_that_has_ended_is_written_down_told_and_only_then_cleared_up(desk: Desk) -> None:
    desk.knows(benchmark("a", Phase.MEASURING))
    ended = BEGUN.model_copy(update={"phase": Phase.SUCCEEDED, "completion_time": NOW})
    decision = Decision((Seal(("a",), "Succeeded"), Prune(1)), ended, (Story("RunSucceeded", "done"),))
    desk.decide = lambda situation: Decision() if situation.benchmark.status == ended else decision
    desk.api.refuses = lambda call: AnswerError(403, "Forbidden", "no") if call.verb == "MERGE" else None
    desk.look("a")
    verbs = [call.verb for call in desk.api.calls]
    assert verbs.index("MERGE") < verbs.index("STATUS") < verbs.index("POST") < verbs.index("LIST", verbs.index("POST"))
    assert len(desk.situations) == 2, "the spec may have been edited while it was on"


def test_results_of_a_run_that_has_ended_are_read_again_when_they_are_needed_again(desk: Desk) -> None:
    spec = read_benchmark(benchmark("a", None)).spec
    assert spec is not None
    own = RunStatus(id=run_id("a", spec))
    run = RunIdentity("bench-a", "team-a", "a", own.id)
    name = model_object(run, "a", Role.RESULTS)
    desk.knows(benchmark("a", Phase.MEASURING, run={"id": own.id}))
    desk.api.put({"kind": "ConfigMap", "metadata": metadata(run, name, Role.RESULTS)})
    desk.look("a")
    desk.look("a")
    assert desk.api.asked("GET").count(name) == 1
    ended = BEGUN.model_copy(
        update={"run": own, "phase": Phase.SUCCEEDED, "completion_time": NOW, "observed_generation": 3}
    )
    desk.decide = lambda situation: Decision(status=ended) if situation.benchmark.generation == 3 else Decision()
    desk.look("a")
    edited = desk.api.objects[KIND, "team-a", "bench-a"]
    edited["metadata"]["generation"] = 4
    desk.hears("MODIFIED", desk.api.put(edited))
    desk.look("a")
    assert desk.api.asked("GET").count(name) == 2
    edited = desk.api.objects[KIND, "team-a", "bench-a"]
    edited["metadata"]["generation"] = 5
    edited["spec"]["models"].append({"name": "b", "model": "gpt2"})
    desk.decide = lambda _situation: Decision()
    desk.hears("MODIFIED", desk.api.put(edited))
    desk.look("a")
    assert desk.api.asked("GET").count(name) == 2, "another run is asked for"


def test_who_can_go_on_at_once_does_so_even_after_many_looks(desk: Desk) -> None:
    desk.knows(benchmark("a", Phase.MEASURING))
    desk.decide = lambda _situation: Decision(wake_after=0.0)
    assert desk.look("a") == 0.0
    assert len(desk.situations) == PASSES


def test_nothing_is_left_to_do_for_a_benchmark_that_is_gone(desk: Desk) -> None:
    desk.knows(benchmark("a", Phase.MEASURING))
    desk.woken()
    desk.reconciler.queue.add("a", after=5.0)
    desk.hears("DELETED", desk.loses(KIND, "bench-a"))
    assert desk.look("a") is None
    desk.time += 10.0
    assert desk.woken() == []


def test_a_model_that_could_not_be_made_gives_its_place_back(desk: Desk) -> None:
    desk.knows(benchmark("a", Phase.PENDING), benchmark("b", Phase.QUEUED))
    desk.woken()
    run = RunIdentity("bench-a", "team-a", "a", RUN_ID)
    job = {"kind": "Job", "metadata": metadata(run, "model", Role.MODEL)}
    desk.decide = lambda _situation: Decision((Create(job),))
    desk.api.refuses = lambda call: UnavailableError("away") if call == Call("POST", "Job", "model") else None
    with pytest.raises(UnavailableError):
        desk.look("a")
    assert desk.woken() == ["b"]
    desk.api.refuses = lambda _call: None
    desk.look("a")
    assert (desk.cache.holders(), desk.woken()) == ({"a"}, [])


def test_a_right_that_is_not_known_yet_ends_no_model(desk: Desk) -> None:
    """An API server that has just started refuses for some seconds what it will allow."""
    desk.knows(benchmark("a", Phase.PENDING))
    job = {"kind": "Job", "metadata": metadata(RunIdentity("bench-a", "team-a", "a", RUN_ID), "model", Role.MODEL)}
    desk.decide = lambda situation: Decision() if situation.refusal else Decision((Create(job),))
    no = AnswerError(403, "Forbidden", 'User "operator" cannot create resource "jobs" in API group "batch"')
    desk.api.refuses = lambda call: no if call.verb == "POST" else None
    for _ in range(2):
        with pytest.raises(UnavailableError, match="cannot create"):
            desk.look("a")
        desk.time += FORBIDDEN_SECONDS - 1
    desk.api.refuses = lambda _call: None
    desk.look("a")
    assert [situation.refusal for situation in desk.situations] == [None] * 3
    desk.api.refuses = lambda call: no if call.verb == "POST" else None
    with pytest.raises(UnavailableError, match="cannot create"):
        desk.look("a")
    desk.time += FORBIDDEN_SECONDS
    desk.look("a")
    refusal = desk.situations[-1].refusal
    assert refusal is not None
    assert refusal.failure.reason == "Forbidden"


def test_a_finished_benchmark_that_vanished_unnoticed_is_noticed_by_a_list(desk: Desk) -> None:
    """Nobody looks at it any more, but its results would be told for ever."""
    desk.knows(benchmark("a", Phase.SUCCEEDED, completionTime=START), benchmark("b", Phase.SUCCEEDED))
    desk.loses(KIND, "bench-a")
    desk.woken()
    listed = asyncio.run(desk.api.list(KIND, None, metadata_only=True))
    assert [set(each) for each in listed.items] == [{"metadata"}]
    desk.reconciler.listed(None, {each["metadata"]["uid"] for each in listed.items}, listed.version)
    assert list(desk.cache.benchmarks) == ["b"]
    assert desk.woken() == ["a"]
    assert desk.look("a") is None


def test_looks_are_counted_with_those_that_failed(desk: Desk) -> None:
    desk.knows(benchmark("a", Phase.SUCCEEDED), benchmark("b", Phase.SUCCEEDED), benchmark("c", Phase.SUCCEEDED))

    def decide(situation: Situation) -> Decision:
        desk.time += 3.0
        if situation.benchmark.uid == "b":
            raise UnavailableError("away")
        if situation.benchmark.uid == "c":
            raise KeyError("a mistake of ours")
        return Decision()

    looks = desk.reconciler.looks

    async def work() -> None:
        working = asyncio.create_task(desk.reconciler.work(lambda: None))
        await until(lambda: sum(looks.counts) == len(desk.situations) >= 3)
        working.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await working

    desk.decide = decide
    asyncio.run(work())
    failed = [each for each in desk.situations if each.benchmark.uid != "a"]
    assert len(desk.situations) > len(failed) >= 2
    assert (sum(looks.counts), looks.errors) == (len(desk.situations), len(failed))
    assert looks.seconds == 3.0 * len(desk.situations)


class Grafana:
    """Told of a run, it has an answer."""

    def __init__(self, told: Told | None = None) -> None:
        self.told = told
        self.looked_at: list[str] = []
        self.forgotten: list[str] = []

    def look(self, benchmark: Benchmark) -> Told | None:
        self.looked_at.append(benchmark.uid)
        return self.told

    def forget(self, uid: str) -> None:
        self.forgotten.append(uid)


def test_what_came_of_telling_grafana_is_part_of_the_situation(desk: Desk) -> None:
    desk.knows(benchmark("a", Phase.MEASURING))
    desk.look("a")
    assert (desk.situations[-1].annotates, desk.situations[-1].told) == (False, None)
    annotation = RunAnnotation(namespace="team-a", benchmark="bench-a", run_id=RUN_ID, start=NOW, text="is on")
    grafana = desk.reconciler.grafana = Grafana(Told(annotation))
    desk.look("a")
    assert (desk.situations[-1].annotates, desk.situations[-1].told) == (True, grafana.told)
    assert grafana.looked_at == ["a"]


def test_grafana_hears_of_a_benchmark_that_is_gone_and_not_of_one_that_has_not_come(desk: Desk) -> None:
    grafana = desk.reconciler.grafana = Grafana()
    desk.look("a")
    assert grafana.forgotten == []
    found = benchmark("a", Phase.MEASURING)
    desk.knows(found)
    desk.hears("DELETED", desk.loses(KIND, "bench-a"))
    desk.look("a")
    assert grafana.forgotten == ["a"]


def test_a_benchmark_whose_deletion_no_watch_told_is_gone_for_grafana_too(desk: Desk) -> None:
    grafana = desk.reconciler.grafana = Grafana()
    desk.knows(benchmark("a", Phase.MEASURING))
    desk.look("a")
    desk.loses(KIND, "bench-a")
    desk.time += RESYNC_SECONDS
    desk.look("a")
    assert grafana.forgotten == ["a"]


def ended_with_baseline(uid: str, **reference: str) -> dict[str, Any]:
    """A run that has ended and is to be compared with the run before."""
    found = benchmark(uid, Phase.SUCCEEDED, completionTime=START)
    found["spec"]["baselineRef"] = {"name": f"bench-{uid}"} | reference
    asked = read_benchmark(found)
    assert asked.spec is not None
    word = {
        "type": "Regressed",
        "status": "Unknown",
        "reason": "NotCompared",
        "message": "",
        "lastTransitionTime": START,
    }
    found["status"] |= {"run": {"id": run_id(uid, asked.spec)}, "observedGeneration": 3, "conditions": [word]}
    return found


def test_a_baseline_that_cannot_be_read_now_is_read_later(desk: Desk) -> None:
    desk.knows(ended_with_baseline("a"))
    desk.api.refuses = lambda call: UnavailableError("away") if "role=snapshot" in call.labels else None
    with pytest.raises(UnavailableError):
        desk.look("a")
    assert desk.situations == []
    desk.api.refuses = lambda _call: None
    desk.look("a")
    baseline = desk.situations[-1].baseline
    assert isinstance(baseline, NoBaseline)
    assert baseline.reason == "NoBaselineRun"


def test_only_a_run_that_is_to_be_compared_has_its_baseline_read(desk: Desk) -> None:
    settled = ended_with_baseline("a")
    settled["status"]["conditions"][0]["reason"] = "NoRegression"
    on = benchmark("b", Phase.MEASURING)
    on["spec"]["baselineRef"] = {"name": "bench-b"}
    desk.knows(settled, on)
    for uid in ("a", "b"):
        desk.look(uid)
    assert [situation.baseline for situation in desk.situations] == [None, None]
    assert not any("role=snapshot" in call.labels for call in desk.api.calls)


def test_one_comparison_at_a_time(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two of the largest at once would not fit into the operator's memory."""
    reading: list[str] = []
    go_on = asyncio.Event()

    async def found(_api: object, asking: Benchmark) -> NoBaseline:
        reading.append(asking.uid)
        await go_on.wait()
        return NoBaseline("BaselineGone", "")

    monkeypatch.setattr(reconcile, "read_baseline", found)
    desk.knows(ended_with_baseline("a"), ended_with_baseline("b"))

    async def both() -> float | None:
        first = asyncio.create_task(desk.reconciler.reconcile("a"))
        await until(lambda: reading == ["a"])
        after = await desk.reconciler.reconcile("b")
        go_on.set()
        await first
        await desk.reconciler.reconcile("b")
        return after

    assert asyncio.run(both()) == COMPARING_SECONDS
    assert reading == ["a", "b"]


def test_two_runs_are_compared_beside_the_working_loop(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """The largest take seconds, in which others are looked at and probes are answered."""
    spec = read_benchmark(benchmark("a", None)).spec
    assert spec is not None
    record = RunRecord(
        name="bench-a", run_id=RUN_ID, spec=kept_spec(spec), resolved=resolve_defaults(spec, local=False),
        start_time=NOW, provenance={},
    )  # fmt: skip

    async def found(*_: object) -> Baseline:
        return Baseline(record, {})

    monkeypatch.setattr(reconcile, "read_baseline", found)
    where = []

    def decided(situation: Situation) -> Decision:
        where.append((situation.baseline is not None, threading.current_thread() is threading.main_thread()))
        return Decision()

    desk.decide = decided
    desk.knows(ended_with_baseline("a"), benchmark("b", Phase.MEASURING))
    for uid in ("a", "b"):
        desk.look(uid)
    assert where == [(True, False), (False, True)]
