from dataclasses import replace

import pytest

from perbench.api.status import ConditionType, Phase
from perbench.evaluation import evaluate
from perbench.evaluation.values import Verdict
from perbench.failures import Blame, Failure
from perbench.results import ModelRecord, Results
from tests.support import results as runs
from tests.support.results import NOT_STEADY, ONE_SLOT, SATURATED, TOPICS, model, results


def verdict(found: Results) -> Verdict:
    return evaluate(found).verdict


def conditions(found: Results) -> dict[str, tuple[str, str]]:
    return {entry.type.value: (entry.status.value, entry.reason) for entry in verdict(found).conditions}


def test_a_run_without_a_flaw_succeeded() -> None:
    assert conditions(runs.succeeded()) == {
        "Accepted": ("True", "Accepted"),
        "ModelsReady": ("True", "AllModelsReady"),
        "LoadFinished": ("True", "AllStagesRecorded"),
        "MeasurementValid": ("True", "AllStagesValid"),
        "Succeeded": ("True", "Succeeded"),
    }
    found = verdict(runs.succeeded())
    assert (found.phase, found.failure, found.exit_code) == (Phase.SUCCEEDED, None, 0)


def test_a_failed_model() -> None:
    assert conditions(runs.with_failed_model()) == {
        "Accepted": ("True", "Accepted"),
        "ModelsReady": ("False", "ServerExited"),
        "LoadFinished": ("False", "StagesMissing"),
        "MeasurementValid": ("True", "AllStagesValid"),
        "Succeeded": ("False", "SomeModelsFailed"),
    }
    found = verdict(runs.with_failed_model())
    assert (found.phase, found.failure, found.exit_code) == (Phase.FAILED, runs.OUT_OF_MEMORY, 4)


def test_a_model_that_failed_under_load_had_been_ready() -> None:
    failure = Failure(blame=Blame.TARGET, reason="ServerExited", message="gone")
    failed = runs.failed_model("late", failure)
    ready = failed.model_copy(
        update={"launches": tuple(launch.model_copy(update={"ready_seconds": 2.0}) for launch in failed.launches)}
    )
    found = results((model("one-slot", ONE_SLOT), ready))
    assert conditions(found)["ModelsReady"] == ("True", "AllModelsReady")
    assert verdict(found).failure == failure.model_copy(update={"model": "late"})


def test_all_models_failed() -> None:
    found = results((runs.failed_model("two-threads", runs.OUT_OF_MEMORY),))
    assert conditions(found)["Succeeded"] == ("False", "AllModelsFailed")
    assert conditions(found)["MeasurementValid"] == ("Unknown", "NothingMeasured")
    assert verdict(found).exit_code == 4


def test_a_saturated_load_generator_is_blamed_for_an_invalid_run() -> None:
    found = verdict(runs.with_invalid_stage())
    assert conditions(runs.with_invalid_stage())["MeasurementValid"] == ("False", "LoadGeneratorSaturated")
    assert conditions(runs.with_invalid_stage())["Succeeded"] == ("False", "MeasurementInvalid")
    assert conditions(runs.with_invalid_stage())["LoadFinished"] == ("True", "AllStagesRecorded")
    assert found.failure is not None
    assert (found.failure.blame, found.failure.reason) == (Blame.LOAD_GENERATOR, "LoadGeneratorSaturated")
    assert found.failure.model == "four-slots"
    assert found.failure.message == (
        "four-slots on answers: in 1 of 3 stages: median error added by the client 1.8 ms (limit 0.5 ms);"
        " give the client a core of its own: fewer server threads"
    )
    assert found.exit_code == 3


def test_other_invalid_measurements_are_blamed_on_the_measurement() -> None:
    finding = NOT_STEADY.model_copy(update={"invalidates": True})
    shape = {"topics": replace(ONE_SLOT["topics"], findings={0: (finding,)})}
    found = verdict(results((model("m", shape, (TOPICS,)),), (TOPICS,)))
    assert found.failure is not None
    assert (found.failure.blame, found.failure.reason) == (Blame.MEASUREMENT, "NotSteady")


def test_a_failed_model_comes_before_an_invalid_measurement() -> None:
    shape = {"topics": replace(ONE_SLOT["topics"], findings={0: (SATURATED,)})}
    failed = runs.failed_model("gone", runs.OUT_OF_MEMORY)
    found = results((model("m", shape, (TOPICS,)), failed), (TOPICS,))
    assert conditions(found)["Succeeded"] == ("False", "SomeModelsFailed")
    assert conditions(found)["MeasurementValid"] == ("False", "LoadGeneratorSaturated")
    assert verdict(found).exit_code == 4


def test_errors_beyond_one_percent_fail_the_run() -> None:
    shape = {"topics": replace(ONE_SLOT["topics"], failed=2)}
    found = results((model("m", shape, (TOPICS,)),), (TOPICS,))
    assert conditions(found)["Succeeded"] == ("False", "TooManyErrors")
    failure = verdict(found).failure
    assert failure is not None
    assert failure.blame is Blame.TARGET
    assert failure.message == "m on topics: 6 of 72 requests failed (6 ServerError), more than 1 %"
    assert verdict(found).exit_code == 4


def test_too_few_items_fail_the_run() -> None:
    stages = model("m", ONE_SLOT, (TOPICS,), rounds=1).stages("topics")
    columns = stages[0].requests.model_copy(update={"score": (None, *stages[0].requests.score[1:])})
    found = results((runs.literal_model(stages[0].model_copy(update={"requests": columns})),), (TOPICS,), rounds=1)
    assert conditions(found)["Succeeded"] == ("False", "TooFewSamples")
    failure = verdict(found).failure
    assert failure is not None
    assert (failure.blame, failure.message) == (
        Blame.MEASUREMENT,
        "m on topics: 24 of 24 items were sent and 23 scored",
    )
    assert verdict(found).exit_code == 3


