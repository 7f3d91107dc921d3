"""What a decision consists of, carried out: single actions, the status, events. `reconcile` has their order. A rim."""

import asyncio
import logging
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from perbench.api.resource import API_VERSION, KIND, to_data
from perbench.api.status import Status
from perbench.failures import MESSAGE_LIMIT, Blame, Failure, shorten
from perbench.objects.results import encoded, launch_name
from perbench_operator.cache import is_owned
from perbench_operator.client import AnswerError, KubernetesApi, UnavailableError
from perbench_operator.decide.regression import is_baseline, named_runs, pinned_runs
from perbench_operator.decide.situation import (
    Action,
    Benchmark,
    CheckClaim,
    CheckConfigMap,
    Create,
    Delete,
    Discard,
    DryRun,
    Prune,
    RecordEnd,
    Refusal,
    Seal,
    Story,
)
from perbench_operator.names import MODEL, OUTCOME, ROLE, RUN, UID, Role, RunIdentity, model_object, run_object
from perbench_operator.records import RecordCache

COMPONENT = "perbench-operator"
PRUNED = ("Job", "ConfigMap", "RoleBinding", "Role", "ServiceAccount", "Service", "NetworkPolicy")
"""Kinds of which ended runs may have left something; a list needs the right to list."""
KEPT = frozenset({Role.RESULTS, Role.SNAPSHOT})
"""What stays of a former run: what it measured, and what was asked."""
RENEWED = ("data", "rules")
"""Of a ConfigMap and of a Role, what may be of before."""
KEYS_SHOWN = 5
"""Keys of a ConfigMap that are named where another was looked for."""
NO_RIGHT = ("cannot create resource", "not currently held")
"""What the API says where the operator's own rights do not suffice, or do not for the rights that a Role is to give.
Quotas and admission, which answer by the same status, say other things."""
NO_DRY_RUN = "does not support dry run"
"""What the API says where an admission webhook has side effects: the object itself was not looked at."""

logger = logging.getLogger("perbench_operator")


class RefusedError(Exception):
    """The API does not take what a run needs, and will not the next time."""

    def __init__(self, refusal: Refusal, *, may_pass: bool = False) -> None:
        super().__init__(refusal.failure.message)
        self.refusal = refusal
        self.may_pass = may_pass
        """It is the operator's own right that is missing: an API server that has just started may not know it yet."""


