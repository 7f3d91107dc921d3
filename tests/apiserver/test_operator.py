"""The operator against a real API server, with the rights that the chart gives it and no others."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from perbench.api.identity import run_id
from perbench.api.reading import parse
from perbench.api.resource import to_data
from perbench.dashboards.frame import TITLES
from perbench_operator.decide.regression import is_pending
from perbench_operator.metrics.families import RESULT_PER, RESULT_REGRESSED
from perbench_operator.names import ROLE, RUN, Role
from tests.cluster import control_plane as planes
from tests.cluster.cache import CannotRunError
from tests.cluster.plugin import aloud, not_run
from tests.cluster.supervisor import ask
from tests.support import largest
from tests.support import simulated_operator as simulated
from tests.support.charts import NAMESPACE, VALUES, Helm, of_kind, path_of
from tests.support.finished import golden_status
from tests.support.grafana_double import TOKEN, GrafanaDouble, grafana_double
from tests.support.grafana_program import grafana_program
from tests.support.kube_api import TRIAL, Answer, KubeApi, benchmarks, install_crd
from tests.support.operator_process import OperatorProcess, operator_process
from tests.support.processes import wait_until
from tests.support.prometheus import promtool
from tests.support.simulated_cluster import Cluster

__all__ = ["grafana_program"]

ACCOUNT = f"system:serviceaccount:{NAMESPACE}:perbench-operator"

SECONDS = 120.0
"""For what takes a moment, or some seconds where a program is started for it."""

Rights = Callable[..., None]
"""Gives the operator the rights of the chart: for the namespaces named, or all."""


def benchmark(name: str) -> dict[str, Any]:
    models = [{"name": "a", "model": "packaged:smollm2-135m"}]
    return largest.metadata(name) | {
        "spec": {"models": models, "tasks": [{"name": "topics", "preset": "PackagedTopics"}]}
    }


@pytest.fixture
def rights(admin: KubeApi, helm: Helm, tmp_path: Path) -> Iterator[Rights]:
    made: list[str] = []

    def give(*namespaces: str) -> None:
        values = tmp_path / "values.yaml"
        values.write_text(yaml.safe_dump({"watch": {"namespaces": list(namespaces)}}))
        manifests = helm.template("perbench", "--values", VALUES / "default-values.yaml", "--values", values)
        bindings = of_kind(manifests, "RoleBinding", "ClusterRoleBinding")
        assert {subject["name"] for each in bindings for subject in each["subjects"]} == {"perbench-operator"}
        names = {each["roleRef"]["name"] for each in bindings}
        roles = [each for each in of_kind(manifests, "Role", "ClusterRole") if each["metadata"]["name"] in names]
        for each in (*roles, *bindings):
            answer = admin.apply(each, path_of(each))
            assert answer.ok, answer.message
            made.append(path_of(each))

    yield give
    for path in reversed(made):
        admin.delete(path)


@pytest.fixture(scope="module")
def kubeconfig(control_plane: planes.ControlPlane) -> Path:
    """Of the chart's service account."""
    return control_plane.kubeconfig_for(ACCOUNT, "system:serviceaccounts", f"system:serviceaccounts:{NAMESPACE}")


