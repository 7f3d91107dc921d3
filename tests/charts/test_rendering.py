"""What the charts render to, with Helm 4 and Helm 3 alike."""

import copy
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from perbench.api.crd import custom_resource_definition
from perbench.api.load import ClientSpec
from perbench.api.serving import Serving
from perbench_operator.chart_files import leaves, values_of
from perbench_operator.chart_values import ACCELERATOR_LABELS, ChartValues
from perbench_operator.configuration import OperatorConfiguration
from perbench_operator.platform import DcgmExporter, TelemetryRules
from tests.support.charts import CHARTS, OLDEST, VALUES, Helm, objects, of_kind
from tests.support.golden import ROOT, assert_golden

SETS = sorted(VALUES.glob("*-values.yaml"))
MINIMAL = ("--values", VALUES / "default-values.yaml")
RIGHTS = {
    "perbenchmarks.perbench.dev": "get list watch",
    "perbenchmarks/status.perbench.dev": "patch",
    "jobs.batch": "get list watch create delete",
    "pods": "get list watch delete",
    "configmaps": "get list watch create patch delete",
    "services": "get list create delete",
    "serviceaccounts": "get list create delete",
    "roles.rbac.authorization.k8s.io": "get list create delete",
    "rolebindings.rbac.authorization.k8s.io": "get list create delete",
    "networkpolicies.networking.k8s.io": "get list create delete",
    "persistentvolumeclaims": "get",
    "events": "list create patch",
    "events.events.k8s.io": "list create patch",
}
"""All that the operator may do in a namespace that it watches."""
TELEMETRY = TelemetryRules(
    prometheus_url="https://prometheus.example.org:9090/cluster",
    dcgm=DcgmExporter(namespace="gpus", pod_labels={"app.kubernetes.io/name": "dcgm-exporter"}, port=9401),
    pod_metrics=True,
)
"""What everything-values.yaml says."""
CLUSTER_KINDS = (
    "ClusterRole",
    "ClusterRoleBinding",
    "ValidatingAdmissionPolicy",
    "ValidatingAdmissionPolicyBinding",
)


@pytest.mark.parametrize("path", SETS, ids=lambda path: path.stem)
def test_golden(helm: Helm, path: Path) -> None:
    manifests = helm.template("perbench", "--values", path)
    name = path.stem.removesuffix("-values")
    # Helm 3 and 4 differ in empty lines between objects; Helm orders kinds, and the order within one is the chart's.
    # Dashboards are generated, and thousands of lines; test_dashboards.py holds what is left out here.
    shortened = re.sub(r"(  perbench-[a-z-]+\.json: \|\n)(?:    .*\n)+", r"\1    …\n", manifests)
    assert_golden(ROOT / f"charts/{name}.yaml", re.sub(r"\n\n+", "\n", shortened))


def test_every_golden_rendering_has_its_values() -> None:
    named = {path.stem for path in (ROOT / "charts").glob("*.yaml")}
    assert named == {path.stem.removesuffix("-values") for path in SETS}


@pytest.mark.parametrize("path", SETS, ids=lambda path: path.stem)
def test_lint(helm: Helm, path: Path) -> None:
    assert "0 chart(s) failed" in helm("lint", "--strict", CHARTS / "perbench", "--values", path)


def test_lint_of_the_crds(helm: Helm) -> None:
    assert "0 chart(s) failed" in helm("lint", "--strict", CHARTS / "perbench-crds")


@pytest.mark.parametrize("keep", [True, False])
def test_the_crd_is_the_generated_one(helm: Helm, keep: bool) -> None:
    (crd,) = objects(helm.template("perbench-crds", "--set", f"keep={str(keep).lower()}"))
    annotations = crd["metadata"].pop("annotations", {})
    assert annotations == ({"helm.sh/resource-policy": "keep"} if keep else {})
    assert crd == custom_resource_definition()


