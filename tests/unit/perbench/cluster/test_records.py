import copy
from typing import Any

import pytest

from perbench.api.identity import run_id
from perbench.api.resource import BenchmarkSpec
from perbench.api.rules import STORED
from perbench.cluster.records import results_of, selector
from perbench.evaluation import evaluate
from perbench.failures import UsageError
from perbench.objects.results import MODEL, encoded
from perbench.record import parse as parse_results
from perbench.record import to_text
from perbench.report import render
from tests.support import cluster_runs, operator_cases

RESULTS = cluster_runs.finished()
BODY = cluster_runs.benchmark(RESULTS)
MAPS = cluster_runs.config_maps(RESULTS)


def test_what_is_stored_becomes_the_results_it_was() -> None:
    found = results_of(BODY, MAPS)
    assert [model.launches for model in found.models] == [model.launches for model in RESULTS.models]
    assert (found.tasks, found.run_id, found.name) == (RESULTS.tasks, RESULTS.run_id, "study")
    assert found.provenance == RESULTS.provenance
    assert parse_results(to_text(found).encode(), "results.json") == found


def test_status_and_page_follow_from_it_as_they_did_in_the_cluster() -> None:
    again = cluster_runs.benchmark(results_of(BODY, MAPS))["status"]
    assert [model["tasks"] for model in again["models"]] == [model["tasks"] for model in BODY["status"]["models"]]
    assert again["best"] == BODY["status"]["best"]
    assert evaluate(results_of(BODY, MAPS)).verdict.exit_code == 0
    assert "study" in render(results_of(BODY, MAPS))


def test_a_run_of_which_nothing_is_stored() -> None:
    with pytest.raises(UsageError, match=f"nothing has been recorded of run {RESULTS.run_id}"):
        results_of(BODY, MAPS[:1])


def test_a_benchmark_without_a_run_selects_nothing() -> None:
    assert selector(BODY) == f"perbench.dev/uid={cluster_runs.UID},perbench.dev/run-id={RESULTS.run_id}"
    with pytest.raises(UsageError, match="study has had no run yet"):
        selector({"metadata": BODY["metadata"]})


def test_a_spec_of_another_version_is_one_line() -> None:
    with pytest.raises(UsageError, match="of another version of perbench"):
        results_of(BODY | {"spec": BODY["spec"] | {"sweep": {}}}, MAPS)


def test_a_run_from_before_a_rule_of_the_spec_is_read() -> None:
    """What is wrong with it would keep it from beginning."""
    spec = BODY["spec"] | {"serving": {"runtime": "TGI"}}
    spec |= {"tasks": [task | {"maxTokens": 1500} for task in spec["tasks"]]}
    identity = run_id(cluster_runs.UID, BenchmarkSpec.model_validate(spec, context=STORED), None)
    status = BODY["status"] | {"run": BODY["status"]["run"] | {"id": identity}}
    assert results_of(BODY | {"spec": spec, "status": status}, MAPS).run_id == identity


def test_what_was_measured_is_not_told_of_another_spec() -> None:
    edited = BODY | {"spec": BODY["spec"] | {"load": {"concurrency": 2}}}
    with pytest.raises(UsageError, match=f"study was changed after run {RESULTS.run_id}"):
        results_of(edited, MAPS)
    read_otherwise = BODY | {"spec": BODY["spec"] | {"per": {"reference": "b"}}}
    assert evaluate(results_of(read_otherwise, MAPS)).settings.reference == "b"


def without(model: str, *keys: str) -> list[dict[str, Any]]:
    """The objects of the run, without keys of one model's results object, or without the object where none is given."""
    found = copy.deepcopy(MAPS)
    for body in found:
        if body["metadata"]["annotations"].get("perbench.dev/model") == model:
            for key in keys or body["binaryData"].copy():
                del body["binaryData"][key]
    return [body for body in found if body.get("binaryData") or "data" in body]


def test_a_results_object_that_is_gone_is_one_line() -> None:
    with pytest.raises(UsageError, match="study: the results object of model b is gone: run it again"):
        results_of(BODY, without("b"))


def test_a_results_object_that_does_not_say_how_its_model_was_served_is_one_line() -> None:
    with pytest.raises(UsageError, match="results object of model b does not say how it was served: somebody changed"):
        results_of(BODY, without("b", MODEL))


def test_the_report_shows_what_was_really_started() -> None:
    """Not what the benchmark says: perbench has added to it, and the owner of the cluster has."""
    record = operator_cases.read("vllm").record.model_copy(update={"name": "a"})
    other = copy.deepcopy(MAPS)
    other[1]["binaryData"][MODEL] = encoded(record)
    found = results_of(BODY, other).models[0]
    assert found.server_arguments == record.server_arguments
    assert "--max-num-seqs" in str(found.server_arguments["arguments"])
    assert "--max-num-seqs" in render(results_of(BODY, other))
