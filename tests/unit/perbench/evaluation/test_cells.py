import numpy as np
import pytest

from perbench.evaluation.cells import figures, flip_percent, measure
from perbench.evaluation.values import Exclusion, Figures
from perbench.failures import Blame, Failure
from perbench.resources import MemoryRecord
from perbench.results import (
    Finding,
    LaunchRecord,
    ModelRecord,
    Outcome,
    StageRecord,
    TaskKind,
    TaskRecord,
    TokensPerChunk,
)
from perbench.statistics import histogram
from tests.support.results import NOT_STEADY, SATURATED, literal_model, literal_stage, requests


def task(kind: TaskKind, items: int) -> TaskRecord:
    return TaskRecord(name="t", kind=kind, items=items, sha256="0" * 64, max_tokens=16)


GENERATION = task(TaskKind.GENERATION, 2)
CLASSIFICATION = task(TaskKind.CLASSIFICATION, 2)
SYNTHETIC = task(TaskKind.SYNTHETIC, 2)


def memory(footprint: int | None, reason: str | None = None) -> MemoryRecord:
    return MemoryRecord(footprint_bytes=footprint, reserved_bytes=None, samples=9, source="pss", reason=reason)


def test_throughput_of_generation_is_tokens_over_seconds_of_all_stages_per_unit() -> None:
    short = literal_stage(GENERATION, requests([1, 1]), window_seconds=10.0, output_tokens_in_window=100)
    long = literal_stage(GENERATION, requests([1, 1]), 1, window_seconds=30.0, output_tokens_in_window=500)
    assert figures(GENERATION, [short, long], units=2).throughput == 7.5  # 600 tokens / 40 s / 2
    assert figures(SYNTHETIC, [short, long], units=1).throughput == 15.0


def test_throughput_of_classification_is_items_over_seconds() -> None:
    stages = [literal_stage(CLASSIFICATION, requests([1, 1]), number, requests_in_window=30) for number in (0, 1)]
    found = figures(CLASSIFICATION, stages, units=1)
    assert found.throughput == 3.0
    assert found.items_per_second == 3.0


def test_generation_has_items_per_second_beside_tokens() -> None:
    assert figures(GENERATION, [literal_stage(GENERATION, requests([1, 1]))], units=1).items_per_second == 0.1
    assert figures(SYNTHETIC, [literal_stage(SYNTHETIC, requests([1, 1]))], units=1).items_per_second is None


def test_latency_of_generation_is_all_seconds_over_all_tokens_of_successes() -> None:
    # 600 ms for 10 tokens and 300 ms for 5; the failed request and its time take no part. A mean of ratios is no other
    # here, so the second case has unequal ones: (600 + 300) / (10 + 20) = 30, where their mean is 37.5.
    columns = requests([600.0, 300.0, None], output_tokens=[10, 5, 7])
    assert figures(GENERATION, [literal_stage(GENERATION, columns)], units=1).latency_ms == 60.0
    columns = requests([600.0, 300.0], output_tokens=[10, 20])
    assert figures(GENERATION, [literal_stage(GENERATION, columns)], units=4).latency_ms == 30.0


def test_a_request_without_a_token_count_takes_no_part_in_the_time_per_token() -> None:
    columns = requests([600.0, 5000.0], output_tokens=[10, None])
    assert figures(GENERATION, [literal_stage(GENERATION, columns)], units=1).latency_ms == 60.0


def test_latency_of_classification_is_the_mean_time_per_item() -> None:
    stages = [literal_stage(CLASSIFICATION, requests([100.0, 200.0])), literal_stage(CLASSIFICATION, requests([600.0]))]
    found = figures(CLASSIFICATION, stages, units=1)
    assert found.latency_ms == 300.0
    assert found.seconds_per_item == 0.3


def test_accuracy_is_the_mean_score_of_all_items_of_all_stages() -> None:
    stages = [
        literal_stage(GENERATION, requests([1, 1], score=[1.0, 0.5])),
        literal_stage(GENERATION, requests([1, 1], score=[0.0, 0.5]), 1),
    ]
    assert figures(GENERATION, stages, units=1).accuracy == 0.5


@pytest.mark.parametrize(("unscored", "accuracy"), [(1, 1.0), (2, None)])
def test_under_99_percent_of_items_scored_there_is_no_accuracy(unscored: int, accuracy: float | None) -> None:
    hundred = task(TaskKind.GENERATION, 100)
    columns = requests([1.0] * 100, score=[None] * unscored + [1.0] * (100 - unscored))
    assert figures(hundred, [literal_stage(hundred, columns)], units=1).accuracy == accuracy


