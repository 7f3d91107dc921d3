"""The values of the Helm charts: the source of `values.yaml`, `values.schema.json` and `docs/chart-values.md`."""

from enum import StrEnum
from typing import Annotated

from pydantic import Field, JsonValue

from perbench.base import Document
from perbench_operator.configuration import LogLevel, Scope

Quantity = Annotated[str, Field(pattern=r"^[0-9]+(\.[0-9]+)?(m|k|M|G|T|Ki|Mi|Gi|Ti)?$")] | Annotated[float, Field(ge=0)]
"""An amount of a resource: 2, "100m", "128Mi"."""
Cidr = Annotated[str, Field(pattern=r"^[0-9a-fA-F.:]+/[0-9]{1,3}$")]
"""A range of addresses, such as 10.0.0.1/32."""
Port = Annotated[int, Field(ge=1, le=65535)]
Secret = Annotated[str, Field(min_length=1, max_length=253)]
Labels = dict[str, str]


class PullPolicy(StrEnum):
    """When the kubelet asks the registry."""

    ALWAYS = "Always"
    IF_NOT_PRESENT = "IfNotPresent"
    NEVER = "Never"


class Image(Document):
    """One image: `imageRegistry`/`repository`, then `@digest` or `:tag`."""

    repository: Annotated[str, Field(min_length=1)]
    """Its name in the registry."""
    tag: str = ""
    """Its tag. Empty: the version of the chart's application."""
    digest: Annotated[str, Field(pattern=r"^(sha256:[0-9a-f]{64})?$")] = ""
    """`sha256:…`; then the tag is not looked at."""
    pull_policy: PullPolicy = PullPolicy.IF_NOT_PRESENT
    """When the kubelet asks the registry."""


class Images(Document):
    """The images that the chart starts."""

    operator: Image = Image(repository="perbench/operator")
    """The operator."""


class PullSecret(Document):
    """A Secret of type kubernetes.io/dockerconfigjson in the release's namespace."""

    name: Secret
    """Its name."""


class Watch(Document):
    """What the operator watches."""

    namespaces: Annotated[Scope, Field(max_length=64)] = ()
    """Namespaces whose benchmarks are watched; each must exist, and gets a Role and a RoleBinding. Empty: all
    namespaces, by a ClusterRole. To name them is the narrower choice."""


class Resources(Document):
    """Requests and limits of a container."""

    requests: dict[str, Quantity] = Field(default_factory=dict)
    """What is set aside."""
    limits: dict[str, Quantity] = Field(default_factory=dict)
    """What it may use at most."""


class Toleration(Document):
    """A taint of nodes that does not keep the pod away."""

    key: str | None = None
    """Key of the taint. Absent: any."""
    operator: Annotated[str | None, Field(pattern="^(Exists|Equal)$")] = None
    """`Exists` or `Equal`."""
    value: str | None = None
    """Value of the taint."""
    effect: Annotated[str | None, Field(pattern="^(NoSchedule|PreferNoSchedule|NoExecute)$")] = None
    """`NoSchedule`, `PreferNoSchedule` or `NoExecute`. Absent: any."""
    toleration_seconds: Annotated[int | None, Field(ge=0)] = None
    """How long, with `NoExecute`."""


class Operator(Document):
    """The operator's pod."""

    log_level: LogLevel = LogLevel.INFO
    """How much is logged."""
    probe_port: Port = 8081
    """Where the kubelet's probes are answered."""
    resources: Resources = Resources(requests={"cpu": "50m", "memory": "128Mi"}, limits={"memory": "512Mi"})
    """Requests and limits. No CPU limit by default: it would slow the start and nothing else."""
    node_selector: Labels = Field(default_factory=dict)
    """Labels that the node must have."""
    tolerations: tuple[Toleration, ...] = ()
    """Taints that do not keep it away."""
    affinity: dict[str, JsonValue] = Field(default_factory=dict)
    """Affinity, as in a pod; checked by the API server."""
    priority_class_name: str = ""
    """Its PriorityClass. Empty: the cluster's default."""


class Egress(Document):
    """What the operator may reach: the API server."""

    enabled: bool = False
    """Whether anything else is denied."""
    api_server_cidrs: tuple[Cidr, ...] = ()
    """Addresses of the API server, as seen after the Service (`kubectl get endpointslices -n default`). Empty: any."""
    api_server_ports: Annotated[tuple[Port, ...], Field(min_length=1)] = (443, 6443)
    """Its ports."""


class NetworkPolicies(Document):
    """Network policies. They do something only where the cluster's network enforces them."""

    enabled: bool = True
    """Whether connections to the operator are denied. Probes come from its own node, which is always allowed."""
    egress: Egress = Egress()
    """Connections from the operator."""


class AdmissionPolicy(Document):
    """The rule that whoever asks for pods must be allowed to create them."""

    enabled: bool = True
    """Whether creating a PERBenchmark, or changing its spec or its annotation perbench.dev/run, needs the right to
    create pods in its namespace. To install this takes the rights of a cluster administrator."""


class AggregatedRoles(Document):
    """Roles for users, added to Kubernetes' own."""

    enabled: bool = True
    """Whether the roles view, edit and admin get their part for PERBenchmarks. To install this takes the rights of a
    cluster administrator."""


class ChartValues(Document):
    """Values of the chart `perbench`."""

    global_: Annotated[dict[str, JsonValue] | None, Field(alias="global")] = None
    """Helm's own, where this chart is part of another. Not used here."""
    image_registry: Annotated[str, Field(pattern=r"^([A-Za-z0-9.-]+(:[0-9]+)?(/[a-z0-9._/-]+)?)?$")] = ""
    """The registry that holds the images, without `https://`, such as registry.example.org/team. It must be set: no
    images are published, see docs/install.md."""
    images: Images = Images()
    """The images that the chart starts."""
    image_pull_secrets: tuple[PullSecret, ...] = ()
    """Secrets for the registry, in the release's namespace."""
    watch: Watch = Watch()
    """What the operator watches."""
    operator: Operator = Operator()
    """The operator's pod."""
    network_policy: NetworkPolicies = NetworkPolicies()
    """Network policies."""
    admission_policy: AdmissionPolicy = AdmissionPolicy()
    """The rule that whoever asks for pods must be allowed to create them."""
    aggregated_roles: AggregatedRoles = AggregatedRoles()
    """Roles for users, added to Kubernetes' own."""


class CrdChartValues(Document):
    """Values of the chart `perbench-crds`."""

    global_: Annotated[dict[str, JsonValue] | None, Field(alias="global")] = None
    """Helm's own, where this chart is part of another. Not used here."""
    keep: bool = True
    """Whether the CRD, and with it every PERBenchmark, stays when the chart is uninstalled."""
