"""What Grafana is yet to be told, and when it is tried. No clock, no network.

What is due stands in the benchmarks' statuses; this is forgotten with the process, and found anew there.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime

from perbench.grafana.annotations import RunAnnotation
from perbench.grafana.orders import Order, Problem, ProblemKind, Report

BATCH = 20
"""Annotations of one order."""
ROOM = 1_000
"""Annotations that are kept at most. Of more the statuses know, and they come when there is room."""
ROOM_FOR_GONE = 1_000
"""In addition, for those of benchmarks that are deleted: of them nothing else knows."""
FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 5.0, 300.0
"""Between attempts at a Grafana that is away."""
REFUSED_PAUSE_SECONDS = 600.0
"""After it refused: somebody has to do something first."""

Key = tuple[str, str, datetime] | None
"""A benchmark's uid, run id and start of the run. None: the dashboards."""


def pause(problem: Problem, failures: int, draw: float) -> float:
    """Seconds until the next attempt, after so many that failed (from 1 on). `draw`: from 0 to 1, so that not everybody
    comes back at once; nobody comes before Grafana said."""
    base = min(LONGEST_PAUSE_SECONDS, FIRST_PAUSE_SECONDS * 2.0 ** min(failures - 1, 20))
    if problem.kind is ProblemKind.REFUSED:
        base = REFUSED_PAUSE_SECONDS
    return max(base, float(problem.retry_after_seconds or 0)) * (1.0 + 0.25 * draw)


@dataclass
class Task:
    """One thing that is yet to be told."""

    key: Key
    annotation: RunAnnotation | None
    due: float
    failures: int = 0
    problem: Problem | None = None
    """Of the last attempt."""

    def shares(self, problem: Problem) -> bool:
        """Whether a problem that came of one thing holds this one back, too. Dashboards and annotations are different
        rights: only a Grafana that is away is so to both."""
        return problem.of_everything and (problem.kind is ProblemKind.UNREACHABLE or self.annotation is not None)


@dataclass
class Hold:
    """A problem of everything, until when it holds back all that shares it, new things too."""

    problem: Problem
    until: float
    failures: int


@dataclass(frozen=True)
class Round:
    """What is told at one go."""

    tasks: tuple[Task, ...]

    @property
    def order(self) -> Order:
        """Of the tasks, in their order."""
        annotations = tuple(task.annotation for task in self.tasks if task.annotation is not None)
        return Order(dashboards=len(annotations) < len(self.tasks), annotations=annotations)

    def outcomes(self, reports: tuple[Report, ...], otherwise: Problem) -> list[tuple[Task, Report]]:
        """The report of each task; of one that has none: `otherwise` is the problem."""
        told = {report.annotation: report for report in reports}
        annotations = iter(range(len(self.tasks)))
        places = [None if task.annotation is None else next(annotations) for task in self.tasks]
        return [
            (task, told.get(place, Report(annotation=place, problem=otherwise)))
            for task, place in zip(self.tasks, places, strict=True)
        ]


class Desk:
    """All that is yet to be told. All times are in seconds of one monotonic clock."""

    def __init__(self, draw: Callable[[], float], *, dashboards: bool) -> None:
        self._draw = draw
        self._tasks: dict[Key, Task] = {None: Task(None, None, 0.0)} if dashboards else {}
        self._hold: Hold | None = None

    @property
    def annotations(self) -> int:
        """How many annotations are yet to be told."""
        return len(self._tasks) - (None in self._tasks)

    @property
    def room(self) -> int:
        """How many annotations of benchmarks that are there are taken in addition."""
        return max(0, ROOM - self.annotations)

    def has_room(self, key: Key, *, gone: bool = False) -> bool:
        """Whether this annotation is taken. `gone`: its benchmark is, and no status knows of it."""
        return key in self._tasks or self.annotations < (ROOM + ROOM_FOR_GONE if gone else ROOM)

    def put(self, key: Key, annotation: RunAnnotation, now: float) -> bool:
        """An annotation is to be told; whether that is news. Of one run the latest counts."""
        known = self._tasks.get(key)
        if known is not None and (known.annotation == annotation or _is_older(annotation, known.annotation)):
            return False
        self._tasks[key] = Task(key, annotation, now)
        return True

    def next_round(self, now: float) -> Round | None:
        """What is to be tried now, what has waited longest first. None: nothing."""
        ready = sorted((task for task in self._tasks.values() if self._due(task) <= now), key=lambda task: task.due)
        annotations = [task for task in ready if task.annotation is not None][:BATCH]
        dashboards = [task for task in ready if task.annotation is None]
        return Round((*annotations, *dashboards)) if ready else None

    def wait(self, now: float) -> float | None:
        """Seconds until something is to be tried. None: nothing is."""
        return max(0.0, min(map(self._due, self._tasks.values())) - now) if self._tasks else None

    def heard(self, problems: Iterable[Problem | None], now: float) -> None:
        """What came of a round as a whole, before each of its tasks is settled: one attempt, of however many tasks."""
        said = tuple(problems)
        shared = next((problem for problem in said if problem is not None and problem.of_everything), None)
        if shared is None:
            if self._hold is not None and self._hold.until <= now:  # one that is on was not asked about
                self._hold = None
            return
        failures = 1 if self._hold is None or None in said else self._hold.failures + 1
        self._hold = Hold(shared, now + pause(shared, failures, self._draw()), failures)

    def settle(self, task: Task, problem: Problem | None, now: float) -> bool:
        """What came of a task. False: something else is to be told by now."""
        current = self._tasks.get(task.key) is task
        if problem is None:
            if current:
                del self._tasks[task.key]
            return current
        task.problem, task.due = problem, now
        if not task.shares(problem):
            task.failures += 1
            task.due += pause(problem, task.failures, self._draw())
        return current

    def try_refused(self, now: float) -> None:
        """Somebody has done something: what was refused is tried at once."""
        if _refused(self._hold):
            self._hold = None
        for task in filter(_refused, self._tasks.values()):
            task.due = now

    @property
    def refused(self) -> bool:
        """Whether anything waits because it was refused."""
        return _refused(self._hold) or any(map(_refused, self._tasks.values()))

    def troubled(self, *, dashboards: bool) -> bool:
        """Whether anything of this part, the dashboards or the annotations, waits because it failed."""
        return any(task.problem is not None for task in self._tasks.values() if (task.annotation is None) is dashboards)

    def _due(self, task: Task) -> float:
        hold = self._hold
        return max(task.due, hold.until) if hold is not None and task.shares(hold.problem) else task.due


def _refused(what: Task | Hold | None) -> bool:
    problem = what.problem if what is not None else None
    return problem is not None and problem.kind is ProblemKind.REFUSED


def _is_older(annotation: RunAnnotation, known: RunAnnotation | None) -> bool:
    """Whether it is the start of a run whose end is known."""
    return annotation.end is None and known is not None and known.end is not None
