from dataclasses import replace

import pytest

from perbench.per import published, stability
from tests.support.per_rows import FOUR, LARGE, row, study


@pytest.mark.parametrize(
    ("task", "flips"), [("gsm8k", 12), ("squad2", 22), ("hellaswag", 21), ("imdb", 11), ("arc-easy", 5)]
)
def test_pair_flips_of_the_study(task: str, flips: int) -> None:
    assert stability(study()[task]).flips == flips


def test_a_flip_is_a_reversal_of_the_published_order() -> None:
    rows = study()["hellaswag"]
    removal = next(entry for entry in stability(rows).removals if entry.removed == "Qwen2.5-0.5B")
    with_it, without = published(rows), published([entry for entry in rows if entry.model != "Qwen2.5-0.5B"])
    assert ("Qwen2.5-1.5B", "Phi-3.5") in removal.flipped
    for ahead, behind in removal.flipped:
        assert with_it.of(ahead).value > with_it.of(behind).value
        assert without.of(ahead).value < without.of(behind).value


def test_equal_models_have_no_order_to_flip() -> None:
    assert stability([replace(LARGE, model=name) for name in "abcd"]).flips == 0


@pytest.mark.parametrize("count", [0, 1, 2])
def test_few_models_have_no_pairs_to_flip(count: int) -> None:
    result = stability(FOUR[:count])
    assert len(result.removals) == count
    assert result.flips == 0


def test_a_failed_model_is_not_removed() -> None:
    assert len(stability((*FOUR, row("failed", None, None, None, None))).removals) == 4
