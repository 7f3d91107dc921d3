"""The results objects of a run become its `Results`: what the operator judges, and what reports are made from. Pure."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from pydantic import JsonValue

from perbench.api.defaults import Resolved
from perbench.failures import Blame, Failure
from perbench.masking import shown_spec
from perbench.objects.results import LaunchEnd, ModelFacts, ModelObject
from perbench.results import LaunchRecord, ModelRecord, Results, TaskRecord
from perbench.schedule import Launch, schedule

TASKS_DIFFER = "TasksDiffer"
"""A model was asked other items than the models before it: a ConfigMap or volume was changed during the run."""


def assembled(
    name: str,
    run_id: str,
    spec: Mapping[str, JsonValue],
    resolved: Resolved,
    start_time: datetime,
    completion_time: datetime | None,
    provenance: Mapping[str, JsonValue],
    objects: Mapping[str, ModelObject],
) -> Results:
    """The results of a run, as far as they are stored.

    `objects`: what is stored of each model, by name, in the order of the spec. Tasks are those that the first model was
    asked; one that was asked others has failed. Values in `spec` that sound like secrets are hidden. Raises ValueError
    for an object that does not say what its model is.
    """
    asked = _tasks(spec, objects)
    launches = schedule(list(objects), resolved.rounds)
    models = tuple(_model(name, stored, launches, asked) for name, stored in objects.items())
    return Results(
        name=name,
        run_id=run_id,
        spec=shown_spec(spec),
        resolved=resolved,
        start_time=start_time,
        completion_time=completion_time,
        provenance=provenance,
        tasks=asked,
        models=models,
    )


def _tasks(spec: Mapping[str, JsonValue], objects: Mapping[str, ModelObject]) -> tuple[TaskRecord, ...]:
    """What was asked, in the order of the spec. Empty while no model has got so far."""
    found = next((stored.tasks for stored in objects.values() if stored.tasks), ())
    by_name = {task.name: task for task in found}
    entries = spec.get("tasks")
    names = [entry.get("name") for entry in entries if isinstance(entry, dict)] if isinstance(entries, list) else []
    return tuple(by_name[name] for name in names if isinstance(name, str) and name in by_name)


def _model(name: str, stored: ModelObject, launches: tuple[Launch, ...], asked: tuple[TaskRecord, ...]) -> ModelRecord:
    if stored.model is None:
        raise ValueError(f"the results object of {name} does not say how it is served")
    differing = _differing(name, stored.tasks, asked)
    found = tuple(
        _launch(launch, stored, differing)
        for launch in launches
        if launch.model == name and (launch.round in stored.stages or launch.round in stored.ends)
    )
    known = _with_facts(stored.model, [stored.facts[number] for number in sorted(stored.facts)])
    return known.model_copy(update={"launches": tuple(sorted(found, key=lambda launch: launch.round))})


def _launch(launch: Launch, stored: ModelObject, differing: Failure | None) -> LaunchRecord:
    end = stored.ends.get(launch.round) or LaunchEnd(round=launch.round, order=launch.order)
    return LaunchRecord(
        round=launch.round,
        order=launch.order,
        ready_seconds=end.ready_seconds,
        accelerator=end.accelerator,
        image=end.image,
        image_digest=end.image_digest,
        revision=stored.commit(launch.round),
        calibration=stored.calibrations.get(launch.round),
        stages=stored.stages.get(launch.round, ()),
        failure=end.failure or differing,
    )


def _with_facts(record: ModelRecord, rounds: Sequence[ModelFacts]) -> ModelRecord:
    """What the bench pods learnt, round by round, over what was known before: what hub or server could not say in a
    later round is not forgotten."""
    for facts in rounds:
        record = record.model_copy(
            update={
                "source": {**record.source, **facts.source},
                "remarks": tuple(dict.fromkeys((*record.remarks, *facts.warnings))),
                "runtime_version": facts.runtime_version or record.runtime_version,
                "server_arguments": {**record.server_arguments, **facts.server_arguments},
            }
        )
    return record


def _differing(model: str, tasks: tuple[TaskRecord, ...], asked: tuple[TaskRecord, ...]) -> Failure | None:
    expected = {task.name: task.sha256 for task in asked}
    other = next((task.name for task in tasks if task.sha256 != expected.get(task.name)), None)
    if other is None:
        return None
    return Failure(
        blame=Blame.MEASUREMENT,
        reason=TASKS_DIFFER,
        message=f"task {other} had other items when this model was asked than for the models before it: leave datasets"
        " alone while a run is on, and run again",
        model=model,
    )
