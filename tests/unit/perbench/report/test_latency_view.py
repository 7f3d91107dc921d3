"""Curves of latencies: where their hills are, and what is said of them."""

import re
from collections.abc import Sequence

import pytest

from perbench.evaluation import evaluate
from perbench.report.latency_view import POINTS, LatencyPanel, latency_panels
from perbench.results import Outcome, Results, TaskKind
from perbench.statistics import histogram
from tests.support import results as runs
from tests.support.results import ANSWERS, TOPICS, literal_model, literal_stage, requests, results

HUNDREDS = ANSWERS.model_copy(update={"name": "t", "items": 400})


def panels(found: Results, task: int = 0) -> dict[str, LatencyPanel]:
    evaluated = evaluate(found).tasks[task]
    models = {model.name: model for model in found.models}
    return {panel.title: panel for panel in latency_panels(evaluated.record, evaluated.rows, models, {"a": 1})}


def run_of(*e2e: Sequence[float | None], **columns: Sequence[object]) -> Results:
    models = [
        literal_model(literal_stage(HUNDREDS, requests(times, **columns)), name=name)
        for name, times in zip("abcdef", e2e, strict=False)
    ]
    return results(models, (HUNDREDS,), rounds=1)


def hill(path: str) -> float:
    """Where the highest point of a curve is, in percent of the line."""
    points = [tuple(map(float, pair.split())) for pair in re.findall(r"[\d.]+ [\d.]+", path)]
    return min(points, key=lambda point: point[1])[0]


def test_curves_share_a_scale_and_stand_where_the_times_are() -> None:
    found = panels(run_of([100.0 + i % 7 for i in range(400)], [400.0 + i % 7 for i in range(400)]))["Whole request"]
    quick, slow = (hill(curve.path) for curve in found.curves)
    assert quick < 25
    assert slow > 75
    for curve in found.curves:
        assert curve.p50 == pytest.approx(hill(curve.path), abs=2.5)
    assert [curve.best for curve in found.curves] == [True, False]


def test_a_curve_begins_and_ends_on_the_ground() -> None:
    path = panels(run_of([100.0 * 1.01**i for i in range(100)] * 4))["Whole request"].curves[0].path
    points = [tuple(map(float, pair.split())) for pair in re.findall(r"[\d.]+ [\d.]+", path)]
    assert len(points) == POINTS + 2
    assert points[1][1] > 20
    assert points[-2][1] > 20
    assert all(0 <= x <= 100 and 0 <= y <= 24 for x, y in points)


def test_equal_times_have_a_curve() -> None:
    found = panels(run_of([100.0] * 400))["Whole request"]
    assert hill(found.curves[0].path) == pytest.approx(50, abs=1)


def test_medians_and_95th_percentiles_are_said_where_there_are_requests_enough() -> None:
    many = panels(run_of(list(map(float, range(1, 401)))))["Whole request"].curves[0]
    assert many.text == "p50 200 ms, p95 380 ms"
    assert many.described == "a: median 200 ms, 95th percentile 380 ms"
    few = panels(run_of(list(map(float, range(1, 101)))))["Whole request"].curves[0]
    assert (few.text, few.p95) == ("p50 50.0 ms", None)
    assert few.described == "a: median 50.0 ms, 95th percentile withheld, for want of requests"


def test_failed_requests_push_percentiles_up_and_are_not_drawn() -> None:
    outcomes = [Outcome.SUCCESS] * 370 + [Outcome.TIMEOUT] * 30
    found = panels(run_of(list(map(float, range(1, 401))), outcome=outcomes))["Whole request"].curves[0]
    assert found.text == "p50 200 ms, p95 unbounded"
    assert found.p95 is None


def test_times_between_tokens_come_from_the_stored_histogram() -> None:
    columns = requests([100.0] * 400)
    stage = literal_stage(
        HUNDREDS, columns, itl=histogram.histogram([8.0, 16.0], [900, 100]), tokens_per_chunk_ratio=1.0
    )
    found = panels(results([literal_model(stage, name="a")], (HUNDREDS,), rounds=1))["Between tokens"].curves[0]
    assert found.text == "p50 8.02 ms, p95 16.0 ms"
    guessed = stage.model_copy(update={"tokens_per_chunk_ratio": 1.2})
    assert "Between tokens" not in panels(results([literal_model(guessed, name="a")], (HUNDREDS,), rounds=1))


def test_classification_has_no_times_between_tokens() -> None:
    assert TOPICS.kind is TaskKind.CLASSIFICATION
    assert list(panels(runs.succeeded())) == ["To the first token", "Whole request"]
    assert list(panels(runs.succeeded(), 1)) == ["To the first token", "Between tokens", "Whole request"]


def test_requests_without_load_have_a_drawing_of_their_own() -> None:
    found = panels(runs.with_every_setting(), 1)
    assert list(found)[-1] == "Whole request, without load"
    loaded, alone = (found[title].curves[0].text for title in ("Whole request", "Whole request, without load"))
    assert (loaded, alone) == ("p50 2,000 ms", "p50 1,000 ms")


def test_nothing_measured_has_no_drawing() -> None:
    assert panels(results([literal_model(name="a")], (HUNDREDS,), rounds=1)) == {}