def test_items_that_were_never_sent_count_as_not_scored() -> None:
    hundred = task(TaskKind.GENERATION, 100)
    assert figures(hundred, [literal_stage(hundred, requests([1.0] * 90))], units=1).accuracy is None


def test_a_synthetic_load_has_no_accuracy() -> None:
    assert figures(SYNTHETIC, [literal_stage(SYNTHETIC, requests([1, 1]))], units=1).accuracy is None


def test_correct_items_per_second() -> None:
    assert Figures(accuracy=0.5, items_per_second=3.0).correct_items_per_second == 1.5
    assert Figures(accuracy=None, items_per_second=3.0).correct_items_per_second is None


def test_memory_is_the_mean_of_the_peaks_of_the_stages() -> None:
    stages = [literal_stage(GENERATION, requests([1, 1]), n, memory=memory(100 * (n + 1))) for n in range(3)]
    assert figures(GENERATION, stages, units=1).memory_bytes == 200.0


def test_one_stage_without_a_memory_figure_leaves_none_and_says_why() -> None:
    stages = [
        literal_stage(GENERATION, requests([1, 1]), memory=memory(100)),
        literal_stage(GENERATION, requests([1, 1]), 1, memory=memory(None, "no permission")),
    ]
    cell = measure(literal_model(*stages), GENERATION, 2)
    assert cell.figures.memory_bytes is None
    assert cell.memory_reason == "no permission"


def test_nothing_measured_has_no_figures() -> None:
    cell = measure(literal_model(), GENERATION, 3)
    assert cell.figures == Figures()
    assert (cell.error_percent, cell.valid, cell.excluded) == (None, None, Exclusion.NOT_FINISHED)


def test_an_empty_window_has_no_throughput() -> None:
    found = figures(GENERATION, [literal_stage(GENERATION, requests([None, None]), window_seconds=0.0)], units=1)
    assert (found.throughput, found.latency_ms, found.seconds_per_item) == (None, None, None)


def test_time_to_first_token_is_pooled_over_stages_and_counts_failures_as_infinite() -> None:
    hundred = task(TaskKind.GENERATION, 100)
    first = literal_stage(hundred, requests([1.0] * 100, ttft_ms=list(np.arange(1.0, 101.0))))
    second = literal_stage(hundred, requests([1.0] * 100, ttft_ms=list(np.arange(101.0, 201.0))), 1)
    assert measure(literal_model(first), hundred, 1).ttft.value(95) is None
    assert measure(literal_model(first, second), hundred, 2).ttft.value(95) == 190.0
    outcomes = [Outcome.SUCCESS] * 89 + [Outcome.TRUNCATED] * 11
    broken = second.model_copy(update={"requests": second.requests.model_copy(update={"outcome": tuple(outcomes)})})
    found = measure(literal_model(first, broken), hundred, 2).ttft
    assert found.unbounded == ("p95",)
    assert found.failed == 11


def test_errors_stopped_by_length_and_output_length() -> None:
    columns = requests(
        [1.0, 1.0, 1.0, None], finish=["length", "stop", "length", "length"], output_tokens=[16, 4, 16, 9]
    )
    cell = measure(literal_model(literal_stage(task(TaskKind.GENERATION, 4), columns)), task(TaskKind.GENERATION, 4), 1)
    assert cell.error_percent == 25.0
    assert cell.outcomes == {Outcome.SUCCESS: 3, Outcome.SERVER_ERROR: 1}
    assert cell.stopped_by_length == pytest.approx(2 / 3)
    assert cell.mean_output_tokens == 12.0


def test_flips_are_items_with_answers_that_differ_of_those_answered_more_than_once() -> None:
    stages = [
        literal_stage(GENERATION, requests([1] * 4, answer=["a", "b", "c", "d"]), 0),
        literal_stage(GENERATION, requests([1] * 4, answer=["a", "B", "c", None]), 1),
        literal_stage(GENERATION, requests([1] * 4, answer=["a", "b", "c", None]), 2),
    ]
    assert flip_percent(stages) == pytest.approx(100 / 3)
    assert flip_percent(stages[:1]) is None


def test_flips_go_by_item_not_by_place() -> None:
    stages = [
        literal_stage(GENERATION, requests([1, 1], item=[0, 1], answer=["a", "b"])),
        literal_stage(GENERATION, requests([1, 1], item=[1, 0], answer=["b", "a"]), 1),
    ]
    assert flip_percent(stages) == 0.0


def gaps(ratio: float) -> StageRecord:
    return literal_stage(
        GENERATION,
        requests([1, 1]),
        itl=histogram.histogram([8.192], [40]),
        tokens_per_chunk=TokensPerChunk.ESTIMATED,
        tokens_per_chunk_ratio=ratio,
    )


