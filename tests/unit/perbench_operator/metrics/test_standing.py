from datetime import UTC, datetime
from typing import Any

import pytest

from perbench_operator.metrics.families import FAILURE, PHASE_START
from perbench_operator.metrics.standing import phase_of, standing
from tests.support.finished import finished, golden_status

SINCE = "2026-04-02T09:35:12Z"


def told(status: dict[str, Any]) -> dict[str, list[tuple[tuple[str, ...], float]]]:
    found: dict[str, list[tuple[tuple[str, ...], float]]] = {}
    for sample in standing(finished(status)):
        found.setdefault(sample.family.name, []).append((sample.labels[2:], sample.value))
    return found


def seconds(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


def test_since_when_it_stands_in_its_phase() -> None:
    found = told({"phase": "Measuring", "phaseStartTime": SINCE})
    assert found == {PHASE_START.name: [(("Measuring",), seconds("2026-04-02T09:35:12"))]}


def test_a_benchmark_that_nobody_looked_at_is_pending_since_it_was_made() -> None:
    body = finished({})
    assert phase_of(body) == "Pending"
    assert told({}) == {PHASE_START.name: [(("Pending",), seconds("2026-04-02T09:29:58"))]}


@pytest.mark.parametrize("time", [None, "yesterday", 3])
def test_without_a_time_it_is_not_said(time: object) -> None:
    assert told({"phase": "Queued", "phaseStartTime": time}) == {}


def test_why_a_benchmark_failed() -> None:
    status = golden_status("evaluation/status-with-failed-model.yaml")
    assert told(status)[FAILURE.name] == [(("Target", "ServerExited", "SomeModelsFailed"), 1.0)]
    status = golden_status("evaluation/status-with-invalid-stage.yaml")
    assert told(status)[FAILURE.name] == [(("LoadGenerator", "LoadGeneratorSaturated", "MeasurementInvalid"), 1.0)]
    status = golden_status("operator/status/not-accepted.yaml")
    (((blame, reason, verdict), _),) = told(status)[FAILURE.name]
    assert (blame, reason) == ("", verdict), "it never ran: nobody is to blame"


def test_a_model_that_failed_is_no_failure_while_the_run_is_on() -> None:
    status = golden_status("evaluation/status-with-failed-model.yaml") | {"phase": "Measuring"}
    assert FAILURE.name not in told(status)
    assert FAILURE.name not in told(golden_status("evaluation/status-succeeded.yaml"))