@pytest.mark.parametrize("namespaces", [(), ("watched",)], ids=["all namespaces", "one namespace"])
def test_it_watches_and_writes_nothing_but_the_status(
    admin: KubeApi, rights: Rights, kubeconfig: Path, tmp_path: Path, namespaces: tuple[str, ...]
) -> None:
    for name in ("watched", "other"):
        admin.create("/api/v1/namespaces", {"metadata": {"name": name}})
    rights(*namespaces)
    created = admin.create(benchmarks("watched"), benchmark("early"))
    assert created.ok, created.message
    with operator_process(tmp_path, kubeconfig, namespaces) as operator:
        operator.wait_ready()
        assert operator.ask("/healthz") == (200, "ok")
        operator.wait_logs("watched/early: NotAccepted")
        admin.create(benchmarks("other"), benchmark("elsewhere"))
        admin.create(benchmarks("watched"), benchmark("late"))
        operator.wait_logs("watched/late: NotAccepted")
        early = admin.get(f"{benchmarks('watched')}/early").body
        assert early["status"]["phase"] == "Failed"
        for part in ("annotations", "finalizers", "labels"):
            assert early["metadata"].get(part) == created.body["metadata"].get(part)
        assert early["spec"] == created.body["spec"]
        for path in (f"{benchmarks('watched')}/early", f"{benchmarks('watched')}/late"):
            assert admin.delete(path).ok
        assert admin.get(f"{benchmarks('watched')}/early").status == 404
        if not namespaces:  # each is looked at by itself: the later one may have been seen first
            operator.wait_logs("other/elsewhere: NotAccepted")
        assert ("elsewhere" in operator.log.read_text()) == (namespaces == ())
        assert "Handler" not in operator.log.read_text()  # kopf's line for every event
        assert operator.stop() == 0
    admin.delete(f"{benchmarks('other')}/elsewhere")


def test_results_are_told_survive_a_restart_and_go_with_their_benchmark(
    admin: KubeApi, rights: Rights, kubeconfig: Path, tmp_path: Path
) -> None:
    admin.create("/api/v1/namespaces", {"metadata": {"name": "measured"}})
    rights("measured")
    path = f"{benchmarks('measured')}/done"
    with operator_process(tmp_path, kubeconfig, ("measured",)) as operator:
        operator.wait_ready()
        assert admin.create(benchmarks("measured"), waiting("done")).ok
        wait_until(lambda: told(operator, "perbench_benchmarks", phase="Suspended") == {1.0}, "it is known", SECONDS)
        assert told(operator, RESULT_PER.name) == set()
        finish(admin, path)
        wait_until(lambda: told(operator, RESULT_PER.name, **BEST) == {1.155}, "its results are told", SECONDS)
        assert told(operator, "perbench_benchmarks", phase="Succeeded") == {1.0}
        assert told(operator, "perbench_result_valid") == {1.0}
        fault = promtool("check", "metrics", text=operator.scrape())
        assert fault.returncode == 0, fault.stdout + fault.stderr
        assert operator.stop() == 0
    with operator_process(tmp_path, kubeconfig, ("measured",)) as operator:
        operator.wait_ready()
        assert told(operator, RESULT_PER.name, **BEST) == {1.155}
        assert told(operator, "perbench_reconcile_errors_total") == {0.0}
        assert admin.delete(path).ok
        wait_until(lambda: told(operator, RESULT_PER.name) == set(), "its results are told no more", SECONDS)
        assert told(operator, "perbench_benchmarks") == {0.0}
        assert set(ages(operator)) == {"PERBenchmark", "Job", "Pod", "ConfigMap"}
        assert operator.stop() == 0


