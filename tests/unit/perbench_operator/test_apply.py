import asyncio
from typing import Any

import pytest

from perbench.api.resource import KIND
from perbench.api.status import Phase, Status
from perbench.objects.results import LaunchEnd
from perbench_operator.apply import Applier, RefusedError, claim_mistake, config_map_mistake
from perbench_operator.client import AnswerError, UnavailableError
from perbench_operator.decide.situation import (
    Action,
    Benchmark,
    CheckClaim,
    CheckConfigMap,
    Create,
    Delete,
    Discard,
    DryRun,
    Prune,
    RecordEnd,
    Seal,
)
from perbench_operator.names import OUTCOME, ROLE, Outcome, Role, RunIdentity, metadata, model_object, run_object
from perbench_operator.observed import Children
from perbench_operator.records import RecordCache
from perbench_operator.waves import waves
from tests.support.in_memory_api import Call, InMemoryApi

RUN = RunIdentity("bench", "team", "u", "r1")
BENCHMARK = Benchmark("bench", "team", "u", 1, None)
RESULTS = model_object(RUN, "m", Role.RESULTS)


def applier(api: InMemoryApi) -> Applier:
    return Applier(api, RecordCache(api))


def results(run: RunIdentity = RUN, name: str = RESULTS, **changes: Any) -> dict[str, Any]:
    about = metadata(run, name, Role.RESULTS, model="m") | {"creationTimestamp": "2026-01-01T00:00:00Z"}
    return {"kind": "ConfigMap", "metadata": about | changes}


def claim(*modes: str) -> dict[str, Any]:
    return {"spec": {"accessModes": list(modes)}}


@pytest.mark.parametrize("modes", [("ReadWriteMany",), ("ReadOnlyMany",), ("ReadWriteOnce", "ReadOnlyMany")])
def test_a_claim_that_several_nodes_can_mount_serves_any_number(modes: tuple[str, ...]) -> None:
    assert claim_mistake(CheckClaim("cache", "model m", 4), claim(*modes)) is None


@pytest.mark.parametrize("mode", ["ReadWriteOnce", "ReadWriteOncePod"])
def test_a_claim_of_one_node_serves_one_replica(mode: str) -> None:
    assert claim_mistake(CheckClaim("cache", "model m", 1), claim(mode)) is None
    mistake = claim_mistake(CheckClaim("cache", "model m", 2), claim(mode))
    assert mistake is not None
    assert mode in mistake
    assert "2 replicas" in mistake


def test_a_claim_that_is_not_there() -> None:
    mistake = claim_mistake(CheckClaim("cache", "model m", 1), None)
    assert mistake is not None
    assert "cache is not there" in mistake


def test_a_config_map_without_the_key_is_said_to_have_others() -> None:
    check = CheckConfigMap("questions", "items.jsonl", "task t")
    assert config_map_mistake(check, {"data": {"items.jsonl": ""}}) is None
    assert config_map_mistake(check, {"binaryData": {"items.jsonl": ""}}) is None
    expected = {
        "is not there": None, "has no key items.jsonl (it is empty)": {"data": None},
        "has no key items.jsonl (it has items.json, other)": {"data": {"other": "", "items.json": ""}},
    }  # fmt: skip
    for words, held in expected.items():
        mistake = config_map_mistake(check, held)
        assert mistake is not None
        assert mistake.startswith("task t: ConfigMap questions")
        assert words in mistake


@pytest.mark.parametrize(
    ("check", "reason"),
    [
        (CheckConfigMap("questions", "items.jsonl", "task t"), "ConfigMissing"),
        (CheckClaim("disk", "task t", 1), "InvalidClaim"),
    ],
)
def test_what_a_task_needs_and_is_not_there_is_named(check: CheckConfigMap | CheckClaim, reason: str) -> None:
    with pytest.raises(RefusedError, match=f"task t: .* {check.name} is not there") as raised:
        asyncio.run(applier(InMemoryApi()).act(BENCHMARK, None, check))
    assert raised.value.refusal.failure.reason == reason
    away = InMemoryApi()
    away.refuses = lambda _call: AnswerError(403, "Forbidden", "no")
    with pytest.raises(UnavailableError):
        asyncio.run(applier(away).act(BENCHMARK, None, check))


