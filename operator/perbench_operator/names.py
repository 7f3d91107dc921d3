"""Names, labels and owners of everything that a run makes. Pure.

`pb-BENCHMARK-DIGITS-ROLE`: at most 20 characters of the benchmark's name, then ten hexadecimal digits that stand for
uid, run and, where there is one, model and round.
"""

import hashlib
from dataclasses import dataclass
from typing import Any

from perbench.api.resource import API_VERSION, KIND
from perbench.schedule import Launch

UID = "perbench.dev/uid"
RUN = "perbench.dev/run-id"
ROLE = "perbench.dev/role"
LAUNCH = "perbench.dev/launch"
"""Labels. LAUNCH: the ten digits in the names of one launch's objects."""
OUTCOME = "perbench.dev/outcome"
"""Label of a run's snapshot, from its end on: a value of `Outcome`."""
BENCHMARK = "perbench.dev/benchmark"
MODEL = "perbench.dev/model"
ROUND = "perbench.dev/round"
ATTEMPT = "perbench.dev/attempt"
"""Annotations with full names, for people and for reading back."""

SHORT = 20
DIGITS = 10


@dataclass(frozen=True)
class RunIdentity:
    """Whose run it is."""

    name: str
    """Of the benchmark."""
    namespace: str
    uid: str
    run_id: str


MODEL_CONTAINER = "model"
BENCH_CONTAINER = "bench"
"""The main containers of the pods."""


class Role:
    """The last part of a name, and the label `perbench.dev/role`."""

    MODEL = "model"
    """Job, Service and NetworkPolicy of a launch."""
    BENCH = "bench"
    """Jobs of a launch (named `a0`, `a1` …); a model's ServiceAccount, Role and RoleBinding; a run's NetworkPolicy."""
    PLAN = "plan"
    PROGRESS = "progress"
    RESULTS = "results"
    POD_METRICS = "podmetrics"
    """Role and RoleBinding of a launch."""
    SNAPSHOT = "snapshot"
    """The Platform of a run."""


class Outcome:
    """How a run ended. One that was broken off has none."""

    SUCCEEDED = "Succeeded"
    """Phase `Succeeded`."""
    FAILED = "Failed"
    """It went to its end, and a model failed, or a measurement is not valid."""


def launch_digest(run: RunIdentity, launch: Launch) -> str:
    """The ten digits of one launch."""
    return _digest(run.uid, run.run_id, launch.model, str(launch.round))


def launch_object(run: RunIdentity, launch: Launch, role: str) -> str:
    """The name of an object of one launch; of a bench Job, `role` is `a0`, `a1` …"""
    return _name(run, launch_digest(run, launch), role)


def model_object(run: RunIdentity, model: str, role: str) -> str:
    """The name of an object of one model, over all rounds."""
    return _name(run, _digest(run.uid, run.run_id, model), role)


def run_object(run: RunIdentity, role: str) -> str:
    """The name of an object of the whole run."""
    return _name(run, _digest(run.uid, run.run_id), role)


def attempt_role(attempt: int) -> str:
    """The last part of a bench Job's name."""
    return f"a{attempt}"


def labels(run: RunIdentity, role: str, launch: Launch | None = None) -> dict[str, str]:
    """Labels of an object of the run."""
    found = {"app.kubernetes.io/managed-by": "perbench", UID: run.uid, RUN: run.run_id, ROLE: role}
    return found | ({LAUNCH: launch_digest(run, launch)} if launch else {})


def annotations(
    run: RunIdentity, launch: Launch | None = None, *, model: str | None = None, attempt: int | None = None
) -> dict[str, str]:
    """Annotations of an object of the run: full names, where labels and names are too short for them."""
    found = {BENCHMARK: run.name}
    if launch is not None:
        found |= {MODEL: launch.model, ROUND: str(launch.round)}
    elif model is not None:
        found |= {MODEL: model}
    return found | ({ATTEMPT: str(attempt)} if attempt is not None else {})


def owner(run: RunIdentity) -> dict[str, Any]:
    """The ownerReference to the benchmark: what it owns goes with it."""
    return {
        "apiVersion": API_VERSION, "kind": KIND, "name": run.name, "uid": run.uid,
        "controller": True, "blockOwnerDeletion": False,
    }  # fmt: skip


def metadata(
    run: RunIdentity, name: str, role: str, launch: Launch | None = None, *,
    model: str | None = None, attempt: int | None = None,
) -> dict[str, Any]:  # fmt: skip
    """The metadata of an object of the run."""
    return {
        "name": name,
        "namespace": run.namespace,
        "labels": labels(run, role, launch),
        "annotations": annotations(run, launch, model=model, attempt=attempt),
        "ownerReferences": [owner(run)],
    }


def _name(run: RunIdentity, digest: str, role: str) -> str:
    short = run.name[:SHORT].rstrip("-.").replace(".", "-")
    return f"pb-{short}-{digest}-{role}"


def _digest(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:DIGITS]
