"""Runs as a cluster keeps them: the benchmark with its status, and the ConfigMaps of its models."""

import json
from datetime import timedelta
from typing import Any

from perbench.api.identity import run_id
from perbench.api.resource import BenchmarkSpec, to_data
from perbench.evaluation import evaluate, status
from perbench.objects.results import MODEL, LaunchEnd, encoded, encoded_tasks, launch_name, stage_name
from perbench.results import LaunchRecord, ModelRecord, Results
from perbench.schedule import schedule
from tests.support import results as built

UID = "0a1b2c3d-0000-4000-8000-000000000001"
NAMES = ("a", "b", "c", "d")


def finished() -> Results:
    """Four models on two tasks, three rounds."""
    models = [
        _in_order(built.model(name, built.ONE_SLOT, source={"kind": "Hub", "model": f"org/{name}"})) for name in NAMES
    ]
    provenance = {"perbench": "0.1.0", "benchImage": "bench:1", "where": "Cluster"}
    results = built.results(models, name="study", provenance=provenance)
    return results.model_copy(update={"run_id": run_of(results)})


def run_of(results: Results, uid: str = UID) -> str:
    """The id of the run that the benchmark asks for."""
    return run_id(uid, BenchmarkSpec.model_validate(spec(results)))


def spec(results: Results) -> dict[str, Any]:
    """The spec that asks for it."""
    return {
        "models": [{"name": model.name, "model": f"org/{model.name}"} for model in results.models],
        "serving": {"runtime": "LlamaCpp"},
        "tasks": [{"name": task.name, "preset": "PackagedTopics", "limit": task.items} for task in results.tasks],
        "load": {"concurrency": 4, "repeats": 1, "warmup": {"requests": 8, "seconds": 0}},
        "execution": {"rounds": 3},
    }


def _in_order(model: ModelRecord) -> ModelRecord:
    """The model with launches as scheduled, and stages that began one after the other."""
    orders = {launch.round: launch.order for launch in schedule(NAMES, 3) if launch.model == model.name}

    def of(launch: LaunchRecord) -> LaunchRecord:
        stages = tuple(
            stage.model_copy(update={"started_at": stage.started_at + timedelta(seconds=index)})
            for index, stage in enumerate(launch.stages)
        )
        return launch.model_copy(update={"stages": stages, "order": orders[launch.round]})

    return model.model_copy(update={"launches": tuple(of(launch) for launch in model.launches)})


def benchmark(results: Results, name: str = "study", uid: str = UID) -> dict[str, Any]:
    """The object with the status that follows from the results."""
    return {
        "apiVersion": "perbench.dev/v1alpha1",
        "kind": "PERBenchmark",
        "metadata": {"name": name, "namespace": "default", "uid": uid, "generation": 1},
        "spec": spec(results),
        "status": to_data(status(evaluate(results), generation=1)),
    }


def config_maps(results: Results, uid: str = UID) -> list[dict[str, Any]]:
    """The snapshot of the run and the results object of each model."""
    snapshot = {"platform.json": json.dumps({"version": "0.1.0", "benchImage": "bench:1", "serving": None})}
    objects = [{"metadata": _metadata("snapshot", results.run_id, uid, None), "data": snapshot}]
    return objects + [
        {
            "metadata": _metadata("results", results.run_id, uid, model.name),
            "binaryData": {"tasks": encoded_tasks(results.tasks), **_contents(model)},
        }
        for model in results.models
    ]


def _contents(model: ModelRecord) -> dict[str, str]:
    stages = {
        stage_name(stage.round, (stage.task, stage.repeat)): encoded(stage)
        for launch in model.launches
        for stage in launch.stages
    }
    ends = {
        launch_name(launch.round): encoded(
            LaunchEnd(
                round=launch.round, order=launch.order, ready_seconds=launch.ready_seconds, failure=launch.failure
            )
        )
        for launch in model.launches
    }
    return {MODEL: encoded(model.model_copy(update={"launches": ()}))} | stages | ends


def _metadata(role: str, run_id: str, uid: str, model: str | None) -> dict[str, Any]:
    labels = {"perbench.dev/uid": uid, "perbench.dev/run-id": run_id, "perbench.dev/role": role}
    annotations = {"perbench.dev/model": model} if model else {}
    return {"name": f"pb-{role}-{model or 'run'}", "labels": labels, "annotations": annotations}
