import pytest

from perbench.evaluation.values import Figures, Spread
from perbench.report.figures import axes, duration, percent, share, significant, spread
from perbench.results import TaskKind


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


def test_spreads() -> None:
    assert spread(Spread(1.0764, 1.108, 3)) == "1.076-1.108"
    assert spread(None) == ""


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
