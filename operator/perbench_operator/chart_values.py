"""The values of the Helm charts: the source of `values.yaml`, `values.schema.json` and `docs/chart-values.md`."""

from enum import StrEnum
from typing import Annotated

from pydantic import Field, JsonValue

from perbench.api.load import ClientSpec
from perbench.api.serving import Serving
from perbench.api.text import OBJECT_NAME
from perbench.base import Document
from perbench_operator.configuration import HTTP_URL, LogLevel, MaxConcurrentModels, Scope
from perbench_operator.platform import PROMETHEUS_URL, AcceleratorLabels, ImagePrefixes, Peers

Quantity = Annotated[str, Field(pattern=r"^[0-9]+(\.[0-9]+)?(m|k|M|G|T|Ki|Mi|Gi|Ti)?$")] | Annotated[float, Field(ge=0)]
"""An amount of a resource: 2, "100m", "128Mi"."""
Cidr = Annotated[str, Field(pattern=r"^[0-9a-fA-F.:]+/[0-9]{1,3}$")]
"""A range of addresses, such as 10.0.0.1/32."""
Port = Annotated[int, Field(ge=1, le=65535)]
Secret = Annotated[str, Field(min_length=1, max_length=253)]
Labels = dict[str, str]
Interval = Annotated[str, Field(pattern=r"^([0-9]+(ms|s|m|h))?$")]
"""A duration as Prometheus writes it."""
LabelName = Annotated[str, Field(pattern=r"^([a-z0-9.-]+/)?[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?$")]
LabelValue = Annotated[str, Field(pattern=r"^([A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?)?$")]
ACCELERATOR_LABELS = {
    "nvidia.com/gpu": "nvidia.com/gpu.product",
    "nvidia.com/gpu.shared": "nvidia.com/gpu.product",
    "nvidia.com/mig-*": "nvidia.com/gpu.product",
    "amd.com/gpu": "amd.com/gpu.product-name",
    "*": "node.kubernetes.io/instance-type",
}
"""Those of the vendors' own labellers. Elsewhere the type of the machine, which clouds name by what is in it."""


DCGM_LABELS = {"app": "nvidia-dcgm-exporter"}
"""Those of NVIDIA's GPU operator."""


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
    """The images of perbench itself."""

    operator: Image = Image(repository="perbench/operator")
    """The operator."""
    bench: Image = Image(repository="perbench/bench")
    """The bench pods, and what reads memory beside a model."""


class Defaults(Document):
    """What holds for benchmarks that say nothing else: under their own `spec.serving` and `spec.load.client`, merged
    in the same way as a model's `serving` is over the benchmark's."""

    serving: Serving = Serving()
    """How models are served; the fields of `spec.serving` (docs/reference.md)."""
    client: ClientSpec = ClientSpec()
    """The bench pods; the fields of `spec.load.client` (docs/reference.md)."""


class Policy(Document):
    """What benchmarks may ask for. One that asks for more is not accepted: `PolicyDenied`."""

    image_prefixes: ImagePrefixes = ()
    """What the images of a model's pod must begin with, each ending in `/`, `:` or `@`, such as
    `registry.example.org/models/`. Empty: any image."""
    pod_patch: bool = True
    """Whether `serving.podPatch` may be used."""


class PullSecret(Document):
    """A Secret of type kubernetes.io/dockerconfigjson."""

    name: Secret
    """Its name."""


class Watch(Document):
    """What the operator watches."""

    namespaces: Annotated[Scope, Field(max_length=64, json_schema_extra={"uniqueItems": True})] = ()
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
    metrics_port: Port = 8082
    """Where Prometheus reads the operator's metrics, and the results (docs/metrics.md)."""
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
    """Whether connections to anything but the API server and what `rules` name are denied; also where
    `networkPolicy.enabled` is false."""
    api_server_cidrs: tuple[Cidr, ...] = ()
    """Addresses of the API server, as seen after the Service (`kubectl get endpointslices -n default`). Empty: any."""
    api_server_ports: Annotated[tuple[Port, ...], Field(min_length=1)] = (443, 6443)
    """Its ports."""
    rules: Peers = ()
    """Further NetworkPolicyEgressRules. With `grafana.url`: Grafana, and DNS where that is a name. Empty: the API
    server alone."""


class ModelEgress(Document):
    """Connections from a model's pods."""

    enabled: bool = False
    """Whether anything else than `rules` is denied; also where `networkPolicy.models.enabled` is false."""
    rules: Peers = ()
    """NetworkPolicyEgressRules. Models that are downloaded need DNS and the hub. Empty: nothing can be reached."""


class ModelNetwork(Document):
    """The network policies that the operator makes around the pods of a run."""

    enabled: bool = True
    """Whether connections to a model's pods are denied, but those of its bench pod and of `monitoring`: whoever else
    asks the model spoils the measurement. Of bench pods, only their metrics can then be reached."""
    monitoring: Peers = ()
    """NetworkPolicyPeers that may read the metrics of model and bench pods. Empty: anybody those of bench pods, nobody
    those of models."""
    egress: ModelEgress = ModelEgress()
    """Connections from a model's pods."""