def test_a_run_is_held_against_the_run_before(admin: KubeApi, rights: Rights, kubeconfig: Path, tmp_path: Path) -> None:
    """Of two runs the objects are here as runs leave them, and the status as it is before they are compared."""
    admin.create("/api/v1/namespaces", {"metadata": {"name": "compared"}})
    rights("compared")
    path = f"{benchmarks('compared')}/nightly"
    body = simulated.benchmark(baselineRef={"name": "nightly"}, execution={"suspend": True})
    assert admin.create(benchmarks("compared"), body | {"metadata": {"name": "nightly"}}).ok
    run = two_runs(admin.get(path).body)
    for (kind, _), left in run.cluster.objects.items():
        if kind == "ConfigMap" and left["metadata"]["labels"][ROLE] in {Role.RESULTS, Role.SNAPSHOT}:
            kept = {
                key: left["metadata"][key] for key in ("name", "namespace", "labels", "annotations", "ownerReferences")
            }
            made = admin.create("/api/v1/namespaces/compared/configmaps", left | {"metadata": kept})
            assert made.ok, made.message
    uncompared = next(status for status in reversed(run.status_writes) if is_pending(status))
    assert admin.patch(path, {"metadata": {"annotations": run.body["metadata"]["annotations"]}}).ok
    answer = admin.patch(f"{path}/status", {"status": to_data(uncompared)})
    assert answer.ok, answer.message
    with operator_process(tmp_path, kubeconfig, ("compared",)) as operator:
        operator.wait_ready()
        operator.wait_logs("compared/nightly: Regressed: against run ")
        wait_until(lambda: told(operator, RESULT_REGRESSED.name, baseline="nightly") == {1.0}, "it is told", SECONDS)
        found = admin.get(path).body["status"]
        assert found["baseline"] == to_data(run.status)["baseline"]
        assert regressed(found) == regressed(to_data(run.status))
        (event,) = [
            each
            for each in admin.get("/api/v1/namespaces/compared/events").body["items"]
            if each["reason"] == "Regressed"
        ]
        assert event["type"] == "Warning"
        assert admin.patch(path, {"spec": {"baselineRef": {"tolerancePercent": "60.5"}}}).ok
        wait_until(
            lambda: told(operator, RESULT_REGRESSED.name, baseline="nightly") == {0.0}, "it is compared again", SECONDS
        )
        assert admin.get(path).body["status"]["run"] == found["run"]
        assert operator.stop() == 0
    maps = admin.get("/api/v1/namespaces/compared/configmaps").body["items"]
    assert len({each["metadata"]["labels"][RUN] for each in maps if RUN in each["metadata"].get("labels", {})}) == 2


def two_runs(body: dict[str, Any]) -> simulated.Operator:
    """Two runs of this benchmark, one model slower in the second."""
    going = body | {"spec": {key: part for key, part in body["spec"].items() if key != "execution"}}
    run = simulated.Operator(Cluster(blinks=0), going)
    run.run()
    run.cluster.slower = {"large": 1.3}
    run.ask_again("again")
    run.run()
    return run


def regressed(status: dict[str, Any]) -> tuple[str, str, str]:
    """Status, reason and message of the condition."""
    (found,) = [each for each in status["conditions"] if each["type"] == "Regressed"]
    return found["status"], found["reason"], found["message"]


BEST = {"benchmark": "done", "model": "two-threads", "task": "topics", "scale": "reference", "bound": "point"}


def waiting(name: str) -> dict[str, Any]:
    """A benchmark that no run is begun for."""
    return benchmark(name) | {"spec": benchmark(name)["spec"] | {"execution": {"suspend": True}}}


def finish(admin: KubeApi, path: str) -> None:
    """The status of a whole run, as if it had been this benchmark's."""
    body = admin.get(path).body
    plain = {key: body[key] for key in ("apiVersion", "kind", "metadata", "spec")}
    run = run_id(body["metadata"]["uid"], parse(plain).spec, None)
    status = golden_status("evaluation/status-succeeded.yaml") | {"observedGeneration": body["metadata"]["generation"]}
    answer = admin.patch(f"{path}/status", {"status": status | {"run": {"id": run}}})
    assert answer.ok, answer.message


def samples(operator: OperatorProcess, name: str) -> list[tuple[dict[str, str], float]]:
    """Labels and value of each series of a metric."""
    families = text_string_to_metric_families(operator.scrape())
    return [(sample.labels, sample.value) for family in families for sample in family.samples if sample.name == name]


def told(operator: OperatorProcess, name: str, **labels: str) -> set[float]:
    """The values of a metric's series with these labels."""
    return {value for its, value in samples(operator, name) if labels.items() <= its.items()}


@pytest.fixture
def grafana() -> Iterator[GrafanaDouble]:
    with grafana_double() as double:
        yield double


