"""What a bench process is told, from what the run resolved. Pure; the same in local mode and in a cluster."""

import re
from collections.abc import Iterable, Sequence

from pydantic import JsonValue

from perbench.api.decimals import as_float
from perbench.api.defaults import ARRIVAL, MAX_IN_FLIGHT, Resolved
from perbench.api.models import Endpoint, ModelSpec, Protocol
from perbench.api.tasks import TaskSpec
from perbench.failures import printable, shorten
from perbench.plan import ArrivalPlan, LoadPlan, MemorySource, Plan, StageKey, Target, Validity, Warmup, stage_keys
from perbench.results import ModelRecord
from perbench.schedule import Launch

API_KEY_VARIABLE = "PERBENCH_API_KEY"
EVERY_CONTAINER = "of every container of the pod"
"""Stands in the source of a memory figure where the server's container could not be told from others beside it."""

REQUEST_TIMEOUT_SECONDS = 600.0
"""After this a request counts as lost. It is what ends a stage on a server that hangs."""


COMMIT = re.compile(r"[0-9a-f]{40}")
LICENCE_LENGTH = 64
"""Characters of a licence that are shown: it is an identifier such as `apache-2.0`, and anybody's text."""


def is_commit(revision: object) -> bool:
    """Whether it names one state of a repository of the hub for good; branches and tags may move."""
    return isinstance(revision, str) and COMMIT.fullmatch(revision) is not None


def licence_text(stated: object) -> str | None:
    """A licence as the hub states it, fit to be shown. None: it states none."""
    return printable(shorten(stated, LICENCE_LENGTH)) if isinstance(stated, str) and stated.strip() else None


def keys_of(tasks: Iterable[TaskSpec], resolved: Resolved) -> tuple[StageKey, ...]:
    """Every stage of one launch, in the order they run."""
    unloaded = resolved.unloaded_requests is not None
    return stage_keys([task.name for task in tasks], resolved.repeats, unloaded=unloaded)


def plan_of(
    run_id: str,
    launch: Launch,
    target: Target,
    resolved: Resolved,
    tasks: Sequence[TaskSpec],
    memory: MemorySource | None,
) -> Plan:
    """What the bench process of one launch is told."""
    warmup = resolved.warmup
    return Plan(
        run_id=run_id,
        model=launch.model,
        round=launch.round,
        target=target,
        load=LoadPlan(
            concurrency=resolved.concurrency,
            arrivals=arrivals_of(resolved),
            warmup=Warmup(requests=warmup.requests, seconds=warmup.seconds) if warmup else None,
            max_seconds=resolved.max_seconds,
            request_timeout_seconds=REQUEST_TIMEOUT_SECONDS,
            validity=Validity.of(resolved.validity),
        ),
        repeats=resolved.repeats,
        unloaded_requests=resolved.unloaded_requests,
        tasks=tuple(tasks),
        memory=memory,
    )


def arrivals_of(resolved: Resolved) -> ArrivalPlan | None:
    """The arrivals of an open loop; None: a closed one."""
    if resolved.rate is None:
        return None
    return ArrivalPlan(
        rate=as_float(resolved.rate),
        process=resolved.arrival or ARRIVAL,
        burstiness=as_float(resolved.burstiness or 1),
        max_in_flight=resolved.max_in_flight or MAX_IN_FLIGHT,
    )


def endpoint_target(endpoint: Endpoint, *, with_key: bool) -> Target:
    """How a server that already runs is spoken to. TGI has no `ignore_eos`."""
    return Target(
        url=endpoint.url,
        protocol=endpoint.protocol,
        model=endpoint.model or "tgi",
        api_key_variable=API_KEY_VARIABLE if with_key else None,
        can_force_length=endpoint.protocol is not Protocol.TGI,
    )


def endpoint_record(name: str, endpoint: Endpoint) -> ModelRecord:
    """What is known of an endpoint before anything is measured. Its memory cannot be read."""
    return ModelRecord(
        name=name,
        source={
            "kind": "Endpoint",
            "url": endpoint.url,
            "protocol": endpoint.protocol.value,
            **({"model": endpoint.model} if endpoint.model else {}),
        },
        runtime=None,
        throughput_unit="accelerator" if endpoint.accelerators else "endpoint",
        units=endpoint.accelerators or 1,
        memory_basis=None,
    )


def model_source(model: ModelSpec) -> dict[str, JsonValue]:
    """What the benchmark itself says of where a model that is to be started comes from."""
    if model.volume is not None:
        return {"kind": "Volume", "claim": model.volume.claim_name, "path": model.volume.path}
    name = model.model or ""
    if name.startswith("/"):
        return {"kind": "File", "model": name}
    return {"kind": "Hub", "model": name, **({"revision": model.revision} if model.revision else {})}
