"""What the bench pods of a launch are told, and how a model is recorded in the results."""

from collections.abc import Sequence
from dataclasses import replace

from pydantic import JsonValue

from perbench.api.defaults import Resolved, client_of, execution_of
from perbench.api.execution import Deadlines
from perbench.api.models import ModelSpec
from perbench.api.resource import BenchmarkSpec
from perbench.masking import shown_spec, shown_variables, shown_words
from perbench.plan import ClusterPlace, HubModel, MemorySource, Plan, PodMetrics, Target, Telemetry, TelemetryPod
from perbench.planning import endpoint_record, endpoint_target, model_source, plan_of
from perbench.results import ModelRecord
from perbench.runtimes.base import ModelPlace
from perbench.runtimes.device_memory import device_memory
from perbench.schedule import Launch
from perbench_operator.children.bench import METRICS_PORT
from perbench_operator.children.datasets import planned_tasks
from perbench_operator.children.model_pod import MEMORY_PORT, READY_SECONDS, has_memory_reader, shared_memory
from perbench_operator.children.pods import given
from perbench_operator.names import MODEL_CONTAINER, Role, RunIdentity, launch_object, model_object
from perbench_operator.platform import Platform, TelemetryRules, is_nvidia, is_shared
from perbench_operator.serving import Served

CALIBRATE_SECONDS = 5.0
POD_FIELDS = ("resources", "nodeSelector", "affinity", "runtimeClassName", "podPatch")
"""What of `serving` says what the pods of a model have. Tolerations and classes of priority only let them run."""


def launch_plan(
    run: RunIdentity,
    launch: Launch,
    spec: BenchmarkSpec,
    resolved: Resolved,
    served: Served | None,
    platform: Platform,
    pods: Sequence[TelemetryPod] = (),
) -> Plan:
    """The plan of a launch; `served` None: an endpoint. Raises Refused for datasets that cannot be had.

    `pods`: those of the model, with the exporters beside them. Empty: they do not run yet.
    """
    model = next(model for model in spec.models if model.name == launch.model)
    memory = _memory(run, served, platform.telemetry, pods) if served is not None else None
    target = _endpoint(model) if served is None else _target(run, launch, resolved, served)
    plan = plan_of(run.run_id, launch, target, resolved, planned_tasks(spec.tasks), None)
    deadlines = execution_of(spec).deadlines or Deadlines()
    place = ClusterPlace(
        namespace=run.namespace,
        benchmark=run.name,
        runtime=served.runtime.name.value if served else None,
        progress=model_object(run, model.name, Role.PROGRESS),
        results=model_object(run, model.name, Role.RESULTS),
        replicas=served.replicas if served else 0,
        health_path=served.runtime.health_path if served else None,
        ready_seconds=deadlines.ready_seconds or READY_SECONDS,
        linger_seconds=client_of(spec, platform.client).linger_seconds or 0,
        metrics_port=METRICS_PORT,
    )
    hub = _hub_model(served) if served else None
    more = {
        "calibrate_seconds": CALIBRATE_SECONDS, "cluster": place, "memory": memory,
        **({"hub_model": hub} if hub else {}),
    }  # fmt: skip
    return plan.model_copy(update=more)


def model_record(model: ModelSpec, served: Served | None) -> ModelRecord:
    """What a model is and how it is started, without its launches. It is kept in the model's results object."""
    if served is None:
        if model.endpoint is None:
            raise ValueError(f"{model.name} is no endpoint")
        return endpoint_record(model.name, model.endpoint)
    return ModelRecord(
        name=model.name,
        source=model_source(model),
        runtime=served.runtime.name.value,
        server_arguments=_arguments(served),
        throughput_unit="accelerator" if served.accelerators else "server",
        units=max(1, served.accelerators) * served.replicas,
    )


def _endpoint(model: ModelSpec) -> Target:
    if model.endpoint is None:
        raise ValueError(f"{model.name} is no endpoint")
    return endpoint_target(model.endpoint, with_key=model.endpoint.api_key_secret_key_ref is not None)


