import pytest

from perbench.evaluation.scores import measured, score_task, unscored, without_missed_lengths
from perbench.evaluation.settings import Settings
from perbench.evaluation.values import Cell, Exclusion, Figures, Scores
from perbench.per import Axis, Reason
from perbench.results import TaskKind, TaskRecord
from tests.support.cells import cell, figures

SERVER = ("server", "Completion")


def score(*cells: Cell, reference: str = "a", unlike: dict[str, tuple[str, str]] | None = None) -> dict[str, Scores]:
    kinships = {entry.model: SERVER for entry in cells} | (unlike or {})
    return {row.cell.model: row.scores for row in score_task(cells, kinships, Settings(reference)).rows}


def test_reference_per_is_the_geometric_mean_of_the_four_ratios() -> None:
    # b: accuracy x 2, items/s x 4, memory / 2, seconds per item / 2: the fourth root of 32.
    better = figures(accuracy=1.0, throughput=40.0, seconds=1.0, memory=200.0)
    found = score(cell("a"), cell("b", better))
    assert found["a"].reference is not None
    assert found["a"].reference.value == pytest.approx(1.0)
    assert found["b"].reference is not None
    assert found["b"].reference.value == pytest.approx(32**0.25)


def test_the_reference_scale_uses_items_where_there_are_items() -> None:
    # Tokens/s and ms per token say 16 times as much; items say the same.
    rambling = Figures(
        0.5, throughput=160.0, items_per_second=1.0, latency_ms=12.5, seconds_per_item=2.0, memory_bytes=400
    )
    found = score(cell("a"), cell("b", rambling))["b"].reference
    assert found is not None
    assert found.value == pytest.approx(1.0)


def test_a_synthetic_load_is_compared_by_tokens() -> None:
    longer = Figures(
        None, throughput=20.0, items_per_second=None, latency_ms=100.0, seconds_per_item=9.0, memory_bytes=400
    )
    plain = Figures(
        None, throughput=10.0, items_per_second=None, latency_ms=200.0, seconds_per_item=2.0, memory_bytes=400
    )
    found = score(cell("a", plain, kind=TaskKind.SYNTHETIC), cell("b", longer, kind=TaskKind.SYNTHETIC))["b"].reference
    assert found is not None
    assert found.value == pytest.approx(4 ** (1 / 3))  # three axes: x 2, / 2, equal memory


def test_published_per_goes_from_the_worst_to_the_best_of_those_compared() -> None:
    # m stands half-way on every axis: 0.5. Each other is the worst on some axis.
    found = score(
        cell("a", figures(0.2, 10.0, 3.0, 300.0)),
        cell("b", figures(0.6, 30.0, 1.0, 500.0)),
        cell("c", figures(0.2, 30.0, 1.0, 300.0)),
        cell("m", figures(0.4, 20.0, 2.0, 400.0)),
    )
    published = {model: scores.published for model, scores in found.items() if scores.published}
    assert published["m"].value == pytest.approx(0.5)
    assert (published["b"].value, published["b"].axes) == (0.0, (Axis.MEMORY,))
    assert published["a"].axes == (Axis.ACCURACY, Axis.THROUGHPUT, Axis.LATENCY)
    assert [found[model].pareto for model in "abcm"] == [False, True, True, True]


def test_cells_that_are_excluded_have_no_scores_and_do_not_move_those_of_others() -> None:
    others = [
        cell("a", figures(0.2, 10.0, 3.0, 300.0)),
        cell("b", figures(0.6, 30.0, 1.0, 500.0)),
        cell("c", figures(0.3, 25.0, 1.5, 320.0)),
        cell("d", figures(0.4, 20.0, 2.0, 400.0)),
    ]
    invalid = cell("e", figures(1.0, 900.0, 0.1, 1.0), excluded=Exclusion.MEASUREMENT_INVALID)
    with_it, without_it = score(*others, invalid), score(*others)
    assert with_it.pop("e") == Scores()
    assert with_it == without_it


