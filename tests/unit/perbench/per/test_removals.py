import pytest
from hypothesis import given

from perbench.per import published, stability
from perbench.per.measured import Axis, Measured
from perbench.per.removals import Removals, removals
from tests.support.per_rows import FOUR, row, rows, study

STUDY = study()


def of(task: str) -> Removals:
    return removals(STUDY[task], stability(STUDY[task]))


@pytest.mark.parametrize(
    ("task", "removed", "flips", "first", "displaced", "model", "before", "after"),
    [
        ("hellaswag", "Qwen2.5-0.5B", 19, "Phi-3.5", "Qwen2.5-1.5B", "Qwen2.5-1.5B", 0.644, 0.0),
        ("arc-easy", "Gemma-2-2B", 4, "Qwen2.5-1.5B", "Qwen2.5-0.5B", "Qwen2.5-0.5B", 0.808, 0.420),
        ("squad2", "Mistral-7B", 9, "Gemma-2-2B", None, "Qwen2.5-0.5B", 0.488, 0.0),
    ],
)
def test_the_reversals_of_the_study(
    task: str, removed: str, flips: int, first: str, displaced: str | None, model: str, before: float, after: float
) -> None:
    found = next(entry for entry in of(task).effects if entry.removed == removed)
    assert (found.flips, found.first, found.displaced) == (flips, first, displaced)
    assert found.largest.model == model
    assert (found.largest.before, found.largest.after) == pytest.approx((before, after), abs=5e-4)


def test_who_is_first_without_the_first_is_no_displacement() -> None:
    found = next(entry for entry in of("hellaswag").effects if entry.removed == "Qwen2.5-1.5B")
    assert found.displaced is None
    assert found.first != "Qwen2.5-1.5B"


def test_a_span_holds_the_value_itself_and_every_removal() -> None:
    assert of("hellaswag").spans["Qwen2.5-1.5B"] == pytest.approx((0.0, 0.6551), abs=1e-4)


@pytest.mark.parametrize("count", [0, 1, 4])
def test_up_to_four_models_there_is_nothing_to_leave_out(count: int) -> None:
    few = FOUR[:count]
    assert removals(few, stability(few)) == Removals((), {})


def test_a_model_that_is_not_compared_is_not_left_out() -> None:
    five = (*FOUR, row("fifth", 0.7, 150, 3000, 10), row("broken", throughput=None))
    found = removals(five, stability(five))
    assert [entry.removed for entry in found.effects] == ["small", "middle", "large", "huge", "fifth"]
    assert "broken" not in found.spans


@given(rows(least=5, most=7))
def test_it_agrees_with_scoring_the_others_alone(given_rows: tuple[Measured, ...]) -> None:
    found = removals(given_rows, stability(given_rows))
    ends: dict[str, list[float]] = {}
    for left in ((), *((entry,) for entry in given_rows)):
        for score in published([entry for entry in given_rows if entry not in left]).scores:
            if score.value is not None:
                ends.setdefault(score.model, []).append(score.value)
    for model, (low, high) in found.spans.items():
        if len(ends.get(model, ())) == len(given_rows):  # where no axis is left, `published` gives no value
            assert (low, high) == pytest.approx((min(ends[model]), max(ends[model])))


def test_values_are_those_of_the_scale_without_the_noisy_axes() -> None:
    noisy = (Axis.ACCURACY,)
    rows = STUDY["gsm8k"]
    before = {score.model: score.value for score in published(rows, within_noise=noisy).scores}
    found = removals(rows, stability(rows, noisy), noisy)
    assert any(effect.flips for effect in found.effects)
    for effect in found.effects:
        assert effect.largest.before == pytest.approx(before[effect.largest.model])
        others = [entry for entry in rows if entry.model != effect.removed]
        after = published(others, within_noise=noisy).of(effect.largest.model).value
        assert effect.largest.after == pytest.approx(after)
