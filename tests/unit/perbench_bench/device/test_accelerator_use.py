"""Figures of a window, out of looks made by hand: one device of 100 W that is looked at every five seconds."""

import math
from collections.abc import Callable, Sequence
from itertools import product

import pytest

from perbench_bench.device.accelerator_use import MIB, AcceleratorUse, Figure, Look, collected, of_all, use_of_pod
from perbench_bench.device.dcgm import BUSY, ENERGY, ENGINE, MEMORY, POWER, Device

ONE, TWO = Device("GPU-1"), Device("GPU-2")
PART = Device("GPU-1", "7")
WINDOW = (100.0, 200.0)
NAMES = (MEMORY, BUSY, ENERGY, POWER)


def value(name: str, second: float) -> float:
    """What a device shows that has collected at this second: 0.1 MiB more and 100 J more with each."""
    return {
        MEMORY: 1000 + second / 10, BUSY: 80.0, ENGINE: 0.5, ENERGY: 1e6 + 1e5 * second, POWER: 100.0,
    }[name]  # fmt: skip


def looks(
    every: float = 5.0, collects: float = 10.0, devices: Sequence[Device] = (ONE,), names: Sequence[str] = NAMES,
    start: float = 50.0, end: float = 230.0, of: Callable[[str, float], float] = value,
) -> list[Look]:  # fmt: skip
    """An exporter that collects every ten seconds, and somebody who looks every five."""
    found = []
    for step in range(math.ceil((end - start) / every)):
        second = start + step * every
        then = math.floor(second / collects) * collects
        found.append(Look(second, {(device, name): of(name, then) for device in devices for name in names}))
    return found


def test_one_device() -> None:
    use = use_of_pod(looks(), WINDOW, 1)
    assert use.samples == 10
    assert use.held == Figure(1020 * MIB, MEMORY)
    assert use.busy.value == pytest.approx(0.8)
    assert use.busy.source == "DCGM_FI_DEV_GPU_UTIL: time in which any kernel ran"
    assert use.energy.value == pytest.approx(100 * 100)
    assert use.energy.source == ENERGY


def test_what_two_devices_hold_and_take_is_added_up() -> None:
    use = use_of_pod(looks(devices=(ONE, TWO)), WINDOW, 2)
    assert use.held.value == 2 * 1020 * MIB
    assert use.busy.value == pytest.approx(0.8)
    assert use.energy.value == pytest.approx(2 * 100 * 100)


def test_a_figure_that_is_shown_again_was_not_collected_again() -> None:
    assert [each.seconds for each in collected(looks(start=100, end=131), ONE)] == [110, 120, 130]
    assert use_of_pod(looks(every=1, collects=30), WINDOW, 1).samples == 3


def test_what_was_collected_before_the_window_does_not_count() -> None:
    """The fullest moment was before it, and is shown until the first collection within it."""
    use = use_of_pod(looks(of=lambda name, second: value(name, second) + (500 if second < 100 else 0)), WINDOW, 1)
    assert use.held.value == 1020 * MIB
    late = use_of_pod(looks(of=lambda name, second: value(name, second) + (500 if second > 200 else 0)), WINDOW, 1)
    assert late.held.value == 1020 * MIB


@pytest.mark.parametrize(("collects", "times"), [(60, 2), (1000, 0)])
def test_too_few_collections_are_no_measurement(collects: float, times: int) -> None:
    use = use_of_pod(looks(collects=collects), WINDOW, 1)
    assert {figure.value for figure in (use.held, use.busy, use.energy)} == {None}
    assert use.held.reason == (
        f"its exporter collected {times} times within the window of 100 s, and 3 are needed:"
        " let it collect more often (DCGM_EXPORTER_INTERVAL=1000), or load longer"
    )
    assert use_of_pod([], WINDOW, 1).held.value is None


@pytest.mark.parametrize(("there", "wanted"), [((ONE,), 2), ((ONE, TWO), 1)])
def test_as_many_devices_must_be_there_as_the_model_has(there: tuple[Device, ...], wanted: int) -> None:
    use = use_of_pod(looks(devices=there), WINDOW, wanted)
    assert use.held.reason == f"the exporter shows {len(there)} accelerators of it, and it has {wanted}"


def test_power_stands_in_for_a_counter() -> None:
    use = use_of_pod(looks(names=(MEMORY, POWER), of=lambda name, second: value(name, second) + second % 20), WINDOW, 1)
    assert use.energy.source == POWER
    assert use.energy.value == pytest.approx(105 * 100)


