from typing import Any

import pytest

from perbench.api.resource import to_data
from perbench.evaluation import evaluate
from perbench.evaluation import status as evaluated
from perbench_operator.metrics.families import (
    RESULT,
    RESULT_ACCURACY,
    RESULT_COST,
    RESULT_ITEMS,
    RESULT_LATENCY,
    RESULT_MEMORY,
    RESULT_PARETO,
    RESULT_PER,
    RESULT_RATIO,
    RESULT_REGRESSED,
    RESULT_TOKENS,
    RESULT_VALID,
    Family,
)
from perbench_operator.metrics.results import number, results
from tests.support.finished import PRICES, finished, golden_status
from tests.support.results import succeeded

SUCCEEDED = "evaluation/status-succeeded.yaml"


def told(body: dict[str, Any], family: Family) -> dict[tuple[str, ...], float]:
    """The samples of one metric, by their labels without those of the benchmark."""
    found = {sample.labels: sample.value for sample in results(body) if sample.family is family}
    assert all(labels[:2] == ("team-a", "bench") for labels in found)
    assert all(len(labels) == len(family.labels) for labels in found)
    return {labels[2:]: value for labels, value in found.items()}


def one_cell(**fields: Any) -> dict[str, Any]:
    """A benchmark of one model on one task."""
    row = {"name": "topics", "throughputUnit": "tokens/s per server", "paretoOptimal": True, "valid": True} | fields
    status = {
        "phase": "Succeeded", "completionTime": "2026-04-02T09:35:12Z",
        "models": [{"name": "a", "phase": "Succeeded", "tasks": [row]}],
    }  # fmt: skip
    return finished(status, tasks=[{"name": "topics", "preset": "PackagedTopics"}], capacity=PRICES)


def test_every_figure_of_a_row_is_there_in_base_units() -> None:
    body = finished(golden_status(SUCCEEDED), capacity=PRICES)
    topics, answers = ("four-slots", "topics"), ("four-slots", "answers")
    per = told(body, RESULT_PER)
    assert [per[*topics, "published", bound] for bound in ("point", "low", "high")] == [0.461, 0.3975, 0.52]
    assert [per[*topics, "reference", bound] for bound in ("point", "low", "high")] == [1.095, 1.066, 1.125]
    assert told(body, RESULT_ACCURACY)[answers] == 0.625
    assert told(body, RESULT_TOKENS)[answers] == 31.89
    assert told(body, RESULT_ITEMS)[topics] == 5
    assert topics not in told(body, RESULT_TOKENS)
    assert answers not in told(body, RESULT_ITEMS)
    latency = told(body, RESULT_LATENCY)
    assert latency[*answers, "per_token"] == pytest.approx(0.1254)
    assert latency[*topics, "per_item"] == pytest.approx(0.8)
    assert told(body, RESULT_MEMORY)[*topics, "Footprint"] == 411 * 1024 * 1024
    assert told(body, RESULT_COST)[answers] == pytest.approx(0.36 / 3600 * 1e6 / 31.89)
    assert topics not in told(body, RESULT_COST), "classification puts out no tokens to pay for"
    assert told(body, RESULT)[*topics, "server", "Request", "LlamaCpp", ""] == 1
    assert set(told(body, RESULT_VALID).values()) == {1.0}
    assert len(told(body, RESULT_VALID)) == 8


def test_what_is_not_in_the_status_has_no_sample() -> None:
    body = finished(golden_status(SUCCEEDED))
    assert ("one-slot", "topics", "published", "low") not in told(body, RESULT_PER), "no interval where PER is 0"
    assert told(body, RESULT_PER)["one-slot", "topics", "published", "point"] == 0
    assert not [labels for labels in told(body, RESULT_LATENCY) if labels[-1] == "ttft_p95"]
    assert told(body, RESULT_COST) == {}, "no price, no cost"


def test_who_is_on_the_pareto_front() -> None:
    body = finished(golden_status("evaluation/status-on-accelerators.yaml"))
    rows = {
        (model["name"], task["name"]): task["paretoOptimal"]
        for model in body["status"]["models"]
        for task in model.get("tasks", ())
        if "paretoOptimal" in task
    }
    assert set(rows.values()) == {True, False}
    assert told(body, RESULT_PARETO) == {cell: float(optimal) for cell, optimal in rows.items()}
    assert told(one_cell(paretoOptimal=None), RESULT_PARETO) == {}, "who was not compared is neither on it nor off it"


@pytest.mark.parametrize("value", ["yes", 1, "true", []])
def test_what_is_no_answer_is_no_place_on_the_front(value: object) -> None:
    assert told(one_cell(paretoOptimal=value), RESULT_PARETO) == {}


def test_the_time_to_first_token() -> None:
    assert told(one_cell(ttftP95Milliseconds="250"), RESULT_LATENCY) == {("a", "topics", "ttft_p95"): 0.25}


