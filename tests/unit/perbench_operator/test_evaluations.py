"""How often figures are computed over the looks at a run, where, and what is kept of them."""

import asyncio
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest

from perbench.api.resource import KIND
from perbench.evaluation import Evaluation, cells, evaluate, scores
from perbench.evaluation.scores import TaskScores
from perbench.evaluation.values import Cell
from perbench.results import ModelRecord, Results, TaskRecord
from perbench_operator import evaluations, reconcile
from perbench_operator.decide import Decision, Situation, decide
from perbench_operator.decide.runs import results_now
from perbench_operator.evaluations import Evaluations
from tests.support import large_run
from tests.support.large_run import LargeRun
from tests.support.simulated_cluster import Cluster
from tests.support.simulated_operator import Operator, benchmark

MODELS, TASKS, ITEMS = 5, 2, 24


class Work:
    """What is computed of figures, and in which threads."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.cells, self.tasks = 0, 0
        self.threads: set[str] = set()
        measure, score = cells.measure, scores.score_task

        def measured(own: ModelRecord, task: TaskRecord, *rest: Any) -> Cell:
            self.cells += 1
            self.threads.add(threading.current_thread().name)
            return measure(own, task, *rest)

        def scored(row: Sequence[Cell], *rest: Any) -> TaskScores:
            self.tasks += 1
            self.threads.add(threading.current_thread().name)
            return score(row, *rest)

        monkeypatch.setattr("perbench.evaluation.cells.measure", measured)
        monkeypatch.setattr("perbench.evaluation.scores.score_task", scored)

    def taken(self) -> tuple[int, int]:
        """Cells and scored tasks since the last call."""
        done = (self.cells, self.tasks)
        self.cells = self.tasks = 0
        return done


@pytest.fixture
def work(monkeypatch: pytest.MonkeyPatch) -> Work:
    return Work(monkeypatch)


def test_looks_compute_what_is_new(work: Work) -> None:
    """Every stage is one cell's, and all are scored once: when the last one is there."""
    run = LargeRun(MODELS, TASKS, ITEMS)
    operator = run.operator()
    done = []

    async def look() -> None:
        await operator.reconcile(run.uid)
        done.append(work.taken())

    async def all_looks() -> None:
        await look()
        await look()
        more = True
        while more:
            more = run.measure(operator)
            await look()
            await look()

    asyncio.run(all_looks())
    assert run.status["phase"] == "Succeeded"
    assert run.status["progress"]["completed"] == MODELS * TASKS * 3
    stages = TASKS * 3
    news = [(1, 0), (0, 0)] * (stages - 1) + [(1, TASKS), (0, 0)]
    assert done == [(MODELS * TASKS, 0), (0, 0), *news]
    assert work.threads == {"evaluations_0"}, "never in the loop's own"


def test_an_edit_after_the_end_computes_once_more(work: Work) -> None:
    run = LargeRun(MODELS, TASKS, ITEMS)
    operator = run.operator()

    async def to_the_end() -> None:
        while run.measure(operator):
            pass
        await operator.reconcile(run.uid)

    asyncio.run(to_the_end())
    before = run.status["ranking"][0]["order"]
    work.taken()
    run.edit(operator, per={"reference": "m03", "weights": {"accuracy": 0, "memory": 0, "latency": 0}})
    asyncio.run(operator.reconcile(run.uid))
    assert work.taken() == (MODELS * TASKS, TASKS)
    assert work.threads == {"evaluations_0"}
    assert run.status["observedGeneration"] == 2
    assert run.status["ranking"][0]["order"] != before
    asyncio.run(operator.reconcile(run.uid))
    assert work.taken() == (0, 0)


def test_what_is_kept_goes_with_the_run_and_with_the_benchmark() -> None:
    """One evaluation of each run that is on."""
    first, second = LargeRun(2, 1, ITEMS), LargeRun(2, 1, ITEMS, uid="u-2")
    kept = Evaluations()
    situations = [asyncio.run(situation_of(run)) for run in (first, second)]

    async def ask() -> None:
        for situation in situations:
            for count in range(3):
                await kept.of(replace(situation, records=dict(list(situation.records.items())[: 1 + count])))

    asyncio.run(ask())
    assert len(kept) == 2
    kept.forget("u-1", but=run_of(situations[0]))
    assert len(kept) == 2
    kept.forget("u-1")
    assert len(kept) == 1
    kept.forget("u-2", but="another")
    assert len(kept) == 0


