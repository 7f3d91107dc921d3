import math
import re
from itertools import combinations, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perbench.per.table import read_table
from perbench.report.plot import NARROW, WIDE, Circle, Plot, Point, plot, text_width
from tests.support.per_rows import STUDY


def point(name: str, x: float, y: float, size: float | None = 100.0, *, front: bool = True) -> Point:
    return Point(name, name, x, y, size, front)


def drawn(*points: Point, **options: object) -> Plot:
    found = plot(points, "throughput", **options)
    assert found is not None
    return found


def circle(found: Plot, name: str) -> Circle:
    return next(entry for entry in found.circles if entry.name == name)


def study(task: str) -> list[Point]:
    rows = read_table(STUDY).tasks()[task]
    return [
        point(r.measured.model, r.measured.throughput or 0, r.measured.accuracy or 0, r.measured.memory) for r in rows
    ]


def test_more_is_to_the_right_and_better_is_up() -> None:
    found = drawn(point("a", 10, 0.4), point("b", 20, 0.6))
    a, b = circle(found, "a"), circle(found, "b")
    assert a.x < b.x
    assert a.y > b.y


def test_throughput_is_logarithmic_only_over_magnitudes() -> None:
    assert not drawn(point("a", 10, 0.4), point("b", 60, 0.6)).logarithmic
    found = drawn(point("a", 10, 0.4), point("b", 100, 0.5), point("c", 1000, 0.6))
    assert found.logarithmic
    a, b, c = (circle(found, name).x for name in "abc")
    assert b - a == pytest.approx(c - b, abs=0.2)


def test_the_area_follows_memory() -> None:
    found = drawn(point("a", 10, 0.4, 400.0), point("b", 20, 0.6, 1600.0))
    assert found.sized
    assert circle(found, "b").r == pytest.approx(2 * circle(found, "a").r, abs=0.1)
    assert [entry.name for entry in found.circles] == ["b", "a"], "small ones are drawn over large ones"


def test_where_a_memory_is_not_known_no_area_means_anything() -> None:
    found = drawn(point("a", 10, 0.4, 400.0), point("b", 20, 0.6, None))
    assert not found.sized
    assert circle(found, "a").r == circle(found, "b").r


def test_ticks_are_round_and_inside() -> None:
    found = drawn(*study("gsm8k"))
    assert [tick.text for tick in found.y_ticks] == ["0.4", "0.6", "0.8"]
    assert [tick.text for tick in found.x_ticks] == ["50", "100", "200", "500", "1,000", "2,000", "5,000", "10,000"]
    assert [tick.text for tick in drawn(*study("gsm8k"), frame=NARROW).x_ticks] == ["100", "1,000", "10,000"]
    assert all(WIDE.left <= tick.at <= WIDE.width - WIDE.right for tick in found.x_ticks)


def test_the_step_line_goes_down_at_each_point_that_no_other_beats() -> None:
    found = drawn(point("a", 10, 0.8), point("b", 20, 0.6), point("beaten", 15, 0.5), point("c", 30, 0.2))
    a, b, c = (circle(found, name) for name in "abc")
    floor = WIDE.height - WIDE.bottom
    corners = [(WIDE.left, a.y), (a.x, a.y), (a.x, b.y), (b.x, b.y), (b.x, c.y), (c.x, c.y), (c.x, floor)]
    assert found.steps == "M" + "L".join(f"{x:g} {y:g}" for x, y in corners)


@pytest.mark.parametrize("task", ["gsm8k", "squad2", "hellaswag", "imdb", "arc-easy"])
def test_names_cover_neither_each_other_nor_circles(task: str) -> None:
    found = drawn(*study(task))
    boxes = []
    for entry in found.circles:
        if entry.label:
            width = text_width(entry.label.text)
            left = entry.label.x - {"start": 0, "middle": width / 2, "end": width}[entry.label.anchor]
            boxes.append((left, entry.label.y - 9, left + width, entry.label.y + 2))
            assert left >= WIDE.left
            assert left + width <= WIDE.width
    assert len(boxes) >= 12, "most of 16 models have a name"
    circles = [(c.x - c.r, c.y - c.r, c.x + c.r, c.y + c.r) for c in found.circles]
    for one, other in (*combinations(boxes, 2), *((box, c) for box in boxes for c in circles)):
        assert one[2] <= other[0] or other[2] <= one[0] or one[3] <= other[1] or other[3] <= one[1]


def test_a_long_name_is_cut_in_the_drawing_only() -> None:
    found = drawn(point("n" * 60, 10, 0.4), point("b", 20, 0.6))
    label = circle(found, "n" * 60).label
    assert label is not None
    assert label.text == "n" * 26 + " …"


def test_on_a_narrow_screen_there_are_places_in_place_of_names() -> None:
    found = drawn(*study("squad2"), frame=NARROW, named=False)
    assert all(entry.label is None and entry.place for entry in found.circles)


@pytest.mark.parametrize(
    "points", [[], [point("a", 10, 0.4)], [point("a", 10, 0.4), point("b", 10, 0.4)], [point("a", 0, 0.4)]]
)
def test_without_two_different_points_there_is_no_drawing(points: list[Point]) -> None:
    assert plot(points, "throughput") is None


_figures = st.floats(1e-30, 1e30)


@given(st.lists(st.tuples(_figures, st.just(0.0) | _figures, st.none() | _figures), min_size=2, max_size=8))
def test_everything_is_inside_whatever_the_figures(figures: list[tuple[float, float, float | None]]) -> None:
    found = plot([point(str(index), *entry) for index, entry in enumerate(figures)], "throughput")
    if found is None:
        return
    for entry in found.circles:
        assert WIDE.left <= entry.x <= WIDE.width - WIDE.right
        assert WIDE.top <= entry.y <= WIDE.height - WIDE.bottom
        assert 0 < entry.r <= 15
    positions = [float(number) for number in re.findall(r"[-\d.e+]+", found.steps)]
    assert all(map(math.isfinite, positions))
    assert all(after.at > before.at for before, after in pairwise(found.x_ticks))
    assert len(found.x_ticks) <= 80
