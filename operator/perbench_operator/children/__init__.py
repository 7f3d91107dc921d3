"""The objects that a run makes, as the API server gets them: functions of values, without I/O.

`model` makes what a model server needs (its pod is in `model_pod`, the user's changes to it in `pod_patch`), `bench`
the Job of a bench pod (its datasets are in `datasets`), `objects` everything that holds or guards data, `plans` what a
bench pod is told and how a model is recorded, `pods` what all pods have in common. What a benchmark asks for and cannot
have raises `Refused` (perbench_operator.serving).
"""

from perbench_operator.children.bench import bench_job, bench_policy
from perbench_operator.children.model import model_objects
from perbench_operator.children.objects import (
    PLAN_KEY,
    SNAPSHOT_KEY,
    access_objects,
    plan_object,
    pod_metrics_access,
    progress_object,
    results_object,
    snapshot_object,
)
from perbench_operator.children.plans import launch_plan, model_record

__all__ = [
    "PLAN_KEY",
    "SNAPSHOT_KEY",
    "access_objects",
    "bench_job",
    "bench_policy",
    "launch_plan",
    "model_objects",
    "model_record",
    "plan_object",
    "pod_metrics_access",
    "progress_object",
    "results_object",
    "snapshot_object",
]