def test_without_a_registry_it_says_what_to_set(helm: Helm) -> None:
    done = helm.run("template", "perbench", CHARTS / "perbench", *OLDEST)
    assert done.returncode != 0
    assert "set imageRegistry: the registry that holds the images of perbench" in done.stderr


@pytest.mark.parametrize(
    ("setting", "complaint"),
    [
        ("replicas=2", "replicas"),
        ("operator.replicas=2", "replicas"),
        ("operator.logLevel=Loud", "/operator/logLevel"),
        ("imageRegistry=https://registry.example.org", "/imageRegistry"),
        ("images.operator.digest=sha256:abc", "/images/operator/digest"),
        ("watch.namespaces={Team_A}", "/watch/namespaces/0"),
        ("watch.namespaces={team-a,team-b,team-a}", "/watch/namespaces"),
        ("operator.resources.limits.memory=much", "/operator/resources/limits/memory"),
        ("operator.probePort=0", "/operator/probePort"),
        ("operator.metricsPort=65536", "/operator/metricsPort"),
        ("monitoring.podMonitor.interval=often", "/monitoring/podMonitor/interval"),
        ("monitoring.prometheusRule.runbookUrl=docs", "/monitoring/prometheusRule/runbookUrl"),
        ("maxConcurrentModels=0", "/maxConcurrentModels"),
        ("defaults.serving.replica=2", "/defaults/serving"),
        ("defaults.serving.runtime=vllm", "/defaults/serving/runtime"),
        ("defaults.client.lingerSeconds=-1", "/defaults/client/lingerSeconds"),
        ("policy.imagePrefixes={ghcr.io}", "/policy/imagePrefixes/0"),
        ("acceleratorLabels.gpu=product", "/acceleratorLabels"),
        ("grafana.url=grafana.example.org", "/grafana/url"),
        ("grafana.url=https://user:password@grafana", "/grafana/url"),
        ("grafana.tokenSecret.key=the key", "/grafana/tokenSecret/key"),
        ("grafana.token=glsa_1", "token"),
        ("grafana.dashboards.label=grafana dashboard", "/grafana/dashboards/label"),
        ("grafana.dashboards.labelValue=very nice", "/grafana/dashboards/labelValue"),
    ],
)
def test_values_outside_the_schema_are_refused(helm: Helm, setting: str, complaint: str) -> None:
    done = helm.run("template", "perbench", CHARTS / "perbench", *OLDEST, *MINIMAL, "--set", setting)
    assert done.returncode != 0
    said = done.stderr.replace(".", "/")  # Helm 3 writes paths with dots
    assert complaint in said


def test_one_port_for_two_things_is_refused(helm: Helm) -> None:
    port = ("--set", "operator.metricsPort=8081")
    done = helm.run("template", "perbench", CHARTS / "perbench", *OLDEST, *MINIMAL, *port)
    assert done.returncode != 0
    assert "operator.probePort and operator.metricsPort are both 8081: give each a port of its own" in done.stderr


def test_the_chart_can_be_part_of_another(helm: Helm, tmp_path: Path) -> None:
    """Helm gives `global` to every part; a schema that does not know it would refuse that."""
    (tmp_path / "charts").mkdir()
    (tmp_path / "charts/perbench").symlink_to(CHARTS / "perbench")
    (tmp_path / "Chart.yaml").write_text("{apiVersion: v2, name: platform, version: 0.1.0}\n")
    (tmp_path / "values.yaml").write_text("{global: {team: a}, perbench: {imageRegistry: registry.example.org}}\n")
    assert of_kind(helm("template", "platform", tmp_path, *OLDEST), "Deployment")


@pytest.mark.parametrize("chart", ["perbench", "perbench-crds"])
def test_an_older_kubernetes_is_refused(helm: Helm, chart: str) -> None:
    done = helm.run("template", "perbench", CHARTS / chart, "--kube-version", "1.29.9")
    assert done.returncode != 0
    assert "requires kubeVersion: >=1.30.0-0" in done.stderr


