import csv
import io
from dataclasses import replace

import pytest

from perbench.evaluation import evaluate
from perbench.export import to_csv
from perbench.results import Results
from tests.support import results as runs
from tests.support.results import ONE_SLOT, TOPICS, model, results


def rows(of: Results) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(to_csv(evaluate(of)))))


def test_one_row_per_task_and_model_in_their_order() -> None:
    found = rows(runs.succeeded())
    assert [(row["task"], row["model"]) for row in found] == [
        (task, name) for task in ("topics", "answers") for name in runs.NAMES
    ]
    assert {row["run_id"] for row in found} == {"0123456789"}


def test_units_stand_in_the_names_of_the_columns() -> None:
    items, tokens = rows(runs.succeeded())[1], rows(runs.succeeded())[5]
    assert (items["items_per_second"], items["output_tokens_per_second"]) == ("5", "")
    assert (items["latency_ms_per_item"], items["latency_ms_per_token"]) == ("800", "")
    assert (tokens["output_tokens_per_second"], tokens["latency_ms_per_token"]) == ("31.8937", "125.417")
    assert tokens["memory_mib"] == "417"
    assert tokens["throughput_is_per"] == "server"


def test_values_are_those_of_the_evaluation() -> None:
    row = evaluate(runs.succeeded()).tasks[1].row("four-slots")
    assert row.scores.reference is not None
    assert row.scores.uncertainty is not None
    assert row.scores.uncertainty.reference_per is not None
    found = rows(runs.succeeded())[5]
    assert float(found["reference_per"]) == pytest.approx(row.scores.reference.value, rel=1e-5)
    assert float(found["reference_per_low"]) == pytest.approx(row.scores.uncertainty.reference_per.low, rel=1e-5)
    assert float(found["accuracy_low"]) < float(found["accuracy"]) < float(found["accuracy_high"])
    assert (found["pareto_optimal"], found["valid"], found["not_compared_because"]) == ("yes", "yes", "")


def test_what_was_not_measured_is_empty_and_why_is_said() -> None:
    failed = rows(runs.with_failed_model())[3]
    assert failed["model"] == "two-threads"
    assert failed["not_compared_because"] == "ModelFailed"
    assert {failed[name] for name in ("accuracy", "items_per_second", "reference_per", "valid")} == {""}
    blind = {"topics": replace(ONE_SLOT["topics"], memory_mebibytes=None)}
    assert rows(results([model("m", blind, (TOPICS,))], (TOPICS,)))[0]["memory_mib"] == ""


def test_every_run_has_the_same_columns() -> None:
    headers = {
        to_csv(evaluate(getattr(runs, name)())).partition("\n")[0] for name in ("succeeded", "interrupted", "hostile")
    }
    assert len(headers) == 1


def test_a_name_cannot_be_taken_for_a_formula() -> None:
    named = [model(name, ONE_SLOT) for name in ("first", "=1+1", "+x", "-x", "@x", 'a,"b"\nc')]
    found = rows(results(named))
    assert [row["model"] for row in found][:6] == ["first", "'=1+1", "'+x", "'-x", "'@x", 'a,"b"\nc']
