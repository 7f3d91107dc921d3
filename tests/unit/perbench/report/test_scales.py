import pytest
from hypothesis import given
from hypothesis import strategies as st

from perbench.report.scales import Scale, Tick, round_steps, scale_of

VALUES = st.lists(st.floats(min_value=1e-6, max_value=1e9), min_size=1, max_size=20)


@given(VALUES, st.sampled_from([True, False, None]))
def test_every_value_lies_within_the_line_and_their_order_stays(values: list[float], logarithmic: bool | None) -> None:
    scale = scale_of(values, logarithmic=logarithmic)
    positions = [scale.position(value) for value in sorted(values)]
    assert positions == sorted(positions)
    assert all(0 <= position <= 100 for position in positions)


@given(VALUES, st.sampled_from([True, False, None]))
def test_ticks_are_few_round_and_on_the_line(values: list[float], logarithmic: bool | None) -> None:
    scale = scale_of(values, logarithmic=logarithmic)
    assert all(len(scale.ticks(most)) <= most + 1 for most in (2, 3, 5))
    ticks = scale.ticks()
    assert [tick.at for tick in ticks] == sorted(tick.at for tick in ticks)


def test_ratios_that_span_little_stand_on_an_even_scale() -> None:
    scale = scale_of([1.0, 1.2])
    assert not scale.logarithmic
    assert [tick.text for tick in scale.ticks()] == ["1", "1.05", "1.1", "1.15", "1.2"]
    assert [tick.text for tick in scale.ticks(3)] == ["1", "1.1", "1.2"]


def test_ratios_that_span_much_stand_on_a_logarithmic_scale() -> None:
    scale = scale_of([0.5, 1.0, 40.0])
    assert scale.logarithmic
    assert [tick.text for tick in scale.ticks()] == ["1", "3", "10", "30"]
    assert scale.position(1.0) - scale.position(0.5) == pytest.approx(
        scale.position(2.0) - scale.position(1.0), abs=0.02
    )


def test_a_zero_forbids_a_logarithmic_scale() -> None:
    assert not scale_of([0.0, 40.0]).logarithmic


def test_one_value_has_a_line_too() -> None:
    for value in (0.0, 1.0, 250.0):
        scale = scale_of([value])
        assert scale.low <= value < scale.high
    assert scale_of([]).high > scale_of([]).low


def test_what_lies_outside_stands_at_the_end() -> None:
    assert (Scale(0, 10).position(-5), Scale(0, 10).position(20)) == (0.0, 100.0)
    assert Scale(0, 1).ticks(2) == (Tick(0.0, "0"), Tick(50.0, "0.5"), Tick(100.0, "1"))


def test_round_steps() -> None:
    assert round_steps(0.0, 1.0, 5) == [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]
    assert round_steps(351, 447, 4) == [400.0]
