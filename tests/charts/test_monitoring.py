"""Objects for prometheus-operator, and the alerts, judged by Prometheus' own tool."""

import re
import shutil
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from perbench_operator.metrics import FAMILIES
from perbench_operator.metrics.families import Kind
from perbench_operator.names import Role, RunIdentity, labels
from tests.support.charts import CHARTS, KNOWN, MONITORING_KINDS, OLDEST, VALUES, Helm, of_kind
from tests.support.golden import ROOT
from tests.support.prometheus import promtool

ALERTS = CHARTS / "perbench/files/alerts.yaml"
RUNBOOKS = CHARTS.parent / "docs/runbooks.md"
MINIMAL = ("--values", VALUES / "default-values.yaml")
VALUE_NAMES = {kind: kind[0].lower() + kind[1:] for kind in MONITORING_KINDS}
CELL = {"benchmark_namespace", "benchmark", "model", "task"}


def rules() -> list[dict[str, Any]]:
    return [rule for group in yaml.safe_load(ALERTS.read_text())["groups"] for rule in group["rules"]]


def asked(*kinds: str) -> tuple[str, ...]:
    """The arguments that ask for these objects."""
    return tuple(part for kind in kinds for part in ("--set", f"monitoring.{VALUE_NAMES[kind]}.enabled=true"))


def test_nothing_is_made_that_was_not_asked_for(helm: Helm) -> None:
    assert of_kind(helm.template("perbench", *MINIMAL), *MONITORING_KINDS) == []


@pytest.mark.parametrize("kind", MONITORING_KINDS)
def test_a_kind_that_the_cluster_does_not_know_is_one_clear_line(helm: Helm, kind: str) -> None:
    others = [f"--api-versions=monitoring.coreos.com/v1/{other}" for other in MONITORING_KINDS if other != kind]
    done = helm.run("template", "perbench", CHARTS / "perbench", *OLDEST, *MINIMAL, *asked(kind), *others)
    assert done.returncode != 0
    assert f"monitoring.{VALUE_NAMES[kind]}.enabled is true, and the cluster has no {kind}: install the CRDs" in (
        done.stderr
    )
    assert f"--api-versions monitoring.coreos.com/v1/{kind}" in done.stderr


def test_bench_pods_are_found_where_benchmarks_are_watched(helm: Helm) -> None:
    (everywhere,) = of_kind(helm.template("perbench", *MINIMAL, *asked("PodMonitor")), "PodMonitor")
    assert everywhere["spec"]["namespaceSelector"] == {"any": True}
    named = ("--set", "watch.namespaces={team-a,team-b}")
    (monitor,) = of_kind(helm.template("perbench", *MINIMAL, *asked("PodMonitor"), *named), "PodMonitor")
    assert monitor["spec"]["namespaceSelector"] == {"matchNames": ["team-a", "team-b"]}
    wanted = monitor["spec"]["selector"]["matchLabels"]
    run = RunIdentity("bench", "team-a", "u", "0123456789")
    assert wanted.items() <= labels(run, Role.BENCH).items()
    assert not wanted.items() <= labels(run, Role.MODEL).items()
    assert monitor["spec"]["podMetricsEndpoints"] == [{"port": "metrics"}]


def test_the_operator_is_found_by_its_service_and_not_twice(helm: Helm) -> None:
    def annotations(*arguments: str) -> set[str]:
        (deployment,) = of_kind(helm.template("perbench", *MINIMAL, *arguments), "Deployment")
        template = deployment["spec"]["template"]["metadata"]
        return {name for name in template["annotations"] if name.startswith("prometheus.io/")}

    manifests = helm.template("perbench", *MINIMAL, *asked("ServiceMonitor"))
    (monitor,), (service,) = of_kind(manifests, "ServiceMonitor"), of_kind(manifests, "Service")
    (deployment,) = of_kind(manifests, "Deployment")
    assert monitor["spec"]["selector"]["matchLabels"].items() <= service["metadata"]["labels"].items()
    pod = deployment["spec"]["template"]
    assert service["spec"]["selector"].items() <= pod["metadata"]["labels"].items()
    ports = {port["name"] for port in pod["spec"]["containers"][0]["ports"]}
    assert {port["targetPort"] for port in service["spec"]["ports"]} <= ports
    assert [end["port"] for end in monitor["spec"]["endpoints"]] == [port["name"] for port in service["spec"]["ports"]]
    assert annotations() == {f"prometheus.io/{name}" for name in ("scrape", "port", "path")}
    assert annotations(*asked("ServiceMonitor")) == set()


