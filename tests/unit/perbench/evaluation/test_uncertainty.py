"""What intervals, probabilities and unresolved axes become of in an evaluation and its status."""

import json
from dataclasses import replace

import pytest

from perbench.api.resource import MAX_CELLS, to_data
from perbench.evaluation import evaluate, status
from perbench.evaluation.scores import measured, noisy_axes
from perbench.per import Axis, Basis, Reason
from perbench.per.comparison import compare
from perbench.per.leave_one_out import published_values, scale_figures
from perbench.results import Results, TaskRecord
from tests.support import results as runs
from tests.support.results import ANSWERS, ONE_SLOT, TOPICS, TWO_THREADS, model, results

LIMIT = 128 * 1024


def document(found: Results) -> dict[str, object]:
    return to_data(status(evaluate(found)))


def warned(found: Results) -> dict[str, str]:
    return {warning.code: warning.message for warning in evaluate(found).warnings}


def repeated(rounds: int, repeats: int) -> Results:
    shapes = zip(runs.NAMES, (ONE_SLOT, runs.FOUR_SLOTS, runs.SMALL_CACHE, TWO_THREADS), strict=True)
    return results(
        [model(name, shape, rounds=rounds, repeats=repeats) for name, shape in shapes], rounds=rounds, repeats=repeats
    )


def test_intervals_hold_the_score_and_that_of_the_reference_is_1_to_1() -> None:
    for task in evaluate(runs.succeeded()).tasks:
        for row in task.rows:
            known, score = row.scores.uncertainty, row.scores.reference.value
            assert known.reference_per.low <= score <= known.reference_per.high
            assert (known.reference_per.low == known.reference_per.high) == (row.cell.model == "one-slot")
            if row.scores.published.value:
                assert known.per.low <= row.scores.published.value <= known.per.high
            figure = known.figures.throughput
            assert figure.low < row.cell.figures.throughput < figure.high


def test_the_status_carries_both_ends_of_both_scales() -> None:
    entry = document(runs.succeeded())["models"][1]["tasks"][1]
    ends = [float(entry[name]) for name in ("perLow", "per", "perHigh")]
    assert ends == sorted(ends)
    ends = [float(entry[name]) for name in ("referencePerLow", "referencePer", "referencePerHigh")]
    assert ends == sorted(ends)
    assert ends[0] < ends[2]


def test_a_published_zero_has_no_interval_but_a_share_of_draws_above_it() -> None:
    found = evaluate(runs.succeeded()).tasks[0].row("two-threads").scores
    assert (found.published.value, found.uncertainty.per) == (0.0, None)
    assert 0 <= found.uncertainty.per_above_zero < 0.5
    entry = document(runs.succeeded())["models"][3]["tasks"][0]
    assert entry["per"] == "0"
    assert not {"perLow", "perHigh"} & entry.keys()


def test_the_ranking_says_how_likely_its_first_is_the_best() -> None:
    task = evaluate(runs.succeeded()).tasks[1]
    shares = {row.cell.model: row.scores.uncertainty.probability_best for row in task.rows}
    assert sum(shares.values()) == pytest.approx(1.0)
    assert max(shares, key=shares.get) == task.order[0] == "two-threads"
    assert 0.5 < shares["two-threads"] < 1
    ranking = document(runs.succeeded())["ranking"][1]
    assert float(ranking["probabilityBest"]) == pytest.approx(shares["two-threads"], abs=1e-4)


def test_equal_models_are_the_best_half_the_time() -> None:
    drifts = ((1.0, 1.05, 0.95), (1.05, 0.95, 1.0), (0.95, 1.0, 1.05))
    alike = [
        model(f"m{n}", {"topics": replace(ONE_SLOT["topics"], drift=drift)}, (TOPICS,))
        for n, drift in enumerate(drifts)
    ]
    task = evaluate(results(alike, (TOPICS,))).tasks[0]
    for row in task.rows:
        assert row.scores.uncertainty.probability_best == pytest.approx(1 / 3, abs=0.12)


@pytest.mark.parametrize(("rounds", "repeats"), [(2, 1), (1, 2), (2, 3)])
def test_under_three_replicates_there_is_no_interval_and_a_warning(rounds: int, repeats: int) -> None:
    found = evaluate(repeated(rounds, repeats))
    assert all(row.scores.uncertainty.reference_per is None for task in found.tasks for row in task.rows)
    assert found.tasks[0].uncertainty.reason is Reason.TOO_FEW_REPLICATES
    message = warned(repeated(rounds, repeats))["TooFewReplicates"]
    assert f"fewer than three {'launches' if rounds > 1 else 'repeats'}" in message
    assert "referencePerLow" not in json.dumps(document(repeated(rounds, repeats)))
    assert "probabilityBest" not in json.dumps(document(repeated(rounds, repeats)))