class NetworkPolicies(Document):
    """Network policies. They do something only where the cluster's network enforces them."""

    enabled: bool = True
    """Whether connections to the operator are denied, but those of `monitoring`. Probes come from its own node, which
    is always allowed."""
    monitoring: Peers = ()
    """NetworkPolicyPeers that may read the operator's metrics. Empty: nobody; with `monitoring.serviceMonitor` or
    `monitoring.prometheusRule`, which say that they are read, every pod of the cluster. Name your Prometheus, and where
    it is in no pod's network (hostNetwork, another cluster) its address, as an `ipBlock`."""
    egress: Egress = Egress()
    """Connections from the operator."""
    models: ModelNetwork = ModelNetwork()
    """The network policies that the operator makes around the pods of a run."""


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


class PodMonitor(Document):
    """A PodMonitor of prometheus-operator for the bench pods, in every namespace that is watched."""

    enabled: bool = False
    """Whether there is one. The cluster must know the kind."""
    labels: Labels = Field(default_factory=dict)
    """Labels by which your Prometheus selects it, such as `release: prometheus`."""
    interval: Interval = ""
    """Time between two scrapes, such as `5s`. Empty: Prometheus' own. A bench pod stays for
    `load.client.lingerSeconds` after its last stage, so that its last figures are read."""


class ServiceMonitor(Document):
    """A ServiceMonitor of prometheus-operator for the operator itself. With it the operator's pod has no annotations
    `prometheus.io/…`, so that nobody reads it twice."""

    enabled: bool = False
    """Whether there is one. The cluster must know the kind."""
    labels: Labels = Field(default_factory=dict)
    """Labels by which your Prometheus selects it, such as `release: prometheus`."""
    interval: Interval = ""
    """Time between two scrapes, such as `30s`. Empty: Prometheus' own."""


class PrometheusRule(Document):
    """A PrometheusRule of prometheus-operator with the alerts of charts/perbench/files/alerts.yaml."""

    enabled: bool = False
    """Whether there is one. The cluster must know the kind."""
    labels: Labels = Field(default_factory=dict)
    """Labels by which your Prometheus selects it, such as `release: prometheus`."""
    runbook_url: Annotated[str, Field(pattern=r"^(https?://[^\s#]+)?$")] = ""
    """Where people read docs/runbooks.md as a page; each alert then has a `runbook_url` with its section. Empty: alerts
    name the file alone."""


class Monitoring(Document):
    """Objects for prometheus-operator. Without it: annotations `prometheus.io/…`, and the Service of the operator."""

    pod_monitor: PodMonitor = PodMonitor()
    """A PodMonitor for the bench pods."""
    service_monitor: ServiceMonitor = ServiceMonitor()
    """A ServiceMonitor for the operator. `networkPolicy.monitoring` says who is let in."""
    prometheus_rule: PrometheusRule = PrometheusRule()
    """Alerts. One of them is that nobody reads the operator: `networkPolicy.monitoring` says who is let in."""


class Dashboards(Document):
    """A ConfigMap per dashboard (docs/grafana.md), for the sidecar that brings such ConfigMaps into Grafana."""

    enabled: bool = False
    """Whether there are any. For one release per Grafana: all releases have the same dashboards. The operator then
    brings none itself, also with `grafana.url`."""
    label: LabelName = "grafana_dashboard"
    """The label by which Grafana's sidecar finds them (`sidecar.dashboards.label` of Grafana's chart)."""
    label_value: LabelValue = "1"
    """Its value (`sidecar.dashboards.labelValue`)."""
    folder: str = "perbench"
    """Grafana's folder, as annotation `grafana_folder` (`sidecar.dashboards.folderAnnotation`). Empty: none."""
    labels: Labels = Field(default_factory=dict)
    """Further labels."""


class TokenSecret(Document):
    """A Secret in the release's namespace, with the token of a service account of Grafana that has the role Editor;
    with `grafana.prometheusUrl`, Admin. It is mounted into the operator's pod alone and read from there at every use,
    so that another token needs no restart."""

    name: Secret = "perbench-grafana"
    """Its name."""
    key: Annotated[str, Field(pattern=r"^[-._a-zA-Z0-9]+$", max_length=253)] = "token"
    """The key that has the token."""


