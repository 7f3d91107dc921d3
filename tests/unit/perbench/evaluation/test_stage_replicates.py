import math
from dataclasses import replace

import numpy as np
import pytest

from perbench.evaluation import evaluate
from perbench.evaluation.cells import measure
from perbench.evaluation.replicates import basis_of, measured_items, replicates, replicates_by_model
from perbench.evaluation.scores import measured
from perbench.per import Basis, Reason, assess
from perbench.results import LaunchRecord, ModelRecord, Results, TaskKind, TaskRecord
from tests.support.results import ANSWERS, ONE_SLOT, TOPICS, Shape, four_models, model, results, stage, succeeded

SYNTHETIC = ANSWERS.model_copy(update={"name": "load", "kind": TaskKind.SYNTHETIC})


def with_scores(record: ModelRecord, scores: dict[tuple[int, int], tuple[float | None, ...]]) -> ModelRecord:
    """The model with these scores of its first items in the stages (round, repeat)."""
    launches = []
    for launch in record.launches:
        stages = []
        for entry in launch.stages:
            own = scores.get((entry.round, entry.repeat or 0), ())
            columns = entry.requests.model_copy(update={"score": (*own, *entry.requests.score[len(own) :])})
            stages.append(entry.model_copy(update={"requests": columns}))
        launches.append(launch.model_copy(update={"stages": tuple(stages)}))
    return record.model_copy(update={"launches": tuple(launches)})


def test_a_replicate_is_a_launch_where_there_are_rounds() -> None:
    # Drift 1.0, 1.02, 0.97 on the times of the three rounds.
    own = replicates_by_model(succeeded(), TOPICS)["one-slot"]
    assert own.basis is Basis.LAUNCHES
    assert own.n == 3
    assert own.seconds_per_item == pytest.approx([1.0, 1.02, 0.97])
    assert own.latency == pytest.approx([1000, 1020, 970])
    assert own.throughput == pytest.approx(4 / np.array([1.0, 1.02, 0.97]))
    assert own.items_per_second.tolist() == own.throughput.tolist()
    assert own.memory.tolist() == [380 * 2**20, 381 * 2**20, 382 * 2**20]


def test_repeats_of_a_launch_are_taken_together() -> None:
    twice = results((model("one-slot", ONE_SLOT, repeats=2),), repeats=2)
    own = replicates_by_model(twice, TOPICS)["one-slot"]
    assert own.n == 3
    assert own.latency == pytest.approx([1000, 1020, 970])


def test_a_replicate_is_a_repeat_where_there_is_one_round() -> None:
    once = results((model("one-slot", ONE_SLOT, rounds=1, repeats=4),), rounds=1, repeats=4)
    own = replicates_by_model(once, TOPICS)["one-slot"]
    assert own.basis is Basis.REPEATS
    assert own.n == 4


def test_two_rounds_are_two_launches_however_many_repeats_they_have() -> None:
    twice = results((model("one-slot", ONE_SLOT, rounds=2, repeats=3),), rounds=2, repeats=3)
    assert basis_of(twice) is Basis.LAUNCHES
    assert replicates_by_model(twice, TOPICS)["one-slot"].n == 2


def test_scores_are_item_by_replicate() -> None:
    own = replicates_by_model(succeeded(), TOPICS)["one-slot"]
    assert own.scores.shape == (24, 3)
    assert own.scores[:, 0].tolist() == [1.0] * 18 + [0.0] * 6


def test_scores_of_repeats_are_averaged_and_missing_ones_passed_over() -> None:
    record = with_scores(
        model("one-slot", ONE_SLOT, (TOPICS,), rounds=2, repeats=2),
        {(0, 0): (1.0, None, None), (0, 1): (0.0, 0.5, None)},
    )
    own = replicates(TOPICS, record, Basis.LAUNCHES, range(24))
    assert own.scores[:2].tolist() == [[0.5, 1.0], [0.5, 1.0]]
    assert math.isnan(own.scores[2, 0])


def test_the_items_of_all_models_are_in_one_order() -> None:
    records = four_models()
    moved = stage(TOPICS, ONE_SLOT["topics"])
    moved = moved.model_copy(update={"requests": moved.requests.model_copy(update={"item": tuple(range(24, 0, -1))})})
    other = records[1].model_copy(update={"launches": (LaunchRecord(round=0, order=0, stages=(moved,)),)})
    items = measured_items(TOPICS, (records[0], other))
    assert items == tuple(range(25))
    first, second = (replicates(TOPICS, record, Basis.LAUNCHES, items) for record in (records[0], other))
    assert math.isnan(first.scores[24, 0])
    assert math.isnan(second.scores[0, 0])
    assert second.scores[24, 0] == 1.0  # asked first: among the right ones
    assert second.scores[1, 0] == 0.0


def test_throughput_is_per_unit() -> None:
    one, two = model("m", ONE_SLOT), model("m", ONE_SLOT, units=2)
    single, double = (replicates(TOPICS, record, Basis.LAUNCHES, range(24)) for record in (one, two))
    assert double.throughput == pytest.approx(single.throughput / 2)
    assert double.latency == pytest.approx(single.latency)