@pytest.mark.parametrize("text", ["fast", "1e3", "1_000", "NaN", "inf", "", "٣", None, 3, ["3"]])
def test_what_is_no_number_is_skipped(text: object) -> None:
    assert number(text) is None
    body = one_cell(accuracy=text, throughput=text, latencyMilliseconds=text, memoryMebibytes=text, per=text)
    assert {sample.family for sample in results(body)} == {RESULT, RESULT_VALID, RESULT_PARETO}


def test_numbers_are_read_as_they_are_written() -> None:
    assert [number(text) for text in ("0", "-1.5", "0.8731", "1235000")] == [0, -1.5, 0.8731, 1235000]


@pytest.mark.parametrize("unit", [None, "", "tokens/min per server", "pages/s per server"])
def test_without_a_unit_it_is_not_known_what_was_counted(unit: str | None) -> None:
    body = one_cell(throughput="10", latencyMilliseconds="5", throughputUnit=unit)
    assert {sample.family for sample in results(body)} == {RESULT, RESULT_VALID, RESULT_PARETO}


@pytest.mark.parametrize("name", ["measuring", "queued", "suspended", "begun", "between-two-models"])
def test_a_run_that_is_on_has_no_results(name: str) -> None:
    """Its figures are those of a part of the stages, and the run before it is in the status no more."""
    assert list(results(finished(golden_status(f"operator/status/{name}.yaml")))) == []


@pytest.mark.parametrize("status", [{}, {"phase": "Pending"}, golden_status("operator/status/not-accepted.yaml")])
def test_nothing_ended_no_results(status: dict[str, Any]) -> None:
    assert list(results(finished(status))) == []
    body = finished(status)
    del body["status"]
    assert list(results(body)) == []


def test_a_model_that_failed_is_not_valid_on_any_task() -> None:
    body = finished(golden_status("evaluation/status-with-failed-model.yaml"))
    valid = told(body, RESULT_VALID)
    assert {model for (model, _), value in valid.items() if value == 0} == {"two-threads"}
    assert len(valid) == 8
    assert not [labels for labels in told(body, RESULT_PER) if labels[0] == "two-threads"]


def test_an_invalid_measurement_keeps_its_figures() -> None:
    body = finished(golden_status("evaluation/status-with-invalid-stage.yaml"), capacity=PRICES)
    assert [cell for cell, value in told(body, RESULT_VALID).items() if value == 0] == [("four-slots", "answers")]
    assert told(body, RESULT_TOKENS)["four-slots", "answers"] == 31.89
    assert ("four-slots", "answers", "reference", "point") not in told(body, RESULT_PER)
    assert ("four-slots", "answers") not in told(body, RESULT_COST), "what is not compared has no cost"


def test_figures_that_were_left_out_of_the_comparison_are_not_valid() -> None:
    """Too many errors, too few samples, other lengths: such a row says valid, for nobody spoiled what was measured."""
    left_out = one_cell(throughput="10", errorPercent="40", paretoOptimal=None)
    assert told(left_out, RESULT_VALID) == {("a", "topics"): 0.0}
    assert told(left_out, RESULT_TOKENS) == {("a", "topics"): 10}
    for compared in ({"per": "0.1"}, {"referencePer": "1"}, {"paretoOptimal": False}):
        assert told(one_cell(**({"paretoOptimal": None} | compared)), RESULT_VALID) == {("a", "topics"): 1.0}


@pytest.mark.parametrize(
    ("reason", "valid"), [("UnlikeAccelerators", 0.0), ("SharedAccelerator", 0.0), ("NotSteady", 1.0)]
)
def test_what_spoils_the_whole_run_spoils_every_figure(reason: str, valid: float) -> None:
    body = one_cell(per="0.5")
    body["status"]["conditions"] = [{"type": "MeasurementValid", "status": "False", "reason": reason}]
    assert told(body, RESULT_VALID) == {("a", "topics"): valid}


def test_bases_are_those_of_the_spec() -> None:
    fields = {"memoryMebibytes": "2", "latencyMilliseconds": "5", "throughput": "7"}
    body = one_cell(**fields)
    body["spec"]["per"] = {"memoryBasis": "Weights", "latencyBasis": "Unloaded"}
    assert told(body, RESULT_MEMORY) == {("a", "topics", "Weights"): 2 * 1024 * 1024}
    assert list(told(body, RESULT)) == [("a", "topics", "server", "Unloaded", "", "")]


