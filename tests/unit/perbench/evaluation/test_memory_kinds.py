"""Memory that was measured, modelled, of the host and of accelerators: what is said when they meet."""

from perbench.evaluation import evaluate
from perbench.evaluation.values import Evaluation, Warned
from perbench.resources import MemoryOrigin, MemoryQuality
from perbench.results import Results
from tests.support import results as runs
from tests.support.results import four_models, results, with_memory

MEASURED = {"quality": MemoryQuality.MEASURED}
MODELLED = {"quality": MemoryQuality.MODELLED, "source": "by its config"}


def found(run: Results, basis: str = "Footprint") -> Evaluation:
    return evaluate(run.model_copy(update={"spec": {**run.spec, "per": {"memoryBasis": basis}}}))


def said(evaluation: Evaluation, code: str) -> list[Warned]:
    return [warning for warning in evaluation.warnings if warning.code == code]


def test_memory_of_one_kind_is_compared_without_a_word() -> None:
    for changes in (MEASURED, MODELLED):
        evaluation = evaluate(results([with_memory(record, **changes) for record in four_models()]))
        assert not said(evaluation, "UnlikeMemory")


def test_unlike_kinds_are_named_with_their_models() -> None:
    host, *others = four_models()
    run = results([host, *(with_memory(record, **MODELLED) for record in others)])
    warnings = said(evaluate(run), "UnlikeMemory")
    assert [warning.task for warning in warnings] == ["topics", "answers"]
    assert warnings[0].message == (
        "memory is measured of processes on the host: one-slot; modelled of accelerators: four-slots, small-cache,"
        " two-threads; such figures count unlike things: compare by per.memoryBasis Weights, or leave memory out"
        " (weight 0)"
    )


def test_measured_and_modelled_accelerators_are_unlike_too() -> None:
    first, *others = four_models()
    run = results([with_memory(first, **MEASURED), *(with_memory(record, **MODELLED) for record in others)])
    assert "measured of accelerators: one-slot" in said(evaluate(run), "UnlikeMemory")[0].message


def test_files_have_one_kind_of_size() -> None:
    evaluation = found(runs.on_accelerators(), "Weights")
    assert not said(evaluation, "UnlikeMemory")
    assert not said(evaluation, "MemoryModelled")
    assert not said(evaluation, "NoMemoryFigure")


def test_a_modelled_figure_says_where_it_comes_from() -> None:
    evaluation = evaluate(results([with_memory(four_models()[0], **MODELLED), *four_models()[1:]]))
    assert [(warning.model, warning.task) for warning in said(evaluation, "MemoryModelled")] == [
        ("one-slot", "topics"),
        ("one-slot", "answers"),
    ]
    assert said(evaluation, "MemoryModelled")[0].message == (
        "its memory was not read but follows from the model: by its config"
    )
    kind = evaluation.tasks[0].row("one-slot").cell.memory_kind
    assert kind is not None
    assert (kind.origin, kind.quality) == (MemoryOrigin.DEVICE, MemoryQuality.MODELLED)


def test_one_modelled_stage_makes_a_figure_modelled() -> None:
    record = with_memory(four_models()[0], **MEASURED)
    first, *others = record.launches
    changed = with_memory(record.model_copy(update={"launches": (first,)}), **MODELLED).launches
    run = results([record.model_copy(update={"launches": (*changed, *others)}), *four_models()[1:]])
    assert said(evaluate(run), "MemoryModelled")[0].model == "one-slot"


def test_all_that_is_in_use_is_unlike_a_sum_of_parts() -> None:
    first, *others = four_models()
    whole = with_memory(first, **MEASURED, origin=MemoryOrigin.DEVICE_TOTAL)
    run = results([whole, *(with_memory(record, **MEASURED) for record in others)])
    assert (
        "all that was in use on accelerators: one-slot; measured of" in said(evaluate(run), "UnlikeMemory")[0].message
    )


def test_a_working_set_is_unlike_the_memory_of_processes() -> None:
    first, *others = four_models()
    told = with_memory(first, **MEASURED, origin=MemoryOrigin.WORKING_SET)
    message = said(evaluate(results([told, *others])), "UnlikeMemory")[0].message
    assert "the working set of containers on the host: one-slot; measured of processes on the host:" in message


def test_stages_of_unlike_kinds_have_no_mean() -> None:
    first, *others = four_models()
    launch, *later = first.launches
    part = first.model_copy(update={"launches": (launch,)})
    told = with_memory(part, **MEASURED, origin=MemoryOrigin.WORKING_SET).launches
    evaluation = evaluate(results([first.model_copy(update={"launches": (*told, *later)}), *others]))
    cell = evaluation.tasks[0].row("one-slot").cell
    assert (cell.figures.memory_bytes, cell.memory_kind) == (None, None)
    assert said(evaluation, "NoMemoryFigure")[0].message == (
        "its stages have figures of unlike kinds (Processes, WorkingSet), which have no mean"
    )


def test_what_is_held_has_its_own_origin() -> None:
    held = {"reserved_bytes": 2**30, "reserved_origin": MemoryOrigin.DEVICE_TOTAL, "reserved_source": "FB_USED"}
    first, *others = four_models()
    alike = found(results([with_memory(record, **MODELLED | held) for record in (first, *others)]), "Reserved")
    assert not said(alike, "UnlikeMemory")
    kind = alike.tasks[0].row("one-slot").cell.memory_kind
    assert kind is not None
    assert (kind.origin, kind.quality, kind.source) == (MemoryOrigin.DEVICE_TOTAL, MemoryQuality.MEASURED, "FB_USED")
    own = [with_memory(record, **MEASURED, reserved_bytes=2**30) for record in others]
    unlike = found(results([with_memory(first, **MODELLED | held), *own]), "Reserved")
    assert "all that was in use on accelerators: one-slot" in said(unlike, "UnlikeMemory")[0].message


def test_what_is_held_in_reserve_is_read_also_where_the_footprint_is_modelled() -> None:
    run = results([with_memory(record, **MODELLED, reserved_bytes=2**30) for record in four_models()])
    assert said(found(run), "MemoryModelled")
    assert not said(found(run, "Reserved"), "MemoryModelled")


def test_each_basis_says_why_it_has_no_figure() -> None:
    run = runs.on_accelerators()
    footprint = {warning.model: warning.message for warning in said(found(run), "NoMemoryFigure")}
    assert footprint == {"two-threads": "KV cache: bytes of a token are not known: its attention is latent (MLA)"}
    reserved = {warning.model: warning.message for warning in said(found(run, "Reserved"), "NoMemoryFigure")}
    assert reserved == dict.fromkeys(("small-cache", "two-threads"), "vLLM does not say how much it holds")
