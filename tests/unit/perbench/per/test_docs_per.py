"""Every number in docs/per.md comes out of the code."""

from itertools import combinations
from pathlib import Path

import numpy as np
import pytest

from perbench.per import Measured, PublishedScores, Reason, best, pareto, published, reference, stability
from perbench.per.comparison import compare
from perbench.per.published_scale import FEWEST_MODELS, UNRESOLVED_RANGE, min_max, resolved
from perbench.per.table import MOST_MODELS, read_table
from perbench.per.table_scores import TOLERANCE, score_table
from tests.support.per_rows import STUDY, study

PAGE = (Path(__file__).parents[4] / "docs" / "per.md").read_text(encoding="utf-8")
FLAT = " ".join(PAGE.split())
"""The page without line breaks, for sentences."""


def winner(scores: PublishedScores) -> str:
    return max(scores.scores, key=lambda score: score.value).model


def line(*cells: object) -> str:
    return f"| {' | '.join(map(str, cells))} |"


def all_zero_percent(count: int) -> int:
    """Share of all groups of `count` models of a task of the study in which every published value is 0."""
    zero: list[np.ndarray] = []
    for rows in study().values():
        comparison = compare(rows)
        groups = comparison.figures()[np.array(list(combinations(range(len(rows)), count)))]
        low, high = groups.min(axis=1, keepdims=True), groups.max(axis=1, keepdims=True)
        components = min_max(groups, low, high, comparison.signs())
        zero.append(((components == 0) & resolved(low, high)).any(axis=2).all(axis=1))
    return round(100 * float(np.concatenate(zero).mean()))


def test_groups_of_few_models() -> None:
    pairs, triples, fours = map(all_zero_percent, (2, 3, 4))
    assert f"in {pairs} % of all pairs, in {triples} % of all triples, in {fours} % of all groups of four" in FLAT
    assert FEWEST_MODELS == 4


def test_mismatches() -> None:
    scored = score_table(read_table(STUDY))
    judged = [mismatch for task in scored for mismatch in task.mismatches()]
    assert f"{judged.count(False)} of the {len(judged)} published values come out within {TOLERANCE}" in FLAT
    assert judged.count(True) == 5
    for task in scored:
        for row, score, mismatch in zip(task.rows, task.published.scores, task.mismatches(), strict=True):
            if mismatch:
                assert line(task.task, row.measured.model, f"{score.value:.3f}", f"{row.published:g}") in PAGE


def test_zeros() -> None:
    scores = [score for rows in study().values() for score in published(rows).scores]
    assert f"{sum(score.value == 0 for score in scores)} of the {len(scores)} cells are 0" in FLAT
    rows = study()["hellaswag"]
    smallest = rows[0]
    assert (smallest.model, smallest.accuracy) == ("Qwen2.5-0.5B", 0.39)
    assert smallest.throughput == max(row.throughput for row in rows)
    assert smallest.memory == min(row.memory for row in rows)
    assert smallest.latency == min(row.latency for row in rows)
    assert published(rows).of(smallest.model).value == 0


@pytest.mark.parametrize(
    ("task", "removed", "model"),
    [
        ("hellaswag", "Qwen2.5-0.5B", "Qwen2.5-1.5B"),
        ("arc-easy", "Gemma-2-2B", "Qwen2.5-0.5B"),
        ("squad2", "Mistral-7B", "Qwen2.5-0.5B"),
    ],
)
def test_rank_reversals(task: str, removed: str, model: str) -> None:
    rows = study()[task]
    before, after = published(rows), published([row for row in rows if row.model != removed])
    values = [f"{scores.of(model).value:.3f}" for scores in (before, after)]
    assert line(task, removed, model, *values, winner(before), winner(after)) in PAGE


@pytest.mark.parametrize("task", list(study()))
def test_flips_front_and_winners(task: str) -> None:
    rows = study()[task]
    winners = [winner(published(rows)), reference(rows).ranking[0], reference(rows, quality_floor=0.5).ranking[0]]
    assert line(task, stability(rows).flips, sum(pareto(rows)), *winners) in PAGE


def test_best_with_a_floor() -> None:
    tasks = study()
    without = best({task: reference(rows) for task, rows in tasks.items()})
    assert without is not None
    assert (without.model, without.tasks_won) == ("Qwen2.5-0.5B", 5)
    floored = best({task: reference(rows, quality_floor=0.5) for task, rows in tasks.items()})
    assert floored is not None
    won = f"{floored.tasks_won} of {floored.tasks} tasks, geometric mean {floored.reference_per:.3f}"
    assert f"With a floor of 0.5, `best` is {floored.model} ({won})" in FLAT


def test_the_order_does_not_depend_on_the_reference() -> None:
    for rows in study().values():
        orders = {tuple(_grouped(rows, row.model)) for row in rows}
        assert len(orders) == 1


def _grouped(rows: tuple[Measured, ...], reference_model: str) -> list[str]:
    """Models by value, equal ones (to rounding) by name."""
    scores = reference(rows, reference_model)
    top = max(score.value for score in scores.scores)
    return [score.model for score in sorted(scores.scores, key=lambda s: (-round(s.value / top, 9), s.model))]


def test_limits_and_codes() -> None:
    assert f"less than {UNRESOLVED_RANGE:.0%} of its maximum".replace("%", " %") in FLAT
    assert f"At most {MOST_MODELS} models per task" in FLAT
    for reason in Reason:
        assert f"`{reason}`" in PAGE
