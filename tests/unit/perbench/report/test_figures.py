from dataclasses import replace

import pytest

from perbench.api.per import LatencyBasis, MemoryBasis
from perbench.evaluation import Settings
from perbench.evaluation.values import Figures
from perbench.per import FigureIntervals
from perbench.report.figures import axes, bases, duration, money, percent, share, significant
from perbench.results import TaskKind
from perbench.statistics.intervals import Interval


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "-"),
        (0.0, "0"),
        (4.0134, "4.01"),
        (24.08, "24.1"),
        (99.96, "100.0"),
        (381.4, "381"),
        (1234567.8, "1,234,568"),
        (0.5, "0.500"),
        (0.012345, "0.0123"),
        (0.0000123, "0.0000123"),
        (-3.14159, "-3.14"),
    ],
)
def test_figures_keep_three_significant_digits_and_whole_numbers(value: float | None, text: str) -> None:
    assert significant(value) == text


def test_shares_and_percents() -> None:
    assert (share(0.7), share(None)) == ("0.700", "-")
    assert [percent(value) for value in (None, 0.0, 0.04, 4.1667, 99.99, 100.0)] == [
        "-",
        "0 %",
        "0.0 %",
        "4.2 %",
        "100.0 %",
        "100 %",
    ]


def test_money_for_many_with_its_interval() -> None:
    assert money(0.000026, Interval(0.0000212, 0.0000349), 1000) == "0.0260 (0.0212-0.0349)"
    assert (money(3.24, None), money(None, None)) == ("3.24", "-")


def test_bases_that_are_not_the_defaults_are_said() -> None:
    plain = Settings("m")
    other = replace(plain, latency_basis=LatencyBasis.UNLOADED, memory_basis=MemoryBasis.WEIGHTS)
    assert (bases(plain), bases(other)) == ((), ("latency Unloaded", "memory Weights"))
    assert [view.basis(other) for view in axes(TaskKind.GENERATION, "server")] == ["", "", "Unloaded", "Weights"]
    assert [view.basis(plain) for view in axes(TaskKind.GENERATION, "server")] == [""] * 4


def test_an_axis_gives_its_interval_in_its_unit() -> None:
    known = FigureIntervals(throughput=Interval(2, 4), memory=Interval(1024.0 * 1024, 2 * 1024.0 * 1024))
    found = [view.interval(known) for view in axes(TaskKind.GENERATION, "server")]
    assert found == [None, Interval(2, 4), None, Interval(1, 2)]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.4, "0 s"), (48.0, "48 s"), (59.6, "1 min 0 s"), (312.0, "5 min 12 s"), (7505.0, "2 h 5 min")],
)
def test_durations(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_the_units_follow_the_kind_of_task() -> None:
    assert [view.unit for view in axes(TaskKind.CLASSIFICATION, "server")] == [
        "",
        "items/s per server",
        "ms per item",
        "MiB",
    ]
    assert [view.unit for view in axes(TaskKind.SYNTHETIC, "accelerator")][1:3] == [
        "tokens/s per accelerator",
        "ms per token",
    ]


def test_an_axis_gives_its_figure_in_its_unit() -> None:
    figures = Figures(accuracy=0.5, throughput=3.0, latency_ms=4.0, memory_bytes=1024.0 * 1024 * 7)
    views = axes(TaskKind.GENERATION, "server")
    assert [view.value(figures) for view in views] == [0.5, 3.0, 4.0, 7.0]
    assert [view.text(view.value(Figures())) for view in views] == ["-"] * 4
    assert [view.better for view in views] == [
        "higher is better",
        "higher is better",
        "lower is better",
        "lower is better",
    ]
