"""Accuracy against throughput as data for an SVG: scales, ticks, circles, and names that do not cover each other.

All positions are in the units of the view box, which are pixels where the drawing is shown at its own width.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

LOG_FROM = 8.0
"""Largest over smallest throughput from which the scale is logarithmic."""
NARROW_LETTERS, WIDE_LETTERS = frozenset("fijlrtI.,:;|!'()[]-/ "), frozenset("mwMW@%&")
"""Of names, which are 12 units high; the rest is between the two. The widest usual fonts are meant."""
LINE = 14.0
"""Height of a name with its distance to the next."""
DECADE = 140.0
"""Width of a power of ten from which it has ticks at 2 and 5."""
SMALLEST, LARGEST, UNSIZED, NUMBERED = 4.0, 15.0, 6.0, 8.5
"""Radii of circles: with areas that mean something, without, and with a number inside."""
MOST_NAMES = 48
"""Points that get a name: with more, names hide what they name."""
LONGEST_NAME = 28
"""Characters of a name in the drawing; the table has the rest."""


@dataclass(frozen=True)
class Point:
    """One model, in the units of its figures."""

    name: str
    place: str
    """Its place in the table; empty: not ranked."""
    x: float
    """Throughput."""
    y: float
    """Accuracy."""
    size: float | None
    """Memory: the area of the circle."""
    front: bool
    x_ends: tuple[float, float] | None = None
    """Interval of `x`."""
    y_ends: tuple[float, float] | None = None
    """Interval of `y`."""


@dataclass(frozen=True)
class Circle:
    """A point, drawn."""

    name: str
    place: str
    x: float
    y: float
    r: float
    front: bool
    label: "Label | None" = None
    across: tuple[float, float] | None = None
    """Ends of a line through it: the interval of its throughput."""
    upwards: tuple[float, float] | None = None
    """The same of its accuracy."""


@dataclass(frozen=True)
class Label:
    """A name beside its circle: where its baseline begins, or ends."""

    text: str
    x: float
    y: float
    anchor: str


@dataclass(frozen=True)
class Tick:
    """A line of the grid and what it stands for."""

    at: float
    text: str


@dataclass(frozen=True)
class Frame:
    """The view box and the field inside it."""

    width: float
    height: float
    left: float = 46.0
    right: float = 26.0
    top: float = 26.0
    bottom: float = 42.0


@dataclass(frozen=True)
class Plot:
    """A drawing, ready to be placed by the template."""

    frame: Frame
    circles: tuple[Circle, ...]
    """Large ones first, so that small ones stay visible."""
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]
    x_title: str
    steps: str
    """SVG path along the points that no other beats on these two axes."""
    sized: bool
    """Whether areas stand for sizes: every point has one."""
    logarithmic: bool


WIDE = Frame(1040, 470)
NARROW = Frame(358, 340, left=38, right=22)


def plot(points: Sequence[Point], x_title: str, frame: Frame = WIDE, *, named: bool = True) -> Plot | None:
    """Draw the points; `named`: names beside the circles, else places in them. None without two different points."""
    points = [point for point in points if point.x > 0]
    if len({(point.x, point.y) for point in points}) < 2:
        return None
    across = _across([x for point in points for x in (point.x, *(point.x_ends or ())) if x > 0], frame)
    upwards = _upwards([y for point in points for y in (point.y, *(point.y_ends or ()))], frame)
    sized = named and all(point.size for point in points)
    largest = max(point.size or 0.0 for point in points)
    circles = [
        Circle(
            name=point.name,
            place=point.place,
            x=round(across.position(point.x), 1),
            y=round(upwards.position(point.y), 1),
            r=_radius(point.size, largest) if sized else UNSIZED if named else NUMBERED,
            front=point.front,
            across=_line(across, point.x_ends),
            upwards=_line(upwards, point.y_ends),
        )
        for point in points
    ]
    corners = _corners(circles, frame)
    drawn = sorted(_with_names(circles, corners, frame) if named else circles, key=lambda circle: -circle.r)
    return Plot(
        frame=frame,
        circles=tuple(drawn),
        x_ticks=across.ticks,
        y_ticks=upwards.ticks,
        x_title=x_title,
        steps="M" + "L".join(f"{x:g} {y:g}" for x, y in corners),
        sized=sized,
        logarithmic=across.logarithmic,
    )


@dataclass(frozen=True)
class _Scale:
    """From a figure to a position."""

    low: float
    high: float
    start: float
    end: float
    logarithmic: bool
    ticks: tuple[Tick, ...] = ()

    def position(self, value: float) -> float:
        low, high, value = (math.log(v) if self.logarithmic else v for v in (self.low, self.high, value))
        return self.start + (value - low) / (high - low) * (self.end - self.start)

    def with_ticks(self, values: Sequence[float]) -> "_Scale":
        inside = [value for value in values if self.low <= value <= self.high]
        return replace(self, ticks=tuple(Tick(round(self.position(v), 1), _tick_text(v)) for v in inside))


def _across(values: Sequence[float], frame: Frame) -> _Scale:
    """Throughput: from 0, or logarithmic where it spans magnitudes."""
    low, high = min(values), max(values)
    ends = (frame.left, frame.width - frame.right)
    if high / low < LOG_FROM:
        scale = _Scale(0.0, high * 1.08, *ends, logarithmic=False)
        return scale.with_ticks(_round_steps(0.0, scale.high, 6))
    scale = _Scale(low / 1.35, high * 1.35, *ends, logarithmic=True)
    decades = range(math.floor(math.log10(scale.low)), math.ceil(math.log10(scale.high)) + 1)
    room = (scale.end - scale.start) / math.log10(scale.high / scale.low)
    digits = (1, 2, 5) if room >= DECADE else (1,)
    return scale.with_ticks([digit * 10.0**power for power in decades for digit in digits])


def _upwards(values: Sequence[float], frame: Frame) -> _Scale:
    low, high = min(values), max(values)
    margin = 0.08 * (high - low) or 0.05 * (abs(high) or 1.0)
    scale = _Scale(
        max(low - margin, 0.0) if low >= 0 else low, high + margin, frame.height - frame.bottom, frame.top, False
    )
    return scale.with_ticks(_round_steps(scale.low, scale.high, 6))


def _line(scale: _Scale, ends: tuple[float, float] | None) -> tuple[float, float] | None:
    if ends is None or (ends[0] <= 0 and scale.logarithmic):
        return None
    return round(scale.position(ends[0]), 1), round(scale.position(ends[1]), 1)


def _round_steps(low: float, high: float, most: int) -> list[float]:
    """Round numbers from `low` to `high`, `most` of them at most."""
    rough = (high - low) / most
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough)
    return [float(f"{index * step:.12g}") for index in range(math.ceil(low / step), math.floor(high / step) + 1)]


def _tick_text(value: float) -> str:
    return f"{value:g}" if value < 1000 else f"{value:,.0f}"


def _radius(size: float | None, largest: float) -> float:
    """The area follows the size; the smallest can still be seen."""
    return round(max(SMALLEST, LARGEST * math.sqrt((size or 0.0) / largest)), 1)


def _corners(circles: Sequence[Circle], frame: Frame) -> list[tuple[float, float]]:
    """From the left edge along the best accuracy at each throughput or more, and down to the axis."""
    best: list[Circle] = []
    for circle in sorted(circles, key=lambda c: (-c.x, c.y)):
        if not best or circle.y < best[-1].y:
            best.append(circle)
    best.reverse()
    floor = frame.height - frame.bottom
    corners = [(frame.left, best[0].y)]
    for circle, lower in zip(best, [*(after.y for after in best[1:]), floor], strict=True):
        corners += [(circle.x, circle.y), (circle.x, lower)]
    return corners


Box = tuple[float, float, float, float]
"""Left, top, right, bottom."""


def _with_names(circles: Sequence[Circle], corners: Sequence[tuple[float, float]], frame: Frame) -> list[Circle]:
    """Names, those on the front first; one that would cover another, a circle or the step line is left out.

    It may cross an interval where there is no other place for it.
    """
    steps = [(min(x, u) - 1, min(y, v) - 1, max(x, u) + 1, max(y, v) + 1) for (x, y), (u, v) in pairwise(corners)]
    around = {c.name: (c.x - c.r, c.y - c.r, c.x + c.r, c.y + c.r) for c in circles}
    whiskers = [box for circle in circles for box in _whiskers(circle)]
    named: dict[str, tuple[Label, Box]] = {}
    for circle in sorted(circles, key=lambda c: (not c.front, c.y))[:MOST_NAMES]:
        # Beside an interval the corners of a circle's own box are the places that are left.
        others = [box for name, box in around.items() if name != circle.name or not circle.upwards]
        solid = [*steps, *others, *(box for _, box in named.values())]
        found = _free_place(circle, [*solid, *whiskers], frame) or _free_place(circle, solid, frame)
        if found is not None:
            named[circle.name] = found
    return [replace(circle, label=named[circle.name][0] if circle.name in named else None) for circle in circles]


def _free_place(circle: Circle, taken: Sequence[Box], frame: Frame) -> tuple[Label, Box] | None:
    places = ((label, box) for label, box in _places(circle) if _inside(box, frame))
    return next((place for place in places if not any(_overlap(place[1], other) for other in taken)), None)


def _whiskers(circle: Circle) -> Iterator[Box]:
    if circle.across:
        yield circle.across[0], circle.y - 1, circle.across[1], circle.y + 1
    if circle.upwards:
        yield circle.x - 1, circle.upwards[1], circle.x + 1, circle.upwards[0]


def _places(circle: Circle) -> Iterator[tuple[Label, Box]]:
    """Places for a name, the best first: right, left, above, below, then the corners."""
    text = circle.name if len(circle.name) <= LONGEST_NAME else f"{circle.name[: LONGEST_NAME - 2]} …"
    width = text_width(text)
    gap = circle.r + 4
    near = 0.7 * circle.r + 4
    for dx, dy, anchor in (
        (gap, 4.0, "start"),
        (-gap, 4.0, "end"),
        (near, -near, "start"),
        (-near, -near, "end"),
        (0.0, -gap, "middle"),
        (0.0, gap + 9, "middle"),
        (near, near + 9, "start"),
        (-near, near + 9, "end"),
    ):
        x, y = round(circle.x + dx, 1), round(circle.y + dy, 1)
        left = {"start": x, "end": x - width, "middle": x - width / 2}[anchor]
        yield Label(text, x, y, anchor), (left, y - LINE + 4, left + width, y + 3)


def text_width(text: str) -> float:
    """Of a name, rather too much than too little."""
    return sum(5.0 if c in NARROW_LETTERS else 12.0 if c in WIDE_LETTERS or not c.isascii() else 8.0 for c in text)


def _inside(box: Box, frame: Frame) -> bool:
    left, top, right, bottom = box
    return left >= frame.left and top >= 0 and right <= frame.width and bottom <= frame.height - frame.bottom


def _overlap(one: Box, other: Box) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]