def test_the_time_between_tokens_is_withheld_where_tokens_per_chunk_were_guessed_too_roughly() -> None:
    assert measure(literal_model(gaps(1.05)), GENERATION, 1).itl_p50_ms == pytest.approx(8.192, rel=0.01)
    assert measure(literal_model(gaps(1.06)), GENERATION, 1).itl_p50_ms is None


def test_figures_of_each_round() -> None:
    stages = [literal_stage(GENERATION, requests([1, 1]), n, output_tokens_in_window=100 * (n + 1)) for n in (0, 1)]
    cell = measure(literal_model(*stages), GENERATION, 2)
    assert [(entry.round, entry.figures.throughput) for entry in cell.rounds] == [(0, 10.0), (1, 20.0)]


def test_findings_are_counted_by_stage_and_the_worst_is_kept() -> None:
    worse = SATURATED.model_copy(update={"measured": 5.0})
    stages = [
        literal_stage(GENERATION, requests([1, 1]), 0, findings=(NOT_STEADY, SATURATED)),
        literal_stage(GENERATION, requests([1, 1]), 1, findings=(worse,)),
        literal_stage(GENERATION, requests([1, 1]), 2),
    ]
    cell = measure(literal_model(*stages), GENERATION, 3)
    assert [(noted.finding.code, noted.finding.measured, noted.stages) for noted in cell.findings] == [
        ("LoadGeneratorSaturated", 5.0, 2),
        ("NotSteady", 14.0, 1),
    ]
    assert cell.valid is False


def test_a_rate_far_below_its_limit_is_the_worse_one() -> None:
    near, far = (
        Finding(
            code="LoadGeneratorSaturated",
            invalidates=True,
            measured=measured,
            threshold=95.0,
            unit="%",
            rule="requests in flight",
            advice="",
        )
        for measured in (94.0, 40.0)
    )
    stages = [literal_stage(GENERATION, requests([1, 1]), n, findings=(f,)) for n, f in enumerate((far, near))]
    assert measure(literal_model(*stages), GENERATION, 2).findings[0].finding.measured == 40.0


def test_a_warning_alone_leaves_the_cell_valid_and_compared() -> None:
    cell = measure(literal_model(literal_stage(GENERATION, requests([1, 1]), findings=(NOT_STEADY,))), GENERATION, 1)
    assert cell.valid is True
    assert cell.excluded is None


def excluded(record: TaskRecord, model: ModelRecord, planned: int = 1) -> Exclusion | None:
    return measure(model, record, planned).excluded


def test_why_a_cell_is_not_compared() -> None:
    hundred = task(TaskKind.GENERATION, 100)

    def of(columns_ms: list[float | None], **changes: object) -> ModelRecord:
        return literal_model(literal_stage(hundred, requests(columns_ms), **changes))

    assert excluded(hundred, of([1.0] * 100)) is None
    assert excluded(hundred, of([1.0] * 99 + [None])) is None  # exactly 1 % failed
    assert excluded(hundred, of([1.0] * 98 + [None] * 2)) is Exclusion.TOO_MANY_ERRORS
    assert excluded(hundred, of([1.0] * 99)) is Exclusion.TOO_FEW_SAMPLES
    assert excluded(hundred, of([1.0] * 99, findings=(SATURATED,))) is Exclusion.MEASUREMENT_INVALID
    assert excluded(hundred, of([1.0] * 100), planned=2) is Exclusion.NOT_FINISHED


def test_the_share_of_errors_that_fails_a_model_is_the_benchmarks() -> None:
    hundred = task(TaskKind.GENERATION, 100)
    found = literal_model(literal_stage(hundred, requests([1.0] * 98 + [None] * 2)))
    assert measure(found, hundred, 1, error_limit=1.9).excluded is Exclusion.TOO_MANY_ERRORS
    assert measure(found, hundred, 1, error_limit=2.0).excluded is None


def test_too_few_items_scored_exclude_except_on_synthetic_loads() -> None:
    none_scored = requests([1.0, 1.0], score=[None, None])
    assert excluded(GENERATION, literal_model(literal_stage(GENERATION, none_scored))) is Exclusion.TOO_FEW_SAMPLES
    assert excluded(SYNTHETIC, literal_model(literal_stage(SYNTHETIC, none_scored))) is None


def test_a_model_that_failed_once_keeps_its_figures_and_is_not_compared() -> None:
    failure = Failure(blame=Blame.TARGET, reason="ServerExited", message="gone")
    done = literal_model(literal_stage(GENERATION, requests([1.0, 1.0])))
    failed = done.model_copy(update={"launches": (*done.launches, LaunchRecord(round=1, order=0, failure=failure))})
    cell = measure(failed, GENERATION, 2)
    assert cell.excluded is Exclusion.MODEL_FAILED
    assert cell.figures.throughput == 1.0