def test_with_one_round_intervals_hold_within_one_launch() -> None:
    found = evaluate(repeated(1, 3))
    assert found.tasks[0].uncertainty.basis is Basis.REPEATS
    assert found.tasks[0].rows[1].scores.uncertainty.reference_per is not None
    assert "within one launch" in warned(repeated(1, 3))["WithinOneLaunch"]
    assert evaluate(runs.succeeded()).tasks[0].uncertainty.basis is Basis.LAUNCHES
    assert "WithinOneLaunch" not in warned(runs.succeeded())


def test_an_axis_within_the_noise_is_left_out_and_named_with_its_rule() -> None:
    assert warned(runs.succeeded())["WithinNoise"] == (
        "accuracy left out of Published PER: the models differ by less than four standard errors"
    )
    with_accuracy = [replace(ONE_SLOT["topics"], right=2 + 7 * n, seconds=1 + n / 5) for n in range(4)]
    found = results([model(f"m{n}", {"topics": shape}, (TOPICS,)) for n, shape in enumerate(with_accuracy)], (TOPICS,))
    assert "WithinNoise" not in warned(found)


def test_variances_that_differ_are_said() -> None:
    wild = replace(ONE_SLOT["topics"], drift=(1.0, 2.0, 0.5))
    calm = [replace(TWO_THREADS["topics"], drift=(1.0, 1.0 + n * 1e-4, 1.0 - n * 1e-4)) for n in range(1, 7)]
    shapes = {"wild": wild} | {f"calm{n}": shape for n, shape in enumerate(calm)}
    found = results([model(name, {"topics": shape}, (TOPICS,)) for name, shape in shapes.items()], (TOPICS,))
    assert "throughput" in evaluate(found).tasks[0].uncertainty.unequal
    assert warned(found)["UnequalVariances"].startswith("the models vary unlike in throughput")
    assert "UnequalVariances" not in warned(runs.succeeded())


def test_leaving_one_out_is_judged_where_there_is_a_published_order() -> None:
    assert all(task.flips is not None for task in evaluate(runs.succeeded()).tasks)
    assert all(task.flips is None for task in evaluate(runs.with_failed_model()).tasks)


def test_a_run_without_an_end_has_no_intervals() -> None:
    found = evaluate(runs.interrupted())
    assert all(task.uncertainty is None for task in found.tasks)
    assert all(row.scores.uncertainty is None for task in found.tasks for row in task.rows)


def test_figures_that_fit_into_no_status_are_absent() -> None:
    wide = runs.succeeded()
    stage = wide.models[0].launches[0].stages[0].model_copy(update={"requests_in_window": 10**30})
    launch = wide.models[0].launches[0].model_copy(update={"stages": (stage, *wide.models[0].launches[0].stages[1:])})
    broken = wide.models[0].model_copy(update={"launches": (launch, *wide.models[0].launches[1:])})
    entry = document(wide.model_copy(update={"models": (broken, *wide.models[1:])}))["models"][0]["tasks"][0]
    assert "throughput" not in entry
    assert "latencyMilliseconds" in entry


def tasks_named(count: int) -> list[TaskRecord]:
    return [ANSWERS.model_copy(update={"name": f"{number:02}-{'t' * 37}"}) for number in range(count)]


@pytest.mark.parametrize(("models", "tasks"), [(32, 4), (8, 16)])
def test_the_status_of_the_largest_run_fits(models: int, tasks: int) -> None:
    assert models * tasks == MAX_CELLS
    records = tasks_named(tasks)
    shape = ONE_SLOT["answers"]
    members = [
        model(
            f"{number:02}-{'m' * 37}",
            {task.name: replace(shape, seconds=1 + number / 30, memory_mebibytes=300 + number / 7) for task in records},
            records,
        )
        for number in range(models)
    ]
    found = document(results(members, records))
    assert len(found["models"][5]["tasks"]) == tasks
    assert all("referencePerHigh" in entry for entry in found["models"][5]["tasks"])
    assert len(json.dumps(found, separators=(",", ":"))) <= LIMIT


def test_stability_is_that_of_the_scale_that_is_shown() -> None:
    base = evaluate(runs.succeeded()).tasks[0]
    assert noisy_axes(base.left_out) == (Axis.ACCURACY,)
    rows = [measured(row.cell) for row in base.rows]
    shown = [row.scores.published.value for row in base.rows if row.scores.published]
    figures, signs = scale_figures(compare(rows), noisy_axes(base.left_out))
    assert published_values(figures, signs).tolist() == pytest.approx(shown)
