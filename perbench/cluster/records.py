"""The objects of a run in a cluster become its `Results`. Pure."""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from pydantic import ValidationError

from perbench.api.defaults import Resolved
from perbench.api.identity import run_id
from perbench.api.resource import BenchmarkSpec, to_data
from perbench.api.rules import STORED
from perbench.failures import UsageError, first_mistake
from perbench.objects.assembled import assembled
from perbench.objects.results import ModelObject, read_object
from perbench.results import Results

UID = "perbench.dev/uid"
RUN = "perbench.dev/run-id"
ROLE = "perbench.dev/role"
MODEL = "perbench.dev/model"
"""Labels of a run's objects, and the annotation with the model's full name."""
SNAPSHOT, PLATFORM = "snapshot", "platform.json"
RESULTS = "results"

Body = Mapping[str, Any]


def selector(body: Body) -> str:
    """What selects the objects of the benchmark's run. UsageError: it has none yet."""
    run = (body.get("status") or {}).get("run")
    if not run:
        raise UsageError(f"{body['metadata']['name']} has had no run yet: kubectl perbench explain says why")
    return f"{UID}={body['metadata']['uid']},{RUN}={run['id']}"


def results_of(body: Body, config_maps: Sequence[Body]) -> Results:
    """What was measured in the benchmark's run, as `results.json` has it. `config_maps`: those of the run.

    Raises UsageError where nothing is stored, or not of every model, or the benchmark was changed since, or is of
    another version than this command.
    """
    name, status = body["metadata"]["name"], body["status"]
    objects = {
        str(found["metadata"]["annotations"][MODEL]): read_object(found.get("binaryData"))
        for found in config_maps
        if found["metadata"]["labels"].get(ROLE) == RESULTS
    }
    if not any(entry.stages or entry.ends for entry in objects.values()):
        raise UsageError(
            f"{name}: nothing has been recorded of run {status['run']['id']}: see kubectl perbench explain"
        )
    platform = _platform(config_maps)
    try:
        spec = BenchmarkSpec.model_validate(body["spec"], context=STORED)
        resolved = Resolved.model_validate(status["run"]["resolved"])
    except ValidationError as error:
        message = f"{name} is of another version of perbench than this command: {first_mistake(error)}"
        raise UsageError(message) from error
    if run_id(body["metadata"]["uid"], spec, status["run"].get("request")) != status["run"]["id"]:
        raise UsageError(
            f"{name} was changed after run {status['run']['id']}: wait for the new run, or undo the change"
        )
    software = {"perbench": platform.get("version"), "benchImage": platform.get("benchImage"), "where": "Cluster"}
    return assembled(
        name=name,
        run_id=status["run"]["id"],
        spec=to_data(spec),
        resolved=resolved,
        start_time=_time(status["startTime"]),
        completion_time=_time(status["completionTime"]) if status.get("completionTime") else None,
        provenance={key: value for key, value in software.items() if value is not None},
        objects={model.name: _object(name, model.name, objects) for model in spec.models},
    )


def _object(name: str, model: str, objects: Mapping[str, ModelObject]) -> ModelObject:
    """What is stored of a model. A run makes these objects before its first model is started."""
    found = objects.get(model)
    if found is None:
        raise UsageError(f"{name}: the results object of model {model} is gone: run it again to have a report")
    if found.model is None:
        what = f"the results object of model {model} does not say how it was served: somebody changed it"
        raise UsageError(f"{name}: {what}; run it again to have a report")
    return found


def _platform(config_maps: Sequence[Body]) -> dict[str, Any]:
    """What the owner of the cluster had set when the run began. Empty where it is gone."""
    snapshots = [found for found in config_maps if found["metadata"]["labels"].get(ROLE) == SNAPSHOT]
    try:
        content = json.loads(snapshots[0]["data"][PLATFORM]) if snapshots else {}
    except (KeyError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text)