def test_bench_pods_are_found_by_their_pod_monitor_and_not_twice(helm: Helm) -> None:
    def annotated(*arguments: str) -> bool:
        maps = of_kind(helm.template("perbench", *MINIMAL, *arguments), "ConfigMap")
        (settings,) = [found["data"]["operator.yaml"] for found in maps if "operator.yaml" in found["data"]]
        return bool(yaml.safe_load(settings)["platform"]["scrapeAnnotations"])

    assert annotated()
    assert not annotated(*asked("PodMonitor"))


def test_monitoring_may_reach_the_metrics_and_nothing_else(helm: Helm) -> None:
    peers = [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}}]
    manifests = helm.template("perbench", "--values", VALUES / "everything-values.yaml")
    (policy,) = of_kind(manifests, "NetworkPolicy")
    assert policy["spec"]["ingress"] == [{"from": peers, "ports": [{"port": 9091, "protocol": "TCP"}]}]
    (closed,) = of_kind(helm.template("perbench", *MINIMAL), "NetworkPolicy")
    assert closed["spec"]["ingress"] == []


NAMED = ("--set-json", 'networkPolicy.monitoring=[{"podSelector":{"matchLabels":{"app":"prometheus"}}}]')
ANY_POD = [{"namespaceSelector": {}}]


@pytest.mark.parametrize(
    ("arguments", "peers"),
    [
        (asked("ServiceMonitor"), ANY_POD),
        (asked("PrometheusRule"), ANY_POD),
        (asked(*MONITORING_KINDS), ANY_POD),
        ((*asked(*MONITORING_KINDS), *NAMED), [{"podSelector": {"matchLabels": {"app": "prometheus"}}}]),
        (asked("PodMonitor"), None),
    ],
    ids=["ServiceMonitor", "PrometheusRule", "all", "all, by name", "PodMonitor"],
)
def test_who_is_asked_to_read_the_operator_can(helm: Helm, arguments: tuple[str, ...], peers: list[Any] | None) -> None:
    """A Prometheus that finds the operator and is kept from it alerts that the operator is down."""
    (policy,) = of_kind(helm.template("perbench", *MINIMAL, *arguments), "NetworkPolicy")
    assert [rule["from"] for rule in policy["spec"]["ingress"]] == ([] if peers is None else [peers])
    assert all(rule["ports"] == [{"port": 8082, "protocol": "TCP"}] for rule in policy["spec"]["ingress"])


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ((), "Nobody reads the operator's metrics"),
        (asked("PodMonitor"), "Nobody reads the operator's metrics"),
        (asked("ServiceMonitor"), "Every pod of the cluster may read the operator's metrics"),
        (asked("PrometheusRule"), "Every pod of the cluster may read the operator's metrics"),
        ((*asked("ServiceMonitor"), *NAMED), None),
        ((*asked("ServiceMonitor"), "--set", "networkPolicy.enabled=false"), None),
    ],
)
def test_it_is_told_who_can_read_the_operator(
    helm: Helm, tmp_path: Path, arguments: tuple[str, ...], told: str | None
) -> None:
    said = notes(helm, tmp_path / "perbench", *arguments)
    assert "kubectl rollout status -n perbench-system deployment/perbench-operator" in said
    lines = [line for line in said.splitlines() if "networkPolicy.monitoring" in line]
    assert len(lines) == (told is not None)
    assert all(line.startswith(str(told)) for line in lines)


def notes(helm: Helm, chart: Path, *arguments: str) -> str:
    """What `helm install` prints. `helm template` leaves it out, and without a cluster only that knows more kinds."""
    shutil.copytree(CHARTS / "perbench", chart)
    (chart / "templates/NOTES.txt").rename(chart / "notes.txt")
    told = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "told"}, "data": {"notes": "<notes>"}}
    template = yaml.safe_dump(told).replace("<notes>", '{{ tpl (.Files.Get "notes.txt") . | toJson }}')
    (chart / "templates/told.yaml").write_text(template)
    where = ("--namespace", "perbench-system", "--show-only", "templates/told.yaml")
    (found,) = of_kind(helm("template", "perbench", chart, *where, *OLDEST, *KNOWN, *MINIMAL, *arguments), "ConfigMap")
    return str(found["data"]["notes"])


