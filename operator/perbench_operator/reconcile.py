"""The working loop: look at a benchmark, decide, carry it out, and again when something has changed. A rim."""

import asyncio
import logging
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from perbench.api.resource import KIND
from perbench.api.status import Phase, Status
from perbench_operator.apply import Applier, RefusedError
from perbench_operator.baselines import read_baseline
from perbench_operator.cache import WATCHED, Cache, selector, utc_now
from perbench_operator.client import AnswerError, KubernetesApi, UnavailableError
from perbench_operator.configuration import OperatorConfiguration
from perbench_operator.decide import Decision, Situation, decide
from perbench_operator.decide.runs import is_active, needs_baseline, needs_records
from perbench_operator.decide.situation import Action, Baseline, Benchmark, Prune, identity_of
from perbench_operator.evaluations import Evaluations
from perbench_operator.grafana import Teller
from perbench_operator.metrics.reconciles import Reconciles
from perbench_operator.names import RunIdentity
from perbench_operator.observe import Lookup, product_labels
from perbench_operator.observed import uid_of
from perbench_operator.queue import KeyedQueue
from perbench_operator.reading import read_benchmark
from perbench_operator.records import RecordCache
from perbench_operator.slots import may_start
from perbench_operator.waves import makes_model, waves

WORKERS = 4
TICK_SECONDS = 5.0
"""The working loop goes round at least this often."""
RESYNC_SECONDS = 30.0
"""What is unfinished is looked at, and listed anew, at least this often."""
PASSES = 12
"""Looks at one benchmark in a row, while each finds something that can be done at once."""
DEAF_SECONDS = 3 * RESYNC_SECONDS
"""Where asking failed for so long nothing could be heard either, and what was silent meanwhile may have spoken."""
FORBIDDEN_SECONDS = 30.0
"""So long a right of the operator may be missing: an API server that has just started may not know of it yet."""
COMPARING_SECONDS = 2.0
"""A comparison that waits for another one is tried again so soon."""
OVERTAKEN_SECONDS = 1.0
"""After a benchmark was found changed it is looked at again."""

logger = logging.getLogger("perbench_operator")
Clock = Callable[[], float]