def test_the_configuration_is_what_the_operator_reads(helm: Helm) -> None:
    for path in SETS:
        read = OperatorConfiguration.model_validate(configuration(helm.template("perbench", "--values", path)))
        values = yaml.safe_load(path.read_text())
        assert list(read.namespaces) == values.get("watch", {}).get("namespaces", [])
        assert read.read_nodes == values.get("readNodes", True)
        platform = read.platform
        assert platform.bench_image.startswith(values["imageRegistry"] + "/")
        given = values.get("defaults", {})
        assert platform.serving == Serving.model_validate(given.get("serving", {}))
        assert platform.client == ClientSpec.model_validate(given.get("client", {}))
        assert (platform.network.egress is None) == (path.stem != "everything-values")
        assert platform.telemetry == (TELEMETRY if values.get("telemetry") else TelemetryRules())


def configuration(manifests: str) -> dict[str, Any]:
    """What the operator reads at its start."""
    (found,) = (each for each in of_kind(manifests, "ConfigMap") if "operator.yaml" in each["data"])
    read: dict[str, Any] = yaml.safe_load(found["data"]["operator.yaml"])
    return read


def test_the_value_that_confines_models_is_the_one_that_the_manual_names(helm: Helm) -> None:
    manual = (CHARTS.parent / "docs/operations.md").read_text()
    (name,) = re.findall(r"They may reach everything, unless the chart value `([\w.]+)` says otherwise", manual)
    confined = configuration(helm.template("perbench", *MINIMAL, "--set", f"{name}.enabled=true"))
    assert confined["platform"]["network"]["egress"] == []


def test_the_operator_is_confined_also_where_everybody_may_reach_it(helm: Helm) -> None:
    """Whoever sets `networkPolicy.egress.enabled` and nothing else would think that it is."""
    reached = ("--set", "networkPolicy.enabled=false")
    assert of_kind(helm.template("perbench", *MINIMAL, *reached), "NetworkPolicy") == []
    confined = helm.template("perbench", *MINIMAL, *reached, "--set", "networkPolicy.egress.enabled=true")
    (policy,) = of_kind(confined, "NetworkPolicy")
    assert policy["spec"]["policyTypes"] == ["Egress"]
    assert "ingress" not in policy["spec"]
    assert policy["spec"]["egress"] == [{"ports": [{"port": port, "protocol": "TCP"} for port in (443, 6443)]}]


def test_without_a_grafana_nothing_of_it_is_there(helm: Helm) -> None:
    manifests = helm.template("perbench", *MINIMAL)
    assert "grafana" not in manifests
    assert "fsGroup" not in manifests


def test_the_token_of_grafana_is_a_file_that_nobody_else_can_read(helm: Helm) -> None:
    """And no right to read Secrets comes with it."""
    url = ("--set", "grafana.url=https://grafana.example.org")
    manifests = helm.template("perbench", *MINIMAL, *url)
    assert [each for each in objects(manifests) if "secrets" in str(each.get("rules"))] == []
    (deployment,) = of_kind(manifests, "Deployment")
    pod = deployment["spec"]["template"]["spec"]
    (volume,) = [each for each in pod["volumes"] if "secret" in each]
    assert volume["secret"] == {
        "secretName": "perbench-grafana", "items": [{"key": "token", "path": "token"}], "defaultMode": 0o400,
        "optional": True,
    }  # fmt: skip
    assert pod["securityContext"]["fsGroup"] == pod["securityContext"]["runAsGroup"]
    target = OperatorConfiguration.model_validate(configuration(manifests)).grafana
    assert target is not None
    (mount,) = [each for each in pod["containers"][0]["volumeMounts"] if each["name"] == volume["name"]]
    assert (str(target.token_file), mount["readOnly"]) == (f"{mount['mountPath']}/token", True)
    assert (target.url, target.dashboards, target.folder) == ("https://grafana.example.org", True, "perbench")
    both = configuration(helm.template("perbench", *MINIMAL, *url, "--set", "grafana.dashboards.enabled=true"))
    assert both["grafana"]["dashboards"] is False, "ConfigMaps bring them"