def test_the_rule_is_the_file_with_the_runbooks_addresses(helm: Helm) -> None:
    (plain,) = of_kind(helm.template("perbench", *MINIMAL, *asked("PrometheusRule")), "PrometheusRule")
    assert plain["spec"] == yaml.safe_load(ALERTS.read_text())
    url = ("--set", "monitoring.prometheusRule.runbookUrl=https://docs.example.org/runbooks")
    (linked,) = of_kind(helm.template("perbench", *MINIMAL, *asked("PrometheusRule"), *url), "PrometheusRule")
    for group in linked["spec"]["groups"]:
        for rule in group["rules"]:
            anchor = rule["alert"].lower()
            assert rule["annotations"].pop("runbook_url") == f"https://docs.example.org/runbooks#{anchor}"
    assert linked["spec"] == plain["spec"]


@pytest.mark.parametrize("values", ["default", "everything"])
@pytest.mark.parametrize("kind", MONITORING_KINDS)
def test_the_objects_are_what_prometheus_operator_takes(helm: Helm, kind: str, values: str) -> None:
    schema = yaml.safe_load((ROOT / "monitoring.yaml").read_text())[kind]
    manifests = helm.template("perbench", "--values", VALUES / f"{values}-values.yaml", *asked(kind))
    (document,) = of_kind(manifests, kind)
    judge = jsonschema.Draft202012Validator(schema)
    judge.validate(document)
    assert not judge.is_valid(document | {"spec": document["spec"] | {"nonsense": 1}})


@pytest.mark.parametrize("rule", rules(), ids=lambda rule: rule["alert"])
def test_every_alert_says_what_it_is_and_what_to_do(rule: dict[str, Any]) -> None:
    assert rule["labels"]["severity"] in {"warning", "critical"}
    assert set(rule["annotations"]) == {"summary", "description", "runbook"}
    assert rule["annotations"]["runbook"] == f"docs/runbooks.md#{rule['alert'].lower()}"
    assert re.search(rf"^## {rule['alert']}$", RUNBOOKS.read_text(), re.MULTILINE)


def test_every_runbook_is_that_of_an_alert() -> None:
    assert set(re.findall(r"^## (\S+)$", RUNBOOKS.read_text(), re.MULTILINE)) == {rule["alert"] for rule in rules()}


def test_alerts_ask_for_metrics_and_labels_that_there_are() -> None:
    known = {}
    for family in FAMILIES:
        suffixes = ("_count", "_sum", "_bucket") if family.kind is Kind.HISTOGRAM else ("",)
        known |= {family.name + suffix: set(family.labels) for suffix in suffixes}
    for rule in rules():
        for name, chosen in re.findall(r"(perbench_\w+)(?:\{(\w+)!?=)?", rule["expr"]):
            assert name in known, rule["alert"]
            assert not chosen or chosen in known[name], rule["alert"]


def test_prometheus_takes_the_alerts(helm: Helm, tmp_path: Path) -> None:
    done = promtool("check", "rules", "--lint-fatal", ALERTS)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{len(rules())} rules found" in done.stdout
    manifests = helm.template("perbench", "--values", VALUES / "everything-values.yaml")
    (rule,) = of_kind(manifests, "PrometheusRule")
    (tmp_path / "rules.yaml").write_text(yaml.safe_dump(rule["spec"]))
    done = promtool("check", "rules", "--lint-fatal", tmp_path / "rules.yaml")
    assert done.returncode == 0, done.stdout + done.stderr


def test_alerts_fire_when_they_should_and_not_else() -> None:
    done = promtool("test", "rules", Path(__file__).with_name("alerts.yaml"))
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_alert_is_tried_both_ways() -> None:
    """alerts.yaml beside this file has, for each, a moment at which it fires and one at which it does not."""
    cases = yaml.safe_load(Path(__file__).with_name("alerts.yaml").read_text())["tests"]
    tried = [(try_["alertname"], bool(try_["exp_alerts"])) for case in cases for try_ in case["alert_rule_test"]]
    assert {name for name, fires in tried if fires} == {rule["alert"] for rule in rules()}
    assert {name for name, fires in tried if not fires} == {rule["alert"] for rule in rules()}


def test_prometheus_finds_no_fault_with_the_metrics() -> None:
    text = (ROOT / "operator/metrics.txt").read_text()
    done = promtool("check", "metrics", text=text)
    assert done.returncode == 0, done.stdout + done.stderr
