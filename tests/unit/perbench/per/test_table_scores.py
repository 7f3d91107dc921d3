import pytest

from perbench.failures import UsageError
from perbench.per import Reason
from perbench.per.table import Table, parse_table, read_table
from perbench.per.table_scores import best_of, score_table
from tests.support.per_rows import STUDY

MISMATCHES = {
    ("gsm8k", "Mistral-7B"): (0.514, 0.2837),
    ("squad2", "Qwen2.5-32B"): (0.299, 0),
    ("squad2", "Llama-3.1-70B"): (0, 0.03),
    ("hellaswag", "Gemma-2-2B"): (0.559, 0.53),
    ("arc-easy", "Vicuna-13B"): (0, 0.04),
}


def table(*lines: str) -> Table:
    text = "\n".join(["task,model,accuracy,throughput,latency_ms,memory_mb,per", *lines])
    return parse_table(text.encode(), "t.csv")


FOUR = ("t,a,0.4,400,5,1000,0", "t,b,0.6,200,8,2000,", "t,c,0.8,100,20,4000,0.5", "t,d,0.9,40,60,9000,0")


def test_75_of_the_80_cells_of_the_study_agree_and_the_five_others_are_known() -> None:
    found = {}
    agreeing = 0
    for task in score_table(read_table(STUDY)):
        for row, score, mismatch in zip(task.rows, task.published.scores, task.mismatches(), strict=True):
            if mismatch:
                found[task.task, row.measured.model] = (round(score.value, 3), row.published)
            else:
                agreeing += 1
    assert found == MISMATCHES
    assert agreeing == 75


def test_best_per_task_of_the_study_on_both_scales() -> None:
    scored = score_table(read_table(STUDY))
    winners = {task.task: max(task.published.scores, key=lambda score: score.value).model for task in scored}
    assert winners == {
        "gsm8k": "Qwen2.5-1.5B",
        "squad2": "Gemma-2-2B",
        "hellaswag": "Qwen2.5-1.5B",
        "imdb": "Qwen2.5-0.5B",
        "arc-easy": "Qwen2.5-0.5B",
    }
    assert {task.reference.ranking[0] for task in scored} == {"Qwen2.5-0.5B"}
    best = best_of(scored)
    assert best is not None
    assert (best.model, best.tasks_won, best.tasks, best.reference_per) == ("Qwen2.5-0.5B", 5, 5, 1)


def test_a_mismatch_needs_both_values() -> None:
    (task,) = score_table(table(*FOUR[:3], FOUR[3].removesuffix("0") + "0.1"))
    assert task.mismatches() == (False, None, False, True)
    (few,) = score_table(table(*FOUR[:3]))
    assert few.mismatches() == (None, None, None)


@pytest.mark.parametrize(("per", "mismatch"), [("0.985", False), ("0.9849", True), ("1.015", False), ("1.0151", True)])
def test_a_difference_of_exactly_the_tolerance_agrees(per: str, mismatch: bool) -> None:
    ace = f"t,ace,1,1000,1,100,{per}"  # its PER is 1, and 1 - 0.985 is a little more than 0.015 in floats
    assert score_table(table(*FOUR, ace))[0].mismatches()[-1] is mismatch


def test_a_reference_of_another_task_only_has_failed_there() -> None:
    first, second = score_table(table(*FOUR, "u,a,0.4,400,5,1000,0"), "b")
    assert first.reference.of("b").value == 1
    assert second.reference.of("a").reason is Reason.REFERENCE_FAILED


def test_a_reference_that_no_task_has_is_a_mistake() -> None:
    with pytest.raises(UsageError, match=r"t\.csv: has no model 'Qwen' for --reference; its models are a, b, c, d"):
        score_table(table(*FOUR), "Qwen")
    with pytest.raises(UsageError, match="did you mean 'Gemma-2-2B'"):
        score_table(read_table(STUDY), "gemma-2-2b")


def test_a_floor_needs_shares() -> None:
    with pytest.raises(UsageError, match=r"t\.csv:2: accuracy 40 is above 1; "):
        score_table(table("t,a,40,400,5,1000,0"), quality_floor=0.5)
    for floor in (-0.1, 1.5, float("nan")):
        with pytest.raises(UsageError, match="is not within 0 to 1"):
            score_table(table(*FOUR), quality_floor=floor)


def test_a_floor_takes_models_from_the_ranking_and_not_from_the_published_scale() -> None:
    (task,) = score_table(table(*FOUR), quality_floor=0.7)
    assert task.reference.ranking == ("c", "d")
    assert task.published == score_table(table(*FOUR))[0].published