def test_values_of_an_older_chart_that_lack_what_is_newer_are_whole(helm: Helm) -> None:
    """As `helm upgrade --reuse-values` gives them: without the defaults of this chart."""
    url = ("--set", "grafana.url=https://grafana.example.org")
    lacking = ("--set", "grafana.tokenSecret=null", "--set", "grafana.folder=null", "--set", "grafana.dashboards=null")
    assert objects(helm.template("perbench", *MINIMAL, *url, *lacking)) == objects(
        helm.template("perbench", *MINIMAL, *url)
    )


def test_an_entry_of_a_map_can_be_taken_out(helm: Helm) -> None:
    def labels(*arguments: str) -> dict[str, str]:
        platform = configuration(helm.template("perbench", *MINIMAL, *arguments))["platform"]
        found: dict[str, str] = platform["acceleratorLabels"]
        return found

    assert labels() == ACCELERATOR_LABELS
    without = {name: label for name, label in ACCELERATOR_LABELS.items() if name != "*"}
    assert labels("--set", "acceleratorLabels.*=null") == without


def test_a_change_of_the_configuration_starts_a_new_pod(helm: Helm) -> None:
    def checksum(*arguments: str) -> str:
        (deployment,) = of_kind(helm.template("perbench", *MINIMAL, *arguments), "Deployment")
        return str(deployment["spec"]["template"]["metadata"]["annotations"]["checksum/config"])

    assert checksum() == checksum()
    assert checksum() != checksum("--set", "operator.logLevel=Debug")


@pytest.mark.parametrize("path", SETS, ids=lambda path: path.stem)
def test_pods_are_restricted(helm: Helm, path: Path) -> None:
    """The Pod Security Standard `restricted`, and a root that is read-only."""
    (deployment,) = of_kind(helm.template("perbench", "--values", path), "Deployment")
    pod = deployment["spec"]["template"]["spec"]
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["runAsUser"] > 0
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert not any(pod.get(name) for name in ("hostNetwork", "hostPID", "hostIPC", "initContainers"))
    assert {next(iter(set(volume) - {"name"})) for volume in pod["volumes"]} <= {"configMap", "secret"}
    for container in pod["containers"]:
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert container["resources"]["requests"]
        assert container["resources"]["limits"]["memory"]


@pytest.mark.parametrize("path", SETS, ids=lambda path: path.stem)
def test_what_the_operator_may_do(helm: Helm, path: Path) -> None:
    """All of its rights, so that a new one has to be written here, and into the table of docs/install.md."""
    manifests = helm.template("perbench", "--values", path)
    values = yaml.safe_load(path.read_text())
    bindings = of_kind(manifests, "RoleBinding", "ClusterRoleBinding")
    roles = {role["metadata"]["name"]: role for role in of_kind(manifests, "Role", "ClusterRole")}
    found = {}
    for binding in bindings:
        assert [subject["kind"] for subject in binding["subjects"]] == ["ServiceAccount"]
        name = binding["roleRef"]["name"]
        found[name.rsplit(":", 1)[1]] = binding["kind"], rights(roles[name]["rules"])
    more = {"pods.metrics.k8s.io": "get"} if values.get("telemetry") else {}
    expected = {"operator": ("RoleBinding" if values.get("watch") else "ClusterRoleBinding", RIGHTS | more)}
    if values.get("readNodes", True):
        expected["nodes"] = "ClusterRoleBinding", {"nodes": "get"}
    if values.get("telemetry"):
        expected["dcgm-exporter"] = "RoleBinding", {"pods": "list"}
    assert found == expected


def rights(rules: list[dict[str, Any]]) -> dict[str, str]:
    """The verbs of each resource; none is named twice."""
    pairs = [
        (f"{resource}.{group}".rstrip("."), " ".join(rule["verbs"]))
        for rule in rules
        for group in rule["apiGroups"]
        for resource in rule["resources"]
    ]
    assert len(dict(pairs)) == len(pairs)
    return dict(pairs)