@pytest.fixture
def target(
    admin: KubeApi, rights: Rights, tmp_path: Path, grafana: GrafanaDouble, grafana_program: list[str]
) -> dict[str, Any]:
    """The operator's Grafana, for the namespace `marked`."""
    admin.create("/api/v1/namespaces", {"metadata": {"name": "marked"}})
    rights("marked")
    (tmp_path / "token").write_text(TOKEN)
    return {"url": grafana.url, "tokenFile": str(tmp_path / "token"), "program": grafana_program}


def test_runs_are_marked_in_grafana_and_go_on_without_it(
    admin: KubeApi, kubeconfig: Path, tmp_path: Path, grafana: GrafanaDouble, target: dict[str, Any]
) -> None:
    with operator_process(tmp_path, kubeconfig, ("marked",), grafana=target) as operator:
        operator.wait_ready()
        wait_until(
            lambda: told(operator, "perbench_grafana_dashboards") == {1.0}, "Grafana has the dashboards", SECONDS
        )
        assert set(grafana.dashboards) == set(TITLES)
        begin(admin, "first")
        wait_until(lambda: len(grafana.annotations) == 1, "the start is told", SECONDS)
        (marked,) = grafana.annotations
        assert marked["tags"][:3] == ["perbench", "namespace:marked", "marked/first"]
        assert (marked["timeEnd"], "Failed" in marked["text"]) == (marked["time"], False)
        end(admin, "first")
        wait_until(lambda: said_of(admin, "first", "Annotated") == ("True", "Annotated"), "the end is told", SECONDS)
        assert marked["timeEnd"] > marked["time"]
        assert "1 model, Failed</b><br>AllModelsFailed: " in marked["text"]
        assert "TotalDeadline, blame Infrastructure, model a: " in marked["text"]
        grafana.refuses = (503, {"message": "going down"})
        begin(admin, "second")
        end(admin, "second")
        wait_until(
            lambda: said_of(admin, "second", "Annotated") == ("False", "GrafanaUnreachable"), "Grafana is away", SECONDS
        )
        assert said_of(admin, "second", "Succeeded") == said_of(admin, "first", "Succeeded")
        assert told(operator, "perbench_grafana_pending") == {1.0}
        assert told(operator, "perbench_reconcile_errors_total") == {0.0}
        assert operator.stop() == 0
    grafana.refuses = None
    with operator_process(tmp_path, kubeconfig, ("marked",), grafana=target) as operator:
        wait_until(
            lambda: said_of(admin, "second", "Annotated") == ("True", "Annotated"), "it is told after all", SECONDS
        )
        wait_until(
            lambda: told(operator, "perbench_grafana_dashboards") == {1.0}, "Grafana has the dashboards", SECONDS
        )
        assert [each["tags"][2] for each in grafana.annotations] == ["marked/first", "marked/second"]
        assert all(each["timeEnd"] >= each["time"] + 1000 for each in grafana.annotations)
        begin(admin, "third")
        wait_until(lambda: len(grafana.annotations) == 3, "the start is told", SECONDS)
        assert admin.delete(f"{benchmarks('marked')}/third").ok
        wait_until(lambda: "deleted while" in grafana.annotations[2]["text"], "that it was deleted is told", SECONDS)
        assert TOKEN not in operator.log.read_text()
        assert operator.stop() == 0
    for name in ("first", "second"):
        admin.delete(f"{benchmarks('marked')}/{name}")


def test_a_grafana_that_hangs_holds_nothing_up(
    admin: KubeApi, kubeconfig: Path, tmp_path: Path, grafana: GrafanaDouble, target: dict[str, Any]
) -> None:
    grafana.delay = 60.0
    with operator_process(tmp_path, kubeconfig, ("marked",), grafana=target) as operator:
        operator.wait_ready()
        wait_until(lambda: grafana.asked > 0, "Grafana is asked", SECONDS)
        begin(admin, "first")
        end(admin, "first")
        assert operator.ask("/healthz") == (200, "ok")
        away = ("False", "GrafanaUnreachable")  # after one order for the dashboards and one for the run
        wait_until(lambda: said_of(admin, "first", "Annotated") == away, "it says so", 400.0)
        assert operator.stop() == 0
    admin.delete(f"{benchmarks('marked')}/first")


