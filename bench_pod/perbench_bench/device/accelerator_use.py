"""What a pod's accelerators did within a window, out of looks at what their exporter says. Pure.

An exporter collects figures every so often (dcgm-exporter: every 30 s, unless it is told otherwise) and shows them
until the next time, without saying when that was. So a look counts only where a device's figures are others than at the
look before it: they were collected between the two, and both must lie within the window. Figures that nobody saw coming
may be from before the load.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, pairwise
from math import fsum
from statistics import fmean, median

from perbench_bench.device.dcgm import BUSY, ENERGY, ENGINE, MEMORY, POWER, Device, Values, devices_of

MIB = 1 << 20
LEAST = 3
"""Collections of each device and metric within the window below which there are no figures."""
COVERED = 0.8
"""The share of the window that a metric must be known of; the rest is taken to be like it."""
USUAL_GAPS = 2.0
"""Times the usual interval between two collections that one may be late without a part of the window being unknown; and
by one look more, as nobody sees it the moment it comes. An exporter that collects every 15 s and is looked at every 10
shows something new after 10 and after 20 s in turn."""
LONGEST_GAP = 60.0
"""Seconds between two readings of power that are joined: twice the exporter's own interval."""
BUSY_WORDS = f"{BUSY}: time in which any kernel ran"
ENGINE_WORDS = f"{ENGINE}: time in which the compute engine was active"


@dataclass(frozen=True, slots=True)
class Look:
    """The figures of one pod's accelerators, as somebody saw them."""

    seconds: float
    """When: of the clock that the window is given in."""
    values: Values


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure, or why there is none."""

    value: float | None = None
    source: str = ""
    """Of which metric it is made. Empty: there is none."""
    reason: str | None = None

    @classmethod
    def none(cls, reason: str) -> "Figure":
        """There is none, and why."""
        return cls(reason=reason)


@dataclass(frozen=True, slots=True)
class AcceleratorUse:
    """What the accelerators of one pod, or of several, did within a window."""

    held: Figure
    """Bytes in use at the fullest moment: of one pod; of several, of the largest."""
    busy: Figure
    """Share of the time in which they were at work, 0 to 1: the mean over all of them."""
    energy: Figure
    """Joules of the window, of all of them."""
    samples: int = 0
    """Collections within the window; of several devices or pods, of that with the fewest."""
    refused: bool = False
    """Nobody may give figures: the accelerators are shared, so that what is measured of them is not the pod's alone."""

    @classmethod
    def nothing(cls, reason: str, *, refused: bool = False) -> "AcceleratorUse":
        """No figures at all."""
        return cls(Figure.none(reason), Figure.none(reason), Figure.none(reason), refused=refused)

    @property
    def settled(self) -> bool:
        """Whether nobody else need be asked: there is every figure, or there must be none."""
        return self.refused or all(figure.value is not None for figure in (self.held, self.busy, self.energy))


@dataclass(frozen=True, slots=True)
class Collection:
    """New figures of one device, by metric."""

    since: float
    """When the ones before were seen last."""
    seconds: float
    """When these were seen first."""
    values: Mapping[str, float]


Points = Mapping[float, float]
"""Figures of one device and one metric, by second, in order."""


@dataclass(frozen=True, slots=True)
class _Window:
    """What was collected of one pod's devices, in all and within the window."""

    start: float
    end: float
    every: Mapping[Device, Sequence[Collection]]
    look: float
    """Seconds between two looks, as a rule."""

    @property
    def length(self) -> float:
        return self.end - self.start

    def inside(self, device: Device) -> list[Collection]:
        return [each for each in self.every[device] if self.start <= each.since and each.seconds <= self.end]

    def points(self, name: str) -> dict[Device, Points]:
        """Of one metric, within the window."""
        return {device: _points(self.inside(device), name) for device in self.every}

    def lacking(self, name: str) -> str | None:
        """Why a metric is not known of every accelerator, from the beginning of the window to its end."""
        series = self.points(name)
        found = sum(1 for points in series.values() if points)
        if found < len(series):
            return f"the exporter shows {name} of {found} of its {len(series)} accelerators"
        for device, points in series.items():
            if len(points) < LEAST:
                return f"the exporter collected {name} of {device.uuid} {len(points)} times, and {LEAST} are needed"
        return next((why for device in series if (why := self._gap(name, device))), None)

    def _gap(self, name: str, device: Device) -> str | None:
        """Why the points do not tell of the whole window: none came for long, as of a device that has gone or does not
        answer any more."""
        seen = [second for second in _points(self.every[device], name) if self.start <= second <= self.end]
        silence = max(b - a for a, b in pairwise([self.start, *seen, self.end]))
        usual = median(b - a for a, b in pairwise(seen))
        if silence <= max(USUAL_GAPS * usual + self.look, (1 - COVERED) * self.length):
            return None
        return (
            f"the exporter had no new {name} of {device.uuid} for {silence:.0f} s of the window of {self.length:.0f} s"
        )


def use_of_pod(looks: Sequence[Look], window: tuple[float, float], accelerators: int) -> AcceleratorUse:
    """Of one pod. `looks`: in order, also some before and after the window, which is in seconds of their clock."""
    start, end = window
    shown = {device for look in looks if start <= look.seconds <= end for device in devices_of(look.values)}
    look = median([b.seconds - a.seconds for a, b in pairwise(looks)] or [0.0])
    seen = _Window(start, end, {device: tuple(collected(looks, device)) for device in sorted(shown)}, look)
    fewest = min((len(seen.inside(device)) for device in seen.every), default=0)
    if fewest < LEAST:
        return AcceleratorUse.nothing(
            f"its exporter collected {fewest} times within the window of {end - start:.0f} s, and {LEAST} are"
            " needed: let it collect more often (DCGM_EXPORTER_INTERVAL=1000), or load longer"
        )
    if len(shown) != accelerators:
        return AcceleratorUse.nothing(f"the exporter shows {len(shown)} accelerators of it, and it has {accelerators}")
    return AcceleratorUse(_held(seen), _busy(seen), _energy(seen), fewest)