def test_a_synthetic_load_has_neither_items_nor_scores() -> None:
    record = model("m", {"load": Shape(1.0, 16, 0)}, (SYNTHETIC,))
    own = replicates(SYNTHETIC, record, Basis.LAUNCHES, range(24))
    assert own.scores.shape == (0, 3)
    assert np.isnan(own.items_per_second).all()
    assert np.isnan(own.seconds_per_item).all()
    assert own.throughput.all()


def test_memory_without_a_source_is_not_measured() -> None:
    record = model("m", {"topics": Shape(1.0, 3, 18, None)}, (TOPICS,))
    assert np.isnan(replicates(TOPICS, record, Basis.LAUNCHES, range(24)).memory).all()


def test_a_model_without_stages_has_no_replicates() -> None:
    record = model("one-slot", ONE_SLOT, rounds=0)
    assert replicates_by_model(results((record,)), TOPICS) == {}


def test_figures_of_a_damaged_file_are_not_measured() -> None:
    own = stage(TOPICS, ONE_SLOT["topics"]).model_copy(update={"window_seconds": 1e-200})
    record = model("m", ONE_SLOT, rounds=0).model_copy(
        update={"launches": (LaunchRecord(round=0, order=0, stages=(own,)),)}
    )
    assert np.isnan(replicates(TOPICS, record, Basis.LAUNCHES, range(24)).throughput).all()


@pytest.mark.parametrize("task", [TOPICS, ANSWERS])
def test_a_whole_run_gets_its_intervals(task: object) -> None:
    run: Results = succeeded()
    rows = [measured(measure(record, task, 3)) for record in run.models]
    found = assess(rows, replicates_by_model(run, task))
    assert found.uncertainty.reason is None
    assert all(own.reason is None and own.reference_per for own in found.uncertainty.models)
    assert sum(own.probability_best or 0 for own in found.uncertainty.models) == pytest.approx(1)


def test_accuracy_is_the_mean_of_its_replicates() -> None:
    run = succeeded()
    own = replicates_by_model(run, TOPICS)["small-cache"]
    sums, counts = own.score_sums()
    assert sums.sum() / counts.sum() == pytest.approx(17 / 24)
    assert replace(own, model="x").clusters == 24


def test_sources_are_those_of_the_measured_items() -> None:
    record = model("m", ONE_SLOT, (TOPICS,))
    paragraphs = TOPICS.model_copy(update={"sources": tuple(item // 3 for item in range(24))})
    whole = replicates(paragraphs, record, Basis.LAUNCHES, range(24))
    assert whole.sources is not None
    assert whole.sources.tolist() == [item // 3 for item in range(24)]
    assert whole.clusters == 8
    assert replicates(TOPICS, record, Basis.LAUNCHES, range(24)).sources is None
    # Of the sources 0, 4 and 7 some items were asked: numbers without gaps.
    items = (0, 1, 12, 13, 22, 23)
    few = [
        entry.model_copy(update={"requests": entry.requests.model_copy(update={"item": items * 4})})
        for entry in record.launches[0].stages
    ]
    part = record.model_copy(update={"launches": (record.launches[0].model_copy(update={"stages": tuple(few)}),)})
    found = replicates(paragraphs, part, Basis.LAUNCHES, items)
    assert found.sources is not None
    assert found.sources.tolist() == [0, 0, 1, 1, 2, 2]
    beyond = replicates(paragraphs, record, Basis.LAUNCHES, range(27))
    assert beyond.clusters == 8 + 3  # items of a run it is compared with


def test_items_that_share_a_source_widen_the_interval_of_accuracy() -> None:
    def width(task: TaskRecord) -> float:
        found = evaluate(results([model(name, ONE_SLOT, (task,)) for name in "ab"], (task,))).tasks[0]
        uncertainty = found.row("a").scores.uncertainty
        assert uncertainty is not None
        interval = uncertainty.figures.accuracy
        assert interval is not None
        return interval.high - interval.low

    # The first 18 items are right: whole paragraphs of three are, or are not.
    paragraphs = TOPICS.model_copy(update={"sources": tuple(item // 3 for item in range(24))})
    alone = TOPICS.model_copy(update={"sources": tuple(range(24))})
    assert width(alone) == width(TOPICS)
    assert 1.3 < width(paragraphs) / width(TOPICS) < 2.2  # 3 items count as one: sqrt(3)


def test_a_single_source_leaves_a_task_without_intervals_and_says_so() -> None:
    together = TOPICS.model_copy(update={"sources": (0,) * 24})
    found = evaluate(results([model(name, ONE_SLOT, (together,)) for name in "ab"], (together,)))
    assert found.tasks[0].uncertainty is not None
    assert found.tasks[0].uncertainty.reason is Reason.TOO_FEW_ITEMS
    assert "TooFewItems" in {warning.code for warning in found.warnings}