def test_a_device_without_power_has_no_energy() -> None:
    use = use_of_pod(looks(names=(MEMORY, BUSY)), WINDOW, 1)
    assert (use.held.value, use.energy.value) == (1020 * MIB, None)
    assert use.energy.reason == f"the exporter does not show {ENERGY} or {POWER} of each of its accelerators"


def test_of_a_part_memory_and_work_are_known_and_energy_is_not() -> None:
    use = use_of_pod(looks(devices=(PART,), names=(MEMORY, ENGINE)), WINDOW, 1)
    assert use.held.value == 1020 * MIB
    assert use.busy == Figure(0.5, "DCGM_FI_PROF_GR_ENGINE_ACTIVE: time in which the compute engine was active")
    assert use.energy.reason == "the power of a part of an accelerator (MIG) is not measured apart"


def test_a_metric_that_one_device_lacks_is_not_known() -> None:
    some = [
        Look(look.seconds, {key: one for key, one in look.values.items() if key != (TWO, MEMORY)})
        for look in looks(devices=(ONE, TWO))
    ]
    use = use_of_pod(some, WINDOW, 2)
    assert use.held.reason == f"the exporter shows {MEMORY} of 1 of its 2 accelerators"
    assert use.busy.value == pytest.approx(0.8)


def test_memory_that_is_always_zero_is_no_figure() -> None:
    use = use_of_pod(looks(of=lambda name, second: 0 if name == MEMORY else value(name, second)), WINDOW, 1)
    assert (use.held.value, use.held.reason) == (None, "DCGM_FI_DEV_FB_USED was 0 throughout")


def test_energy_is_given_where_most_of_the_window_is_known() -> None:
    known = use_of_pod(looks(end=190), WINDOW, 1)
    assert known.energy.value == pytest.approx(100 * 100), "what is not known is taken to be like the rest"
    short = use_of_pod(looks(end=170), WINDOW, 1)
    assert (short.energy.reason or "").startswith(f"{ENERGY} is known of 60% of the window only: 80% are needed")


def test_a_counter_that_is_begun_anew_costs_the_time_between() -> None:
    def reset(name: str, second: float) -> float:
        return value(name, second) - (1.05e7 if name == ENERGY and second >= 150 else 0)

    use = use_of_pod(looks(of=reset), WINDOW, 1)
    assert use.energy.value == pytest.approx(100 * 100)


def without(gone: Callable[[Device, str, float], bool], devices: Sequence[Device] = (ONE, TWO)) -> list[Look]:
    """Looks once a second at an exporter that collects as often; what is gone is not shown."""
    return [
        Look(
            look.seconds,
            {
                (device, name): one
                for (device, name), one in look.values.items()
                if not gone(device, name, look.seconds)
            },
        )
        for look in looks(every=1, collects=1, devices=devices)
    ]


@pytest.mark.parametrize("collects", [0.3, 0.9, 1.0, 1.26, 1.5, 1.9, 2.5, 7.3])
def test_whoever_looks_every_second_sees_no_gap(collects: float) -> None:
    """However the two intervals lie to each other: what is new is seen up to a second late, and was not missing."""
    step = max(1.0, collects)
    tenths = [number / 10 for number in range(10)]
    for length, first, start in product((6.2, 8.6, 10.7), tenths, tenths):
        window = (10 * step + start * step, (10 + start + length) * step)
        seen = looks(1.0, collects, start=first, end=window[1], of=lambda _, second: 1 + second)
        use = use_of_pod(seen, window, 1)
        assert (use.held.reason, use.busy.reason) == (None, None), (length, first, start)


def test_a_device_that_goes_away_in_the_middle_leaves_no_figure() -> None:
    use = use_of_pod(without(lambda device, _, second: device == TWO and second > 115), WINDOW, 2)
    assert use.held.reason == f"the exporter had no new {MEMORY} of GPU-2 for 85 s of the window of 100 s"
    assert (use.busy.value, use.energy.value) == (None, None)
    assert "GPU-2" in (use.busy.reason or "")
    assert use.energy.reason == (
        f"{ENERGY} is known of 15% of the window only: 80% are needed;"
        f" {POWER} is known of 15% of the window only: 80% are needed"
    )
    late = use_of_pod(without(lambda device, _, second: device == TWO and second < 150), WINDOW, 2)
    assert late.held.value is None


