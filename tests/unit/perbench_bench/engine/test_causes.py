"""What is named as the cause of a saturated load generator, and what is advised."""

from dataclasses import replace

import pytest

from perbench_bench.engine.causes import Cause, Pressure, Usage, advice_of, causes

SECOND = 1_000_000_000
BEFORE = Usage(wall_ns=0, own_cpu_ns=0, throttled_ns=0, stolen=100, ticks=1_000, descriptors=40)
AFTER = Usage(wall_ns=10 * SECOND, own_cpu_ns=SECOND, throttled_ns=0, stolen=100, ticks=3_000, descriptors=40)


def test_nothing_is_named_where_nothing_pressed() -> None:
    assert causes(BEFORE, AFTER, 0.02, lacking=False) == ()


@pytest.mark.parametrize(
    ("after", "wait_ms", "lacking", "cause"),
    [
        (replace(AFTER, throttled_ns=3 * SECOND), 0.0, False, Cause(Pressure.THROTTLED, 30.0)),
        (replace(AFTER, stolen=200), 0.0, False, Cause(Pressure.STEAL, 5.0)),
        (replace(AFTER, own_cpu_ns=9 * SECOND), 0.0, False, Cause(Pressure.OWN_PROCESSOR, 90.0)),
        (AFTER, 0.8, False, Cause(Pressure.OTHERS, 0.8)),
        (AFTER, 0.0, True, Cause(Pressure.DESCRIPTORS, 40.0)),
    ],
)
def test_each_cause_is_told_with_its_figure(after: Usage, wait_ms: float, lacking: bool, cause: Cause) -> None:
    assert causes(BEFORE, after, wait_ms, lacking=lacking) == (cause,)
    assert f"{cause.measured:.2g}" in advice_of((cause,)), "the advice says what was seen"


def test_a_limit_is_named_before_what_follows_from_it() -> None:
    """A throttled process waits for its core as well, and looks busy while it may run."""
    pressed = replace(AFTER, throttled_ns=3 * SECOND, own_cpu_ns=9 * SECOND)
    found = causes(BEFORE, pressed, 2.0, lacking=False)
    assert [cause.pressure for cause in found] == [Pressure.THROTTLED, Pressure.OWN_PROCESSOR, Pressure.OTHERS]
    assert "no CPU limit" in advice_of(found)


def test_a_system_that_does_not_say_is_no_cause() -> None:
    mute = replace(BEFORE, throttled_ns=None, stolen=None, ticks=None)
    assert causes(mute, replace(AFTER, throttled_ns=None, stolen=None, ticks=None), None, lacking=False) == ()


def test_without_a_cause_the_advice_is_a_core_of_its_own() -> None:
    assert advice_of(()).startswith("give the load generator a core of its own")