def of_all(pods: Mapping[str, AcceleratorUse]) -> AcceleratorUse:
    """Of several replicas, by name, each with as many accelerators. A figure that one of them lacks is not known."""
    if not pods:
        return AcceleratorUse.nothing("the model has no pods")
    for name, use in pods.items():
        if use.refused:
            return AcceleratorUse.nothing(f"{name}: {use.held.reason}", refused=True)
    return AcceleratorUse(
        held=_together({name: use.held for name, use in pods.items()}, max),
        busy=_together({name: use.busy for name, use in pods.items()}, fmean),
        energy=_together({name: use.energy for name, use in pods.items()}, fsum),
        samples=min(use.samples for use in pods.values()),
    )


def collected(looks: Iterable[Look], device: Device) -> Iterator[Collection]:
    """What was new of one device, and by that when it was collected."""
    for before, after in pairwise((look.seconds, _values_of(look, device)) for look in looks):
        if after[1] and after[1] != before[1]:
            yield Collection(before[0], after[0], after[1])


def _values_of(look: Look, device: Device) -> dict[str, float]:
    return {name: value for (one, name), value in look.values.items() if one == device}


def _together(figures: Mapping[str, Figure], join: Callable[[Sequence[float]], float]) -> Figure:
    missing = next(((name, figure.reason) for name, figure in figures.items() if figure.value is None), None)
    if missing is not None:
        return Figure.none(f"{missing[0]}: {missing[1]}")
    values = [figure.value for figure in figures.values() if figure.value is not None]
    return Figure(join(values), ", ".join(dict.fromkeys(figure.source for figure in figures.values())))


def _held(seen: _Window) -> Figure:
    """At the fullest moment, from when on each device has been collected once."""
    if lacking := seen.lacking(MEMORY):
        return Figure.none(lacking)
    series, latest, peak = seen.points(MEMORY), dict[Device, float](), 0.0
    for second in sorted(set(chain.from_iterable(series.values()))):
        latest |= {device: points[second] for device, points in series.items() if second in points}
        if len(latest) == len(series):
            peak = max(peak, fsum(latest.values()))
    return Figure(peak * MIB, MEMORY) if peak else Figure.none(f"{MEMORY} was 0 throughout")


def _busy(seen: _Window) -> Figure:
    parts = any(device.instance for device in seen.every)
    reasons = []
    for name, words, unit in ((BUSY, BUSY_WORDS, 100.0), (ENGINE, ENGINE_WORDS, 1.0)):
        series = seen.points(name)
        lacking = seen.lacking(name)
        if lacking is None:
            means = [fmean(points.values()) for points in series.values()]
            return Figure(min(1.0, fmean(means) / unit), words)
        reasons += [lacking] if all(series.values()) else []
    asked = ENGINE if parts else f"{BUSY} or {ENGINE}"
    return Figure.none(reasons[0] if reasons else f"the exporter does not show {asked} of each of its accelerators")


def _energy(seen: _Window) -> Figure:
    """By the counter of each accelerator; where one has none, or it stands still, by its power."""
    if any(device.instance for device in seen.every):
        return Figure.none("the power of a part of an accelerator (MIG) is not measured apart")
    reasons = []
    for name, spans_of in ((ENERGY, _spans_of_counter), (POWER, _spans_of_power)):
        series = [_points(collections, name) for collections in seen.every.values()]
        if not all(series):
            continue
        found = [_within(seen, spans_of(points)) for points in series]
        covered = min(share for _, share in found)
        if covered >= COVERED:
            return Figure(fsum(joules for joules, _ in found), name)
        reasons.append(f"{name} is known of {covered:.0%} of the window only: {COVERED:.0%} are needed")
    none = f"the exporter does not show {ENERGY} or {POWER} of each of its accelerators"
    return Figure.none("; ".join(reasons) or none)


@dataclass(frozen=True, slots=True)
class _Span:
    """What one accelerator took between two moments."""

    start: float
    end: float
    joules: float


def _spans_of_counter(points: Points) -> list[_Span]:
    """From each change of the counter to the next: one that stands still may be frozen, and tells nothing until it
    rises again. One that goes back was begun anew: of that time nothing is known."""
    steps: list[tuple[float, float]] = []
    for second, value in points.items():
        if not steps or value != steps[-1][1]:
            steps.append((second, value))
    return [_Span(a, b, (after - before) / 1e3) for (a, before), (b, after) in pairwise(steps) if after > before]


def _spans_of_power(points: Points) -> list[_Span]:
    """A device that is on takes some: 0 W is no figure."""
    near = [(a, b) for a, b in pairwise(points) if b - a <= LONGEST_GAP and points[a] > 0 and points[b] > 0]
    return [_Span(a, b, (points[a] + points[b]) / 2 * (b - a)) for a, b in near]


def _within(seen: _Window, spans: Iterable[_Span]) -> tuple[float, float]:
    """Joules of the whole window, and the share of it that they are known of."""
    joules = covered = 0.0
    for span in spans:
        common = min(span.end, seen.end) - max(span.start, seen.start)
        if common > 0:
            joules += span.joules * common / (span.end - span.start)
            covered += common
    length = seen.length
    return (joules * length / covered, covered / length) if covered and length else (0.0, 0.0)


def _points(collections: Iterable[Collection], name: str) -> Points:
    return {each.seconds: each.values[name] for each in collections if name in each.values}