class Grafana(Document):
    """What Grafana is given."""

    url: Annotated[str, Field(pattern=rf"{HTTP_URL}|^$", max_length=2048)] = ""
    """Grafana's address, as the operator reaches it. The operator then brings it the dashboards when it starts, and
    marks each run in it (docs/grafana.md). Empty: neither, and `tokenSecret`, `folder` and `prometheusUrl` are of no
    use."""
    token_secret: TokenSecret = TokenSecret()
    """The Secret with Grafana's token."""
    folder: Annotated[str, Field(pattern=r"\S", max_length=189)] = "perbench"
    """The folder that the operator brings the dashboards into; it is made if need be. Not with
    `grafana.dashboards.enabled`, which has a folder of its own."""
    prometheus_url: Annotated[str, Field(pattern=rf"{HTTP_URL}|^$", max_length=2048)] = ""
    """Where Grafana reaches Prometheus: the operator makes a data source of it, too. Not with
    `grafana.dashboards.enabled`: the operator then brings Grafana neither dashboards nor a data source. Empty: there
    is one."""
    dashboards: Dashboards = Dashboards()
    """ConfigMaps with dashboards."""


class Dcgm(Document):
    """dcgm-exporter, read directly by the bench pods."""

    enabled: bool = False
    """Whether it is asked. The operator then finds its pods, for which it may list pods in that namespace."""
    namespace: Annotated[str, Field(pattern=OBJECT_NAME, min_length=1, max_length=63)] = "gpu-operator"
    """The namespace of its pods."""
    pod_labels: Annotated[dict[LabelName, LabelValue], Field(min_length=1, max_length=16)] = Field(
        default_factory=lambda: dict(DCGM_LABELS)
    )
    """Labels that its pods have, all of them. Those of the default are NVIDIA's GPU operator's; the chart of
    dcgm-exporter itself sets `app.kubernetes.io/name: dcgm-exporter`. A label that is set to null is left out."""
    port: Port = 9400
    """Where they answer."""


class Telemetry(Document):
    """Where bench pods learn how much memory of NVIDIA's accelerators a model holds, how busy they are and what energy
    they take; and the memory of models without accelerators, where it cannot be read beside them (docs/operations.md).
    Only for runs that start from then on."""

    prometheus_url: Annotated[str, Field(alias="prometheusURL", pattern=f"^$|{PROMETHEUS_URL}", max_length=1024)] = ""
    """A Prometheus that reads dcgm-exporter, without `/api/v1`, such as http://prometheus.monitoring.svc:9090. Asked
    without any credentials for what the exporter itself did not say. Empty: it is not asked."""
    dcgm: Dcgm = Dcgm()
    """dcgm-exporter itself."""
    pod_metrics: bool = False
    """Whether bench pods ask metrics.k8s.io (metrics-server) for the working set of a model without accelerators. It is
    the footprint where the memory reader in the model's pod has none. The operator then may get `pods` of that API in
    the namespaces that it watches, and gives it to bench pods for their model's own."""


class ChartValues(Document):
    """Values of the chart `perbench`."""

    global_: Annotated[dict[str, JsonValue] | None, Field(alias="global")] = None
    """Helm's own, where this chart is part of another. Not used here."""
    image_registry: Annotated[str, Field(pattern=r"^([A-Za-z0-9.-]+(:[0-9]+)?(/[a-z0-9._/-]+)?)?$")] = ""
    """The registry that holds the images, without `https://`, such as registry.example.org/team. It must be set: no
    images are published, see docs/install.md."""
    images: Images = Images()
    """The images of perbench itself."""
    image_pull_secrets: tuple[PullSecret, ...] = ()
    """Secrets for the registry: in the release's namespace, and of the same names in every namespace with benchmarks,
    for their bench pods."""
    watch: Watch = Watch()
    """What the operator watches."""
    operator: Operator = Operator()
    """The operator's pod."""
    defaults: Defaults = Defaults()
    """What holds for benchmarks that say nothing else."""
    max_concurrent_models: MaxConcurrentModels = 4
    """Models of all benchmarks together that are served at the same time; the others are `Queued`, first come first
    served."""
    accelerator_labels: AcceleratorLabels = Field(default_factory=lambda: dict(ACCELERATOR_LABELS))
    """By accelerator resource, the node label that names the product. `nvidia.com/mig-*` stands for all that begin so,
    `*` for all others."""
    read_nodes: bool = True
    """Whether the operator may get nodes, whose labels tell which accelerators a model ran on. Otherwise that is not
    recorded, and unlike accelerators are not found out. To install this takes the rights of a cluster administrator."""
    policy: Policy = Policy()
    """What benchmarks may ask for."""
    protect_pods: bool = True
    """Whether the pods of a run ask autoscalers not to move them, and service meshes not to join them."""
    network_policy: NetworkPolicies = NetworkPolicies()
    """Network policies. They do something only where the cluster's network enforces them."""
    monitoring: Monitoring = Monitoring()
    """Objects for prometheus-operator. Without them operator and bench pods have annotations `prometheus.io/…`."""
    telemetry: Telemetry = Telemetry()
    """Where bench pods learn what they cannot see themselves of a model's pods. For runs that start from then on."""
    grafana: Grafana = Grafana()
    """What Grafana is given."""
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