def test_an_operator_forgets_what_has_ended_or_is_gone() -> None:
    run = LargeRun(2, 1, ITEMS)
    operator = run.operator()

    async def until(*, gone: bool) -> None:
        await operator.reconcile(run.uid)
        assert len(operator.evaluations) == 1
        if gone:
            operator.received(KIND, "DELETED", run.body)
        else:
            while run.measure(operator):
                pass
        await operator.reconcile(run.uid)
        assert len(operator.evaluations) == 0

    asyncio.run(until(gone=False))
    run = LargeRun(2, 1, ITEMS)
    operator = run.operator()
    asyncio.run(until(gone=True))


async def situation_of(run: LargeRun) -> Situation:
    """What an operator sees of it."""
    operator, seen = run.operator(), list[Situation]()
    decided = reconcile.decide

    def noting(situation: Situation) -> Decision:
        seen.append(situation)
        return decided(situation)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reconcile, "decide", noting)
        await operator.reconcile(run.uid)
    return seen[0]


def run_of(situation: Situation) -> str:
    status = situation.benchmark.status
    assert status is not None
    assert status.run is not None
    return status.run.id


def slowly(monkeypatch: pytest.MonkeyPatch, go_on: threading.Event) -> threading.Event:
    """Evaluations wait until they may go on; set when one has begun."""
    begun = threading.Event()

    def waits(results: Results, before: Evaluation | None = None) -> Evaluation:
        begun.set()
        assert go_on.wait(30)
        return evaluate(results, before=before)

    monkeypatch.setattr(evaluations, "evaluate", waits)
    return begun


async def holds(happens: Callable[[], bool]) -> None:
    for _ in range(2_000):
        if happens():
            return
        await asyncio.sleep(0.005)
    raise AssertionError("it has not come to that")


def test_others_are_looked_at_and_may_start_while_a_run_is_evaluated(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether it may start a model itself is asked after that: two must not take one free place."""
    go_on = threading.Event()
    begun = slowly(monkeypatch, go_on)
    run = LargeRun(2, 1, ITEMS)
    operator = run.operator()
    asked: list[bool] = []

    def may_start(*_: object) -> bool:
        asked.append(go_on.is_set())
        return True

    monkeypatch.setattr(reconcile, "may_start", may_start)

    async def looks() -> None:
        slow = asyncio.create_task(operator.reconcile(run.uid))
        await holds(begun.is_set)
        assert asked == []
        operator.received(KIND, "ADDED", run.api.put(large_run.benchmark(1, 1, ITEMS, name="other", uid="u-9")))
        await operator.reconcile("u-9")
        assert run.api.objects[KIND, large_run.NAMESPACE, "other"]["status"]["phase"] == "StartingModel"
        assert not slow.done()
        before = len(asked)
        assert asked == [False] * before
        go_on.set()
        await slow
        assert asked[before], "after the evaluation"

    asyncio.run(looks())


def test_a_look_without_news_waits_for_no_other_runs_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    kept, go_on = Evaluations(), threading.Event()
    known, new = (asyncio.run(situation_of(LargeRun(2, 1, ITEMS, uid=uid))) for uid in ("u-1", "u-2"))

    async def looks() -> None:
        found = await kept.of(known)
        begun = slowly(monkeypatch, go_on)
        slow = asyncio.create_task(kept.of(new))
        await holds(begun.is_set)
        assert await asyncio.wait_for(kept.of(known), 30) is found
        assert not slow.done()
        go_on.set()
        await slow

    asyncio.run(looks())


class Remembering(Operator):
    """One whose situations come with what an evaluation of some look before came to."""

    before: Evaluation | None = None
    compared = 0

    def look(self, *args: Any, **named: Any) -> Decision:
        plain = self._situation()
        results = results_now(plain)
        if results is not None and self.random.random() < 0.7:
            self.before = evaluate(results, before=self.before)
        assert decide(replace(plain, evaluation=self.before)) == decide(plain)
        self.compared += self.before is not None
        return super().look(*args, **named)


@pytest.mark.parametrize("seed", range(3))
def test_no_decision_depends_on_what_was_computed_before(seed: int) -> None:
    run = Remembering(Cluster(seed=seed), benchmark(), lag=3)
    run.run()
    assert run.status.best is not None
    run.edit(per={"reference": "large"})
    run.run()
    assert run.status.observed_generation == 2
    assert run.compared > 10