def begin(admin: KubeApi, name: str) -> None:
    """A run whose model is an endpoint that nobody measures: there are no nodes."""
    model = {"name": "a", "endpoint": {"url": "http://a.example.org", "protocol": "TGI"}}
    made = admin.create(benchmarks("marked"), benchmark(name) | {"spec": benchmark(name)["spec"] | {"models": [model]}})
    assert made.ok, made.message
    path = f"{benchmarks('marked')}/{name}"
    wait_until(lambda: "startTime" in admin.get(path).body.get("status", {}), f"{name} has begun", SECONDS)
    time.sleep(1.1)  # times are whole seconds: its end is to be later than its start


def end(admin: KubeApi, name: str) -> None:
    """The run takes longer than it may."""
    path = f"{benchmarks('marked')}/{name}"
    edit = admin.patch(path, {"spec": {"execution": {"deadlines": {"totalSeconds": 1}}}})
    assert edit.ok, edit.message
    wait_until(lambda: "completionTime" in admin.get(path).body["status"], f"{name} has ended", SECONDS)


def said_of(admin: KubeApi, name: str, kind: str) -> tuple[str, str] | None:
    """Value and reason of a condition."""
    conditions = admin.get(f"{benchmarks('marked')}/{name}").body.get("status", {}).get("conditions", ())
    return next(((each["status"], each["reason"]) for each in conditions if each["type"] == kind), None)


def test_it_hands_out_what_bench_pods_need_and_cannot_hand_out_more(
    admin: KubeApi, rights: Rights, kubeconfig: Path
) -> None:
    for name in ("watched", "other"):
        admin.create("/api/v1/namespaces", {"metadata": {"name": name}})
    rights("watched")

    def role(namespace: str, name: str, resource: str, *verbs: str) -> Answer:
        rules = [{"apiGroups": [""], "resources": [resource], "resourceNames": ["results"], "verbs": list(verbs)}]
        path = f"/apis/rbac.authorization.k8s.io/v1/namespaces/{namespace}/roles"
        return operator.create(path, {"metadata": {"name": name}, "rules": rules}, TRIAL)

    with KubeApi(kubeconfig) as operator:
        wait_until(
            lambda: role("watched", "bench", "configmaps", "get", "patch").ok, "the rights have come through", SECONDS
        )
        refused = role("watched", "more", "secrets", "get")
        assert (refused.status, "attempting to grant RBAC permissions not currently held" in refused.message) == (
            403,
            True,
        )
        assert role("watched", "more", "configmaps", "update").status == 403
        assert role("other", "bench", "configmaps", "get", "patch").status == 403
        wait_until(lambda: operator.get("/api/v1/nodes/nowhere").status == 404, "the rights to nodes, too", SECONDS)
        for path in ("/api/v1/namespaces/watched/secrets/a", "/api/v1/namespaces/watched/pods/a/log", "/api/v1/nodes"):
            assert operator.get(path).status == 403, path


def test_without_rights_it_says_so_and_waits(admin: KubeApi, rights: Rights, kubeconfig: Path, tmp_path: Path) -> None:
    admin.create("/api/v1/namespaces", {"metadata": {"name": "watched"}})
    with operator_process(tmp_path, kubeconfig, ("watched",)) as operator:
        operator.wait_says("/readyz", 503, "in namespace watched cannot be listed: not allowed")
        assert operator.ask("/healthz") == (200, "ok")
        rights("watched")
        operator.wait_ready()
        assert operator.log.read_text().count("not allowed") == 1


