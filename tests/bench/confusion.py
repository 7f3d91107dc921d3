"""Does the verdict tell spoiled loads from good ones? A matrix over causes and severities (measurement.md §4).

A load is spoiled when a reported figure is off the server's own record by more than its limit. Between 0.7 and 1.5
times the limit it is near it: reported, not judged. What a slow network spoils beside its known delay is a kind of its
own: counted and named, not judged, since the client cannot know what happens on the way. `python -m
tests.bench.confusion [--rounds N]`; exit 1 when a spoiled load passed, or more than 5 % of the good ones failed.
"""

import argparse
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from perbench_bench.truth import Script
from perbench_bench.truth.delay import constant, spread_around
from perbench_bench.truth.script import Timing
from tests.bench.judged_load import Judged, Spoiler, Wanted, nothing, run
from tests.bench.spoilers import can_limit, cpu_limit, hogs, slow_network, stops

GOOD_BELOW, SPOILED_FROM = 0.7, 1.5
MOST_FALSE_ALARMS = 0.05
LEAST_OF_BOTH = 60


@dataclass(frozen=True)
class Case:
    """One load under one cause, more or less of it."""

    cause: str
    strength: str
    wanted: Wanted
    script: Script
    spoil: Spoiler = nothing
    prefix: tuple[str, ...] = ()
    may_refuse: bool = False
    """Whether the load may be refused before it begins."""
    of_the_network: bool = False
    """What is off beside the delay that is known is the network's own, and counted as a kind of its own."""


def script(ttft: float, itl: float) -> Script:
    return Script(timing=Timing(first_ms=spread_around(ttft), gap_ms=constant(itl)))


TYPICAL = script(50, 10)
CLOSED = Wanted(concurrency=16, requests=200)
OPEN = Wanted(rate=120, requests=200)


def cases() -> Iterator[Case]:
    """Every cause at several strengths, in a closed and in an open loop."""
    for loop, wanted in (("closed", CLOSED), ("open", OPEN)):
        yield from _machine(loop, wanted)
        yield from _targets(loop, wanted)
    yield Case(
        "closed, descriptors",
        "40",
        Wanted(concurrency=64, requests=300),
        TYPICAL,
        prefix=_descriptors(40),
        may_refuse=True,
    )
    yield Case(
        "open, descriptors",
        "24",
        Wanted(rate=400, requests=300),
        script(150, 10),
        prefix=_descriptors(24),
        may_refuse=True,
    )
    yield Case("open, descriptors", "enough", Wanted(rate=50, requests=100), TYPICAL, prefix=_descriptors(80))


def _machine(loop: str, wanted: Wanted) -> Iterator[Case]:
    for count, nice in ((1, 19), (1, 5), (1, 0), (2, 0), (4, 0), (8, 0)):
        yield Case(f"{loop}, busy neighbours", f"{count}, nice {nice}", wanted, TYPICAL, hogs(count, nice))
    for block, every in ((1, 100), (4, 60), (8, 40), (15, 30), (40, 40), (100, 100)):
        blocked = Wanted(**{**wanted.__dict__, "block_ms": block, "every_ms": every})
        yield Case(f"{loop}, blocked loop", f"{block} of {block + every} ms", blocked, TYPICAL)
    for stop, every in ((1, 100), (4, 60), (8, 40), (15, 30), (40, 40), (100, 100)):
        yield Case(f"{loop}, stopped", f"{stop} of {stop + every} ms", wanted, TYPICAL, stops(stop, every))
    if can_limit():
        for percent in (100, 30, 10, 5, 3):
            yield Case(f"{loop}, CPU limit", f"{percent} %", wanted, TYPICAL, cpu_limit(percent))


def _targets(loop: str, wanted: Wanted) -> Iterator[Case]:
    """Servers and networks that are slow or fast: no fault of ours."""
    for ttft, itl in ((10, 2), (30, 5), (120, 20), (300, 10)):
        yield Case(f"{loop}, target", f"{ttft} and {itl} ms", wanted, script(ttft, itl))
    for delay in (5.0, 40.0):
        delayed = Wanted(**{**wanted.__dict__, "network_ms": delay})
        yield Case(f"{loop}, slow network", f"{delay:g} ms", delayed, TYPICAL, of_the_network=True)


