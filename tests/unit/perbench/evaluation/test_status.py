from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml

from perbench.api.status import decimal_text
from perbench.evaluation import evaluate, status
from perbench.evaluation.status import WARNINGS_LIMIT
from perbench.results import Finding, Results
from tests.support import results as runs
from tests.support.golden import assert_golden
from tests.support.results import ONE_SLOT, TOPICS, Shape, model, results

GOLDEN = Path("tests/golden/evaluation")
LIMIT = 128 * 1024


def document(found: Results, **arguments: object) -> dict[str, object]:
    return status(evaluate(found), **arguments).model_dump(mode="json", by_alias=True, exclude_none=True)


@pytest.mark.parametrize(
    "name",
    ["succeeded", "with_failed_model", "with_invalid_stage", "one_model", "interrupted", "on_accelerators"],
)
def test_the_status_of_a_run(name: str) -> None:
    text = yaml.safe_dump(document(getattr(runs, name)(), results_name="results.json"), sort_keys=False, width=120)
    assert_golden(GOLDEN / f"status-{name.replace('_', '-')}.yaml", text)


def test_decimals_are_text_and_absent_figures_are_absent() -> None:
    entry = document(runs.succeeded())["models"][1]["tasks"][0]
    assert entry == {
        "name": "topics",
        "accuracy": "0.75",
        "throughput": "5",
        "throughputUnit": "items/s per server",
        "latencyMilliseconds": "800",
        "memoryMebibytes": "411",
        "per": "0.461",
        "perLow": "0.3975",
        "perHigh": "0.52",
        "referencePer": "1.095",
        "referencePerLow": "1.066",
        "referencePerHigh": "1.125",
        "paretoOptimal": True,
        "errorPercent": "0",
        "valid": True,
        "clientErrorMilliseconds": "0.08",
    }


def test_a_published_zero_is_written() -> None:
    assert document(runs.succeeded())["models"][0]["tasks"][0]["per"] == "0"


def test_the_p95_of_the_first_token_is_given_from_200_requests() -> None:
    shapes = {"topics": ONE_SLOT["topics"]}
    found = results((model("m", shapes, (TOPICS,), repeats=3),), (TOPICS,), repeats=3)  # 216 requests
    assert document(found)["models"][0]["tasks"][0]["ttftP95Milliseconds"] == "281.5"


def test_what_the_client_added_stands_beside_the_intervals() -> None:
    found = runs.succeeded()
    first = document(found)["models"][0]["tasks"][0]
    added = [stage.client.error_p50_ms for stage in found.models[0].stages("topics")]
    assert first["clientErrorMilliseconds"] == decimal_text(max(value for value in added if value is not None))


def test_the_longest_start_is_rounded_up() -> None:
    assert document(runs.succeeded())["models"][0]["readySeconds"] == 3  # 2.5, 2.6 and 2.7 s


def test_phases_of_models_while_the_run_is_on() -> None:
    started = model("measuring", ONE_SLOT, rounds=1)
    found = results(
        (model("done", ONE_SLOT), started, model("waiting", {}, (), rounds=0)), completion_time=None, interrupted=True
    )
    assert [entry["phase"] for entry in document(found)["models"]] == ["Succeeded", "Measuring", "Pending"]
    assert document(found)["phase"] == "Measuring"
    assert "comparedModels" not in document(found)
    assert "best" not in document(found)


def test_nothing_started_is_pending() -> None:
    found = results((model("waiting", {}, (), rounds=0),), completion_time=None)
    assert document(found)["phase"] == "Pending"
    assert document(found)["models"][0] == {"name": "waiting", "phase": "Pending", "runtime": "LlamaCpp", "tasks": []}


def test_what_the_caller_knows_goes_in() -> None:
    found = document(runs.one_model(), request="2026-04-02", generation=7, message="m" * 300)
    assert found["run"]["request"] == "2026-04-02"
    assert found["observedGeneration"] == 7
    assert found["conditions"][0]["observedGeneration"] == 7
    assert len(found["progress"]["message"]) == 256


def test_conditions_change_when_the_run_ends() -> None:
    found = status(evaluate(runs.one_model()))
    assert found.conditions[0].last_transition_time == datetime(2026, 4, 2, 9, 35, 12, tzinfo=UTC)


def test_the_commit_of_a_hub_model_is_its_revision() -> None:
    hub = model("m", ONE_SLOT, source={"kind": "Hub", "repository": "org/name", "revision": "f" * 40})
    assert document(results((hub,)))["models"][0]["revision"] == "f" * 40


def noisy(code: str) -> Finding:
    return runs.NOT_STEADY.model_copy(update={"code": code, "rule": "r" * 300, "advice": "a" * 300})


@pytest.mark.parametrize(("models", "tasks"), [(32, 4), (8, 16)])
def test_the_largest_run_fits_into_128_kib(models: int, tasks: int) -> None:
    records = [TOPICS.model_copy(update={"name": f"{'t' * 38}{number:02}"}) for number in range(tasks)]
    findings = {0: tuple(noisy(f"Code{'x' * 40}{letter}") for letter in "abc")}
    found = results(
        [
            model(
                f"{'m' * 38}{number:02}",
                {
                    record.name: Shape(1.2345678 + number / 97, 3, 18, 380.123 + number, findings=findings)
                    for record in records
                },
                records,
            )
            for number in range(models)
        ],
        records,
    )
    evaluation = evaluate(found)
    text = status(evaluation).model_dump_json(by_alias=True, exclude_none=True)
    assert len(evaluation.warnings) > 32
    assert LIMIT / 3 < len(text.encode()) <= LIMIT


def test_warnings_beyond_the_limit_are_counted() -> None:
    shape = replace(ONE_SLOT["topics"], findings={0: tuple(noisy(f"Code{letter}") for letter in "abcde")})
    found = results([model(f"m{number}", {"topics": shape}, (TOPICS,)) for number in range(8)], (TOPICS,))
    evaluation = evaluate(found)
    warnings = document(found)["warnings"]
    assert len(warnings) == WARNINGS_LIMIT
    assert warnings[-1] == {
        "reason": "MoreWarnings",
        "message": f"{len(evaluation.warnings) - WARNINGS_LIMIT + 1} more: see the report or the results",
    }