def unfinished(**changes: object) -> Results:
    started = model("one-slot", ONE_SLOT, rounds=1)
    return results((started, model("waiting", {}, (), rounds=0)), completion_time=None, **changes)


def test_an_interrupted_run_is_not_decided() -> None:
    found = unfinished(interrupted=True)
    assert conditions(found) == {
        "Accepted": ("True", "Accepted"),
        "ModelsReady": ("Unknown", "NotFinished"),
        "LoadFinished": ("Unknown", "Interrupted"),
        "MeasurementValid": ("Unknown", "NotFinished"),
        "Succeeded": ("Unknown", "Interrupted"),
    }
    assert (verdict(found).phase, verdict(found).exit_code) == (Phase.MEASURING, None)


def test_a_run_that_had_to_stop_says_why() -> None:
    stopped = Failure(blame=Blame.INFRASTRUCTURE, reason="DiskFull", message="no space left")
    found = unfinished(stopped=stopped)
    assert conditions(found)["Succeeded"] == ("Unknown", "DiskFull")
    assert verdict(found).condition(ConditionType.SUCCEEDED).message == "no space left; it can be continued"
    assert (verdict(found).failure, verdict(found).phase) == (stopped, Phase.FAILED)


def test_an_invalid_stage_is_known_before_the_end() -> None:
    shape = {**ONE_SLOT, "topics": replace(ONE_SLOT["topics"], findings={0: (SATURATED,)})}
    found = results((model("m", shape, rounds=1), model("waiting", {}, (), rounds=0)), completion_time=None)
    assert conditions(found)["MeasurementValid"] == ("False", "LoadGeneratorSaturated")
    assert conditions(found)["Succeeded"] == ("Unknown", "NotFinished")


def test_nothing_started_is_starting() -> None:
    found = results((model("waiting", {}, (), rounds=0),), completion_time=None)
    assert verdict(found).phase is Phase.STARTING_MODEL


def on(name: str, accelerator: str | None) -> ModelRecord:
    """A model whose launches all had this accelerator."""
    record = model(name, {"topics": ONE_SLOT["topics"]}, (TOPICS,))
    launches = tuple(launch.model_copy(update={"accelerator": accelerator}) for launch in record.launches)
    return record.model_copy(update={"launches": launches})


def test_models_on_unlike_accelerators_are_no_comparison() -> None:
    found = results((on("a", "1 x NVIDIA-A100"), on("b", "2 x NVIDIA-H100")), (TOPICS,))
    assert conditions(found)["MeasurementValid"] == ("False", "UnlikeAccelerators")
    judged = verdict(found)
    assert judged.failure is not None
    assert (judged.failure.blame, judged.failure.reason) == (Blame.MEASUREMENT, "UnlikeAccelerators")
    assert "a on NVIDIA-A100, b on NVIDIA-H100" in judged.failure.message
    assert judged.exit_code == 3


def test_replicas_on_unlike_accelerators_are_no_measurement() -> None:
    found = results((on("a", "1 x NVIDIA-A100, NVIDIA-L40S"), on("b", "1 x NVIDIA-A100, NVIDIA-L40S")), (TOPICS,))
    assert conditions(found)["MeasurementValid"] == ("False", "UnlikeAccelerators")


def test_another_number_of_like_accelerators_is_a_comparison() -> None:
    found = results((on("a", "1 x NVIDIA-A100"), on("b", "2 x NVIDIA-A100")), (TOPICS,))
    assert conditions(found)["MeasurementValid"][0] == "True"


def test_a_shared_accelerator_is_no_measurement() -> None:
    found = results((on("a", "1 x NVIDIA-T4-SHARED"), on("b", "1 x NVIDIA-T4-SHARED")), (TOPICS,))
    assert conditions(found)["MeasurementValid"] == ("False", "SharedAccelerator")


@pytest.mark.parametrize(
    "accelerator",
    ["1 x nvidia.com/gpu.shared", "1 x NVIDIA-T4 (nvidia.com/gpu.shared)", "1 x T4-SHARED (nvidia.com/mig-1g.10gb)"],
)
def test_an_accelerator_whose_resource_is_shared_is_no_measurement(accelerator: str) -> None:
    found = results((on("a", accelerator), on("b", accelerator)), (TOPICS,))
    assert conditions(found)["MeasurementValid"] == ("False", "SharedAccelerator")


def test_unlike_parts_of_like_accelerators_are_no_comparison() -> None:
    small, large = "1 x NVIDIA-A100 (nvidia.com/mig-1g.10gb)", "1 x NVIDIA-A100 (nvidia.com/mig-3g.40gb)"
    for other in (large, "1 x NVIDIA-A100"):
        found = results((on("a", small), on("b", other)), (TOPICS,))
        assert conditions(found)["MeasurementValid"] == ("False", "UnlikeAccelerators")
    assert conditions(results((on("a", small), on("b", small)), (TOPICS,)))["MeasurementValid"][0] == "True"


def test_accelerators_of_a_model_that_failed_do_not_count() -> None:
    failed = runs.failed_model("b", runs.OUT_OF_MEMORY, before=on("b", "1 x NVIDIA-H100"))
    found = results((on("a", "1 x NVIDIA-A100"), failed), (TOPICS,))
    assert conditions(found)["MeasurementValid"][0] == "True"
