from collections.abc import Mapping

import pytest
from pydantic import JsonValue

from perbench.comparison import Difference, compare_results, provenance
from perbench.resources import MemoryOrigin, MemoryQuality
from perbench.results import ModelRecord, Results
from tests.support.results import (
    ANSWERS,
    OUT_OF_MEMORY,
    PROVENANCE,
    TOPICS,
    failed_model,
    four_models,
    results,
    succeeded,
    with_memory,
)


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


def differences(baseline: Results, candidate: Results) -> tuple[Difference, ...]:
    """Where every model has figures worth comparing."""
    return provenance.differences(baseline, candidate, [model.name for model in baseline.models])


def remarks(baseline: Results, candidate: Results) -> tuple[Difference, ...]:
    return provenance.remarks(baseline, candidate, [model.name for model in baseline.models])


def names(found: tuple[Difference, ...]) -> list[str]:
    return [entry.what for entry in found]


def test_by_what_is_held_its_own_origin_counts() -> None:
    """An exporter of accelerators that was not asked before says more than the server did."""
    first, *others = four_models()
    own = results([with_memory(first, reserved_bytes=2**30), *others])
    told = with_memory(first, reserved_bytes=2**31, reserved_origin=MemoryOrigin.DEVICE_TOTAL)
    asked = results([told, *others])
    held = {"spec": {**own.spec, "per": {"memoryBasis": "Reserved"}}}
    assert differences(own, asked) == ()
    (found,) = differences(own.model_copy(update=held), asked)
    assert (found.what, found.baseline, found.candidate) == ("models.one-slot.memory", "Device", "DeviceTotal")


def test_memory_of_unlike_kinds_is_a_difference_and_no_memory_is_none() -> None:
    first, *others = four_models()
    modelled = results([with_memory(first, quality=MemoryQuality.MODELLED), *others])
    (found,) = differences(succeeded(), modelled)
    assert (found.what, found.baseline, found.candidate) == (
        "models.one-slot.memory", "Processes Measured", "Device Modelled"
    )  # fmt: skip
    assert differences(succeeded(), results([with_memory(first, footprint_bytes=None), *others])) == ()
    (found,) = differences(succeeded(), results([with_memory(first, origin=MemoryOrigin.WORKING_SET), *others]))
    assert (found.what, found.candidate) == ("models.one-slot.memory", "WorkingSet Measured")


def of_image(digest: str | None, version: str | None) -> Results:
    """The first model's server, as a cluster knows it."""
    first, *others = four_models()
    launches = tuple(launch.model_copy(update={"image_digest": digest}) for launch in first.launches)
    return results((first.model_copy(update={"launches": launches, "runtime_version": version}), *others))


def test_an_image_tells_servers_apart_that_do_not_say_their_version() -> None:
    own, other = "sha256:aa", "sha256:bb"
    (found,) = differences(of_image(own, None), of_image(other, None))
    assert (found.what, found.baseline, found.candidate) == ("models.one-slot.imageDigest", own, other)
    assert remarks(of_image(own, None), of_image(other, None)) == ()
    assert differences(of_image(own, "b1"), of_image(other, "b1")) == ()
    assert names(remarks(of_image(own, "b1"), of_image(other, "b1"))) == ["models.one-slot.imageDigest"]
    assert differences(of_image(None, None), of_image(other, None)) == (), "one of the two ran outside a cluster"


def test_a_tag_is_nothing_where_the_digest_is_known() -> None:
    def run(tag: str, digest: str | None) -> Results:
        first, *others = four_models()
        launches = tuple(launch.model_copy(update={"image_digest": digest}) for launch in first.launches)
        arguments = {**first.server_arguments, "image": f"example.org/server:{tag}"}
        return results((first.model_copy(update={"launches": launches, "server_arguments": arguments}), *others))

    assert differences(run("1", "sha256:aa"), run("stable", "sha256:aa")) == ()
    (found,) = differences(run("1", None), run("stable", None))
    assert found.what == "models.one-slot.serverArguments.image"


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
    other = with_model(source={**four_models()[0].source, "sha256": "e" * 64})
    assert differences(succeeded(), other) == ()
    assert names(remarks(succeeded(), other)) == ["models.one-slot.source.sha256"]