def test_three_compared_models_have_no_published_per() -> None:
    found = score(cell("a"), cell("b"), cell("c"), cell("d", excluded=Exclusion.MODEL_FAILED))
    assert found["a"].published is not None
    assert found["a"].published.reason is Reason.TOO_FEW_MODELS
    assert found["d"].published is None


def test_an_excluded_reference_leaves_nobody_with_a_reference_per() -> None:
    found = score(cell("a", excluded=Exclusion.TOO_MANY_ERRORS), cell("b"))["b"].reference
    assert found is not None
    assert (found.value, found.reason) == (None, Reason.REFERENCE_FAILED)


def test_reference_per_of_each_round_alone() -> None:
    # Twice and half the speed of the reference, on two of four axes: the fourth root of 4 and of 1/4.
    quick, slow = figures(throughput=20.0, seconds=1.0), figures(throughput=5.0, seconds=4.0)
    found = score(cell("a", figures(), figures(), figures()), cell("b", figures(), quick, slow))
    assert found["b"].reference_by_round == {0: pytest.approx(2**0.5), 1: pytest.approx(0.5**0.5)}
    assert score(cell("a", figures(), figures()), cell("b", figures()))["b"].reference_by_round == {}


def test_models_of_another_unit_are_ranked_among_themselves() -> None:
    doubled = figures(accuracy=0.5, throughput=20.0, seconds=1.0)
    cells = [cell("a"), cell("x", doubled), cell("y", figures(throughput=40.0, seconds=0.5))]
    kinships = {"a": SERVER, "x": ("endpoint", "Completion"), "y": ("endpoint", "Completion")}
    answer = score_task(cells, kinships, Settings("a"))
    rows = {row.cell.model: row for row in answer.rows}
    assert [rows[model].apart for model in "axy"] == [False, True, True]
    assert rows["x"].scores.reference is not None
    assert rows["x"].scores.reference.value == pytest.approx(1.0)  # the first of its group is its reference
    assert rows["y"].scores.reference is not None
    assert rows["y"].scores.reference.value == pytest.approx(4**0.25)
    assert answer.assessment.reference.ranking == ("a",)
    assert rows["x"].unit == "endpoint"


def test_models_with_another_kind_of_prompt_are_ranked_apart() -> None:
    answer = score_task([cell("a"), cell("x")], {"a": SERVER, "x": ("server", "Chat")}, Settings("a"))
    assert [row.apart for row in answer.rows] == [False, True]


def test_before_the_end_of_the_run_there_are_figures_and_no_scores() -> None:
    rows = unscored([cell("a")], {"a": SERVER})
    assert rows[0].scores == Scores()
    assert rows[0].cell.figures.throughput == 10.0


def test_figures_no_measurement_gives_are_left_out() -> None:
    assert measured(cell("a", figures(throughput=1e300))).throughput is None


SYNTHETIC = TaskRecord(name="s", kind=TaskKind.SYNTHETIC, items=10, sha256="0" * 64, max_tokens=100)


def lengths(record: TaskRecord, *means: float) -> list[Exclusion | None]:
    cells = [cell(f"m{index}", kind=record.kind, mean_output_tokens=mean) for index, mean in enumerate(means)]
    return [entry.excluded for entry in without_missed_lengths(cells, record)]


def test_synthetic_outputs_of_unlike_length_are_not_ranked() -> None:
    missed = Exclusion.OUTPUT_LENGTH_MISSED
    assert lengths(SYNTHETIC, 100.0, 92.0) == [None, None]
    assert lengths(SYNTHETIC, 100.0, 60.0) == [None, missed]
    assert lengths(SYNTHETIC, 60.0, 61.0) == [None, None]  # alike, though shorter than asked
    generation = SYNTHETIC.model_copy(update={"kind": TaskKind.GENERATION})
    assert lengths(generation, 100.0, 60.0) == [None, None]
