from pathlib import PurePosixPath

import pytest

from perbench.assembly import launch_of, missing_stages, to_do, with_launch, with_stored, without_home
from perbench.failures import Blame, Failure
from perbench.results import LaunchRecord, ModelRecord
from perbench.schedule import Launch, schedule
from tests.support import results as built

KEYS = (("topics", 0), ("answers", 0))
FAILURE = Failure(blame=Blame.TARGET, reason="ServerExited", message="gone", model="b")


def bare(name: str, *launches: LaunchRecord) -> ModelRecord:
    return built.model(name, {}, (), rounds=0).model_copy(update={"launches": launches})


def launched(number: int, *tasks: str, failure: Failure | None = None, ready: float | None = 1.0) -> LaunchRecord:
    records = {"topics": built.TOPICS, "answers": built.ANSWERS}
    stages = tuple(built.stage(records[task], built.ONE_SLOT[task], number) for task in tasks)
    return LaunchRecord(round=number, order=0, ready_seconds=ready, stages=stages, failure=failure)


def test_before_anything_is_measured_all_is_to_do() -> None:
    launches = schedule("ab", 2)
    assert to_do(launches, {"a": bare("a"), "b": bare("b")}, KEYS) == tuple((launch, KEYS) for launch in launches)


def test_only_missing_stages_are_to_do_and_finished_launches_are_not() -> None:
    models = {"a": bare("a", launched(0, "topics", "answers"), launched(1, "topics"))}
    assert to_do(schedule("a", 2), models, KEYS) == ((Launch("a", 1, 0), (("answers", 0),)),)


def test_a_model_that_failed_is_not_started_again_and_the_others_go_on() -> None:
    models = {"a": bare("a"), "b": bare("b", launched(0, failure=FAILURE))}
    assert {launch.model for launch, _ in to_do(schedule("ab", 3), models, KEYS)} == {"a"}


def test_repeats_are_stages_of_their_own() -> None:
    keys = (("topics", 0), ("topics", 1))
    assert missing_stages(launched(0, "topics"), keys) == (("topics", 1),)
    assert missing_stages(None, keys) == keys


def test_a_launch_takes_its_rounds_place() -> None:
    model = with_launch(bare("a", launched(1, "topics")), launched(0, "topics"))
    assert [launch.round for launch in model.launches] == [0, 1]
    model = with_launch(model, launched(1, "topics", "answers"))
    assert [len(launch.stages) for launch in model.launches] == [1, 2]


def test_a_start_that_came_to_nothing_keeps_the_time_of_the_former() -> None:
    model = with_launch(bare("a", launched(0, "topics", ready=2.5)), launched(0, "topics", ready=None))
    assert launch_of(model, 0) == launched(0, "topics", ready=2.5)


def test_stored_stages_and_what_an_earlier_command_knew_come_together() -> None:
    previous = bare("a", launched(0, "topics", ready=2.5)).model_copy(update={"runtime_version": "b1"})
    stages = launched(0, "topics", "answers").stages
    model = with_stored(bare("a"), previous, {0: stages, 1: ()}, schedule("a", 2))
    assert model.runtime_version == "b1"
    assert model.launches == (LaunchRecord(round=0, order=0, ready_seconds=2.5, stages=stages),)


def test_stages_that_were_stored_after_the_last_results_count() -> None:
    stages = launched(1, "topics").stages
    model = with_stored(bare("b"), None, {1: stages}, schedule("ab", 2))
    assert model.launches == (LaunchRecord(round=1, order=0, stages=stages),)


def test_an_earlier_failure_stays() -> None:
    model = with_stored(bare("b"), bare("b", launched(0, failure=FAILURE)), {}, schedule("b", 1))
    assert model.failure == FAILURE


@pytest.mark.parametrize(
    ("home", "message"),
    [("/home/someone", "cannot read ~/models/x.gguf"), ("/", "cannot read /home/someone/models/x.gguf")],
)
def test_the_home_directory_does_not_leave_the_machine(home: str, message: str) -> None:
    failure = FAILURE.model_copy(update={"message": "cannot read /home/someone/models/x.gguf"})
    assert without_home(failure, PurePosixPath(home)).message == message