def _descriptors(count: int) -> tuple[str, ...]:
    return ("prlimit", f"--nofile={count}:{count}")


@dataclass
class Matrix:
    """Loads by what they were and what the verdict said."""

    counts: dict[tuple[str, bool], int] = field(default_factory=lambda: defaultdict(int))
    wrong: list[str] = field(default_factory=list)
    noted: list[str] = field(default_factory=list)
    """Loads that a slow network spoiled, and the verdict passed."""

    def add(self, case: Case, judged: Judged) -> str:
        """Count it; what it was."""
        kind = kind_of(judged)
        if kind == "spoiled" and case.of_the_network:
            kind = "network"
            if judged.passed:
                worst = f"{judged.severity:.2f} times the limit, {judged.worst}"
                self.noted.append(f"{case.cause} {case.strength}: {worst}")
        if kind == "not run" and case.may_refuse and not judged.passed:
            kind = "spoiled"  # it reported nothing, and said why
        self.counts[kind, judged.passed] += 1
        if kind == "not run":
            self.wrong.append(f"{case.cause} {case.strength}: {'; '.join(judged.reasons)}")
        if (kind == "spoiled" and judged.passed) or (kind == "good" and not judged.passed):
            self.wrong.append(f"{case.cause} {case.strength}: {kind}, {judged.worst}, {'; '.join(judged.reasons)}")
        return kind

    def table(self) -> Iterator[str]:
        """A row of counts for each kind."""
        yield f"{'':<12}{'passed':>8}{'failed':>8}"
        for kind in ("good", "near", "spoiled", "network", "not run"):
            yield f"{kind:<12}{self.counts[kind, True]:>8}{self.counts[kind, False]:>8}"

    def total(self, kind: str) -> int:
        return self.counts[kind, True] + self.counts[kind, False]

    def holds(self, least: int) -> bool:
        """No spoiled load passed, few good ones failed, all ran; there were at least so many of both."""
        ran = self.total("not run") == 0 and min(self.total("spoiled"), self.total("good")) >= least
        return (
            ran
            and self.counts["spoiled", True] == 0
            and self.counts["good", False] <= MOST_FALSE_ALARMS * self.total("good")
        )


def kind_of(judged: Judged) -> str:
    """By the worst figure. A load without any did not run."""
    if not judged.errors:
        return "not run"
    if judged.severity > SPOILED_FROM:
        return "spoiled"
    return "good" if judged.severity < GOOD_BELOW else "near"


def main(write: Callable[[str], object] = sys.stdout.write) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=2, help="times every case is run")
    parser.add_argument("--only", default="", help="causes that contain this")
    options = parser.parse_args()
    matrix, began = Matrix(), time.monotonic()
    if not can_limit():
        write("SKIPPED: causes by a CPU limit; they need root and control groups\n")
    write(f"{'cause':<26}{'strength':<16}{'severity':>9}  {'figure':<17}{'kind':<9}{'verdict':<9}reasons\n")
    for _ in range(options.rounds):
        for case in cases():
            if options.only not in case.cause:
                continue
            proxy = slow_network if case.wanted.network_ms else None
            judged = run(case.script, case.wanted, case.spoil, case.prefix, proxy)
            kind = matrix.add(case, judged)
            said = "passed" if judged.passed else "failed"
            severity = f"{judged.severity:.2f}" if judged.errors else "-"
            why = "; ".join(judged.reasons)[:70]
            write(f"{case.cause:<26}{case.strength:<16}{severity:>9}  {judged.worst:<17}{kind:<9}{said:<9}{why}\n")
            sys.stdout.flush()
    write("\n" + "".join(f"{row}\n" for row in matrix.table()))
    write(f"{time.monotonic() - began:.0f} s\n")
    for line in matrix.noted:
        write(f"spoiled by the network, and passed: {line}\n")
    for line in matrix.wrong:
        write(f"wrong: {line}\n")
    return 0 if matrix.holds(0 if options.only else LEAST_OF_BOTH) else 1


if __name__ == "__main__":
    sys.exit(main())
