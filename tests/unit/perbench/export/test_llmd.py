import copy
from dataclasses import replace
from typing import Any

import pytest
import yaml
from llmd_benchmark_report import BenchmarkReportV02, yaml_str_to_benchmark_report

from perbench.evaluation import evaluate
from perbench.export import llmd_reports
from perbench.results import Results, TaskKind
from tests.support import results as runs
from tests.support.results import (
    ANSWERS,
    ONE_SLOT,
    TOPICS,
    Shape,
    literal_model,
    literal_stage,
    model,
    requests,
    results,
)


def reports(of: Results) -> dict[str, str]:
    return llmd_reports(evaluate(of))


def report(of: Results, name: str) -> Any:
    return yaml.safe_load(reports(of)[name])


def test_a_report_per_model_and_task_that_was_measured() -> None:
    assert list(reports(runs.with_failed_model())) == [
        f"{name}.{task}.yaml" for task in ("topics", "answers") for name in runs.NAMES[:3]
    ]
    assert reports(results([runs.failed_model("m", runs.OUT_OF_MEMORY)])) == {}


@pytest.mark.parametrize("name", ["succeeded", "with_invalid_stage", "interrupted", "hostile", "long_names"])
def test_their_own_reader_takes_every_report(name: str) -> None:
    found = reports(getattr(runs, name)())
    assert found
    for text in found.values():
        assert isinstance(yaml_str_to_benchmark_report(text), BenchmarkReportV02)


def test_their_reader_would_refuse_a_wrong_one() -> None:
    """The test above can fail."""
    document = report(runs.succeeded(), "one-slot.answers.yaml")
    for change in (
        lambda d: d["results"]["request_performance"]["aggregate"]["latency"]["request_latency"].update(
            units="tokens/s"
        ),
        lambda d: d["scenario"]["load"]["standardized"].pop("source"),
        lambda d: d["run"].update(name="x"),
    ):
        wrong = copy.deepcopy(document)
        change(wrong)
        with pytest.raises(ValueError, match="validation error"):
            yaml_str_to_benchmark_report(yaml.safe_dump(wrong))


def test_figures_are_those_of_the_cell_for_the_whole_server() -> None:
    aggregate = report(runs.succeeded(), "four-slots.answers.yaml")["results"]["request_performance"]["aggregate"]
    cell = evaluate(runs.succeeded()).tasks[1].row("four-slots").cell
    assert aggregate["requests"]["total"] == 72
    assert aggregate["requests"]["failures"] == 0
    assert aggregate["throughput"]["output_token_rate"] == {
        "units": "tokens/s",
        "mean": pytest.approx(cell.figures.throughput),
    }
    assert aggregate["latency"]["request_latency"]["mean"] == pytest.approx(1505.0)
    assert aggregate["latency"]["time_to_first_token"]["p50"] == cell.ttft.value(50)
    assert aggregate["latency"]["inter_token_latency"]["p50"] == cell.itl_p50_ms
    two = runs.results([entry.model_copy(update={"units": 2}) for entry in runs.four_models()])
    rates = [
        report(of, "four-slots.answers.yaml")["results"]["request_performance"]["aggregate"]["throughput"]
        for of in (two, runs.succeeded())
    ]
    assert rates[0] == rates[1]


def test_percentiles_without_ten_requests_beyond_are_left_out() -> None:
    aggregate = report(runs.succeeded(), "one-slot.answers.yaml")["results"]["request_performance"]["aggregate"]
    assert set(aggregate["latency"]["request_latency"]) == {"units", "mean", "p50", "max"}


def test_failed_requests_count_as_infinitely_slow() -> None:
    times = [100.0] * 30 + [None] * 40
    of = results(
        [literal_model(literal_stage(ANSWERS, requests(times, item=[i % 24 for i in range(70)]), number=0))],
        (ANSWERS,),
        rounds=1,
    )
    aggregate = report(of, "m.answers.yaml")["results"]["request_performance"]["aggregate"]
    assert aggregate["requests"]["failures"] == 40
    assert "p50" not in aggregate["latency"]["request_latency"]
    assert aggregate["latency"]["request_latency"]["mean"] == 100.0


