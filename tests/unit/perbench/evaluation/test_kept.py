"""An evaluation that takes of a former one what holds still is the same as one from nothing, and does less."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import product
from typing import Any

import pytest

from perbench.evaluation import evaluate, scores
from perbench.evaluation.cells import measure
from perbench.evaluation.scores import TaskScores
from perbench.evaluation.values import Cell, Evaluation
from perbench.results import ModelRecord, Results, StageRecord, TaskKind, TaskRecord
from tests.support import results as runs
from tests.support.results import (
    ANSWERS,
    OUT_OF_MEMORY,
    TOPICS,
    Shape,
    failed_model,
    model,
    results,
    with_unloaded_stages,
)


@dataclass
class Work:
    """What has been computed."""

    cells: list[tuple[str, str]] = field(default_factory=list)
    tasks: list[str] = field(default_factory=list)

    def taken(self) -> tuple[list[tuple[str, str]], list[str]]:
        """All since the last call."""
        done = (self.cells[:], self.tasks[:])
        self.cells.clear()
        self.tasks.clear()
        return done


@pytest.fixture
def work(monkeypatch: pytest.MonkeyPatch) -> Work:
    found = Work()
    score = scores.score_task

    def measured(own: ModelRecord, task: TaskRecord, *rest: Any) -> Cell:
        found.cells.append((own.name, task.name))
        return measure(own, task, *rest)

    def scored(row: Sequence[Cell], *rest: Any) -> TaskScores:
        found.tasks.append(row[0].task)
        return score(row, *rest)

    monkeypatch.setattr("perbench.evaluation.cells.measure", measured)
    monkeypatch.setattr("perbench.evaluation.scores.score_task", scored)
    return found


def with_stages(run: Results, count: int) -> Results:
    """The run as it was when so many of its stages had been measured, round by round."""
    order = sorted(
        (stage.round, place, number)
        for place, record in enumerate(run.models)
        for launch in record.launches
        for number, stage in enumerate(launch.stages)
    )[:count]

    def until_then(place: int, record: ModelRecord) -> ModelRecord:
        launches = [
            launch.model_copy(
                update={
                    "stages": tuple(
                        stage for number, stage in enumerate(launch.stages) if (launch.round, place, number) in order
                    )
                }
            )
            for launch in record.launches
        ]
        return record.model_copy(update={"launches": tuple(launch for launch in launches if launch.stages)})

    models = tuple(until_then(place, record) for place, record in enumerate(run.models))
    return run.model_copy(update={"models": models, "completion_time": None if count < 24 else run.completion_time})


def reread(run: Results) -> Results:
    """The same, of other objects."""
    return Results.model_validate_json(run.model_dump_json(by_alias=True))


def test_each_stage_of_a_run_costs_one_cell_and_the_last_one_the_scores(work: Work) -> None:
    run, before = runs.succeeded(), evaluate(with_stages(runs.succeeded(), 0))
    work.taken()
    done = []
    for count in range(1, 25):
        found = with_stages(run, count)
        evaluation = evaluate(reread(found) if count % 2 else found, before=before)
        done.append(work.taken())
        assert evaluation == evaluate(found)
        work.taken()
        assert evaluate(found, before=evaluation) == evaluation
        assert work.taken() == ([], []), "nothing is new"
        before = evaluation
    assert [len(cells) for cells, _ in done] == [1] * 24
    assert [tasks for _, tasks in done] == [[]] * 23 + [["topics", "answers"]]


def test_what_is_no_part_of_any_figure_scores_nothing_anew(work: Work) -> None:
    run = runs.succeeded()
    before = evaluate(run)
    work.taken()
    first = run.models[0]
    slower = first.model_copy(
        update={"launches": tuple(each.model_copy(update={"ready_seconds": 9.0}) for each in first.launches)}
    )
    after = run.model_copy(update={"models": (slower, *run.models[1:]), "completion_time": None})
    found = evaluate(after, before=before)
    assert work.taken() == ([], [])
    assert found.models[0].ready_seconds == 9.0
    assert found.results is after
    assert found == evaluate(after)


def changed_stage(run: Results, **changes: object) -> Results:
    """The run with another first stage."""

    def of(record: ModelRecord, stage: StageRecord) -> ModelRecord:
        launch = record.launches[0].model_copy(update={"stages": (stage, *record.launches[0].stages[1:])})
        return record.model_copy(update={"launches": (launch, *record.launches[1:])})

    stage = run.models[0].launches[0].stages[0].model_copy(update=changes)
    return run.model_copy(update={"models": (of(run.models[0], stage), *run.models[1:])})


def synthetic(*tokens: int) -> Results:
    """Models whose answers are so long, where twelve tokens were asked."""
    task = ANSWERS.model_copy(update={"name": "load", "kind": TaskKind.SYNTHETIC, "max_tokens": 12})
    shapes = [Shape(2.0, count, 0) for count in tokens]
    return results([model(f"m{n}", {"load": shape}, (task,)) for n, shape in enumerate(shapes)], (task,))


def related() -> Iterator[tuple[str, Results]]:
    """Runs that have much in common, and differ in one thing each."""
    run = runs.succeeded()
    rows = run.models[0].launches[0].stages[0].requests
    yield "as it is", run
    yield "on its way", with_stages(run, 17)
    yield (
        "unlike scores",
        changed_stage(run, requests=rows.model_copy(update={"score": (*rows.score[1:], rows.score[0])})),
    )
    yield "unlike items", changed_stage(run, requests=rows.model_copy(update={"item": (*rows.item[1:], rows.item[0])}))
    yield "a finding", changed_stage(run, findings=(runs.SATURATED,))
    yield "a failure", runs.with_failed_model()
    yield (
        "a failure late",
        run.model_copy(update={"models": (*run.models[:3], failed_model("two-threads", OUT_OF_MEMORY, run.models[3]))}),
    )
    yield "another order", run.model_copy(update={"models": (*run.models[1:], run.models[0])})
    yield "one model less", run.model_copy(update={"models": run.models[:3]})
    yield "one task less", run.model_copy(update={"tasks": (ANSWERS,)})
    yield "another task", run.model_copy(update={"tasks": (TOPICS.model_copy(update={"items": 30}), ANSWERS)})
    yield "another reference", results(runs.four_models(), per={"reference": "small-cache"})
    yield "more rounds", run.model_copy(update={"resolved": run.resolved.model_copy(update={"rounds": 4})})
    yield "repeats", runs.one_launch()
    every = runs.with_every_setting()
    quicker = with_unloaded_stages(runs.four_models()[3], 0.4)
    yield "every setting", every
    yield "another latency", every.model_copy(update={"models": (*every.models[:3], quicker)})
    yield (
        "two units",
        run.model_copy(update={"models": (run.models[0].model_copy(update={"units": 2}), *run.models[1:])}),
    )
    apart = run.models[3].model_copy(update={"throughput_unit": "endpoint"})
    yield "ranked apart", run.model_copy(update={"models": (*run.models[:3], apart)})
    weighed = results(runs.four_models(), per={"memoryBasis": "Weights"})
    large = weighed.models[0].model_copy(update={"source": {**weighed.models[0].source, "bytes": 1}})
    yield "by weights", weighed
    yield "by other weights", weighed.model_copy(update={"models": (large, *weighed.models[1:])})
    yield "a load", synthetic(12, 12, 12)
    yield "lengths missed", synthetic(12, 12, 6)
    yield "alike, and none missed", synthetic(6, 6, 6)


RELATED = dict(related())


@pytest.fixture(scope="module")
def alone() -> dict[str, Evaluation]:
    return {name: evaluate(run) for name, run in RELATED.items()}


@pytest.mark.parametrize("name", RELATED)
def test_whatever_was_before_the_answer_is_the_same(name: str, alone: dict[str, Evaluation]) -> None:
    names = list(RELATED)
    beside = {names[names.index(name) - 1], names[(names.index(name) + 1) % len(names)]}
    for former in RELATED if name == "as it is" else {"as it is", *beside}:
        assert evaluate(RELATED[name], before=alone[former]) == alone[name], former


def test_runs_that_differ_are_told_apart(alone: dict[str, Evaluation]) -> None:
    """Else the test above would say nothing."""
    for one, other in product(RELATED, RELATED):
        assert (one == other) == (alone[one] == alone[other]), (one, other)


def test_other_settings_score_anew(work: Work) -> None:
    run = runs.succeeded()
    before = evaluate(run)
    work.taken()
    settings = replace(before.settings, quality_floor=0.7)
    assert evaluate(run, settings, before) == evaluate(run, settings)
    assert work.taken()[1][:2] == ["topics", "answers"]