def test_a_status_about_an_earlier_spec_is_not_read_by_the_present_one() -> None:
    """Until the operator has worked an edit of `per` or `capacity` in, the figures are those of before."""
    body = one_cell(memoryMebibytes="2", throughput="7", accuracy="0.5")
    body["metadata"]["generation"] = 4
    assert told(body, RESULT_MEMORY) == told(body, RESULT_COST) == {}
    assert list(told(body, RESULT)) == [("a", "topics", "server", "", "", "")]
    assert told(body, RESULT_ACCURACY) == {("a", "topics"): 0.5}
    assert told(body, RESULT_VALID) == {("a", "topics"): 1.0}


def test_nor_by_a_spec_that_was_not_accepted() -> None:
    body = one_cell(memoryMebibytes="2")
    body["status"]["conditions"] = [{"type": "Accepted", "status": "False", "reason": "InvalidSpec"}]
    assert told(body, RESULT_MEMORY) == {}


def test_nor_by_the_spec_of_a_run_that_is_yet_to_begin() -> None:
    """Of an edit together with `execution.suspend`: nothing is wrong with it, and the figures are of the run before."""
    body = one_cell(memoryMebibytes="2", throughput="7")
    body["status"] |= {
        "phase": "Suspended", "refused": {"id": "0123456789"},
        "conditions": [{"type": "Accepted", "status": "Unknown", "reason": "Suspended"}],
    }  # fmt: skip
    body["spec"] |= {"per": {"latencyBasis": "Unloaded"}, "tasks": [{"name": "answers", "preset": "PackagedAnswers"}]}
    assert told(body, RESULT_MEMORY) == told(body, RESULT_COST) == {}
    assert list(told(body, RESULT)) == [("a", "topics", "server", "", "", "")]
    assert told(body, RESULT_VALID) == {("a", "topics"): 1.0}


@pytest.mark.parametrize(
    ("dollars", "cost"),
    [(2, 2 / 3600 * 1e6 / 7), ("0.40", 0.4 / 3600 * 1e6 / 7), (0, 0.0), ("free", None), (-1, None), (True, None)],
)
def test_costs_need_a_price(dollars: Any, cost: float | None) -> None:
    body = one_cell(throughput="7")
    body["spec"]["capacity"] = {"prices": [{"unit": "server", "dollarsPerHour": dollars}]}
    assert told(body, RESULT_COST) == ({} if cost is None else {("a", "topics"): pytest.approx(cost)})


def test_costs_need_the_price_of_the_unit_and_some_throughput() -> None:
    body = one_cell(throughput="7")
    body["spec"]["capacity"] = {"prices": [{"unit": "accelerator", "dollarsPerHour": 2}]}
    assert told(body, RESULT_COST) == {}
    assert told(one_cell(throughput="0"), RESULT_COST) == {}


def test_costs_are_those_of_the_report() -> None:
    """The status has four digits of the throughput that the report computes with."""
    run = succeeded()
    evaluation = evaluate(run.model_copy(update={"spec": {**run.spec, "capacity": PRICES}}))
    expected = {
        (row.cell.model, row.cell.task): row.cost.per_million_tokens
        for task in evaluation.tasks
        for row in task.rows
        if row.cost is not None and row.cost.per_million_tokens is not None
    }
    assert len(expected) == 4
    found = told(finished(to_data(evaluated(evaluation)), capacity=PRICES), RESULT_COST)
    assert found == {cell: pytest.approx(dollars, rel=1e-3) for cell, dollars in expected.items()}


def test_what_got_worse_than_the_baseline() -> None:
    status = golden_status("operator/status/regressed.yaml")
    body = finished(status)
    assert told(body, RESULT_REGRESSED) == {("small-or-large",): 1.0}
    ratios = told(body, RESULT_RATIO)
    worst = status["baseline"]["regressed"][0]
    cell = (worst["model"], worst["task"], worst["figure"])
    assert [ratios[*cell, bound] for bound in ("point", "low", "high")] == [
        float(worst[name]) for name in ("ratio", "low", "high")
    ]
    assert len(ratios) == 3 * status["baseline"]["regressedFigures"]


def test_nothing_got_worse() -> None:
    body = finished(golden_status("operator/status/not-regressed.yaml"))
    assert told(body, RESULT_REGRESSED) == {("small-or-large",): 0.0}
    assert told(body, RESULT_RATIO) == {}


@pytest.mark.parametrize("name", ["baseline-unlike", "figures-lost", "no-baseline-run", "succeeded", "measuring"])
def test_what_was_not_judged_has_no_sample(name: str) -> None:
    body = finished(golden_status(f"operator/status/{name}.yaml"))
    assert told(body, RESULT_REGRESSED) == told(body, RESULT_RATIO) == {}


def test_a_ratio_that_is_no_number_is_skipped() -> None:
    status = golden_status("operator/status/regressed.yaml")
    status["baseline"]["regressed"] = [status["baseline"]["regressed"][0] | {"ratio": "much", "low": None}]
    assert [labels[-1] for labels in told(finished(status), RESULT_RATIO)] == ["high"]