class Reconciler:
    """Benchmarks, one look at a time each."""

    def __init__(
        self, api: KubernetesApi, cache: Cache, configuration: OperatorConfiguration, clock: Clock,
        now: Callable[[], datetime] = utc_now,
    ) -> None:  # fmt: skip
        self.queue = KeyedQueue(clock)
        self.grafana: Teller | None = None
        """None: Grafana is told nothing."""
        self.looks = Reconciles()
        self.evaluations = Evaluations()
        self._api = api
        self._cache = cache
        self._configuration = configuration
        self._clock = clock
        self._now = now
        self._records = RecordCache(api)
        self._applier = Applier(api, self._records)
        self._lookup = Lookup(api, clock, read_nodes=configuration.read_nodes)
        self._starting: set[str] = set()
        """Benchmarks whose model is being made and may not be in the cache yet."""
        self._looked_at: set[str] = set()
        """Benchmarks that are being looked at: what they are about to write may be out of date already."""
        self._listed: dict[str, float] = {}
        """When a benchmark and its children were last asked for."""
        self._comparing = False
        """One comparison at a time: the largest take 200 MiB, and seconds of a processor."""
        self._forbidden: dict[str, float] = {}
        """Since when the operator has lacked a right for a benchmark."""

    def received(self, kind: str, event: str | None, body: dict[str, Any]) -> None:
        """Take an event of a watch: it goes into the cache, and whom it concerns is looked at."""
        owner = body["metadata"]["uid"] if kind == KIND else uid_of(body)
        held, queued = (self._cache.holds(owner), self._is_queued(owner)) if owner else (False, False)
        uid = self._cache.benchmark(event, body) if kind == KIND else self._cache.child(kind, event, body)
        if uid is None:
            return
        self.queue.add(uid)
        if (held and not self._cache.holds(uid)) or (queued and not self._is_queued(uid)):
            self._wake_the_queued(uid)

    def listed(self, namespace: str | None, uids: Collection[str], version: int) -> None:
        """Take a list of benchmarks: those that are not in it any more were deleted, and no watch told."""
        for uid in self._cache.unlisted(namespace, uids, version):
            self.received(KIND, "DELETED", self._cache.benchmarks[uid])

    async def work(self, tick: Callable[[], None]) -> None:
        """Work for ever. `tick` is called at every round."""
        for uid in self._cache.holders():  # what was deleted meanwhile does not come through the watch
            self.queue.add(uid)
        async with asyncio.TaskGroup() as group:
            for _ in range(WORKERS):
                group.create_task(self._worker(tick))

    async def _worker(self, tick: Callable[[], None]) -> None:
        while True:
            tick()
            uid = await self.queue.take(TICK_SECONDS)
            if uid is None:
                continue
            began, failed = self._clock(), True
            try:
                after = await self.reconcile(uid)
            except (UnavailableError, AnswerError) as error:
                wait = self.queue.failed(uid)
                logger.warning("%s: %s; again in %.0f s", self._name(uid), error, wait)
            except Exception:
                self.queue.failed(uid)
                logger.exception("%s: not reconciled", self._name(uid))
            else:
                failed = False
                self.queue.done(uid, after)
            self.looks.ended(self._clock() - began, failed=failed)

    async def reconcile(self, uid: str) -> float | None:
        """Look, decide, carry out, until nothing more can be done at once. Seconds until the next look; None: none.

        Raises UnavailableError, and AnswerError where the API refuses something that it should not.
        """
        after: float | None = None
        for _ in range(PASSES):
            await self._ask_anew(uid)
            body = self._cache.benchmarks.get(uid)
            if body is None:
                return self._without_benchmark(uid)
            decision = await self._pass(uid, body)
            ended = decision.status is not None and not is_active(decision.status)
            after = 0.0 if ended else decision.wake_after  # the spec may have changed while the run was on
            if after is None or after > 0:
                break
        regularly = RESYNC_SECONDS if self._needs_looks(uid) else None
        return min((wait for wait in (after, regularly) if wait is not None), default=None)

    def _without_benchmark(self, uid: str) -> float | None:
        """It is gone, or has not come through the watch yet. Its models may take a while to end."""
        self._forget_run(uid)
        if self.grafana is not None and self._cache.is_gone(uid):
            self.grafana.forget(uid)
        self._forbidden.pop(uid, None)
        if self._needs_looks(uid):
            return RESYNC_SECONDS
        self._listed.pop(uid, None)
        self._cache.forget(uid)
        self.queue.forget(uid)
        return None

    def _forget_run(self, uid: str, but: str | None = None) -> None:
        """Drop what is known of a benchmark's runs, but for one."""
        self._records.forget(uid, but)
        self.evaluations.forget(uid, but)

    def _needs_looks(self, uid: str) -> bool:
        """Whether it is looked at now and then, for a watch may lose something: as long as it takes part in anything.

        A suspended run that has nothing in the cluster waits for its user only.
        """
        if self._cache.holds(uid):
            return True
        body = self._cache.benchmarks.get(uid)
        if body is None:
            return bool(self._cache.places(uid)) and not self._cache.is_gone(uid)
        status = body.get("status") or {}
        on = bool(status.get("startTime")) and not status.get("completionTime")
        if not on or status.get("phase") != Phase.SUSPENDED.value:
            return on
        children = self._cache.children(uid)
        return bool(children.jobs or children.pods)

    async def _ask_anew(self, uid: str) -> None:
        """Ask the API for a benchmark and its children, now and then."""
        since = self._clock() - self._listed.get(uid, float("-inf"))
        if since < RESYNC_SECONDS or not self._needs_looks(uid):
            return
        unheard = uid not in self._cache.benchmarks and not self._cache.is_gone(uid)
        if unheard and uid not in self._listed:
            self._listed[uid] = self._clock()  # at the start children come before their benchmarks
            return
        places = self._cache.places(uid)
        held = self._cache.holds(uid)
        if not self._cache.is_gone(uid):
            await self._ask_for(uid, places)
        if not self._is_queued(uid) or held:
            for namespace in sorted({namespace for namespace, _ in places}):
                await self._list(uid, namespace)
            if since > DEAF_SECONDS:
                self._cache.was_deaf(uid)
        self._listed[uid] = self._clock()
        if held and not self._cache.holds(uid):
            self._wake_the_queued(uid)

    async def _ask_for(self, uid: str, places: Sequence[tuple[str, str]]) -> None:
        """Whether a benchmark is there still, and how it is: a watch that broke off does not tell what was deleted."""
        for namespace, name in places:
            try:
                found = await self._api.get(KIND, namespace, name) if name else None
            except AnswerError as error:
                if error.status != 404:
                    raise
                found = None
            if found is not None and found["metadata"]["uid"] == uid:
                self._cache.benchmark(None, found)
                return
        queued = self._is_queued(uid)
        self._cache.gone(uid)
        if queued:
            self._wake_the_queued(uid)

    async def _list(self, uid: str, namespace: str) -> None:
        for kind in WATCHED:
            page = await self._api.list(kind, namespace, labels=selector(kind, uid))
            self._cache.replace(uid, kind, namespace, page.items, page.version)

    async def _pass(self, uid: str, body: dict[str, Any]) -> Decision:
        """One look."""
        benchmark = read_benchmark(body)
        if benchmark.unreadable:
            logger.warning("%s: left alone, its status cannot be read: %s", self._name(uid), benchmark.unreadable)
        compares = needs_baseline(benchmark)
        if compares and self._comparing:
            return Decision(wake_after=COMPARING_SECONDS)
        self._comparing = self._comparing or compares
        self._looked_at.add(uid)
        try:
            return await self._decided(uid, await self._observe(uid, benchmark), body)
        finally:
            self._looked_at.discard(uid)
            self._comparing = self._comparing and not compares

    async def _decided(self, uid: str, situation: Situation, body: dict[str, Any]) -> Decision:
        """Decide, and carry it out."""
        # Two runs of the largest size take seconds to compare: others are looked at meanwhile.
        compares = isinstance(situation.baseline, Baseline)
        decision = await asyncio.to_thread(decide, situation) if compares else decide(situation)
        if not any(makes_model(action) for action in decision.actions):
            return await self._carry_out(situation, decision, body)
        self._starting.add(uid)
        try:
            return await self._carry_out(situation, decision, body)
        finally:
            self._starting.discard(uid)
            if not self._cache.holds(uid):
                self._wake_the_queued(uid)

    async def _carry_out(self, situation: Situation, decision: Decision, body: dict[str, Any]) -> Decision:
        benchmark = situation.benchmark
        run = self._run(benchmark)
        last = tuple(action for action in decision.actions if isinstance(action, Prune))
        try:
            for wave in waves([action for action in decision.actions if action not in last]):
                await self._act(benchmark, run, wave)
        except RefusedError as refused:
            if situation.refused_again or (refused.may_pass and self._may_pass(benchmark.uid)):
                raise UnavailableError(str(refused)) from refused
            again = replace(situation, refusal=refused.refusal, refused_again=situation.refusal is not None)
            return await self._carry_out(again, decide(again), body)
        self._forbidden.pop(benchmark.uid, None)
        if decision.status is not None and not await self._write(benchmark, decision.status, body):
            return Decision(wake_after=OVERTAKEN_SECONDS)
        await self._applier.tell(benchmark, decision.story, situation.now)
        for entry in decision.story:
            logger.info("%s/%s: %s: %s", benchmark.namespace, benchmark.name, entry.reason, entry.message)
        if run is not None:
            await asyncio.gather(*(self._applier.tidy(run, action) for action in last))
        return decision

    def _may_pass(self, uid: str) -> bool:
        """Whether a right has been missing for so short a time that it may only be not known yet."""
        return self._clock() - self._forbidden.setdefault(uid, self._clock()) < FORBIDDEN_SECONDS

    async def _write(self, benchmark: Benchmark, status: Status, body: dict[str, Any]) -> bool:
        """Write the status. False: that was not to be, and how the benchmark is now has been asked.

        A run begins only from what was read: an edit in between would give it a spec that nobody checked.
        """
        begins = is_active(status) and not is_active(benchmark.status)
        version = body["metadata"].get("resourceVersion") if begins else None
        written = await self._applier.write_status(benchmark, status, version)
        if written is None:
            await self._ask_for(benchmark.uid, ((benchmark.namespace, benchmark.name),))
            return False
        self._cache.benchmark(None, written)
        kept = status.run.id if status.run and status.completion_time is None else None
        self._forget_run(benchmark.uid, but=kept)
        if benchmark.status is None or benchmark.status.phase is not status.phase:
            self._wake_the_queued(benchmark.uid)
        return True

    async def _act(self, benchmark: Benchmark, run: RunIdentity | None, wave: tuple[Action, ...]) -> None:
        """Carry out what may be done at the same time, to its end. What the API refuses for good is told first."""
        acts = (self._applier.act(benchmark, run, action) for action in wave)
        outcomes = await asyncio.gather(*acts, return_exceptions=True)
        for job in (outcome for outcome in outcomes if isinstance(outcome, dict)):
            self._cache.child("Job", None, job)
        errors = [outcome for outcome in outcomes if isinstance(outcome, BaseException)]
        if errors:
            raise next((error for error in errors if isinstance(error, RefusedError)), errors[0])

    async def _observe(self, uid: str, benchmark: Benchmark) -> Situation:
        run = self._run(benchmark)
        children = self._cache.children(uid)
        situation = Situation(benchmark, self._configuration.platform, self._now(), children=children)
        if self.grafana is not None:
            situation = replace(situation, annotates=True, told=self.grafana.look(benchmark))
        if run is None or not needs_records(benchmark) or benchmark.spec is None:
            return situation
        snapshot = await self._records.snapshot(run)
        labels = product_labels(benchmark.spec, snapshot, run, children) if snapshot else {}
        situation = replace(
            situation,
            snapshot=snapshot,
            children=await self._lookup.explained(children, run.namespace, situation.now),
            records=await self._records.read(run, [model.name for model in benchmark.spec.models], children),
            products=await self._lookup.products(labels),
            exporters=await self._lookup.exporters(benchmark.spec, snapshot, run, children),
            baseline=await read_baseline(self._api, benchmark) if needs_baseline(benchmark) else None,
        )
        evaluation = await self.evaluations.of(situation)
        return replace(  # last, and nothing is waited for until it is decided: others may start a model meanwhile
            situation,
            evaluation=evaluation,
            may_start=may_start(
                uid,
                self._cache.holders() | self._starting,
                self._waiting(benchmark),
                self._configuration.max_concurrent_models,
            ),
            holders=self._others(uid),
        )

    def _waiting(self, asking: Benchmark) -> dict[str, datetime]:
        """Benchmarks that wait for their turn, and the one that asks, with the start of their run."""
        found = {}
        for uid, body in self._cache.benchmarks.items():
            if uid != asking.uid and self._is_queued(uid):
                found[uid] = datetime.fromisoformat(body["status"]["startTime"])
        if asking.status is not None and asking.status.start_time is not None:
            found[asking.uid] = asking.status.start_time
        return found

    def _is_queued(self, uid: str) -> bool:
        body = self._cache.benchmarks.get(uid)
        if body is None or body["metadata"].get("deletionTimestamp"):
            return False
        status = body.get("status") or {}
        return status.get("phase") == Phase.QUEUED.value and bool(status.get("startTime"))

    def _wake_the_queued(self, but: str) -> None:
        """Also those that are just being queued: they have been decided about by what was so before."""
        for uid in self._cache.benchmarks:
            if uid != but and (uid in self._looked_at or self._is_queued(uid)):
                self.queue.add(uid)

    def _run(self, benchmark: Benchmark) -> RunIdentity | None:
        status = benchmark.status
        if status is None or status.run is None:
            return None
        return identity_of(benchmark, status.run.id)

    def _name(self, uid: str) -> str:
        body = self._cache.benchmarks.get(uid)
        return f"{body['metadata']['namespace']}/{body['metadata']['name']}" if body else uid

    def _others(self, asking: str) -> tuple[str, ...]:
        """Who has a model besides the one that asks, for people."""
        return tuple(self._described(holder) for holder in sorted(self._cache.holders() - {asking}, key=self._name))

    def _described(self, holder: str) -> str:
        """A benchmark that has a model, for who waits for its place."""
        body = self._cache.benchmarks.get(holder)
        if body is None:
            return " ".join(f"{namespace}/{name}, which is deleted" for namespace, name in self._cache.places(holder))
        over = bool((body.get("status") or {}).get("completionTime"))
        return f"{self._name(holder)} (its run is over, its model still there)" if over else self._name(holder)
