"""`spec.per` and `spec.capacity`: each setting changes what the same figures mean."""

from collections.abc import Mapping
from dataclasses import replace

import pytest

from perbench.api.capacity import CapacitySpec
from perbench.api.per import LatencyBasis, MemoryBasis, PerSpec
from perbench.evaluation import Settings, evaluate, settings_of
from perbench.evaluation.values import Row
from perbench.failures import UsageError
from perbench.per import Axis, Reason
from perbench.results import ModelRecord, Results, TaskKind
from tests.support import results as runs
from tests.support.results import ANSWERS, FOUR_SLOTS, ONE_SLOT, TOPICS, model, results

MEBIBYTE = 1024 * 1024


def with_per(base: Results, per: Mapping[str, object] | None = None, **spec: object) -> Results:
    return base.model_copy(update={"spec": {**base.spec, **({"per": per} if per else {}), **spec}})


def row(base: Results, per: Mapping[str, object], name: str = "four-slots", task: int = 1) -> Row:
    return evaluate(with_per(base, per)).tasks[task].row(name)


def test_nothing_said_means_the_defaults() -> None:
    assert settings_of(runs.succeeded()) == Settings("one-slot", LatencyBasis.REQUEST, MemoryBasis.FOOTPRINT)


def test_the_spec_of_the_results_is_read() -> None:
    per = {
        "reference": "small-cache",
        "bounds": {
            "accuracy": {"low": 0, "high": "1"},
            "tokensPerSecond": {"low": 1, "high": 50},
            "millisecondsPerItem": {"low": "0.5", "high": 9},
            "memoryMebibytes": {"low": 100, "high": 200},
        },
        "weights": {"accuracy": 2, "memory": "0.5"},
        "latencyBasis": "Reciprocal",
        "memoryBasis": "Reserved",
        "qualityFloor": "0.25",
    }
    found = settings_of(with_per(runs.succeeded(), per, capacity={"prices": [{"unit": "server", "dollarsPerHour": 2}]}))
    assert (found.reference, found.latency_basis, found.memory_basis) == ("small-cache", "Reciprocal", "Reserved")
    assert (found.weights, found.quality_floor) == ({Axis.ACCURACY: 2.0, Axis.MEMORY: 0.5}, 0.25)
    assert found.prices == {"server": 2.0}
    ends = {Axis.ACCURACY: (0.0, 1.0), Axis.MEMORY: (100.0 * MEBIBYTE, 200.0 * MEBIBYTE)}
    assert found.scale(TaskKind.GENERATION, "m").bounds == ends | {Axis.THROUGHPUT: (1.0, 50.0)}
    assert found.scale(TaskKind.SYNTHETIC, "m").bounds == ends | {Axis.THROUGHPUT: (1.0, 50.0)}
    assert found.scale(TaskKind.CLASSIFICATION, "m").bounds == ends | {Axis.LATENCY: (0.5, 9.0)}


def test_what_is_given_replaces_the_spec() -> None:
    base = with_per(runs.succeeded(), {"reference": "small-cache", "qualityFloor": "0.25"})
    per = PerSpec.model_validate({"reference": "two-threads"})
    prices = CapacitySpec.model_validate({"prices": [{"unit": "server", "dollarsPerHour": "0.4"}]})
    found = settings_of(base, per, prices)
    assert (found.reference, found.quality_floor, found.prices) == ("two-threads", None, {"server": 0.4})
    scored = evaluate(base, found)
    assert scored.settings == found
    assert scored.tasks[0].row("two-threads").scores.reference.value == 1.0
    assert evaluate(base).tasks[0].row("small-cache").scores.reference.value == 1.0


@pytest.mark.parametrize(
    ("per", "told"),
    [
        ({"reference": "nobody"}, "per.reference: nobody is none of the models: one-slot, four-slots"),
        ({"latencyBasis": "Unknown"}, "spec.per.latencyBasis of the results"),
        ({"weights": {"memory": -1}}, "spec.per.weights.memory of the results"),
    ],
)
def test_settings_nobody_can_use_are_refused(per: dict[str, object], told: str) -> None:
    with pytest.raises(UsageError, match=told.replace("[", r"\[")):
        settings_of(with_per(runs.succeeded(), per))


