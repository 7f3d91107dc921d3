from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta

import pytest

from perbench.failures import Blame, Failure
from perbench.objects.assembled import TASKS_DIFFER, assembled
from perbench.objects.results import (
    MODEL,
    LaunchEnd,
    ModelFacts,
    ModelObject,
    encoded,
    encoded_tasks,
    launch_name,
    read_object,
    stage_name,
)
from perbench.record import parse, to_text
from perbench.results import CalibrationRecord, ModelRecord, Results, StageRecord, TaskRecord
from tests.support import results as built

LOST = Failure(blame=Blame.TARGET, reason="ServerExited", message="gone", exit_code=1, model="b")
TASKS = (built.TOPICS, built.ANSWERS)
RESOLVED = built.results([built.model("a", built.ONE_SLOT)]).resolved.model_copy(update={"rounds": 2})


def bare(name: str) -> ModelRecord:
    return built.model(name, {}, (), rounds=0).model_copy(update={"launches": ()})


def stage(task: TaskRecord, number: int, order: int) -> StageRecord:
    record = built.stage(task, built.ONE_SLOT[task.name], number)
    return record.model_copy(update={"started_at": record.started_at + timedelta(seconds=order)})


def stored(*rounds: int, tasks: tuple[TaskRecord, ...] = TASKS, **ends: LaunchEnd) -> ModelObject:
    stages = {number: tuple(stage(task, number, order) for order, task in enumerate(TASKS)) for number in rounds}
    return ModelObject(tasks=tasks, stages=stages, ends={end.round: end for end in ends.values()})


def of(objects: Mapping[str, ModelObject], models: str = "ab") -> Results:
    return assembled(
        name="two",
        run_id="0123456789",
        spec={"tasks": [{"name": "topics"}, {"name": "answers"}], "models": [{"name": name} for name in models]},
        resolved=RESOLVED,
        start_time=built.START,
        completion_time=built.START + timedelta(hours=1),
        provenance={"mode": "Cluster"},
        objects={name: replace(objects.get(name, ModelObject()), model=bare(name)) for name in models},
    )


def test_before_anything_is_stored_there_are_models_without_launches() -> None:
    results = of({})
    assert [(model.name, model.launches) for model in results.models] == [("a", ()), ("b", ())]
    assert results.tasks == ()


def test_launches_are_the_rounds_with_stages_or_an_end_each_in_its_place_of_the_schedule() -> None:
    results = of({"a": stored(0, 1), "b": stored(0)})
    a, b = results.models
    assert [(launch.round, launch.order, len(launch.stages)) for launch in a.launches] == [(0, 0, 2), (1, 1, 2)]
    assert [(launch.round, launch.order) for launch in b.launches] == [(0, 1)]
    assert results.tasks == TASKS


def test_what_the_operator_knows_of_a_launch_goes_into_it() -> None:
    end = LaunchEnd(
        round=0, order=0, ready_seconds=12.5, accelerator="1 x A100", image="tgi:3", image_digest="tgi@sha256:0"
    )
    launch = of({"a": stored(0, end=end)}).models[0].launches[0]
    assert launch.ready_seconds == 12.5
    assert (launch.accelerator, launch.image, launch.image_digest) == ("1 x A100", "tgi:3", "tgi@sha256:0")


def test_how_exactly_the_machine_measured_goes_into_the_launch_it_was_tried_before() -> None:
    found = CalibrationRecord(
        ttft_error_ms=0.2, itl_error_ms=0.05, rate_trusted=400.0, concurrency_trusted=None, advice="fine"
    )
    model = of({"a": replace(stored(0, 1), calibrations={1: found})}).models[0]
    assert [launch.calibration for launch in model.launches] == [None, found]


def test_a_failure_without_any_stage_is_a_launch_that_failed() -> None:
    end = LaunchEnd(round=0, order=1, failure=LOST)
    model = of({"a": stored(0), "b": stored(tasks=(), end=end)}).models[1]
    assert model.failure == LOST
    assert [(launch.round, launch.stages) for launch in model.launches] == [(0, ())]


def test_what_the_bench_pod_learnt_stands_over_what_was_known() -> None:
    facts = ModelFacts(source={"revision": "abc"}, runtime_version="3.3.7", server_arguments={"shards": 2})
    later = ModelFacts(warnings=("the hub was not asked", "the hub was not asked"))
    model = of({"a": ModelObject(facts={1: later, 0: facts})}).models[0]
    assert model.source == {**bare("a").source, "revision": "abc"}
    assert (model.runtime_version, model.server_arguments) == ("3.3.7", {**bare("a").server_arguments, "shards": 2})
    assert model.remarks == ("the hub was not asked",)


def test_each_launch_says_which_commit_was_loaded() -> None:
    facts = {number: ModelFacts(source={"revision": str(number) * 40}) for number in (0, 1)}
    model = of({"a": replace(stored(0, 1), facts=facts)}).models[0]
    assert [launch.revision for launch in model.launches] == ["0" * 40, "1" * 40]


def test_a_model_that_was_asked_other_items_has_failed() -> None:
    other = (built.TOPICS.model_copy(update={"sha256": "f" * 64}), built.ANSWERS)
    results = of({"a": stored(0, 1), "b": stored(0, tasks=other)})
    a, b = results.models
    assert a.failure is None
    assert b.failure is not None
    assert (b.failure.blame, b.failure.reason, b.failure.model) == (Blame.MEASUREMENT, TASKS_DIFFER, "b")
    assert "topics" in b.failure.message


def test_an_object_that_does_not_say_how_its_model_is_served_is_none() -> None:
    with pytest.raises(ValueError, match="results object of a does not say how it is served"):
        assembled("two", "0123456789", {}, RESOLVED, built.START, None, {}, {"a": stored(0)})


def test_a_second_models_tasks_do_while_the_first_has_none() -> None:
    assert of({"b": stored(0)}).tasks == TASKS


def test_through_the_object_and_results_json_nothing_is_lost() -> None:
    whole = stored(0, 1, end=LaunchEnd(round=0, order=0, ready_seconds=3.0))
    data = {MODEL: encoded(bare("a")), "tasks": encoded_tasks(whole.tasks)}
    data |= {
        stage_name(number, (record.task, record.repeat)): encoded(record)
        for number, stages in whole.stages.items()
        for record in stages
    }
    data |= {launch_name(end.round): encoded(end) for end in whole.ends.values()}
    assert read_object(data).model == bare("a")
    results = of({"a": read_object(data)}, "a")
    assert results == of({"a": whole}, "a")
    assert parse(to_text(results).encode(), "results.json") == results
