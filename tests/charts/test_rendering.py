"""What the charts render to, with Helm 4 and Helm 3 alike."""

import copy
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from perbench.api.crd import custom_resource_definition
from perbench_operator.chart_files import leaves, values_of
from perbench_operator.chart_values import ChartValues
from perbench_operator.configuration import OperatorConfiguration
from tests.support.charts import CHARTS, OLDEST, VALUES, Helm, objects, of_kind
from tests.support.golden import ROOT, assert_golden

SETS = sorted(VALUES.glob("*-values.yaml"))
MINIMAL = ("--values", VALUES / "default-values.yaml")
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
    assert_golden(ROOT / f"charts/{name}.yaml", re.sub(r"\n\n+", "\n", manifests))


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
        ("operator.resources.limits.memory=much", "/operator/resources/limits/memory"),
        ("operator.probePort=0", "/operator/probePort"),
    ],
)
def test_values_outside_the_schema_are_refused(helm: Helm, setting: str, complaint: str) -> None:
    done = helm.run("template", "perbench", CHARTS / "perbench", *OLDEST, *MINIMAL, "--set", setting)
    assert done.returncode != 0
    said = done.stderr.replace(".", "/")  # Helm 3 writes paths with dots
    assert complaint in said


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
        (config,) = of_kind(helm.template("perbench", "--values", path), "ConfigMap")
        read = OperatorConfiguration.model_validate(yaml.safe_load(config["data"]["operator.yaml"]))
        assert list(read.namespaces) == yaml.safe_load(path.read_text()).get("watch", {}).get("namespaces", [])


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
    assert {next(iter(set(volume) - {"name"})) for volume in pod["volumes"]} == {"configMap"}
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
    namespaced = bool(yaml.safe_load(path.read_text()).get("watch"))
    bindings = of_kind(manifests, "RoleBinding", "ClusterRoleBinding")
    assert {binding["kind"] for binding in bindings} == {"RoleBinding" if namespaced else "ClusterRoleBinding"}
    roles = {role["metadata"]["name"]: role for role in of_kind(manifests, "Role", "ClusterRole")}
    for binding in bindings:
        assert [subject["kind"] for subject in binding["subjects"]] == ["ServiceAccount"]
        rules = roles[binding["roleRef"]["name"]]["rules"]
        assert rules == [{"apiGroups": ["perbench.dev"], "resources": ["perbenchmarks"], "verbs": ["list", "watch"]}]


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


FLAGS = ("networkPolicy.enabled", "admissionPolicy.enabled", "aggregatedRoles.enabled")
"""Values whose default is what the set `everything` has too."""
ALL_VALUES = {".".join(value.path): value for value in leaves(values_of(ChartValues()))}


@pytest.mark.parametrize("path", ALL_VALUES)
def test_every_value_does_something(helm: Helm, tmp_path: Path, path: str) -> None:
    """Against a set in which each has another value than its default, each default makes a difference."""
    everything = yaml.safe_load((VALUES / "everything-values.yaml").read_text())
    if path == "images.operator.tag":
        everything["images"]["operator"]["digest"] = ""  # with a digest the tag does not matter
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
