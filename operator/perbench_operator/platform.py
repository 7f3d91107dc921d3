"""What the owner of the cluster set for all benchmarks. A run uses what held when it started, to its end."""

from typing import Annotated

from pydantic import Field, JsonValue

from perbench import __version__
from perbench.api.load import ClientSpec
from perbench.api.serving import Serving
from perbench.api.text import OBJECT_NAME
from perbench.base import Document

PULL_POLICIES = r"^(Always|IfNotPresent|Never)$"
RESOURCES = r"^(\*|[a-z0-9]([a-z0-9.-]*[a-z0-9])?/([A-Za-z0-9][A-Za-z0-9_.-]*\*?|\*))$"
"""An extended resource, or what resources begin with and a `*`."""
LABEL = r"^([a-z0-9]([a-z0-9.-]*[a-z0-9])?/)?[A-Za-z0-9]([A-Za-z0-9_.-]*[A-Za-z0-9])?$"
IMAGE_PREFIX = r"^[A-Za-z0-9][A-Za-z0-9._:/@-]*[/:@]$"
AcceleratorLabels = Annotated[
    dict[Annotated[str, Field(pattern=RESOURCES)], Annotated[str, Field(pattern=LABEL, max_length=317)]],
    Field(max_length=64, json_schema_extra={"additionalProperties": False}),
]
"""By resource, the node label that names its product; `nvidia.com/mig-*` stands for all that begin so, `*` for all."""
ImagePrefixes = Annotated[tuple[Annotated[str, Field(pattern=IMAGE_PREFIX, max_length=512)], ...], Field(max_length=64)]
"""What an image must begin with, each ending in `/`, `:` or `@`, so that no name can be a part of another."""
PROMETHEUS_URL = r"^https?://[A-Za-z0-9._:/%~\[\]-]+$"
"""Without a user, a query or a fragment."""
Peers = Annotated[tuple[dict[str, JsonValue], ...], Field(max_length=64)]


def is_nvidia(resource: str) -> bool:
    """Whether an extended resource is of devices that dcgm-exporter shows."""
    return resource.startswith("nvidia.com/")


def is_shared(resource: str) -> bool:
    """Whether several pods have one of its devices, as its name says."""
    return resource.endswith(".shared")


class NetworkRules(Document):
    """NetworkPolicies around a run's pods."""

    enabled: bool = True
    """Whether a model's pods may be reached by their bench pod and by monitoring only, and of bench pods the metrics
    only."""
    monitoring: Peers = ()
    """NetworkPolicyPeers that may reach the metrics of model and bench pods. Empty: anybody those of bench pods, nobody
    but their bench pod those of models."""
    egress: Peers | None = None
    """NetworkPolicyEgressRules of model pods. None: they may reach everything."""


class DcgmExporter(Document):
    """NVIDIA's dcgm-exporter: one pod on each node with accelerators."""

    namespace: Annotated[str, Field(pattern=OBJECT_NAME, min_length=1, max_length=63)]
    """Of its pods."""
    pod_labels: Annotated[dict[str, str], Field(min_length=1, max_length=16)]
    """Labels that its pods have, all of them."""
    port: Annotated[int, Field(ge=1, le=65535)] = 9400
    """Where they answer."""

    @property
    def selector(self) -> str:
        """The labels, as the API takes them."""
        return ",".join(f"{key}={value}" for key, value in sorted(self.pod_labels.items()))


class TelemetryRules(Document):
    """Who is asked what the accelerators of models do, and for the memory of models without any."""

    prometheus_url: Annotated[str | None, Field(pattern=PROMETHEUS_URL, max_length=1024)] = None
    """A Prometheus that reads dcgm-exporter; bench pods ask it. None: it is not asked."""
    dcgm: DcgmExporter | None = None
    """The exporter itself. None: it is not asked."""
    pod_metrics: bool = False
    """Whether `metrics.k8s.io` is asked for the memory of pods whose own reader has no figure."""


class Platform(Document):
    """Images, defaults and limits for the pods of a run."""

    version: str = __version__
    """Of the operator that started the run."""
    bench_image: Annotated[str, Field(min_length=1)]
    """Its whole name, with registry and tag or digest."""
    bench_pull_policy: Annotated[str, Field(pattern=PULL_POLICIES)] = "IfNotPresent"
    """When the kubelet asks the registry for it."""
    image_pull_secrets: tuple[str, ...] = ()
    """For the bench image, in the benchmark's namespace."""
    serving: Serving | None = None
    """Under the benchmark's own `spec.serving`."""
    client: ClientSpec | None = None
    """Under the benchmark's own `spec.load.client`."""
    accelerator_labels: AcceleratorLabels = Field(default_factory=dict)
    """See `product_label`."""
    image_prefixes: ImagePrefixes = ()
    """What the image of a model must begin with. Empty: any image."""
    pod_patch: bool = True
    """Whether `serving.podPatch` is allowed."""
    protect_pods: bool = True
    """Whether pods ask autoscalers not to move them and meshes not to join them."""
    scrape_annotations: bool = True
    """Whether bench pods carry `prometheus.io/*`. Not where a PodMonitor finds them: they would be scraped twice."""
    network: NetworkRules = NetworkRules()
    telemetry: TelemetryRules = TelemetryRules()

    @property
    def provenance(self) -> dict[str, JsonValue]:
        """Which software measured, and where, as results say it. No node or user."""
        return {"perbench": self.version, "benchImage": self.bench_image, "where": "Cluster"}

    def product_label(self, resource: str) -> str | None:
        """The node label that names the product of an accelerator: that of the longest entry it fits. None: none."""
        fitting = [
            entry
            for entry in self.accelerator_labels
            if entry == resource or (entry.endswith("*") and resource.startswith(entry[:-1]))
        ]
        return self.accelerator_labels[max(fitting, key=len)] if fitting else None