def test_what_is_there_is_taken_as_it_is_or_makes_place_for_what_holds_now() -> None:
    about = metadata(RUN, "plan", Role.PLAN)
    before, now = ({"kind": "ConfigMap", "metadata": about, "data": {"plan.json": words}} for words in ("old", "new"))
    api = InMemoryApi(before)
    asyncio.run(applier(api).act(BENCHMARK, RUN, Create(now)))
    assert asyncio.run(api.get("ConfigMap", "team", "plan"))["data"] == {"plan.json": "old"}
    asyncio.run(applier(api).act(BENCHMARK, RUN, Create(now, renew=True)))
    assert asyncio.run(api.get("ConfigMap", "team", "plan"))["data"] == {"plan.json": "new"}
    assert api.asked("DELETE", "ConfigMap") == ["plan"], "a plan is immutable"
    asked = len(api.calls)
    asyncio.run(applier(api).act(BENCHMARK, RUN, Create(now, renew=True)))
    assert [call.verb for call in api.calls[asked:]] == ["POST", "GET"], "it is that already"


def create(kind: str) -> Create:
    return Create({"kind": kind, "metadata": {"name": kind}})


def test_what_does_not_depend_on_each_other_is_done_at_once() -> None:
    actions: list[Action] = [
        DryRun({}, "a"), DryRun({}, "b"), create("Role"), create("RoleBinding"), create("Service"), create("Job"),
        Delete("Job", "x"), Delete("Service", "x"), Seal(("a",), "Failed"),
    ]  # fmt: skip
    kinds = [
        [a.manifest.get("kind") if isinstance(a, Create | DryRun) else type(a).__name__ for a in w]
        for w in waves(actions)
    ]
    assert kinds == [
        [None, None], ["Role", "Service"], ["RoleBinding", "Job"], ["Delete"], ["Delete"], ["Seal"],
    ]  # fmt: skip


def written(api: InMemoryApi, version: str | None = None) -> dict[str, Any] | None:
    return asyncio.run(applier(api).write_status(BENCHMARK, Status(phase=Phase.PENDING), version))


def test_a_status_is_not_written_over_a_benchmark_that_has_changed_since() -> None:
    api = InMemoryApi()
    read = api.put({"kind": KIND, "metadata": {"name": "bench", "namespace": "team", "uid": "u"}})
    api.put(read | {"spec": {"edited": True}})
    assert written(api, read["metadata"]["resourceVersion"]) is None
    assert "status" not in api.objects[KIND, "team", "bench"]
    assert written(api) is not None
    assert written(InMemoryApi()) is None, "it is gone"


@pytest.mark.parametrize(
    ("error", "quiet"),
    [
        (AnswerError(422, "Invalid", "the server rejected our request due to an error in our request"), True),
        (AnswerError(409, "Conflict", "the object has been modified"), True),
        (AnswerError(422, "Invalid", 'status.phase: Unsupported value: "Latest"', causes=1), False),
        (AnswerError(403, "Forbidden", "not allowed"), False),
    ],
    ids=["test", "conflict", "validation", "rights"],
)
def test_a_status_that_the_api_does_not_take_is_not_passed_over(error: AnswerError, *, quiet: bool) -> None:
    """What an API server really says to a failed test is tried in tests/apiserver/test_status_writes.py."""
    api = InMemoryApi()
    api.refuses = lambda _call: error
    if quiet:
        assert written(api) is None
    else:
        with pytest.raises(AnswerError):
            written(api)