class Applier:
    """Carries decisions out."""

    def __init__(self, api: KubernetesApi, records: RecordCache) -> None:
        self._api = api
        self._records = records

    async def act(self, benchmark: Benchmark, run: RunIdentity | None, action: Action) -> dict[str, Any] | None:
        """Carry out one action; the Job that was made, where one was.

        Raises RefusedError for what will not change by trying again, UnavailableError for what may.
        """
        if isinstance(action, Create):
            return await self._create(benchmark, action.manifest, renew=action.renew)
        if isinstance(action, DryRun):
            await self._dry_run(action)
        elif isinstance(action, CheckClaim):
            await self._check_claim(benchmark, action)
        elif isinstance(action, CheckConfigMap):
            await self._check_config_map(benchmark, action)
        elif isinstance(action, Delete):
            await self._delete(benchmark, action)
        elif isinstance(action, Discard):
            await self._discard(benchmark, action.run_id)
        elif isinstance(action, RecordEnd) and run is not None:
            await self._record(run, action)
        elif isinstance(action, Seal | Prune) and run is not None:
            await self.tidy(run, action)
        return None

    async def write_status(
        self, benchmark: Benchmark, status: Status, resource_version: str | None = None
    ) -> dict[str, Any] | None:
        """Write the status; the benchmark as it is then. None: it is gone, or another of its name is there, or it has
        changed since `resource_version`."""
        data = to_data(status)
        try:
            return await self._api.replace_status(
                benchmark.namespace, benchmark.name, benchmark.uid, data, resource_version
            )
        except AnswerError as error:
            if error.status == 404 or error.overtaken:
                return None
            raise

    async def _discard(self, benchmark: Benchmark, run_id: str) -> None:
        """Delete all that a run of this id has left. Raises RefusedError where somebody names it as a baseline."""
        labels = f"{UID}={benchmark.uid},{RUN}={run_id}"
        pages = await asyncio.gather(*(self._api.list(kind, benchmark.namespace, labels=labels) for kind in PRUNED))
        if any(is_owned(body, benchmark.uid) for page in pages for body in page.items):
            await self._check_pins(benchmark, run_id)
        for kind, page in zip(PRUNED, pages, strict=True):
            for body in page.items:
                if is_owned(body, benchmark.uid):
                    metadata = body["metadata"]
                    await self._api.delete(kind, benchmark.namespace, metadata["name"], metadata["uid"])

    async def _check_pins(self, benchmark: Benchmark, run_id: str) -> None:
        page = await self._api.list(KIND, benchmark.namespace)
        if run_id in pinned_runs(benchmark.name, benchmark.namespace, page.items):
            raise RefusedError(Refusal(is_baseline(run_id)))

    async def tidy(self, run: RunIdentity, action: Seal | Prune) -> None:
        """Clear up after a run that has ended. What cannot be done is logged, and that is all."""
        if isinstance(action, Prune):
            await self._prune(run, action)
            return
        changes: dict[str, dict[str, Any]] = {
            model_object(run, model, Role.RESULTS): {"immutable": True} for model in action.models
        }
        changes[run_object(run, Role.SNAPSHOT)] = {"metadata": {"labels": {OUTCOME: action.outcome}}}
        await asyncio.gather(*(self._seal(run, name, change) for name, change in changes.items()))

    async def _seal(self, run: RunIdentity, name: str, change: dict[str, Any]) -> None:
        try:
            await self._api.merge("ConfigMap", run.namespace, name, change)
        except (AnswerError, UnavailableError) as error:
            if not (isinstance(error, AnswerError) and error.status == 404):
                logger.warning("%s/%s: ConfigMap %s is not sealed: %s", run.namespace, run.name, name, error)

    async def tell(self, benchmark: Benchmark, story: tuple[Story, ...], now: datetime) -> None:
        """Post events. One that cannot be posted is logged, and that is all."""
        for entry in story:
            try:
                await self._api.create(_event(benchmark, entry, now))
            except (AnswerError, UnavailableError) as error:
                logger.warning("%s/%s: event %s: %s", benchmark.namespace, benchmark.name, entry.reason, error)

    async def _create(self, benchmark: Benchmark, manifest: dict[str, Any], *, renew: bool) -> dict[str, Any] | None:
        kind, metadata = manifest["kind"], manifest["metadata"]
        try:
            made = await self._api.create(manifest)
        except AnswerError as error:
            if error.status == 409 and error.reason == "AlreadyExists":
                made = await self._adopt(benchmark, manifest)
                made = await self._renew(manifest, made) if renew else made
            elif error.status in {401, 404, 409} or "being terminated" in str(error):
                raise UnavailableError(f"{kind} {metadata['name']}: {error}") from error
            else:
                raise _refused(manifest, error) from error
        return made if kind == "Job" else None

    async def _adopt(self, benchmark: Benchmark, manifest: dict[str, Any]) -> dict[str, Any]:
        """An object of the name is there: ours is taken as it is, one on its way out is waited for."""
        kind, name = manifest["kind"], manifest["metadata"]["name"]
        try:
            found = await self._api.get(kind, benchmark.namespace, name)
        except AnswerError as error:
            raise UnavailableError(f"{kind} {name}: {error}") from error
        if not is_owned(found, benchmark.uid):
            message = (
                f"{kind} {name} is there and does not belong to this benchmark: delete it, or rename the benchmark"
            )
            failure = Failure(blame=Blame.INFRASTRUCTURE, reason="NameConflict", message=message)
            raise RefusedError(Refusal(failure, _model_of(manifest)))
        if found["metadata"].get("deletionTimestamp"):
            raise UnavailableError(f"{kind} {name} is still being deleted")
        return found

    async def _renew(self, manifest: dict[str, Any], found: dict[str, Any]) -> dict[str, Any]:
        """In place of what is there another one, where it says other things: a plan cannot be changed."""
        kind, metadata = manifest["kind"], manifest["metadata"]
        if all(found.get(part) == manifest[part] for part in RENEWED if part in manifest):
            return found
        try:
            await self._api.delete(kind, metadata["namespace"], metadata["name"], found["metadata"]["uid"])
            return await self._api.create(manifest)
        except AnswerError as error:  # at the next look it is made as if it had never been there
            raise UnavailableError(f"{kind} {metadata['name']}: {error}") from error

    async def _delete(self, benchmark: Benchmark, action: Delete) -> None:
        """Delete an object of ours. Where it is not known which one it is, somebody else's may have the name."""
        uid = action.uid
        if uid is None:
            try:
                found = await self._api.get(action.kind, benchmark.namespace, action.name)
            except AnswerError as error:
                if error.status == 404:
                    return
                raise
            if not is_owned(found, benchmark.uid):
                return
            uid = found["metadata"]["uid"]
        await self._api.delete(action.kind, benchmark.namespace, action.name, uid)

    async def _dry_run(self, action: DryRun) -> None:
        try:
            await self._api.create(action.manifest, dry_run=True)
        except AnswerError as error:
            if error.reason == "AlreadyExists" or (error.status == 400 and NO_DRY_RUN in str(error)):
                return
            if error.status in {400, 403, 422}:
                raise _refused(action.manifest, error, action.model) from error
            raise UnavailableError(f"dry run: {error}") from error

    async def _check_claim(self, benchmark: Benchmark, action: CheckClaim) -> None:
        mistake = claim_mistake(action, await self._find("PersistentVolumeClaim", benchmark, action.name))
        if mistake is not None:
            raise RefusedError(Refusal(Failure(blame=Blame.INFRASTRUCTURE, reason="InvalidClaim", message=mistake)))

    async def _check_config_map(self, benchmark: Benchmark, action: CheckConfigMap) -> None:
        mistake = config_map_mistake(action, await self._find("ConfigMap", benchmark, action.name))
        if mistake is not None:
            raise RefusedError(Refusal(Failure(blame=Blame.INFRASTRUCTURE, reason="ConfigMissing", message=mistake)))

    async def _find(self, kind: str, benchmark: Benchmark, name: str) -> dict[str, Any] | None:
        """An object that the user made; None: it is not there."""
        try:
            return await self._api.get(kind, benchmark.namespace, name)
        except AnswerError as error:
            if error.status != 404:
                raise UnavailableError(f"{kind} {name}: {error}") from error
            return None

    async def _record(self, run: RunIdentity, action: RecordEnd) -> None:
        name = model_object(run, action.model, Role.RESULTS)
        change = {"binaryData": {launch_name(action.end.round): encoded(action.end)}}
        try:
            body = await self._api.merge("ConfigMap", run.namespace, name, change)
        except AnswerError as error:
            if error.status == 404:
                self._records.drop(run, action.model)  # so that it is made at the next look
            raise UnavailableError(f"ConfigMap {name}: {error}") from error
        await self._records.put(run, action.model, body)

    async def _prune(self, run: RunIdentity, action: Prune) -> None:
        """Of the latest runs before this one, and of those that are somebody's baseline, what is compared stays; all
        else goes. Who has which baseline the API is asked: a benchmark that is not known of yet may have one."""
        whose = f"{run.namespace}/{run.name}"
        try:
            benchmarks = (await self._api.list(KIND, run.namespace)).items
        except (AnswerError, UnavailableError) as error:
            logger.warning("%s: what former runs left is not cleared away: %s: %s", whose, KIND, error)
            return
        named = named_runs(run.name, run.namespace, benchmarks)
        for kind in PRUNED:
            try:
                page = await self._api.list(kind, run.namespace, labels=f"{UID}={run.uid},{RUN}!={run.run_id}")
            except (AnswerError, UnavailableError) as error:
                logger.warning("%s: what former runs left is not cleared away: %s: %s", whose, kind, error)
                continue
            for metadata in (body["metadata"] for body in _to_prune(page.items, run.uid, action.keep, named)):
                try:
                    await self._api.delete(kind, run.namespace, metadata["name"], metadata["uid"])
                except (AnswerError, UnavailableError) as error:
                    logger.warning("%s: %s %s is not cleared away: %s", whose, kind, metadata["name"], error)


