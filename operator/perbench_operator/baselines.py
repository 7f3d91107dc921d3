"""Reads the run that a benchmark is compared with. Nothing of it is kept: it is needed for one look. A rim."""

import asyncio
from typing import Any

from perbench.api.resource import KIND
from perbench.objects.compact import ValuePool
from perbench.objects.results import ModelObject
from perbench.objects.run import RunRecord, read_run
from perbench_operator.cache import is_owned
from perbench_operator.client import AnswerError, KubernetesApi
from perbench_operator.decide.regression import chosen_run
from perbench_operator.decide.situation import Baseline, Benchmark, NoBaseline
from perbench_operator.names import ROLE, Role, RunIdentity, model_object, run_object
from perbench_operator.records import compact_object


async def read_baseline(api: KubernetesApi, asking: Benchmark) -> Baseline | NoBaseline | None:
    """What `spec.baselineRef` of an ended run means now; None: it has none.

    Raises UnavailableError, and AnswerError where the API refuses something that it should not.
    """
    reference = asking.spec.baseline_ref if asking.spec else None
    if reference is None or asking.status is None or asking.status.run is None:
        return None
    # Listed first: a run that begins meanwhile is not taken for one that has ended.
    labels = f"{ROLE}={Role.SNAPSHOT}"
    page = await api.list("ConfigMap", asking.namespace, labels=labels, metadata_only=True)
    body = await _found(api, KIND, asking.namespace, reference.name)
    if body is None:
        return NoBaseline("BaselineNotFound", f"there is no PERBenchmark {reference.name} in {asking.namespace}")
    uid, told = body["metadata"]["uid"], asking.status.baseline
    own_run = asking.status.run.id if uid == asking.uid else None
    compared = told.run_id if told is not None and told.name == reference.name else None
    run_id = chosen_run(reference, own_run, compared, body, [found for found in page.items if is_owned(found, uid)])
    if isinstance(run_id, NoBaseline):
        return run_id
    return await _read(api, RunIdentity(reference.name, asking.namespace, uid, run_id))


async def _read(api: KubernetesApi, run: RunIdentity) -> Baseline | NoBaseline:
    """One run, model by model, in rows as compact as those of the operator's own runs."""
    whose = f"run {run.run_id} of {run.name}"
    snapshot = await _owned(api, run, run_object(run, Role.SNAPSHOT))
    if snapshot is None:
        return NoBaseline("BaselineGone", f"nothing is kept of {whose}")
    try:
        record: RunRecord = read_run(snapshot.get("binaryData"))
    except ValueError as error:
        return NoBaseline("BaselineUnreadable", f"{whose}: ConfigMap {snapshot['metadata']['name']}: {error}")
    pool, objects = ValuePool(), dict[str, ModelObject]()
    for model in record.models:
        found = await _owned(api, run, model_object(run, model, Role.RESULTS))
        if found is None:
            return NoBaseline("BaselineGone", f"there is no results object of model {model} in {whose}")
        # Beside the loop: the largest take a quarter of a second.
        objects[model] = await asyncio.to_thread(compact_object, pool, found.get("binaryData"))
    return Baseline(record, objects)


async def _owned(api: KubernetesApi, run: RunIdentity, name: str) -> dict[str, Any] | None:
    """A ConfigMap of the run. None: it is not there, or not the run's."""
    body = await _found(api, "ConfigMap", run.namespace, name)
    return body if body is not None and is_owned(body, run.uid) else None


async def _found(api: KubernetesApi, kind: str, namespace: str, name: str) -> dict[str, Any] | None:
    try:
        return await api.get(kind, namespace, name)
    except AnswerError as error:
        if error.status != 404:
            raise
        return None
