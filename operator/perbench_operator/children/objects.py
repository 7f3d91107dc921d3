"""ConfigMaps of a run, and who may write them."""

from collections.abc import Mapping
from typing import Any

from perbench.objects.results import MODEL, encoded
from perbench.objects.run import RUN, RunRecord
from perbench.plan import Plan, PodMetrics
from perbench.results import ModelRecord
from perbench.schedule import Launch
from perbench_operator.names import Role, RunIdentity, launch_object, metadata, model_object, run_object
from perbench_operator.platform import Platform, TelemetryRules

PLAN_KEY = "plan.json"
SNAPSHOT_KEY = "platform.json"


def snapshot_object(run: RunIdentity, platform: Platform, record: RunRecord) -> dict[str, Any]:
    """What the owner of the cluster had set when the run started, which holds to its end; and what was asked, for
    whoever compares with the run when the benchmark's status tells of a later one.

    Who is asked of accelerators stands in it only where somebody is: an operator of before telemetry refuses the word.
    """
    unasked = {"telemetry"} if platform.telemetry == TelemetryRules() else None
    data = {SNAPSHOT_KEY: platform.model_dump_json(by_alias=True, exclude_none=True, exclude=unasked)}
    whole = _config_map(metadata(run, run_object(run, Role.SNAPSHOT), Role.SNAPSHOT), data)
    return {**whole, "binaryData": {RUN: encoded(record)}}


def plan_object(run: RunIdentity, launch: Launch, plan: Plan) -> dict[str, Any]:
    """What the bench pods of a launch are told."""
    about = metadata(run, launch_object(run, launch, Role.PLAN), Role.PLAN, launch)
    return _config_map(about, {PLAN_KEY: plan.to_json()})


def progress_object(run: RunIdentity, model: str) -> dict[str, Any]:
    """Where bench pods say how far they are; empty at first."""
    name = model_object(run, model, Role.PROGRESS)
    return _config_map(metadata(run, name, Role.PROGRESS, model=model))


def results_object(run: RunIdentity, model: ModelRecord) -> dict[str, Any]:
    """Where what is measured of a model is kept; how the model is served stands in it from the beginning."""
    name = model_object(run, model.name, Role.RESULTS)
    empty = _config_map(metadata(run, name, Role.RESULTS, model=model.name))
    return {**empty, "binaryData": {MODEL: encoded(model)}}


def access_objects(run: RunIdentity, model: str) -> tuple[dict[str, Any], ...]:
    """Who the bench pods of a model are, and that they may read and change its progress and results, nothing else."""
    name = model_object(run, model, Role.BENCH)
    about = metadata(run, name, Role.BENCH, model=model)
    theirs = [model_object(run, model, role) for role in (Role.PROGRESS, Role.RESULTS)]
    rule = {"apiGroups": [""], "resources": ["configmaps"], "resourceNames": theirs, "verbs": ["get", "patch"]}
    account = {
        "apiVersion": "v1", "kind": "ServiceAccount", "metadata": about,
        "automountServiceAccountToken": False,  # the bench pod asks for its token itself
    }  # fmt: skip
    return account, *_granted(about, rule, name)


def pod_metrics_access(run: RunIdentity, launch: Launch, asked: PodMetrics) -> tuple[dict[str, Any], ...]:
    """That the bench pods of a launch may read what `metrics.k8s.io` says of its model's pods, of no other's."""
    about = metadata(run, launch_object(run, launch, Role.POD_METRICS), Role.POD_METRICS, launch)
    rule = {
        "apiGroups": ["metrics.k8s.io"], "resources": ["pods"], "resourceNames": list(asked.pods), "verbs": ["get"],
    }  # fmt: skip
    return _granted(about, rule, model_object(run, launch.model, Role.BENCH))


def _granted(about: Mapping[str, Any], rule: Mapping[str, Any], account: str) -> tuple[dict[str, Any], ...]:
    """A Role with one rule, and the RoleBinding that gives it to a ServiceAccount."""
    reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": about["name"]}
    subjects = [{"kind": "ServiceAccount", "name": account, "namespace": about["namespace"]}]
    api = "rbac.authorization.k8s.io/v1"
    return (
        {"apiVersion": api, "kind": "Role", "metadata": about, "rules": [rule]},
        {"apiVersion": api, "kind": "RoleBinding", "metadata": about, "roleRef": reference, "subjects": subjects},
    )


def _config_map(about: Mapping[str, Any], data: Mapping[str, str] | None = None) -> dict[str, Any]:
    """One that cannot be changed where `data` is given; else one that is empty, to be filled by others."""
    content = {} if data is None else {"immutable": True, "data": dict(data)}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": dict(about), **content}