def test_a_device_whose_figures_stand_still_is_not_collected_with_the_others() -> None:
    frozen = {(TWO, name): value(name, 50) for name in NAMES}
    still = [Look(look.seconds, {**look.values, **frozen}) for look in looks(devices=(ONE, TWO))]
    use = use_of_pod(still, WINDOW, 2)
    assert "collected 0 times" in (use.held.reason or "")


def test_a_metric_that_is_seldom_there_is_no_figure_and_the_others_are() -> None:
    use = use_of_pod(without(lambda _, name, second: name == BUSY and second not in {120, 121}, (ONE,)), WINDOW, 1)
    assert use.busy.reason == f"the exporter collected {BUSY} of GPU-1 2 times, and 3 are needed"
    assert (use.held.value, use.energy.value) == (1020 * MIB, pytest.approx(100 * 100))


def test_what_may_have_been_collected_before_the_window_does_not_count() -> None:
    """It was seen first within the window, and what it follows was seen last before that."""
    few = [look for look in looks(every=1, collects=30) if not 90 < look.seconds < 125]
    assert [each.seconds for each in collected(few, ONE)] == [60, 90, 125, 150, 180, 210]
    assert "collected 2 times" in (use_of_pod(few, WINDOW, 1).held.reason or "")


@pytest.mark.parametrize("stands", [0.0, 5e6])
def test_a_counter_that_stands_still_is_no_figure(stands: float) -> None:
    def frozen(name: str, second: float) -> float:
        return stands if name == ENERGY else value(name, second)

    use = use_of_pod(looks(of=frozen), WINDOW, 1)
    assert use.energy == Figure(pytest.approx(100 * 100), POWER), "300 W do not come to 0 J"
    alone = use_of_pod(looks(of=frozen, names=(MEMORY, ENERGY)), WINDOW, 1)
    assert alone.energy.reason == f"{ENERGY} is known of 0% of the window only: 80% are needed"


def test_a_counter_that_stood_still_for_a_while_tells_of_it_when_it_rises_again() -> None:
    def stuck(name: str, second: float) -> float:
        return value(name, 120 if name == ENERGY and 120 <= second < 160 else second)

    assert use_of_pod(looks(of=stuck), WINDOW, 1).energy == Figure(pytest.approx(100 * 100), ENERGY)


def test_power_of_zero_is_no_figure() -> None:
    off = looks(names=(MEMORY, POWER), of=lambda name, second: 0 if name == POWER else value(name, second))
    assert use_of_pod(off, WINDOW, 1).energy.reason == f"{POWER} is known of 0% of the window only: 80% are needed"


def test_power_is_not_joined_over_a_long_silence() -> None:
    silent = [look for look in looks(names=(MEMORY, POWER)) if not 120 < look.seconds < 190]
    use = use_of_pod(silent, WINDOW, 1)
    assert use.energy.value is None
    assert POWER in (use.energy.reason or "")


def test_of_replicas_the_largest_holds_and_all_take() -> None:
    small = AcceleratorUse(Figure(10.0, "m"), Figure(0.2, "b"), Figure(5.0, "e"), samples=9)
    large = AcceleratorUse(Figure(30.0, "m"), Figure(0.6, "b"), Figure(7.0, "e"), samples=4)
    both = of_all({"a": small, "b": large})
    assert (both.held.value, both.busy.value, both.energy.value, both.samples) == (30, pytest.approx(0.4), 12, 4)
    lacking = of_all({"a": small, "b": AcceleratorUse.nothing("not mapped")})
    assert lacking.held == Figure.none("b: not mapped")
    assert of_all({}).held.reason == "the model has no pods"


def test_of_replicas_whose_figures_are_of_several_metrics_all_are_named() -> None:
    counted, added = AcceleratorUse(ALL, ALL, Figure(5.0, ENERGY)), AcceleratorUse(ALL, ALL, Figure(7.0, POWER))
    assert of_all({"a": counted, "b": added, "c": counted}).energy == Figure(17.0, f"{ENERGY}, {POWER}")


def test_where_one_replicas_accelerators_are_shared_nobody_is_to_give_figures() -> None:
    shared = AcceleratorUse.nothing("shared with pod x", refused=True)
    use = of_all({"a": AcceleratorUse.nothing("not mapped"), "b": shared})
    assert (use.refused, use.settled, use.held.reason) == (True, True, "b: shared with pod x")


ALL = Figure(1.0, "m")
