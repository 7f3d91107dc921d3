"""Tells Grafana of runs, and brings it the dashboards, in a task of its own. A rim."""

import asyncio
import contextlib
import logging
import random
from collections.abc import Callable
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import Protocol

from perbench.grafana.annotations import RunAnnotation
from perbench.grafana.orders import Order, Problem, ProblemKind, Report
from perbench_operator.cache import utc_now
from perbench_operator.configuration import GrafanaTarget
from perbench_operator.decide.annotated import annotation_due, annotation_of, broken_off
from perbench_operator.decide.runs import is_active
from perbench_operator.decide.situation import Benchmark, Told
from perbench_operator.grafana.desk import Desk, Key, Task
from perbench_operator.metrics.grafana import GrafanaCounts, Outcome, Part

TOKEN_SECONDS = 15.0
"""While something is refused, the token's file is looked at this often."""
MISTAKE_SECONDS = 60.0
"""After a mistake of our own it goes on."""

logger = logging.getLogger("perbench_operator")
OUTCOMES = {ProblemKind.UNREACHABLE: Outcome.UNREACHABLE, ProblemKind.REFUSED: Outcome.REFUSED}
Wake = Callable[[str], None]
"""Takes the uid of a benchmark that is to be looked at."""


class Carrier(Protocol):
    """Has an order carried out."""

    async def tell(self, order: Order) -> tuple[tuple[Report, ...], Problem]:
        """The reports there are, and the problem of all that has none."""


class Teller:
    """What is to be told, and what came of it. Reconciling never waits for it."""

    def __init__(
        self, target: GrafanaTarget, carrier: Carrier, wake: Wake, clock: Callable[[], float],
        now: Callable[[], datetime] = utc_now, draw: Callable[[], float] = random.random,
    ) -> None:  # fmt: skip
        self.counts = GrafanaCounts(dashboards=False if target.dashboards else None)
        self._token_file = target.token_file
        self._carrier = carrier
        self._wake = wake
        self._clock = clock
        self._now = now
        self._desk = Desk(draw, dashboards=target.dashboards)
        self._news = asyncio.Event()
        self._known: dict[str, RunAnnotation | None] = {}
        """By uid of each benchmark that is there: its run, if that is on."""
        self._told: dict[str, Told] = {}
        self._left_out: dict[str, RunAnnotation] = {}
        """By uid of each benchmark that is there: the annotation for which there was no room."""
        self._trouble: dict[Part, set[str]] = {part: set() for part in Part}
        """What was said of each part since it was last well."""
        self._token = _signature(self._token_file)
        """Of the token that Grafana was asked with last."""

    def look(self, benchmark: Benchmark) -> Told | None:
        """Take up what is due of a benchmark; what came of telling last."""
        uid, status = benchmark.uid, benchmark.status
        if not benchmark.deleting:
            self._known[uid] = annotation_of(benchmark, status) if status and is_active(status) else None
        self._left_out.pop(uid, None)
        due, told = annotation_due(benchmark), self._told.get(uid)
        if due is not None and not (told is not None and told.annotation == due and told.problem is None):
            if self._desk.has_room(_key(uid, due)):
                self._take(uid, due)
            else:
                self._left_out[uid] = due
        return told

    def forget(self, uid: str) -> None:
        """A benchmark is gone. A run that was on with it has ended. No status knows of it any more."""
        begun, left_out = self._known.pop(uid, None), self._left_out.pop(uid, None)
        self._told.pop(uid, None)
        last = broken_off(begun, self._now()) if begun is not None else left_out
        if last is None:
            return
        if self._desk.has_room(_key(uid, last), gone=True):
            self._take(uid, last)
        else:
            logger.warning("Grafana: too much is yet to be told: it will not be told how run %s ended", last.run_id)

    async def work(self) -> None:
        """Tell, for ever."""
        while True:
            self._news.clear()
            try:
                while await self.tell_once():
                    pass
            except Exception:
                logger.exception("Grafana is not told")
                await asyncio.sleep(MISTAKE_SECONDS)
            else:
                await self._wait()

    async def tell_once(self) -> bool:
        """Tell what is to be told now. False: nothing is."""
        token = _signature(self._token_file)
        if token != self._token:
            self._desk.try_refused(self._clock())
        going = self._desk.next_round(self._clock())
        if going is None:
            return False
        self._token = token  # before it is read: one that comes meanwhile is another
        reports, otherwise = await self._carrier.tell(going.order)
        outcomes = going.outcomes(reports, otherwise)
        self._desk.heard((report.problem for _, report in outcomes), self._clock())
        for task, report in outcomes:
            self._settle(task, report)
        for uid in tuple(islice(self._left_out, self._desk.room)):  # whose look takes it out
            self._wake(uid)
        self.counts.pending = self._desk.annotations
        return True

    def _take(self, uid: str, annotation: RunAnnotation) -> None:
        if self._desk.put(_key(uid, annotation), annotation, self._clock()):
            self.counts.pending = self._desk.annotations
            self._news.set()

    def _settle(self, task: Task, report: Report) -> None:
        for change in report.changes:
            logger.info("Grafana: %s", change)
        part = Part.DASHBOARDS if task.annotation is None else Part.ANNOTATION
        self.counts.ended(part, OUTCOMES[report.problem.kind] if report.problem else Outcome.DONE)
        settled = self._desk.settle(task, report.problem, self._clock())
        self._say(part, report.problem)
        if not settled or task.annotation is None or task.key is None:
            return
        uid = task.key[0]
        if uid in self._known:
            told = Told(task.annotation, report.problem)
            if self._told.get(uid) != told:
                self._told[uid] = told
                self._wake(uid)

    def _say(self, part: Part, problem: Problem | None) -> None:
        """One line when something goes wrong, and one when it has passed."""
        said = self._trouble[part]
        if problem is not None and problem.message not in said:
            logger.warning("Grafana: %s: %s", part, problem.message)
            said.add(problem.message)
        if problem is None and said and not self._desk.troubled(dashboards=part is Part.DASHBOARDS):
            logger.info("Grafana: %s: it takes them again", part)
            said.clear()

    async def _wait(self) -> None:
        """Until something is due, or new, or it is time to look whether the token that was refused is another."""
        wait = self._desk.wait(self._clock())
        longest = TOKEN_SECONDS if self._desk.refused else None
        limit = min((each for each in (wait, longest) if each is not None), default=None)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(limit):
                await self._news.wait()


def _key(uid: str, annotation: RunAnnotation) -> Key:
    return (uid, annotation.run_id, annotation.start)


def _signature(path: Path) -> tuple[int, int, int] | None:
    """What changes with the content of a file. None: it is not there."""
    try:
        found = path.stat()
    except OSError:
        return None
    return (found.st_ino, found.st_mtime_ns, found.st_size)