def test_fixed_ends_give_a_published_per_to_any_number_of_models() -> None:
    ends = {
        "accuracy": {"low": 0, "high": 1},
        "tokensPerSecond": {"low": 0, "high": 64},
        "millisecondsPerToken": {"low": 0, "high": 250},
        "memoryMebibytes": {"low": 0, "high": 834},
    }
    two = results((model("a", {"answers": FOUR_SLOTS["answers"]}, (ANSWERS,)),), (ANSWERS,))
    found = row(two, {"bounds": ends}, "a", 0)
    # 15 of 24 right, about 31.9 of 64 tokens/s, 125.4 of 250 ms, 417 of 834 MiB.
    expected = (0.625 * 31.89 / 64 * (1 - 125.4 / 250) * 0.5) ** 0.25
    assert found.scores.published.value == pytest.approx(expected, rel=1e-3)
    assert row(two, {"bounds": {"accuracy": {"low": 0, "high": 1}}}, "a", 0).scores.published.value is None


def test_weights_are_exponents_on_both_scales() -> None:
    plain = row(runs.succeeded(), {"weights": {"accuracy": 1}})
    only_memory = row(runs.succeeded(), {"weights": {"accuracy": 0, "throughput": 0, "latency": 0}})
    assert only_memory.scores.reference.value == pytest.approx(385 / 417, rel=1e-3)
    assert only_memory.scores.published.value == pytest.approx((441 - 417) / (441 - 353), rel=1e-2)
    heavy = row(runs.succeeded(), {"weights": {"memory": 1000}})
    assert heavy.scores.reference.value == pytest.approx(only_memory.scores.reference.value, rel=2e-3)
    assert plain.scores.reference.value == pytest.approx(
        evaluate(runs.succeeded()).tasks[1].row("four-slots").scores.reference.value
    )


def test_under_the_quality_floor_nobody_is_ranked() -> None:
    found = evaluate(with_per(runs.succeeded(), {"qualityFloor": "0.6"}))
    assert found.tasks[1].row("small-cache").cell.figures.accuracy == pytest.approx(14 / 24)
    assert found.tasks[1].row("small-cache").scores.reference.reason is Reason.BELOW_QUALITY_FLOOR
    assert "small-cache" not in found.tasks[1].order
    assert found.tasks[1].row("small-cache").scores.published.value is not None


@pytest.mark.parametrize(("basis", "mebibytes"), [("Footprint", 417.0), ("Reserved", 447.0), ("Weights", 100.5692)])
def test_memory_by_its_basis(basis: str, mebibytes: float) -> None:
    found = row(runs.succeeded(), {"memoryBasis": basis}).cell.figures.memory_bytes
    assert found == pytest.approx(mebibytes * MEBIBYTE, rel=1e-5)


def endpoint(base: ModelRecord) -> ModelRecord:
    return base.model_copy(update={"source": {"kind": "Endpoint", "url": "http://a"}})


def test_weights_of_unknown_size_leave_memory_out_for_all_and_name_the_model() -> None:
    models = runs.four_models()
    found = evaluate(with_per(results((*models[:3], endpoint(models[3]))), {"memoryBasis": "Weights"}))
    left_out = next(entry for entry in found.tasks[0].left_out if entry.axis is Axis.MEMORY)
    assert left_out.models == ("two-threads",)
    assert found.tasks[0].row("two-threads").cell.memory_reason == "the size of its files is not known"
    messages = [warning.message for warning in found.warnings if warning.code == "NotMeasured"]
    assert messages[0].startswith("memory left out for all: not measured for two-threads")


def test_reciprocal_latency_is_one_over_the_work_of_the_whole_server() -> None:
    two_units = with_per(runs.succeeded(), {"latencyBasis": "Reciprocal"})
    two_units = two_units.model_copy(
        update={"models": tuple(m.model_copy(update={"units": 2}) for m in two_units.models)}
    )
    for task in evaluate(two_units).tasks:
        figures = task.row("four-slots").cell.figures
        assert figures.latency_ms == pytest.approx(1000 / (2 * figures.throughput))
        assert figures.seconds_per_item == pytest.approx(1 / (2 * figures.items_per_second))
    assert len(figures_of_rounds := evaluate(two_units).tasks[1].row("four-slots").cell.rounds) == 3
    assert all(r.figures.latency_ms == pytest.approx(500 / r.figures.throughput) for r in figures_of_rounds)


def unloaded() -> Results:
    """Four models with a stage without load in each round, in which a request takes half as long as under load."""
    return asked_unloaded(results([runs.with_unloaded_stages(record, 0.5) for record in runs.four_models()]))


def asked_unloaded(base: Results) -> Results:
    return base.model_copy(update={"resolved": base.resolved.model_copy(update={"unloaded_requests": 24})})


