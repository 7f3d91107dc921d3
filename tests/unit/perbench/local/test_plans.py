"""Stages, work and plans of a launch: what latency basis Unloaded adds to them."""

import pytest

from perbench.api.defaults import Resolved
from perbench.api.load import PromptApi
from perbench.api.models import Protocol
from perbench.api.tasks import TaskSpec
from perbench.local.estimate import Pace, remaining_seconds
from perbench.local.plans import keys_of, measured_requests, plan_of, work_of
from perbench.local.progress_view import Shape, stage_label
from perbench.local.schedule import Launch
from perbench.plan import Target
from perbench.progress import Progress, StagePhase
from perbench_bench.tasks import resolve

TASKS = tuple(
    TaskSpec.model_validate({"name": name, "synthetic": {"inputTokens": 8, "outputTokens": 4}, "limit": 100})
    for name in ("a", "b")
)
LOADED = Resolved(api=PromptApi.CHAT, concurrency=4, repeats=2, max_seconds=60, rounds=1, reference="m")
UNLOADED = LOADED.model_copy(update={"unloaded_requests": 24})
PUT = [resolve(task, None) for task in TASKS]


def test_each_task_has_its_repeats_and_then_the_unloaded_stage() -> None:
    assert keys_of(TASKS, LOADED) == (("a", 0), ("a", 1), ("b", 0), ("b", 1))
    assert keys_of(TASKS, UNLOADED) == (("a", 0), ("a", 1), ("a", None), ("b", 0), ("b", 1), ("b", None))


@pytest.mark.parametrize("resolved", [LOADED, UNLOADED])
def test_the_plan_has_the_stages_that_are_waited_for(resolved: Resolved) -> None:
    target = Target(url="http://127.0.0.1", protocol=Protocol.OPENAI, model="m")
    plan = plan_of("0123456789", Launch("m", 0, 0), target, resolved, TASKS, None)
    assert plan.stage_keys == keys_of(TASKS, resolved) == tuple(work_of("m", PUT, resolved))


def test_work_counts_warm_up_measured_requests_and_those_drained() -> None:
    work = work_of("m", PUT, UNLOADED)
    assert work["a", 0].requests == 2 * 4 + 100 + 4
    assert work["a", None].requests == 2 * 1 + 24 + 1
    assert [entry.least_seconds for entry in work.values()] == [10.0, 0.0, 0.0, 0.0, 0.0, 0.0]
    assert measured_requests(PUT, UNLOADED) == 2 * (2 * 100 + 24)
    assert measured_requests(PUT, LOADED) == 2 * 2 * 100


def test_unloaded_stages_are_expected_to_take_as_long_as_their_like() -> None:
    work = work_of("m", PUT, UNLOADED)
    pace = Pace().finished(work["a", 1], 80.0).finished(work["a", None], 20.0)
    assert remaining_seconds(0, [work["a", None]], pace) == pytest.approx(20.0)
    assert remaining_seconds(0, [work["a", 1]], pace) == pytest.approx(80.0)


def test_its_label() -> None:
    progress = Progress(task="a", repeat=None, phase=StagePhase.WARMUP, completed=0, total=24)
    assert stage_label(progress, Shape(rounds=1, repeats=3, requests=1)) == "a unloaded"
