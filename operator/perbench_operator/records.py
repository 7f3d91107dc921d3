"""Results objects and snapshots as they were last read: a cache of what the API holds, never more. A rim."""

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from pydantic import ValidationError

from perbench.objects.compact import ValuePool
from perbench.objects.progress import BenchProgress
from perbench.objects.results import ModelObject, read_object
from perbench_operator.cache import is_owned
from perbench_operator.children import SNAPSHOT_KEY
from perbench_operator.client import AnswerError, KubernetesApi, UnavailableError
from perbench_operator.names import Role, RunIdentity, model_object, run_object
from perbench_operator.observed import Children
from perbench_operator.platform import Platform


@dataclass
class _OfRun:
    """What is known of one run."""

    objects: dict[str, ModelObject] = field(default_factory=dict)
    heard: dict[str, tuple[int, int, int, str] | None] = field(default_factory=dict)
    """By model: what its progress object said when its results object was read."""
    pool: ValuePool = field(default_factory=ValuePool)
    snapshot: Platform | None = None


class RecordCache:
    """Results objects are read again when a progress object says that there is more in them."""

    def __init__(self, api: KubernetesApi) -> None:
        self._api = api
        self._runs: dict[tuple[str, str], _OfRun] = {}
        # One thread: somebody may write objects of which two would not fit into the operator's memory as they unfold.
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="records")

    async def read(self, run: RunIdentity, models: Sequence[str], children: Children) -> dict[str, ModelObject]:
        """The results objects of a run, by model; those that are not there are left out."""
        known = self._of(run)
        for model in models:
            heard = _heard(children.progress.get(model_object(run, model, Role.PROGRESS)))
            if model in known.heard and known.heard[model] == heard:
                continue
            body = await self._find(run, model_object(run, model, Role.RESULTS))
            if body is not None:
                known.objects[model] = await self._understood(known.pool, body)
                known.heard[model] = heard
            else:  # it is yet to be made: asked for again
                known.objects.pop(model, None)
                known.heard.pop(model, None)
        return dict(known.objects)

    async def snapshot(self, run: RunIdentity) -> Platform | None:
        """The platform that the run uses; None: it is not kept yet. Raises UnavailableError: it cannot be read."""
        known = self._of(run)
        if known.snapshot is None:
            name = run_object(run, Role.SNAPSHOT)
            body = await self._find(run, name)
            if body is None:
                return None
            try:
                known.snapshot = Platform.model_validate_json((body.get("data") or {})[SNAPSHOT_KEY])
            except (KeyError, ValidationError) as error:
                what = f"ConfigMap {name}: {SNAPSHOT_KEY} cannot be read"
                raise UnavailableError(f"{what}: delete it, and the run goes on with today's settings") from error
        return known.snapshot

    async def _find(self, run: RunIdentity, name: str) -> dict[str, Any] | None:
        """A ConfigMap of the run. None: it is not there, or not the run's, which shows when it is to be made."""
        try:
            body = await self._api.get("ConfigMap", run.namespace, name)
        except AnswerError as error:
            if error.status != 404:
                raise
            return None
        return body if is_owned(body, run.uid) else None

    async def put(self, run: RunIdentity, model: str, body: dict[str, Any]) -> None:
        """A results object as the API has just given it back."""
        known = self._of(run)
        known.objects[model] = await self._understood(known.pool, body)

    async def _understood(self, pool: ValuePool, body: dict[str, Any]) -> ModelObject:
        """Beside the loop: the largest take a quarter of a second."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._thread, compact_object, pool, body.get("binaryData"))

    def drop(self, run: RunIdentity, model: str) -> None:
        """A results object is not there any more: it is asked for again."""
        known = self._of(run)
        known.objects.pop(model, None)
        known.heard.pop(model, None)

    def forget(self, uid: str, but: str | None = None) -> None:
        """Drop what is known of a benchmark's runs, but for one."""
        for key in [key for key in self._runs if key[0] == uid and key[1] != but]:
            del self._runs[key]

    def _of(self, run: RunIdentity) -> _OfRun:
        return self._runs.setdefault((run.uid, run.run_id), _OfRun())


def compact_object(pool: ValuePool, binary_data: dict[str, str] | None) -> ModelObject:
    """What is in a results object, in little memory."""
    return pool.compact(read_object(binary_data))


def _heard(progress: BenchProgress | None) -> tuple[int, int, int, str] | None:
    return (progress.round, progress.attempt, progress.recorded, progress.state.value) if progress else None
