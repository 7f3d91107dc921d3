from dataclasses import replace

import pytest
from hypothesis import given, settings

from perbench.per import Measured, pareto
from tests.support.per_rows import FOUR, LARGE, SMALL, row, rows, study


def test_a_model_beaten_on_one_axis_and_equal_on_the_others_is_off() -> None:
    assert pareto((LARGE, replace(LARGE, model="heavier", memory=4001))) == (True, False)


@pytest.mark.parametrize(
    "better", [{"accuracy": 0.9}, {"throughput": 101}, {"memory": 3999}, {"latency": 19}], ids=lambda b: next(iter(b))
)
def test_each_axis_counts_in_its_direction(better: dict[str, float]) -> None:
    assert pareto((LARGE, replace(LARGE, model="better", **better))) == (False, True)


def test_a_trade_keeps_both() -> None:
    assert pareto(FOUR) == (True,) * 4


def test_equal_models_are_both_on() -> None:
    assert pareto((LARGE, replace(LARGE, model="twin"))) == (True, True)


def test_a_failed_model_is_off_and_beats_nobody() -> None:
    assert pareto((row("failed", 1, None, 1, 1), SMALL)) == (False, True)


def test_memory_without_source_is_left_out_for_all() -> None:
    assert pareto((replace(LARGE, memory=None), replace(LARGE, model="slower", throughput=99, memory=1))) == (
        True,
        False,
    )


def test_nothing_and_nobody() -> None:
    assert pareto(()) == ()
    assert pareto((row("failed", None, None, None, None),)) == (False,)


def test_the_study() -> None:
    counts = {task: sum(pareto(rows_of_task)) for task, rows_of_task in study().items()}
    assert counts == {"gsm8k": 10, "squad2": 9, "hellaswag": 13, "imdb": 1, "arc-easy": 9}


@settings(deadline=None, max_examples=50)
@given(rows(least=1))
def test_somebody_is_on_the_front_and_whoever_is_off_is_beaten_from_it(given_rows: tuple[Measured, ...]) -> None:
    front = pareto(given_rows)
    assert any(front)
    for entry, on in zip(given_rows, front, strict=True):
        beaten = any(beats(other, entry) for other, other_on in zip(given_rows, front, strict=True) if other_on)
        assert on != beaten


def beats(one: Measured, other: Measured) -> bool:
    gains = (
        one.accuracy - other.accuracy,
        one.throughput - other.throughput,
        other.memory - one.memory,
        other.latency - one.latency,
    )
    return min(gains) >= 0 and max(gains) > 0
