import pytest

from perbench.per.removals import removals
from perbench.per.table import Table, read_table
from perbench.per.table_scores import TaskScores, score_table
from perbench.report.table_words import first_of, headline, join, mismatched, remarks
from tests.support.per_rows import STUDY
from tests.support.tables import AGREEING, FOUR, HEADER, THREE, table


def words(of: Table, floor: float | None = None) -> list[str]:
    scored = score_table(of, None, floor)
    return list(remarks(of, scored, {task.task: effects(task) for task in scored}))


def effects(task: TaskScores) -> object:
    return removals([row.measured for row in task.rows], task.stability)


def test_the_study_in_sentences() -> None:
    study = read_table(STUDY)
    scored = score_table(study)
    assert headline(scored) == (
        "Qwen2.5-0.5B is first on all 5 tasks by Reference PER (geometric mean 1.000). The Published scale puts three"
        " models first: Qwen2.5-1.5B, Gemma-2-2B and Qwen2.5-0.5B."
    )
    zeros, removed, *others = words(study)
    assert zeros == (
        "15 of 80 Published cells are 0: the model is the worst of all on one axis, and nothing else it does counts."
    )
    assert removed == (
        "Leaving one model out, each in its turn, reverses the Published order of 71 pairs of other models. It also"
        " moves the first place from Qwen2.5-1.5B to Phi-3.5 on hellaswag and Qwen2.5-0.5B to Qwen2.5-1.5B on arc-easy."
    )
    assert others == [
        "5 cells of 80 differ from the table's own PER by more than 0.015; they are listed below.",
        "No quality floor is set: on the Reference scale speed and memory can make up for wrong answers.",
    ]
    assert mismatched(scored) == 5


def test_with_a_floor_the_best_is_another_and_who_is_below_is_counted() -> None:
    study = read_table(STUDY)
    assert headline(score_table(study, None, 0.5)).startswith(
        "Qwen2.5-1.5B is first on 2 of 5 tasks by Reference PER (geometric mean 0.541)."
    )
    below = sum((row.measured.accuracy or 0) < 0.5 for row in study.rows)
    assert words(study, 0.5)[-1] == f"With a quality floor of 0.5, {below} cells have no place on the Reference scale."


def test_a_table_without_flaws_says_less() -> None:
    own = table(*(f"{line},{per}" for line, per in zip(FOUR, AGREEING, strict=True)), header=f"{HEADER},per")
    assert words(own)[1:-1] == ["All 4 cells agree with the table's own PER within 0.015."]
    assert [line for line in words(table(*FOUR)) if "own PER" in line] == []


def test_few_models_have_no_published_first() -> None:
    scored = score_table(table(*THREE))
    assert headline(scored) == "a is first on the one task by Reference PER (geometric mean 1.000)."
    assert words(table(*THREE)) == [
        "No quality floor is set: on the Reference scale speed and memory can make up for wrong answers."
    ]


def test_nobody_is_best_where_nobody_is_ranked_on_every_task() -> None:
    scored = score_table(table(*FOUR), None, 0.95)
    assert headline(scored) == "No model is best: none is ranked on every task."


def test_the_first_of_equals_is_first() -> None:
    twice = score_table(table(*FOUR, "t,generation,e,0.6,200,8,2000"))[0].published.scores
    assert first_of(twice) == "b"
    assert first_of([]) is None


@pytest.mark.parametrize(
    ("names", "text"), [([], ""), (["a"], "a"), (["a", "b"], "a and b"), (list("abc"), "a, b and c")]
)
def test_names_are_joined(names: str, text: str) -> None:
    assert join(names) == text