def _target(run: RunIdentity, launch: Launch, resolved: Resolved, served: Served) -> Target:
    runtime = served.runtime
    return Target(
        url=f"http://{launch_object(run, launch, Role.MODEL)}.{run.namespace}.svc:{runtime.port}",
        protocol=runtime.protocols[resolved.api],
        model=runtime.request_model(served.duty),
        extra_body=dict(runtime.request_additions(prefix_cache=served.prefix_cache)),
        counts_end_token=runtime.counts_end_token,
        can_force_length=runtime.can_force_length,
    )


def _memory(run: RunIdentity, served: Served, rules: TelemetryRules, pods: Sequence[TelemetryPod]) -> MemorySource:
    """Beside the server, where its memory is the host's; else what is said of its devices."""
    if has_memory_reader(served):
        names = tuple(pod.name for pod in pods) if rules.pod_metrics else ()
        asked = PodMetrics(namespace=run.namespace, pods=names, container=MODEL_CONTAINER) if names else None
        return MemorySource(sidecar_port=MEMORY_PORT, **given(pod_metrics=asked))
    device = device_memory(served.runtime.name, served.duty)
    telemetry = _telemetry(run, served, rules, pods)
    return MemorySource(device=device, telemetry=telemetry) if telemetry else MemorySource(device=device)


def _telemetry(
    run: RunIdentity, served: Served, rules: TelemetryRules, pods: Sequence[TelemetryPod]
) -> Telemetry | None:
    """Who knows what its accelerators do. None: nobody is asked, or they are not NVIDIA's."""
    accelerator, asked = served.serving.accelerator, rules.dcgm or rules.prometheus_url
    if accelerator is None or not asked or not pods or not is_nvidia(accelerator.resource):
        return None
    shared = is_shared(accelerator.resource)
    return Telemetry(
        namespace=run.namespace,
        pods=tuple(pods),
        **given(
            exporter_port=rules.dcgm.port if rules.dcgm else None,
            prometheus_url=rules.prometheus_url,
            obstacle=f"{accelerator.resource}: what a pod takes of a shared device is not known" if shared else None,
        ),
    )


def _hub_model(served: Served) -> HubModel | None:
    place = served.duty.place
    if place.is_path:
        return None
    return HubModel(id=place.name, revision=place.revision) if place.revision else HubModel(id=place.name)


def _arguments(served: Served) -> dict[str, JsonValue]:
    """How its servers were started: of the user's and ours, whatever may change a figure. Not which model files they
    load, which is the record's `source`: runs of unlike files are compared."""
    accelerator, words, variables = served.serving.accelerator, *_command(served)
    own: dict[str, JsonValue] = {
        "image": served.image,
        "arguments": " ".join(shown_words(words)),
        "environment": {**shown_variables(variables)},
        "replicas": served.replicas,
        "prefixCache": "On" if served.prefix_cache else "Off",
        **_pod(served),
    }
    if accelerator is not None:
        product = f" {accelerator.product}" if accelerator.product else ""
        own["accelerator"] = f"{accelerator.count} x {accelerator.resource}{product}"
    return own


def _command(served: Served) -> tuple[list[str], dict[str, str]]:
    """Its arguments and variables, less those that name model files: a flag and its word, a variable."""
    duty = served.duty
    place = ModelPlace("/MODEL" if duty.place.is_path else "MODEL")
    unnamed = replace(duty, place=place, args=(), variables={})
    ours = served.runtime.arguments(unnamed)
    environment = {name: value for name, value in served.runtime.environment(unnamed).items() if value != place.name}
    words = served.runtime.arguments(replace(duty, place=place))
    if place.name in ours:
        at = words.index(place.name)
        first = at - 1 if at and words[at - 1].startswith("-") else at
        words = (*words[:first], *words[at + 1 :])
    return list(words), {**environment, **duty.variables}


def _pod(served: Served) -> dict[str, JsonValue]:
    """What its pods ask for, and where they may run: on another kind of node, or with less of it, figures are others'.
    Quantities as they were written."""
    asked = served.serving.model_dump(mode="json", by_alias=True, exclude_none=True)
    found = {name: asked[name] for name in POD_FIELDS if name in asked}
    shared = shared_memory(served)
    return shown_spec({**found, **({"sharedMemory": shared} if shared is not None else {})})
