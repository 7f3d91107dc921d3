"""The pod of a model server: the container `model`, and beside it, where its memory is read, the container `memory`."""

from math import ceil
from typing import Any

from perbench.api.execution import Deadlines, ExecutionSpec
from perbench.resources import MemoryOrigin
from perbench.runtimes.base import HUB_HOME
from perbench.schedule import Launch
from perbench_operator.children.pod_patch import images, patched
from perbench_operator.children.pods import (
    claim_volume,
    container_security,
    given,
    mount,
    pod_security,
    protected,
    pull_secrets,
    quantities,
    scratch_mount,
    scratch_volume,
    secret_variable,
    variables,
)
from perbench_operator.names import MODEL_CONTAINER, Role, RunIdentity, launch_object, metadata
from perbench_operator.platform import Platform
from perbench_operator.serving import MODEL_MOUNT, Served, check_images

MEMORY_CONTAINER = "memory"
MEMORY_PORT = 8900
"""Where `perbench-memory` answers in the model's pod. No server that perbench starts listens there."""
SERVER_VARIABLE = "PERBENCH_SERVER"
"""The server's container alone has it: so the reader of memory knows its processes from those of other containers that
a podPatch has put beside it."""
MEMORY_RESOURCES = {"requests": {"cpu": "50m", "memory": "64Mi"}, "limits": {"memory": "128Mi"}}
SHARED_MEMORY = "1Gi"
READY_SECONDS = 3600
SLOWEST_PERIOD = 10
PROBES_PER_DEADLINE = 60
"""A start-up probe comes so often until the deadline, but every ten seconds at least and once a second at most."""
STARTUP_MARGIN_SECONDS = 60
"""The operator counts the same time and knows better words; the kubelet ends the server only after it."""
PROBE_TIMEOUT_SECONDS = 5
"""TGI answers a probe when the batch at hand is done: 3.5 s were seen in a prefill of 4 s."""
READINESS_PERIOD, READINESS_FAILURES = 10, 30
"""A server under full load may be slow to accept a connection. It is not to lose its traffic for that."""

WHOLE_DEVICES = (("nvidia.com/mig-", "nvidia.com/gpu"), ("nvidia.com/gpu.shared", "nvidia.com/gpu"))
"""Parts of a device, by what their resources begin with, and the whole, by which their nodes are tainted."""


def has_memory_reader(served: Served) -> bool:
    """Whether a reader of memory stands beside the server.

    With accelerators none does: the memory that counts is the device's, and that of the host would be taken for it.
    """
    return served.runtime.memory_origin(served.accelerators) is MemoryOrigin.PROCESSES


def model_template(
    run: RunIdentity, launch: Launch, served: Served, platform: Platform, execution: ExecutionSpec
) -> dict[str, Any]:
    """The template of a model's pods, with the user's patch. Raises Refused where policy or patch forbid it."""
    about = metadata(run, launch_object(run, launch, Role.MODEL), Role.MODEL, launch)
    template = {"metadata": protected(about, platform), "spec": _spec(served, platform, execution)}
    if served.serving.pod_patch is not None:
        template = patched(template, served.serving.pod_patch, served.model.name)
    check_images(served.model, [image for image in images(template) if image != platform.bench_image], platform)
    return template


def _spec(served: Served, platform: Platform, execution: ExecutionSpec) -> dict[str, Any]:
    serving = served.serving
    reader = has_memory_reader(served)
    secrets = (serving.image_pull_secrets or (), platform.image_pull_secrets if reader else ())
    return {
        "restartPolicy": "Never",
        "terminationGracePeriodSeconds": served.runtime.stop_seconds,
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "securityContext": pod_security(served.user, shares_files=_writes_to_claim(served)),
        **given(
            serviceAccountName=serving.service_account_name,
            runtimeClassName=serving.runtime_class_name,
            priorityClassName=serving.priority_class_name,
            shareProcessNamespace=reader or None,
            nodeSelector=_node_selector(served, platform),
            tolerations=_tolerations(served),
            affinity=serving.affinity,
            initContainers=[_memory_container(platform)] if reader else None,
        ),
        "containers": [_server(served, execution)],
        **pull_secrets(*secrets),
        "volumes": _volumes(served),
    }


def _server(served: Served, execution: ExecutionSpec) -> dict[str, Any]:
    runtime, duty = served.runtime, served.duty
    ports = [{"name": "http", "containerPort": runtime.port}]
    return {
        "name": MODEL_CONTAINER,
        "image": served.image,
        **given(command=list(runtime.command()), args=list(runtime.arguments(duty))),
        "env": _environment(served),
        "ports": ports,
        **given(resources=_resources(served)),
        "startupProbe": _startup_probe(served, execution.deadlines or Deadlines()),
        "readinessProbe": {
            "tcpSocket": {"port": "http"},
            "periodSeconds": READINESS_PERIOD,
            "timeoutSeconds": PROBE_TIMEOUT_SECONDS,
            "failureThreshold": READINESS_FAILURES,
        },
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "securityContext": container_security(read_only=False),
        "volumeMounts": _mounts(served),
    }