def test_without_input_counts_there_is_no_load_and_no_figure_is_made_up() -> None:
    columns = requests([100.0] * 24, output_tokens=[None] * 24)
    of = results([literal_model(literal_stage(ANSWERS, columns, number=0))], (ANSWERS,), rounds=1)
    document = report(of, "m.answers.yaml")
    assert "load" not in document["scenario"]
    aggregate = document["results"]["request_performance"]["aggregate"]
    assert "input_length" not in aggregate["requests"]
    assert "normalized_time_per_output_token" not in aggregate["latency"]
    assert yaml_str_to_benchmark_report(reports(of)["m.answers.yaml"])


def test_memory_of_a_server_stands_there_and_that_of_an_endpoint_does_not() -> None:
    usage = report(runs.succeeded(), "one-slot.answers.yaml")["results"]["observability"]["components"][0]
    assert usage["component_label"] == "one-slot"
    assert usage["aggregate"]["cpu_memory_usage"] == {"units": "MiB", "mean": 385.0, "min": 384.0, "max": 386.0}
    remote = model("m", {"topics": replace(ONE_SLOT["topics"], memory_mebibytes=None)}, (TOPICS,), runtime=None)
    document = report(results([remote], (TOPICS,)), "m.topics.yaml")
    assert "observability" not in document["results"]
    assert document["scenario"]["stack"][0]["standardized"]["tool"] == "endpoint"


def test_what_accelerators_did_stands_there_and_processor_time_does_not() -> None:
    of = runs.with_every_setting()
    usage = report(of, "four-slots.answers.yaml")["results"]["observability"]["components"][0]["aggregate"]
    assert usage["gpu_utilization"] == {"units": "percent", "mean": 87.5, "min": 87.5, "max": 87.5}
    assert usage["power_consumption"]["mean"] == pytest.approx(310.0)
    host = report(of, "one-slot.answers.yaml")["results"]["observability"]["components"][0]["aggregate"]
    assert host.keys() == {"cpu_memory_usage"}
    assert yaml_str_to_benchmark_report(reports(of)["four-slots.answers.yaml"])


def test_what_spoiled_a_measurement_is_said() -> None:
    run = report(runs.with_invalid_stage(), "four-slots.answers.yaml")["run"]
    assert run["description"].endswith("3 stages pooled, not valid: LoadGeneratorSaturated")
    assert run["keywords"][-1] == "invalid"


def test_a_synthetic_load_is_random_and_of_fixed_length() -> None:
    task = ANSWERS.model_copy(update={"name": "load", "kind": TaskKind.SYNTHETIC})
    of = results([model("m", {"load": Shape(1.0, 16, 0)}, (task,))], (task,))
    load = report(of, "m.load.yaml")["scenario"]["load"]["standardized"]
    assert (load["source"], load["output_seq_len"]) == ("random", {"distribution": "fixed", "value": 16})


def test_every_report_has_its_own_id_and_the_same_each_time() -> None:
    documents = [yaml.safe_load(text) for text in reports(runs.succeeded()).values()]
    assert len({document["run"]["uid"] for document in documents}) == 8
    assert {document["run"]["eid"] for document in documents} == {"0123456789"}
    assert reports(runs.succeeded()) == reports(runs.succeeded())


def test_names_are_no_paths_and_none_replaces_another() -> None:
    named = [model(name, ONE_SLOT, (TOPICS,)) for name in ("first", "../up", "..?up", "a" * 300)]
    assert list(reports(results(named, (TOPICS,))))[1:] == ["_up.topics.yaml", "_up.topics-2.yaml", "a" * 120 + ".yaml"]