def claim_mistake(check: CheckClaim, claim: Mapping[str, Any] | None) -> str | None:
    """What is wrong with a claim; None: nothing."""
    who = f"{check.whose}: PersistentVolumeClaim {check.name}"
    if claim is None:
        return f"{who} is not there: make it, or name another"
    modes = tuple((claim.get("spec") or {}).get("accessModes") or ())
    if check.pods > 1 and not any(mode.endswith("Many") for mode in modes):
        why = f"can be mounted by one node only ({', '.join(modes)}), and there are {check.pods} replicas"
        return f"{who} {why}: use one of ReadOnlyMany or ReadWriteMany"
    return None


def config_map_mistake(check: CheckConfigMap, config_map: Mapping[str, Any] | None) -> str | None:
    """What is wrong with a ConfigMap; None: nothing."""
    who = f"{check.whose}: ConfigMap {check.name}"
    if config_map is None:
        return f"{who} is not there: make it in the benchmark's namespace, or name another"
    keys = sorted({**(config_map.get("data") or {}), **(config_map.get("binaryData") or {})})
    if check.key in keys:
        return None
    held = f"it has {', '.join(keys[:KEYS_SHOWN])}" if keys else "it is empty"
    return shorten(f"{who} has no key {check.key} ({held}): add it, or name another", MESSAGE_LIMIT)