def test_a_results_object_that_is_gone_is_made_again_at_the_next_look() -> None:
    api = InMemoryApi(results())
    records = RecordCache(api)

    async def run() -> None:
        assert "m" in await records.read(RUN, ["m"], Children())
        api.objects.clear()
        with pytest.raises(UnavailableError, match=RESULTS):
            await Applier(api, records).act(BENCHMARK, RUN, RecordEnd("m", LaunchEnd(round=0, order=0)))
        assert await records.read(RUN, ["m"], Children()) == {}

    asyncio.run(run())


@pytest.mark.parametrize("error", [AnswerError(403, "Forbidden", "no"), UnavailableError("away")])
@pytest.mark.parametrize("verb", ["LIST", "DELETE", "MERGE"])
def test_what_cannot_be_cleared_up_is_logged(error: Exception, verb: str, caplog: pytest.LogCaptureFixture) -> None:
    former = results(RunIdentity("bench", "team", "u", "r0"), "former")
    api = InMemoryApi(results(), former)
    api.refuses = lambda call: error if call.verb == verb else None
    for action in (Seal(("m",), Outcome.FAILED), Prune(0)):
        asyncio.run(applier(api).tidy(RUN, action))
    assert len(caplog.records) == {"LIST": 1, "DELETE": 1, "MERGE": 2}[verb]
    assert str(error) in caplog.text
    assert "former" in {name for _, _, name in api.objects} or verb == "MERGE"


def test_what_cannot_be_listed_stays_and_the_rest_goes(caplog: pytest.LogCaptureFixture) -> None:
    former = RunIdentity("bench", "team", "u", "r0")
    api = InMemoryApi(results(former, "former"))
    api.refuses = lambda call: UnavailableError("away") if (call.verb, call.kind) == ("LIST", "Job") else None
    asyncio.run(applier(api).tidy(RUN, Prune(0)))
    assert api.objects == {}
    assert caplog.text.count("not cleared away") == 1


def test_results_that_are_gone_need_no_seal(caplog: pytest.LogCaptureFixture) -> None:
    asyncio.run(applier(InMemoryApi()).tidy(RUN, Seal(("m",), Outcome.FAILED)))
    assert caplog.text == ""


def test_only_what_the_benchmark_owns_is_cleared_away() -> None:
    former = RunIdentity("bench", "team", "u", "r0")
    copied = {"ownerReferences": []}
    api = InMemoryApi(results(), results(former, "ours"), results(former, "copied", **copied))
    asyncio.run(applier(api).tidy(RUN, Prune(0)))
    assert sorted(name for _, _, name in api.objects) == sorted(["copied", RESULTS])


def test_of_runs_that_are_kept_it_stays_what_was_measured_and_what_was_asked() -> None:
    def left(run_id: str, made: str) -> list[dict[str, Any]]:
        run = RunIdentity("bench", "team", "u", run_id)
        about = {role: metadata(run, f"{run_id}-{role}", role) for role in (Role.RESULTS, Role.SNAPSHOT, Role.PLAN)}
        return [{"kind": "ConfigMap", "metadata": each | {"creationTimestamp": made}} for each in about.values()]

    pins = other_benchmark({"baselineRef": {"name": "bench", "runID": "r0"}})
    api = InMemoryApi(*left("r0", "2026-01-01"), *left("r2", "2026-01-02"), *left("r3", "2026-01-03"), pins)
    asyncio.run(applier(api).tidy(RUN, Prune(1)))
    kept = ["other", "r0-results", "r0-snapshot", "r3-results", "r3-snapshot"]
    assert sorted(name for _, _, name in api.objects) == kept


def other_benchmark(spec: dict[str, Any]) -> dict[str, Any]:
    return {"kind": KIND, "metadata": {"name": "other", "namespace": "team", "uid": "o"}, "spec": spec}


