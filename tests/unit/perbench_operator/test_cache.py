import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from perbench.api.resource import KIND
from perbench.objects.progress import BenchProgress
from perbench_operator import cache as caches
from perbench_operator.cache import Cache, selector
from perbench_operator.health import Health
from perbench_operator.names import Role
from perbench_operator.work import prime
from tests.support.in_memory_api import InMemoryApi

Body = dict[str, Any]


def benchmark(version: int = 5, uid: str = "u", namespace: str = "team") -> Body:
    return {
        "kind": KIND,
        "metadata": {"uid": uid, "name": "bench", "namespace": namespace, "resourceVersion": str(version)},
    }


def child(kind: str, version: int, name: str = "x", *, role: str = Role.MODEL, **metadata: Any) -> Body:
    owner = {"kind": "Job", "uid": "j"} if kind == "Pod" else {"kind": KIND, "uid": "u"}
    about = {
        "uid": f"{kind}-{name}", "name": name, "namespace": "team", "resourceVersion": str(version),
        "labels": {"perbench.dev/uid": "u", "perbench.dev/role": role},
        "annotations": {"perbench.dev/benchmark": "bench"}, "ownerReferences": [owner],
    }  # fmt: skip
    return {"kind": kind, "metadata": about | metadata}


def ended(body: Body) -> Body:
    return body | {"status": {"conditions": [{"type": "Failed", "status": "True"}]}}


def progress(version: int, **changes: Any) -> Body:
    said = {"round": 0, "attempt": 0, "state": "Measuring", "recorded": 1, "updatedAt": "2026-01-01T00:00:00Z"}
    word = BenchProgress.model_validate(said | changes)
    return child("ConfigMap", version, "p", role=Role.PROGRESS) | {"data": word.data()}


def names(cache: Cache, uid: str = "u") -> list[str]:
    found = cache.children(uid)
    return [*(job.name for job in found.jobs), *(pod.name for pod in found.pods), *found.progress]


def test_a_benchmark_that_was_deleted_does_not_come_back_with_a_late_answer() -> None:
    cache = Cache()
    assert cache.benchmark(None, benchmark(5)) == "u"
    assert cache.benchmark("DELETED", benchmark(7)) == "u"
    assert cache.benchmark(None, benchmark(6)) is None
    assert cache.benchmark("MODIFIED", benchmark(8)) is None
    assert cache.benchmarks == {}
    assert cache.benchmark("ADDED", benchmark(9, uid="v")) == "v"


def test_of_a_benchmark_only_a_newer_version_is_news() -> None:
    cache = Cache()
    assert [cache.benchmark(None, benchmark(version)) for version in (5, 5, 4, 6)] == ["u", None, None, "u"]


def test_deleted_objects_are_not_remembered_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(caches, "REMEMBERED", 2)
    cache = Cache()
    for uid in ("a", "b", "c"):
        cache.gone(uid)
    assert [cache.is_gone(uid) for uid in ("a", "b", "c")] == [False, True, True]


def test_an_older_answer_does_not_replace_a_newer_child() -> None:
    cache = Cache()
    cache.child("Job", "MODIFIED", ended(child("Job", 9)))
    assert cache.child("Job", None, child("Job", 8)) is None
    assert cache.children("u").jobs[0].finished


def test_a_child_that_was_deleted_does_not_come_back_with_a_late_answer_or_list() -> None:
    cache = Cache()
    cache.child("Job", "ADDED", child("Job", 5))
    assert cache.child("Job", "DELETED", child("Job", 9)) == "u"
    assert cache.child("Job", None, child("Job", 5)) is None
    cache.replace("u", "Job", "team", [child("Job", 5)], 8)
    assert names(cache) == []


def test_the_end_of_a_former_object_does_not_take_its_successor_away() -> None:
    cache = Cache()
    cache.child("Job", "ADDED", child("Job", 9, uid="second"))
    assert cache.child("Job", "DELETED", child("Job", 8, uid="first")) is None
    assert cache.child("Job", "MODIFIED", child("Job", 7, uid="first")) is None
    assert [job.uid for job in cache.children("u").jobs] == ["second"]


def test_a_list_replaces_what_is_known_from_before_it_and_nothing_heard_since() -> None:
    cache = Cache()
    for name, version in (("vanished", 5), ("newer", 12), ("ended", 13)):
        cache.child("Pod", "ADDED", child("Pod", version, name))
    cache.child("Job", "ADDED", child("Job", 5, "job"))
    cache.child("Pod", "ADDED", child("Pod", 4, "elsewhere", namespace="other"))
    cache.child("Pod", "MODIFIED", child("Pod", 14, "ended") | {"status": {"phase": "Failed"}})
    cache.replace("u", "Pod", "team", [child("Pod", 6, "listed"), child("Pod", 7, "ended")], 10)
    assert names(cache) == ["job", "elsewhere", "ended", "listed", "newer"]
    assert next(pod for pod in cache.children("u").pods if pod.name == "ended").over


def test_children_in_other_namespaces_are_not_the_benchmarks() -> None:
    """A label can be copied anywhere; until the benchmark is known nobody can tell which is the right one."""
    cache = Cache()
    for namespace in ("team", "copy"):
        cache.child("Pod", None, child("Pod", 5, namespace=namespace, uid=namespace))
    cache.child("Pod", None, child("Pod", 5, "other", namespace="copy", uid="another"))
    cache.benchmark(None, benchmark())
    assert names(cache) == ["x"]
    assert cache.holds("u")
    cache.child("Pod", "DELETED", child("Pod", 9, namespace="copy", uid="copy"))
    assert names(cache) == ["x"]
    cache.child("Pod", "DELETED", child("Pod", 10, uid="team"))
    assert names(cache) == []
    assert not cache.holds("u")


