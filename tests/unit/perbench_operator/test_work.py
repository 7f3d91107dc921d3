import asyncio
from typing import Any

from perbench_operator.health import Health
from perbench_operator.work import Known, summary, work


def body(uid: str = "u", generation: int = 1, **spec: Any) -> dict[str, Any]:
    models = [{"name": "a", "model": "gpt2"}]
    return {
        "apiVersion": "perbench.dev/v1alpha1",
        "kind": "PERBenchmark",
        "metadata": {"name": "bench", "namespace": "team-a", "uid": uid, "generation": generation, "managedFields": []},
        "spec": {"models": models, "tasks": [{"name": "t", "preset": "PackagedTopics"}]} | spec,
        "status": {"phase": "OfALaterVersion"},
    }


def test_what_is_known_is_not_told_again() -> None:
    known = Known()
    assert known.news(None, body()) == "team-a/bench: 1 model, 1 task"
    assert known.news("MODIFIED", body()) is None
    assert known.news("MODIFIED", body(generation=2)) == "team-a/bench: 1 model, 1 task"
    assert known.news("DELETED", body(generation=2)) == "team-a/bench: gone"
    assert known.news("DELETED", body(generation=2)) is None
    assert known.news("ADDED", body(uid="another")) is not None


def test_a_spec_that_is_not_understood_is_one_line() -> None:
    """A CRD of another version may let through what this operator does not know."""
    said = summary(body(later={"a": 1}))
    assert said.startswith("not understood: spec.later: unknown field.")
    assert "\n" not in said


def test_every_round_is_a_sign_of_life_and_events_are_seen() -> None:
    async def once() -> Health:
        health = Health(0.0)
        health.listed(0.0, {"u"})
        events: asyncio.Queue[tuple[str | None, dict[str, Any]]] = asyncio.Queue()
        task = asyncio.create_task(work(events, health, lambda: 50.0))
        events.put_nowait((None, body()))
        for _ in range(20):
            await asyncio.sleep(0)
        task.cancel()
        return health

    health = asyncio.run(once())
    assert health.not_live(50.0 + 90.0) is None
    assert health.not_ready(0.0) is None