def _environment(served: Served) -> list[dict[str, Any]]:
    """Ours, the hub's token, then the user's, which replace any of the same name."""
    serving, duty = served.serving, served.duty
    ours = {**served.runtime.environment(duty), **served.runtime.home(duty)}
    if not served.accelerators:
        ours["NVIDIA_VISIBLE_DEVICES"] = "void"  # images for CUDA ask for every device, which some nodes then give
    if has_memory_reader(served):
        ours[SERVER_VARIABLE] = served.model.name
    own = dict(duty.variables)
    token = serving.hugging_face_token_secret_key_ref
    secrets = [secret_variable("HF_TOKEN", token)] if token is not None and "HF_TOKEN" not in own else []
    return [
        *variables({name: value for name, value in ours.items() if name not in own}),
        *secrets,
        *variables(own),
    ]


def _startup_probe(served: Served, deadlines: Deadlines) -> dict[str, Any]:
    seconds = deadlines.ready_seconds or READY_SECONDS
    period = min(SLOWEST_PERIOD, max(1, seconds // PROBES_PER_DEADLINE))
    return {
        "httpGet": {"path": served.runtime.health_path, "port": "http"},
        "periodSeconds": period,
        "timeoutSeconds": PROBE_TIMEOUT_SECONDS,
        "failureThreshold": ceil((seconds + STARTUP_MARGIN_SECONDS) / period),
    }


def _memory_container(platform: Platform) -> dict[str, Any]:
    """A native sidecar: it is there before the server, and ends after it. It runs as the server's user, whose
    processes nobody else may look into."""
    return {
        "name": MEMORY_CONTAINER,
        "image": platform.bench_image,
        "imagePullPolicy": platform.bench_pull_policy,
        "restartPolicy": "Always",
        "command": ["perbench-memory", "--port", str(MEMORY_PORT), "--server-variable", SERVER_VARIABLE],
        "ports": [{"name": "memory", "containerPort": MEMORY_PORT}],
        "resources": MEMORY_RESOURCES,
        "securityContext": container_security(read_only=True),
    }


def _resources(served: Served) -> dict[str, Any]:
    resources = quantities(served.serving.resources)
    accelerator = served.serving.accelerator
    if accelerator is not None:
        resources["limits"] = {**resources.get("limits", {}), accelerator.resource: str(accelerator.count)}
        resources.get("requests", {}).pop(accelerator.resource, None)  # the limit is the request, and wins over another
    return resources


def _node_selector(served: Served, platform: Platform) -> dict[str, Any]:
    accelerator = served.serving.accelerator
    label = platform.product_label(accelerator.resource) if accelerator and accelerator.product else None
    product = {label: accelerator.product} if accelerator and label else {}
    return {**product, **(served.serving.node_selector or {})}


def _tolerations(served: Served) -> list[Any]:
    """The user's; and taints named as the accelerators' resource, by which nodes are kept free for those who ask."""
    accelerator = served.serving.accelerator
    own = list(served.serving.tolerations or ())
    if accelerator is None:
        return own
    parts = (accelerator.resource, *(whole for part, whole in WHOLE_DEVICES if accelerator.resource.startswith(part)))
    return [*({"key": resource, "operator": "Exists"} for resource in parts), *own]


def shared_memory(served: Served) -> str | None:
    """The size of /dev/shm in its pods. None: that of the container runtime."""
    needed = served.runtime.shares_memory or served.accelerators > 1
    return served.serving.shared_memory or (SHARED_MEMORY if needed else None)


def _volumes(served: Served) -> list[dict[str, Any]]:
    cache, volume, shared = served.serving.model_cache, served.model.volume, shared_memory(served)
    found = [scratch_volume()]
    if cache is not None and cache.claim_name is not None:
        found.append(claim_volume("hub", cache.claim_name, read_only=cache.read_only is True))
    else:
        limit = cache.empty_dir.size_limit if cache is not None and cache.empty_dir else None
        found.append({"name": "hub", "emptyDir": given(sizeLimit=limit)})
    if shared is not None:
        found.append({"name": "shared-memory", "emptyDir": {"medium": "Memory", "sizeLimit": shared}})
    if volume is not None:
        found.append(claim_volume("model", volume.claim_name, read_only=True))
    return found


def _writes_to_claim(served: Served) -> bool:
    cache = served.serving.model_cache
    return cache is not None and cache.claim_name is not None and cache.read_only is not True


def _mounts(served: Served) -> list[dict[str, Any]]:
    cache = served.serving.model_cache
    found = [scratch_mount(), mount("hub", HUB_HOME, read_only=cache is not None and cache.read_only is True)]
    if shared_memory(served) is not None:
        found.append(mount("shared-memory", "/dev/shm", read_only=False))  # noqa: S108 - a volume of the pod's own
    if served.model.volume is not None:
        found.append(mount("model", MODEL_MOUNT, read_only=True))
    return found