@pytest.mark.parametrize(
    ("key", "before", "after"),
    [("model_sha", "a" * 40, "b" * 40), ("model_id", "org/a", "org/b"), ("model_path", "/model/a", "/model/b"),
     ("revision", "v1", "v2"), ("model_ftype", "Q4_1", "Q8_0"), ("sizedAtStart", {"n": 4095}, {"n": 4000})],
)  # fmt: skip
def test_what_a_server_says_of_its_files_and_of_sizes_it_made_is_a_remark(
    key: str, before: JsonValue, after: JsonValue
) -> None:
    runs = [with_model(server_arguments={"slots": 4, key: value}) for value in (before, after)]
    assert differences(runs[0], runs[1]) == ()
    (found,) = remarks(runs[0], runs[1])
    assert found.what.startswith(f"models.one-slot.serverArguments.{key}")


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


def test_of_long_values_the_part_that_differs_is_shown() -> None:
    flags = " ".join(f"--flag-{number} {number}" for number in range(60))
    (found,) = differences(changed(flags=flags), changed(flags=flags.replace("--flag-40 40", "--flag-40 41")))
    assert "--flag-40 40" in found.baseline
    assert "--flag-40 41" in found.candidate
    assert max(len(found.baseline), len(found.candidate)) <= 120
    (added,) = differences(changed(flags=flags), changed(flags=f"{flags} --more"))
    assert added.candidate.endswith(" --more")
    assert added.baseline != added.candidate


def test_of_mappings_the_entries_that_differ_are_named() -> None:
    """However many entries are alike."""
    variables: dict[str, JsonValue] = {f"SETTING_{number}": "x" * 40 for number in range(30)}
    before = with_model(server_arguments={"environment": {**variables, "DTYPE": "half", "OLD": "1"}})
    after = with_model(server_arguments={"environment": {**variables, "DTYPE": "float", "NEW": "1"}})
    where = "models.one-slot.serverArguments.environment"
    assert differences(before, after) == (
        Difference(f"{where}.DTYPE", "half", "float"),
        Difference(f"{where}.OLD", "1", "absent"),
        Difference(f"{where}.NEW", "absent", "1"),
    )
    none = with_model(server_arguments={})
    assert names(differences(none, with_model(server_arguments={"environment": {"A": "1"}}))) == [f"{where}.A"]


def test_what_is_not_known_of_a_model_that_failed_refuses_nothing() -> None:
    """It may have died before anybody could ask what it is."""
    facts = {"runtime_version": None, "server_arguments": {}, "source": {"kind": "Hub"}}
    failed = failed_model("two-threads", OUT_OF_MEMORY).model_copy(update=facts)
    other = results((*four_models()[:3], failed))
    for before, after in ((succeeded(), other), (other, succeeded())):
        found = compare_results(before, after)
        assert (found.differences, found.remarks) == ((), ())
        assert {entry.model for entry in found.models} == {"one-slot", "four-slots", "small-cache"}
    assert {(entry.model, entry.candidate) for entry in compare_results(succeeded(), other).lost} == {
        ("two-threads", "ModelFailed")
    }


def test_a_run_of_which_no_model_was_asked_anything_has_lost_all() -> None:
    """It does not even say what its tasks are."""
    nothing = results([failed_model(entry.name, OUT_OF_MEMORY) for entry in four_models()], ())
    found = compare_results(succeeded(), nothing)
    assert (found.differences, found.models) == ((), ())
    assert {entry.candidate for entry in found.lost} == {"ModelFailed"}
    assert len(found.lost) == 8
    assert {entry.baseline for entry in compare_results(nothing, succeeded()).uncompared} == {"ModelFailed"}
