"""Stages as keys of the results object of a model (`perbench.objects.results`).

The object is read before each change and changed only as it was read: what the operator or a later attempt writes at
the same time stays.
"""

import asyncio
import sys
import time
from collections.abc import Callable, Collection, Mapping

from typing_extensions import override

from perbench.failures import Blame, Failure, RunError
from perbench.objects.assembled import TASKS_DIFFER
from perbench.objects.budget import TooLargeError, with_stage
from perbench.objects.results import (
    TASKS,
    ModelFacts,
    ModelObject,
    calibration_name,
    encoded,
    encoded_tasks,
    facts_name,
    read_object,
)
from perbench.plan import StageKey
from perbench.results import CalibrationRecord, StageRecord, TaskRecord
from perbench_bench.config_maps import KEEP_TRYING_SECONDS, UNAVAILABLE, ConfigMaps, ConflictError
from perbench_bench.daemon import in_daemon
from perbench_bench.stage_store import StageStore

Change = Callable[[Mapping[str, str]], Mapping[str, str]]
"""From what the object holds to the keys that are to be written; empty: nothing is."""


class ClusterStore(StageStore):
    """The results object of one model, for one round.

    `may_write` raises when a later attempt has taken over; it is called in a thread. `stored` is told of each stage
    that is put in. `patience`: how long a stage is tried to be stored.
    """

    def __init__(
        self,
        maps: ConfigMaps,
        name: str,
        number: int,
        may_write: Callable[[], object],
        stored: Callable[[StageRecord], None],
        patience: float = KEEP_TRYING_SECONDS,
    ) -> None:
        self._maps = maps
        self._name = name
        self._round = number
        self._may_write = may_write
        self._stored = stored
        self._patience = patience
        self._under_way: asyncio.Task[None] | None = None

    async def read(self) -> ModelObject:
        """All that it holds. Raises RunError."""
        return await in_daemon(lambda: read_object(self._maps.read(self._name).binary_data))

    @override
    async def recorded(self) -> Collection[StageKey]:
        return (await self.read()).recorded(self._round)

    @override
    async def store(self, record: StageRecord) -> None:
        """Stages that are there may lose detail for it. Raises RunError, also `ResultsTooLarge`. Where this is
        cancelled it goes on: see `finish`."""
        self._under_way = asyncio.ensure_future(self._store(record))
        await asyncio.shield(self._under_way)

    async def finish(self, seconds: float) -> None:
        """Wait for a stage that is being stored, however that ends."""
        if self._under_way is not None:
            await asyncio.wait({self._under_way}, timeout=seconds)
            if self._under_way.done() and not self._under_way.cancelled():
                self._under_way.exception()  # looked at: there is nobody left to tell

    async def _store(self, record: StageRecord) -> None:
        try:
            await in_daemon(lambda: self._kept(lambda held: with_stage(held, record)))
        except TooLargeError as error:
            raise RunError(error.failure) from error
        self._stored(record)

    async def store_tasks(self, tasks: tuple[TaskRecord, ...]) -> None:
        """How the tasks were really put. Raises RunError where they were put otherwise before: items of both would be
        taken for the same."""
        await self._change(lambda held: same_tasks(held, tasks))

    async def store_facts(self, facts: ModelFacts, *, stated: bool = False) -> ModelFacts:
        """What was learnt of the model, over what a former attempt had learnt in this round. Returns both together.

        `stated`: the server itself says which revision it has loaded.
        """
        known = facts

        def change(held: Mapping[str, str]) -> Mapping[str, str]:
            nonlocal known
            known = joined_facts(held, self._round, facts, stated=stated)
            return _once(held, facts_name(self._round), encoded(known))

        await self._change(change)
        return known

    async def store_calibration(self, found: CalibrationRecord) -> None:
        """How exactly the machine of this attempt measures. Of several attempts the last counts, which measured most
        recently."""
        await self._change(lambda held: _once(held, calibration_name(self._round), encoded(found)))

    async def _change(self, change: Change) -> None:
        await in_daemon(lambda: self._changed(change))

    def _kept(self, change: Change) -> None:
        """The same, for as long as an API that is upgraded or restored may be away."""
        latest = time.monotonic() + self._patience
        while True:
            try:
                return self._changed(change)
            except RunError as error:
                if error.failure.reason != UNAVAILABLE or time.monotonic() > latest:
                    raise
                sys.stderr.write(f"perbench-bench: not stored yet: {error.failure.message}\n")
                sys.stderr.flush()

    def _changed(self, change: Change) -> None:
        while True:
            self._may_write()
            held = self._maps.read(self._name)
            keys = change(held.binary_data)
            if not keys:
                return
            try:
                self._maps.patch(self._name, {"binaryData": dict(keys)}, held.version)
            except ConflictError:
                continue
            return


def same_tasks(held: Mapping[str, str], tasks: tuple[TaskRecord, ...]) -> Mapping[str, str]:
    """The keys to write for the tasks. Raises RunError where the object holds others of the same names."""
    before = {task.name: task.sha256 for task in read_object(held).tasks}
    other = next((task.name for task in tasks if before and before.get(task.name) != task.sha256), None)
    if other is not None:
        what = f"task {other} had other items in a former round or attempt"
        message = f"{what}: leave datasets alone while a run is on, and run again"
        raise RunError(Failure(blame=Blame.MEASUREMENT, reason=TASKS_DIFFER, message=message))
    return _once(held, TASKS, encoded_tasks(tasks))


def joined_facts(held: Mapping[str, str], number: int, now: ModelFacts, *, stated: bool) -> ModelFacts:
    """What was learnt now over what the object holds of this round: what hub or server could not say this time is not
    forgotten. A branch of the hub may have moved on since the server loaded it: only the server's own word (`stated`)
    goes over the revision that was recorded first."""
    before = read_object(held).facts.get(number)
    if before is None:
        return now
    first = {} if stated or "revision" not in before.source else {"revision": before.source["revision"]}
    return now.model_copy(
        update={
            "source": {**before.source, **now.source, **first},
            "runtime_version": now.runtime_version or before.runtime_version,
            "server_arguments": {**before.server_arguments, **now.server_arguments},
        }
    )


def _once(held: Mapping[str, str], name: str, value: str) -> Mapping[str, str]:
    return {} if held.get(name) == value else {name: value}