@pytest.mark.parametrize("kind", ["Job", "ConfigMap"])
@pytest.mark.parametrize(
    "owners", [[], [{"kind": KIND, "uid": "another"}], [{"kind": "ConfigMap", "uid": "u"}]], ids=["none", "uid", "kind"]
)
def test_what_the_benchmark_does_not_own_is_not_its_child(kind: str, owners: list[Body]) -> None:
    cache = Cache()
    role = Role.PROGRESS if kind == "ConfigMap" else Role.MODEL
    body = child(kind, 5, role=role, ownerReferences=owners) | {"data": progress(5)["data"]}
    assert cache.child(kind, None, body) is None
    assert names(cache) == []


def test_a_body_that_cannot_be_read_is_left_out_and_named_once(caplog: pytest.LogCaptureFixture) -> None:
    bad = child("Pod", 5, "bad") | {"status": {"containerStatuses": "none"}}
    cache = Cache()
    cache.replace("u", "Pod", "team", [bad, child("Pod", 5, "good")], 9)
    cache.child("Pod", "MODIFIED", bad)
    asyncio.run(prime(InMemoryApi(bad, child("Pod", 5, "primed")), cache, (), Health(0.0)))
    assert names(cache) == ["good", "primed"]
    assert caplog.text.count("Pod team/bad: left out") == 1


def test_results_objects_are_not_listed_at_the_start() -> None:
    """They may have a megabyte each."""
    api = InMemoryApi()
    asyncio.run(prime(api, Cache(), ("team",), Health(0.0)))
    assert [call.labels for call in api.calls] == [selector("Job"), selector("Pod"), selector("ConfigMap")]
    assert selector("ConfigMap") == "perbench.dev/uid,perbench.dev/role=progress"


def test_of_progress_only_what_decisions_depend_on_is_news() -> None:
    cache = Cache()
    told = [
        progress(1), progress(2, message="40 of 200"), progress(3, updatedAt="2026-01-01T00:01:00Z"),
        progress(4, recorded=2), progress(5, recorded=2, attempt=1), progress(6, recorded=2, attempt=1, round=1),
        progress(7, recorded=2, attempt=1, round=1, state="Finished"),
    ]  # fmt: skip
    news = [cache.child("ConfigMap", "MODIFIED", body) for body in told]
    assert news == ["u", None, None, "u", "u", "u", "u"]
    assert cache.children("u").progress["p"].updated_at.minute == 0, "the latest is known all the same"


def test_when_something_was_heard_is_by_the_operators_clock() -> None:
    now = [datetime(2026, 1, 1, tzinfo=UTC)]
    cache = Cache(lambda: now[0])

    def heard() -> list[int | None]:
        """Minutes: of the progress object, of the pod."""
        seen = cache.children("u")
        times = [seen.heard.get("p"), seen.pods[0].heard if seen.pods else None]
        return [None if time is None else time.minute for time in times]

    runs = {"containerStatuses": [{"name": "model", "state": {"running": {"startedAt": "2020-01-01T00:00:00Z"}}}]}
    events = [
        (progress(1), [1, None]),
        (child("Pod", 2), [1, 2]),
        (progress(3), [1, 2]),
        (progress(4, updatedAt="2020-01-01T00:00:00Z"), [4, 2]),
        (child("Pod", 5) | {"status": runs}, [4, 5]),
        (child("Pod", 6) | {"status": runs | {"podIP": "10.0.0.1"}}, [4, 5]),
    ]
    for body, expected in events:
        now[0] += timedelta(minutes=1)
        cache.child("ConfigMap" if "data" in body else "Pod", "MODIFIED", body)
        assert heard() == expected
    now[0] += timedelta(minutes=1)
    cache.was_deaf("u")
    assert heard() == [7, 7]


def test_a_pod_on_a_node_that_does_not_answer_holds_its_place_for_minutes_and_not_for_ever() -> None:
    now = [datetime(2026, 1, 1, tzinfo=UTC)]
    cache = Cache(lambda: now[0])
    cache.child("Pod", "ADDED", child("Pod", 5, deletionTimestamp="2026-01-01T00:00:30Z"))
    now[0] += timedelta(seconds=329)
    assert cache.holders() == {"u"}
    now[0] += timedelta(seconds=1)
    assert cache.holders() == set()


def test_what_pods_of_a_deleted_benchmark_hold_is_held_until_they_have_ended() -> None:
    cache = Cache()
    cache.benchmark(None, benchmark())
    cache.child("Pod", "ADDED", child("Pod", 5))
    cache.benchmark("DELETED", benchmark(6))
    assert cache.holders() == {"u"}
    assert cache.places("u") == (("team", "bench"),)
    cache.child("Pod", "DELETED", child("Pod", 7))
    assert cache.holders() == set()


def test_what_a_list_from_afterwards_does_not_have_is_gone() -> None:
    cache = Cache()
    for uid, version, namespace in (("a", 5, "team"), ("b", 9, "team"), ("c", 5, "other"), ("d", 5, "team")):
        cache.benchmark(None, benchmark(version, uid, namespace))
    assert cache.unlisted("team", {"d"}, 7) == ("a",), "b was made after the list, c is in another namespace"
    assert cache.unlisted(None, {"d"}, 7) == ("a", "c")
    assert cache.unlisted(None, set(), 0) == (), "nobody knows when it was listed"