def test_a_run_that_is_somebodys_baseline_is_not_measured_anew_over_itself() -> None:
    former, pins = results(RunIdentity("bench", "team", "u", "r0"), "former"), {"name": "bench", "runID": "r0"}
    api = InMemoryApi(former, other_benchmark({"baselineRef": pins}))
    with pytest.raises(RefusedError, match="r0, is kept because a baselineRef names it") as raised:
        asyncio.run(applier(api).act(BENCHMARK, None, Discard("r0")))
    assert raised.value.refusal.failure.reason == "RunIsBaseline"
    assert ("ConfigMap", "team", "former") in api.objects
    free = InMemoryApi(former, other_benchmark({"baselineRef": pins | {"runID": "r9"}}))
    asyncio.run(applier(free).act(BENCHMARK, None, Discard("r0")))
    assert [name for _, _, name in free.objects] == ["other"]
    never = InMemoryApi(other_benchmark({"baselineRef": pins}))
    asyncio.run(applier(never).act(BENCHMARK, None, Discard("r0")))


def test_how_a_run_ended_is_noted() -> None:
    name = run_object(RUN, Role.SNAPSHOT)
    api = InMemoryApi(results(), {"kind": "ConfigMap", "metadata": metadata(RUN, name, Role.SNAPSHOT)})
    asyncio.run(applier(api).act(BENCHMARK, RUN, Seal(("m",), Outcome.SUCCEEDED)))
    labels = api.objects["ConfigMap", "team", name]["metadata"]["labels"]
    assert (labels[OUTCOME], labels[ROLE]) == ("Succeeded", Role.SNAPSHOT)
    assert api.objects["ConfigMap", "team", RESULTS]["immutable"] is True


def refused_create(error: AnswerError) -> InMemoryApi:
    api = InMemoryApi()
    api.refuses = lambda call: error if call.verb in {"POST", "DRY RUN"} else None
    return api


def test_a_conflict_that_is_no_name_is_tried_again() -> None:
    """The quota controller may be overtaken by another creation in the namespace."""
    error = AnswerError(
        409, "Conflict", "Operation cannot be fulfilled on resourcequotas: the object has been modified"
    )
    for action in (Create(results()), DryRun(results(), "m")):
        with pytest.raises(UnavailableError):
            asyncio.run(applier(refused_create(error)).act(BENCHMARK, RUN, action))


@pytest.mark.parametrize(
    ("words", "may_pass"),
    [
        ('User "system:serviceaccount:p:operator" cannot create resource "jobs" in API group "batch"', True),
        ('user "o" is attempting to grant RBAC permissions not currently held:', True),
        ("exceeded quota: q, requested: pods=1", False),
        ('admission webhook "pods.example.org" denied the request: no', False),
        ('violates PodSecurity "restricted:latest": hostPath volumes', False),
    ],
)
def test_a_right_of_the_operator_that_is_missing_may_only_be_not_known_yet(words: str, *, may_pass: bool) -> None:
    api = refused_create(AnswerError(403, "Forbidden", words))
    for action in (Create(results()), DryRun(results(), "m")):
        with pytest.raises(RefusedError) as raised:
            asyncio.run(applier(api).act(BENCHMARK, RUN, action))
        assert raised.value.may_pass is may_pass


def test_where_a_webhook_cannot_be_asked_beforehand_the_run_begins_all_the_same() -> None:
    action = DryRun(results(), "m")
    webhook = AnswerError(400, "BadRequest", 'admission webhook "pods.example.org" does not support dry run')
    asyncio.run(applier(refused_create(webhook)).act(BENCHMARK, RUN, action))
    with pytest.raises(RefusedError):
        asyncio.run(applier(refused_create(AnswerError(400, "BadRequest", "nonsense"))).act(BENCHMARK, RUN, action))


def test_an_object_of_the_name_is_taken_if_it_is_ours() -> None:
    ours = InMemoryApi(results())
    asyncio.run(applier(ours).act(BENCHMARK, RUN, Create(results())))
    assert ours.calls[-1] == Call("GET", "ConfigMap", RESULTS)
    with pytest.raises(RefusedError, match="does not belong"):
        asyncio.run(applier(InMemoryApi(results(ownerReferences=[]))).act(BENCHMARK, RUN, Create(results())))