@pytest.mark.parametrize("task", [TOPICS, ANSWERS])
def test_unloaded_latency_comes_from_its_own_stages(task: object) -> None:
    index = (TOPICS, ANSWERS).index(task)
    loaded = row(unloaded(), {"latencyBasis": "Request"}, task=index).cell.figures
    found = row(unloaded(), {"latencyBasis": "Unloaded"}, task=index).cell.figures
    assert found.latency_ms == pytest.approx(0.5 * loaded.latency_ms)
    assert found.seconds_per_item == pytest.approx(0.5 * loaded.seconds_per_item)
    assert replace(found, latency_ms=0, seconds_per_item=0) == replace(loaded, latency_ms=0, seconds_per_item=0)


def test_unloaded_stages_count_as_stages_of_the_run_and_nothing_else() -> None:
    found = evaluate(unloaded())
    assert (found.completed_stages, found.planned_stages) == (4 * 2 * 3 * 2, 4 * 2 * 3 * 2)
    cell = found.tasks[0].row("one-slot").cell
    assert (cell.requests, cell.planned_items, cell.excluded) == (3 * 24, 3 * 24, None)
    assert cell.ttft.n == 3 * 24
    assert found.verdict.exit_code == 0


def test_the_run_is_not_at_its_end_before_the_unloaded_stages_are_recorded() -> None:
    found = evaluate(asked_unloaded(runs.succeeded()))
    assert found.verdict.exit_code is None
    assert (found.completed_stages, found.planned_stages) == (24, 48)


def test_unloaded_latency_that_was_not_asked_for_is_left_out_for_all_with_a_warning() -> None:
    found = evaluate(with_per(runs.succeeded(), {"latencyBasis": "Unloaded"}))
    assert found.tasks[0].row("one-slot").cell.figures.latency_ms is None
    assert found.tasks[0].row("four-slots").scores.reference.value is not None
    assert {entry.axis for entry in found.tasks[0].left_out} >= {Axis.LATENCY}
    assert found.warnings[0].code == "UnloadedNotMeasured"


def test_an_invalid_unloaded_stage_matters_where_its_latency_is_used() -> None:
    base = unloaded()
    broken = runs.with_unloaded_stages(base.models[1], 0.5, findings=(runs.SATURATED,))
    base = base.model_copy(update={"models": (base.models[0], broken, *base.models[2:])})
    assert row(base, {"latencyBasis": "Unloaded"}).cell.valid is False
    assert row(base, {"latencyBasis": "Request"}).cell.valid is True


@pytest.mark.parametrize("rounds", [3, 1])
def test_unloaded_latency_has_an_interval(rounds: int) -> None:
    models = [
        runs.with_unloaded_stages(model(name, shape, rounds=rounds, repeats=3 // rounds), 0.5)
        for name, shape in zip("ab", (ONE_SLOT, FOUR_SLOTS), strict=True)
    ]
    base = with_per(results(models, rounds=rounds, repeats=3 // rounds), {"latencyBasis": "Unloaded"})
    found = evaluate(asked_unloaded(base)).tasks[0].row("b")
    interval = found.scores.uncertainty.figures.latency
    assert interval.low < found.cell.figures.latency_ms < interval.high


def test_prices_give_costs_of_tokens_and_of_right_answers_with_intervals() -> None:
    prices = {"prices": [{"unit": "server", "dollarsPerHour": "3.6"}]}
    found = evaluate(with_per(runs.succeeded(), capacity=prices)).tasks
    cost = found[1].row("four-slots").cost
    figures = found[1].row("four-slots").cell.figures
    assert cost.per_million_tokens == pytest.approx(1000 / figures.throughput)
    assert cost.per_correct_answer == pytest.approx(0.001 / figures.correct_items_per_second)
    assert cost.per_million_tokens_interval.low < cost.per_million_tokens < cost.per_million_tokens_interval.high
    assert found[0].row("four-slots").cost.per_million_tokens is None  # classification counts items


def test_a_unit_without_a_price_and_a_cell_that_is_not_compared_have_no_cost() -> None:
    prices = {"prices": [{"unit": "accelerator", "dollarsPerHour": 1}]}
    assert evaluate(with_per(runs.succeeded(), capacity=prices)).tasks[0].row("one-slot").cost is None
    prices = {"prices": [{"unit": "server", "dollarsPerHour": 1}]}
    found = evaluate(with_per(runs.with_invalid_stage(), capacity=prices)).tasks[1]
    assert found.row("four-slots").cost is None
    assert found.row("one-slot").cost is not None


def test_the_same_results_and_settings_give_the_same_answer() -> None:
    assert evaluate(runs.succeeded()) == evaluate(runs.succeeded())