def _to_prune(
    bodies: tuple[dict[str, Any], ...], uid: str, keep: int, named: frozenset[str]
) -> Iterator[dict[str, Any]]:
    """Objects of former runs that are to go."""
    owned = tuple(body for body in bodies if is_owned(body, uid))
    kept = latest_runs(owned, keep) | named
    for body in owned:
        labels = body["metadata"]["labels"]
        if not (labels.get(ROLE) in KEPT and labels.get(RUN) in kept):
            yield body


def latest_runs(bodies: tuple[dict[str, Any], ...], keep: int) -> frozenset[str]:
    """The runs whose results objects are the youngest."""
    ages: dict[str, str] = {}
    for body in bodies:
        labels = body["metadata"]["labels"]
        if labels.get(ROLE) == Role.RESULTS:
            made = str(body["metadata"]["creationTimestamp"])
            run = labels.get(RUN, "")
            ages[run] = max(made, ages.get(run, ""))
    return frozenset(sorted(ages, key=lambda run: ages[run], reverse=True)[:keep])


def _model_of(manifest: dict[str, Any]) -> str | None:
    """The model that an object is of; None: it is of the whole run."""
    name = (manifest["metadata"].get("annotations") or {}).get(MODEL)
    return str(name) if name is not None else None


def _refused(manifest: dict[str, Any], error: AnswerError, model: str | None = None) -> RefusedError:
    may_pass = error.status == 403 and any(words in str(error) for words in NO_RIGHT)
    return RefusedError(_refusal(manifest, error, model), may_pass=may_pass)


def _refusal(manifest: dict[str, Any], error: AnswerError, model: str | None = None) -> Refusal:
    name = model or _model_of(manifest)
    words = str(error)
    if error.status == 403:
        reason = "QuotaExceeded" if "exceeded quota" in words else "Forbidden"
    else:
        reason = "InvalidPod" if manifest["kind"] == "Job" else "InvalidObject"
    what = f"model {name}: " if name else ""
    message = shorten(
        f"{what}the API does not take {manifest['kind']} {manifest['metadata']['name']}: {words}", MESSAGE_LIMIT
    )
    return Refusal(Failure(blame=Blame.INFRASTRUCTURE, reason=reason, message=message), name)


def _event(benchmark: Benchmark, entry: Story, now: datetime) -> dict[str, Any]:
    moment = now.strftime("%Y-%m-%dT%H:%M:%SZ")
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"generateName": f"{benchmark.name[:200]}.", "namespace": benchmark.namespace},
        "involvedObject": {
            "apiVersion": API_VERSION, "kind": KIND, "namespace": benchmark.namespace,
            "name": benchmark.name, "uid": benchmark.uid,
        },
        "type": "Warning" if entry.warning else "Normal",
        "reason": entry.reason,
        "message": entry.message,
        "source": {"component": COMPONENT},
        "reportingComponent": COMPONENT,
        "reportingInstance": COMPONENT,
        "firstTimestamp": moment,
        "lastTimestamp": moment,
        "count": 1,
    }  # fmt: skip