def test_the_rights_are_in_the_manual() -> None:
    """In its table, whose rows read `| the operator | where | get, list and watch `this`, `that` | … |`."""
    manual = (CHARTS.parent / "docs/install.md").read_text()
    written = {}
    of_itself = manual.replace("| the operator (`telemetry", "| who reads accelerators (`telemetry")
    for may in re.findall(r"^\| the operator[^|]* \| [^|]+ \| ([^|]+) \|", of_itself, re.MULTILINE):
        verbs, *_ = may.split(" `")
        written |= dict.fromkeys(re.findall(r"`([^`]+)`", may), verbs.replace(" and ", " ").replace(",", ""))
    # Two groups have events; the groups of the others say nothing new.
    wanted = {name if name.startswith("events") else name.split(".")[0]: verbs for name, verbs in RIGHTS.items()}
    assert written == {**wanted, "nodes": "get"}
    assert "| the operator (`telemetry.dcgm`) | the exporter's namespace | list `pods` |" in manual
    assert "| the operator (`telemetry.podMetrics`) | watched namespaces | get `pods` of `metrics.k8s.io` |" in manual


def test_two_releases_share_no_name(helm: Helm) -> None:
    """Also where release and namespace put together would read the same."""

    def names(release: str, namespace: str) -> set[tuple[str, Any, str]]:
        manifests = helm.template("perbench", *MINIMAL, release=release, namespace=namespace)
        metadata = [(each["kind"], each["metadata"]) for each in objects(manifests)]
        found = [(kind, where.get("namespace"), where["name"]) for kind, where in metadata]
        assert len(found) == len(set(found))
        assert {kind for kind, place, _ in found if place is None} == set(CLUSTER_KINDS)
        return set(found)

    pairs = [("a", "b-c"), ("a-b", "c"), ("b-c", "a"), ("perbench", "a"), ("perbench", "b"), ("a.b", "c"), ("a", "b")]
    seen: set[tuple[str, Any, str]] = set()
    for pair in pairs:
        found = names(*pair)
        assert not found & seen
        seen |= found


def test_long_names_fit(helm: Helm) -> None:
    release, namespace = "r" * 53, "n" * 63
    for each in objects(helm.template("perbench", *MINIMAL, release=release, namespace=namespace)):
        limit = 253 if each["kind"] in CLUSTER_KINDS else 63
        assert len(each["metadata"]["name"]) <= limit
        assert all(len(value) <= 63 for value in each["metadata"]["labels"].values())


FLAGS = (
    "networkPolicy.enabled",
    "networkPolicy.models.enabled",
    "admissionPolicy.enabled",
    "aggregatedRoles.enabled",
    "readNodes",
)
"""Values whose default is what the set `everything` has too."""
ALL_VALUES = {".".join(value.path): value for value in leaves(values_of(ChartValues()))}


@pytest.mark.parametrize("path", ALL_VALUES)
def test_every_value_does_something(helm: Helm, tmp_path: Path, path: str) -> None:
    """Against a set in which each has another value than its default, each default makes a difference."""
    everything = yaml.safe_load((VALUES / "everything-values.yaml").read_text())
    if path.startswith("images.") and path.endswith(".tag"):
        everything["images"][path.split(".")[1]]["digest"] = ""  # with a digest the tag does not matter
    *parents, name = path.split(".")
    changed: Any = copy.deepcopy(everything)
    parent = changed
    for step in parents:
        parent = parent.setdefault(step, {})
    assert (name in parent) == (path not in FLAGS), "the set everything has to say something else"
    if path == "imageRegistry":
        parent[name] = "registry.example.org"  # it has no default to render with
    else:
        parent[name] = False if path in FLAGS else ALL_VALUES[path].default
    assert rendered(helm, tmp_path, changed) != rendered(helm, tmp_path, everything)


def rendered(helm: Helm, folder: Path, values: Any) -> str:
    (folder / "values.yaml").write_text(yaml.safe_dump(values))
    return helm.template("perbench", "--values", folder / "values.yaml")
