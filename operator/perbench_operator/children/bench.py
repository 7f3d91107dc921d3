"""The Job of a bench pod, one attempt to measure what is missing of a launch; who may reach the bench pods of a run."""

from typing import Any

from perbench.api.defaults import client_of
from perbench.api.load import ClientSpec
from perbench.api.models import ModelSpec
from perbench.api.resource import BenchmarkSpec
from perbench.plan import METRICS_PATH
from perbench.planning import API_KEY_VARIABLE
from perbench.runtimes.base import NOBODY, SCRATCH
from perbench.schedule import Launch
from perbench_operator.children.datasets import dataset_volumes, planned_tasks
from perbench_operator.children.model import selector
from perbench_operator.children.objects import PLAN_KEY
from perbench_operator.children.pods import (
    container_security,
    given,
    pod_security,
    protected,
    pull_secrets,
    quantities,
    scratch_mount,
    scratch_volume,
    secret_variable,
    variables,
)
from perbench_operator.names import (
    BENCH_CONTAINER,
    Role,
    RunIdentity,
    attempt_role,
    labels,
    launch_object,
    metadata,
    model_object,
    run_object,
)
from perbench_operator.platform import NetworkRules, Platform
from perbench_operator.serving import Served

METRICS_PORT = 8901
"""Where a bench pod answers scrapes. Nothing else of it listens."""
SCRAPING_ANNOTATIONS = {
    "prometheus.io/scrape": "true",
    "prometheus.io/port": str(METRICS_PORT),
    "prometheus.io/path": METRICS_PATH,
}
"""By these, Prometheus' usual configuration for pods finds it without any object of an operator."""
PLAN_FILE = f"/etc/perbench/{PLAN_KEY}"
GRACE_SECONDS = 60
"""To write down a stage that is just ending."""
ENVIRONMENT = {"HF_HOME": f"{SCRATCH}/huggingface", "HF_HUB_DISABLE_TELEMETRY": "1"}
HUB_VARIABLES = ("HF_ENDPOINT", "HF_HUB_OFFLINE", "HTTPS_PROXY", "HTTP_PROXY", "NO_PROXY")
"""Where the hub is, whether there is one, and the way there: the bench pod asks it about the model that the server
loads. Nothing else of the bench pod goes by a proxy."""


def bench_job(
    run: RunIdentity,
    launch: Launch,
    attempt: int,
    spec: BenchmarkSpec,
    served: Served | None,
    platform: Platform,
) -> dict[str, Any]:
    """The Job of attempt `attempt` (from 0). `served` None: an endpoint. Raises Refused for datasets that
    cannot be had."""
    planned_tasks(spec.tasks)
    model = next(model for model in spec.models if model.name == launch.model)
    client = client_of(spec, platform.client)
    name = launch_object(run, launch, attempt_role(attempt))
    about = metadata(run, name, Role.BENCH, launch, attempt=attempt)
    volumes, mounts = dataset_volumes(spec.tasks)
    plan = {"name": "plan", "configMap": {"name": launch_object(run, launch, Role.PLAN)}}
    container = {
        "name": BENCH_CONTAINER,
        "image": platform.bench_image,
        "imagePullPolicy": platform.bench_pull_policy,
        "args": [PLAN_FILE, "--attempt", str(attempt)],
        "env": [*variables(ENVIRONMENT | _hub(served)), *_secrets(model, served)],
        "ports": [{"name": "metrics", "containerPort": METRICS_PORT}],
        **given(resources=quantities(client.resources)),
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "securityContext": container_security(read_only=True),
        "volumeMounts": [
            scratch_mount(),
            {"name": "plan", "mountPath": PLAN_FILE, "subPath": PLAN_KEY, "readOnly": True},
            *mounts,
        ],
    }
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": about,
        "spec": {
            "backoffLimit": 0,
            "podReplacementPolicy": "Failed",
            "template": {
                "metadata": _scraped(protected(about, platform), platform),
                "spec": {
                    "restartPolicy": "Never",
                    "serviceAccountName": model_object(run, launch.model, Role.BENCH),
                    "automountServiceAccountToken": True,
                    "enableServiceLinks": False,
                    "terminationGracePeriodSeconds": GRACE_SECONDS,
                    "securityContext": pod_security(NOBODY),
                    **_placement(run, launch, client, served),
                    **pull_secrets(platform.image_pull_secrets),
                    "containers": [container],
                    "volumes": [scratch_volume(), plan, *volumes],
                },
            },
        },
    }


def bench_policy(run: RunIdentity, rules: NetworkRules) -> tuple[dict[str, Any], ...]:
    """Monitoring may read the metrics of the run's bench pods, whatever the namespace forbids otherwise; nobody reaches
    anything else of them. Empty where the owner of the cluster wants no policies."""
    if not rules.enabled:
        return ()
    peers = {"from": [dict(peer) for peer in rules.monitoring]} if rules.monitoring else {}
    return (
        {
            "apiVersion": "networking.k8s.io/v1",
            "kind": "NetworkPolicy",
            "metadata": metadata(run, run_object(run, Role.BENCH), Role.BENCH),
            "spec": {
                "podSelector": {"matchLabels": labels(run, Role.BENCH)},
                "policyTypes": ["Ingress"],
                "ingress": [{**peers, "ports": [{"protocol": "TCP", "port": METRICS_PORT}]}],
            },
        },
    )


def _scraped(template: dict[str, Any], platform: Platform) -> dict[str, Any]:
    if not platform.scrape_annotations:
        return template
    return {**template, "annotations": {**template["annotations"], **SCRAPING_ANNOTATIONS}}


def _hub(served: Served | None) -> dict[str, str]:
    if served is None:
        return {}
    duty = served.duty
    told = {**served.runtime.home(duty), **duty.variables}
    return {name: told[name] for name in HUB_VARIABLES if name in told}


def _secrets(model: ModelSpec, served: Served | None) -> list[dict[str, Any]]:
    """The endpoint's key; the hub's token, by which a gated model can be asked about."""
    key = model.endpoint.api_key_secret_key_ref if model.endpoint else None
    token = served.serving.hugging_face_token_secret_key_ref if served else None
    return [
        *([secret_variable(API_KEY_VARIABLE, key)] if key else []),
        *([secret_variable("HF_TOKEN", token)] if token else []),
    ]


def _placement(run: RunIdentity, launch: Launch, client: ClientSpec, served: Served | None) -> dict[str, Any]:
    """Where it may run; rather not beside the model, whose node it would keep busy."""
    apart = {
        "weight": 100,
        "podAffinityTerm": {
            "labelSelector": {"matchLabels": selector(run, launch, Role.MODEL)},
            "topologyKey": "kubernetes.io/hostname",
        },
    }
    affinity = {"podAntiAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [apart]}} if served else None
    return given(
        nodeSelector=dict(client.node_selector or {}), tolerations=list(client.tolerations or ()), affinity=affinity
    )