def test_a_namespace_that_is_refused_holds_nothing_up(
    admin: KubeApi, rights: Rights, kubeconfig: Path, tmp_path: Path
) -> None:
    for namespace in ("shut", "watched"):
        admin.create("/api/v1/namespaces", {"metadata": {"name": namespace}})
        made = admin.create(benchmarks(namespace), waiting("early"))
        assert made.ok, made.message
    rights("watched")
    with operator_process(tmp_path, kubeconfig, ("shut", "watched")) as operator:
        operator.wait_says("/readyz", 503, "in namespace shut cannot be listed: not allowed")
        operator.wait_logs("watched/early: ")
        wait_until(lambda: told(operator, "perbench_benchmarks", phase="Suspended") == {1.0}, "the other is told of")
        assert "namespace watched" not in operator.ask("/readyz")[1]
        assert operator.ask("/healthz") == (200, "ok")
        rights("shut", "watched")
        operator.wait_ready()
        operator.wait_logs("shut/early: ")
        wait_until(lambda: told(operator, "perbench_benchmarks", phase="Suspended") == {2.0}, "both are told of")
        assert operator.log.read_text().count("perbenchmarks in namespace shut cannot be listed") == 1
        assert operator.stop() == 0


def test_told_to_stop_while_it_waits_it_stops(control_plane: planes.ControlPlane, tmp_path: Path) -> None:
    with operator_process(tmp_path, control_plane.kubeconfig_for("nobody"), ("default",)) as operator:
        operator.wait_says("/readyz", 503, "not allowed")
        assert operator.stop() == 0
        assert "Traceback" not in operator.log.read_text()


def test_without_a_kubeconfig_it_ends_in_one_line(tmp_path: Path) -> None:
    with operator_process(tmp_path, tmp_path / "none") as operator:
        assert operator.process.wait(SECONDS) == 2
        said = operator.log.read_text().splitlines()
        assert said[-1].startswith("perbench-operator: no way to a Kubernetes API: ")
        assert not [line for line in said if "Traceback" in line]


def test_it_waits_for_the_crd_and_for_an_api_that_is_away(own_plane: planes.ControlPlane, tmp_path: Path) -> None:
    plane = own_plane
    with operator_process(tmp_path, plane.kubeconfig) as operator:
        operator.wait_says("/readyz", 503, "install the chart perbench-crds")
        assert operator.ask("/healthz") == (200, "ok")
        with KubeApi(plane.kubeconfig) as api:
            install_crd(api)
            operator.wait_ready()
            assert api.create(benchmarks(), benchmark("before")).ok
            operator.wait_logs("default/before: NotAccepted")
        ask(plane.layout.control_socket, "stop kube-apiserver")
        earlier = ages(operator)
        time.sleep(5)
        assert operator.ask("/healthz") == (200, "ok")
        later = ages(operator)
        assert all(later[kind] > age for kind, age in earlier.items()), "no watch can be opened"
        restarted = time.monotonic()
        ask(plane.layout.control_socket, "start kube-apiserver")
        with KubeApi(plane.kubeconfig) as api:
            planes.wait_ready(lambda: answers(api), "the API is back", plane.layout)
            wait_until(
                lambda: api.create(benchmarks(), benchmark("after")).status in {201, 409}, "it takes one", SECONDS
            )
            operator.wait_logs("default/after: NotAccepted")
        operator.wait_ready()
        wait_until(
            lambda: all(age < time.monotonic() - restarted for age in ages(operator).values()),
            "every watch has been opened again",
            SECONDS,
        )
        assert operator.process.poll() is None
        assert operator.stop() == 0


def ages(operator: OperatorProcess) -> dict[str, float]:
    """Of the watches, by kind."""
    return {labels["kind"]: age for labels, age in samples(operator, "perbench_watch_age_seconds")}


@pytest.fixture
def own_plane(request: pytest.FixtureRequest) -> Iterator[planes.ControlPlane]:
    """A control plane in which there is no CRD, and which may go away."""
    try:
        with planes.running(aloud(request.config)) as plane:
            yield plane
    except CannotRunError as error:
        not_run(error)


def answers(api: KubeApi) -> bool:
    try:
        return api.get(benchmarks()).ok
    except httpx2.TransportError:
        return False
