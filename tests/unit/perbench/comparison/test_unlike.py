from collections.abc import Mapping

import pytest
from pydantic import JsonValue

from perbench.comparison import Difference, differences, remarks
from perbench.results import ModelRecord, Results
from tests.support.results import ANSWERS, PROVENANCE, TOPICS, four_models, results, succeeded


def changed(**provenance: JsonValue) -> Results:
    return results(four_models(), provenance={**PROVENANCE, **provenance})


def with_model(**changes: object) -> Results:
    first, *others = four_models()
    return results((first.model_copy(update=changes), *others))


def with_load(load: Mapping[str, JsonValue]) -> Results:
    run = succeeded()
    return run.model_copy(update={"spec": {**run.spec, "load": load}})


def with_resolved(**changes: object) -> Results:
    run = succeeded()
    return run.model_copy(update={"resolved": run.resolved.model_copy(update=changes)})


def names(found: tuple[Difference, ...]) -> list[str]:
    return [entry.what for entry in found]


def test_the_same_run_differs_in_nothing() -> None:
    assert differences(succeeded(), succeeded()) == ()
    assert remarks(succeeded(), succeeded()) == ()


@pytest.mark.parametrize(
    ("other", "what", "before", "after"),
    [
        (changed(cpu="Another CPU"), "provenance.cpu", "Example CPU, 2 cores", "Another CPU"),
        (changed(cores=4), "provenance.cores", "2", "4"),
        (changed(memoryBytes=16 * 1024**3), "provenance.memoryBytes", str(8 * 1024**3), str(16 * 1024**3)),
        (changed(driver="580.1"), "provenance.driver", "absent", "580.1"),
        (changed(neverHeardOf=[1, {"a": 2}]), "provenance.neverHeardOf", "absent", '[1, {"a": 2}]'),
        (with_model(runtime="VLLM"), "models.one-slot.runtime", "LlamaCpp", "VLLM"),
        (with_model(runtime_version="b12000"), "models.one-slot.runtimeVersion", "b11669", "b12000"),
        (with_model(substituted_for="TGI"), "models.one-slot.substitutedFor", "absent", "TGI"),
        (with_model(throughput_unit="accelerator"), "models.one-slot.throughputUnit", "server", "accelerator"),
        (with_model(units=2), "models.one-slot.units", "1", "2"),
        (with_model(memory_basis="Reserved"), "models.one-slot.memoryBasis", "Footprint", "Reserved"),
        (
            with_model(server_arguments={"slots": 8, "threads": 1, "cacheTypeK": "f16"}),
            "models.one-slot.serverArguments.slots",
            "4",
            "8",
        ),
        (
            with_model(server_arguments={"slots": 4, "threads": 1}),
            "models.one-slot.serverArguments.cacheTypeK",
            "f16",
            "absent",
        ),
        (with_resolved(concurrency=8), "load.concurrency", "4", "8"),
        (with_resolved(rate=3), "load.rate", "absent", "3"),
        (
            results(four_models(), (TOPICS, ANSWERS.model_copy(update={"sha256": "d" * 64}))),
            "tasks.answers.sha256",
            "b" * 64,
            "d" * 64,
        ),
        (results(four_models(), (TOPICS.model_copy(update={"items": 48}), ANSWERS)), "tasks.topics.items", "24", "48"),
        (
            results(four_models(), (TOPICS.model_copy(update={"max_tokens": 9}), ANSWERS)),
            "tasks.topics.maxTokens",
            "4",
            "9",
        ),
    ],
)
def test_what_forbids_to_compare_is_named(other: Results, what: str, before: str, after: str) -> None:
    assert differences(succeeded(), other) == (Difference(what, before, after),)
    assert differences(other, succeeded()) == (Difference(what, after, before),)


@pytest.mark.parametrize("key", ["perbench", "python", "kernel", "packages"])
def test_software_of_the_client_is_a_remark(key: str) -> None:
    other = changed(**{key: "9.9"})
    assert differences(succeeded(), other) == ()
    assert names(remarks(succeeded(), other)) == [f"provenance.{key}"]


def test_other_files_of_a_model_are_a_remark() -> None:
    other = with_model(source={"kind": "Packaged", "sha256": "e" * 64})
    assert differences(succeeded(), other) == ()
    assert names(remarks(succeeded(), other)) == ["models.one-slot.source"]


def test_a_few_megabytes_that_a_kernel_keeps_are_no_other_machine() -> None:
    assert differences(succeeded(), changed(memoryBytes=8 * 1024**3 - 4 * 1024**2)) == ()


@pytest.mark.parametrize("change", [{"repeats": 5}, {"rounds": 5}, {"max_seconds": 60}, {"reference": "four-slots"}])
def test_how_often_was_measured_and_judged_against_whom_may_differ(change: dict[str, object]) -> None:
    assert differences(succeeded(), with_resolved(**change)) == ()


def test_a_default_written_out_is_no_difference() -> None:
    assert differences(with_load({}), with_load({"concurrency": 4, "repeats": 9})) == ()


def test_what_only_one_has_is_not_looked_at() -> None:
    one_task = results(four_models(), (TOPICS,))
    models: tuple[ModelRecord, ...] = four_models()[:2]
    assert differences(succeeded(), one_task) == ()
    assert differences(results(models), succeeded()) == ()


def test_nothing_in_common_is_a_difference() -> None:
    other = results(
        tuple(model.model_copy(update={"name": f"new-{model.name}"}) for model in four_models()), (ANSWERS,)
    )
    assert names(differences(results(four_models(), (TOPICS,)), other)) == ["tasks", "models"]


def test_requests_that_carry_something_else() -> None:
    def asking(**parameters: JsonValue) -> Results:
        first, *others = four_models()
        launches = tuple(
            launch.model_copy(
                update={
                    "stages": tuple(
                        stage.model_copy(update={"request_parameters": parameters} if stage.task == "topics" else {})
                        for stage in launch.stages
                    )
                }
            )
            for launch in first.launches
        )
        return results((first.model_copy(update={"launches": launches}), *others))

    assert differences(asking(temperature=0, model="a"), asking(temperature=1, model="b")) == (
        Difference("models.one-slot.requests.topics.temperature", "0", "1"),
    )


def test_long_values_are_cut() -> None:
    (found,) = differences(succeeded(), changed(flags="x" * 5000))
    assert len(found.candidate) == 120
