"""`kubectl perbench` against a real API server; the part of the operator is played by writing statuses."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from perbench.api.identity import run_id
from perbench.api.resource import BenchmarkSpec
from perbench.record import parse
from tests.cluster.control_plane import ControlPlane
from tests.support import cluster_runs
from tests.support.kube_api import KubeApi, benchmarks

MAPS = "/api/v1/namespaces/default/configmaps"
PROGRAM = "from perbench.cli import kubectl_main; kubectl_main()"


class Plugin:
    """The program, as kubectl starts it."""

    def __init__(self, kubeconfig: Path) -> None:
        self._kubeconfig = kubeconfig

    def __call__(self, *arguments: object) -> tuple[int, str, str]:
        """Exit code, standard output, standard error."""
        environment = os.environ | {"KUBECONFIG": str(self._kubeconfig)}
        command = [sys.executable, "-c", PROGRAM, *map(str, arguments)]
        ended = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=600, check=False)
        assert "Traceback" not in ended.stderr, ended.stderr
        return ended.returncode, ended.stdout, ended.stderr


@pytest.fixture
def plugin(control_plane: ControlPlane, admin: KubeApi) -> Plugin:
    del admin  # the CRD has to be there
    return Plugin(control_plane.kubeconfig)


@pytest.fixture
def study(admin: KubeApi, tmp_path: Path) -> Iterator[tuple[Path, dict[str, Any]]]:
    """A benchmark's file, and what it is to become. Removed from the API at the end."""
    whole = cluster_runs.benchmark(cluster_runs.finished())
    document = {key: whole[key] for key in ("apiVersion", "kind", "spec")} | {"metadata": {"name": "study"}}
    file = tmp_path / "study.yaml"
    file.write_text(yaml.safe_dump(document))
    yield file, whole
    admin.delete(f"{benchmarks()}/study")


def write_status(admin: KubeApi, status: dict[str, Any]) -> dict[str, Any]:
    """What the operator would write, about the object as it is."""
    path = f"{benchmarks()}/study"
    body = admin.get(path).body
    request = (body["metadata"].get("annotations") or {}).get("perbench.dev/run")
    asked = run_id(body["metadata"]["uid"], BenchmarkSpec.model_validate(body["spec"]), request)
    run = status["run"] | {"id": asked} | ({"request": request} if request else {})
    changed = status | {"observedGeneration": body["metadata"]["generation"], "run": run}
    answer = admin.patch(f"{path}/status", {"status": changed})
    assert answer.ok, answer.message
    return answer.body


def test_run_applies_and_again_asks_anew(plugin: Plugin, admin: KubeApi, study: tuple[Path, dict[str, Any]]) -> None:
    file, whole = study
    assert plugin("run", file) == (0, "default/study: applied\n", "")
    assert admin.get(f"{benchmarks()}/study").body["spec"] == whole["spec"]
    write_status(admin, whole["status"])
    code, out, _ = plugin("run", file)
    assert (code, "unchanged, and its run has ended; --again runs it anew" in out) == (0, True)
    code, out, _ = plugin("run", file, "--again", "--wait", "--timeout", 12)
    assert (code, "waiting for the operator" in out, "not at its end after 12 s" in out) == (124, True, True)
    asked = admin.get(f"{benchmarks()}/study").body["metadata"]["annotations"]["perbench.dev/run"]
    assert plugin("run", file)[0] == 0
    assert admin.get(f"{benchmarks()}/study").body["metadata"]["annotations"]["perbench.dev/run"] == asked


def test_wait_ends_as_the_run_did(plugin: Plugin, admin: KubeApi, study: tuple[Path, dict[str, Any]]) -> None:
    file, whole = study
    plugin("run", file)
    write_status(admin, whole["status"])
    code, out, _ = plugin("wait", "study")
    assert (code, re.fullmatch(r"\d\d:\d\d:\d\d  study  Succeeded  best: .*\n", out) is not None) == (0, True), out
    failed = {"type": "Succeeded", "status": "False", "reason": "MeasurementInvalid", "message": "saturated"}
    write_status(admin, whole["status"] | {"conditions": [failed | {"lastTransitionTime": "2026-01-01T00:00:00Z"}]})
    assert plugin("wait", "study", "--timeout", 60)[0] == 3


def test_report_is_made_of_what_is_stored(
    plugin: Plugin, admin: KubeApi, study: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    file, whole = study
    results = cluster_runs.finished()
    plugin("run", file)
    code, _, err = plugin("report", "study")
    assert (code, "study has had no run yet" in err) == (2, True)
    uid = write_status(admin, whole["status"])["metadata"]["uid"]
    results = results.model_copy(update={"run_id": cluster_runs.run_of(results, uid)})
    made = [{"apiVersion": "v1", "kind": "ConfigMap", **body} for body in cluster_runs.config_maps(results, uid)]
    try:
        assert all(admin.create(MAPS, body).ok for body in made)
        page, stored = tmp_path / "page.html", tmp_path / "results.json"
        assert plugin("report", "study", "-o", page, "--results", stored) == (
            0,
            f"{page}: written\n{stored}: written\n",
            "",
        )
    finally:
        for body in made:
            admin.delete(f"{MAPS}/{body['metadata']['name']}")
    assert page.read_text(encoding="utf-8").lower().startswith("<!doctype html>")
    found = parse(stored.read_bytes(), "results.json")
    assert [model.launches for model in found.models] == [model.launches for model in results.models]


def test_explain_tells_where_it_stands(plugin: Plugin, admin: KubeApi, study: tuple[Path, dict[str, Any]]) -> None:
    file, whole = study
    plugin("run", file)
    assert plugin("explain", "study") == (0, "default/study: waiting for the operator\n", "")
    failure = {"blame": "Target", "reason": "GatedModel", "message": "401", "model": "a"}
    write_status(admin, whole["status"] | {"failure": failure})
    code, out, _ = plugin("explain", "study", "-n", "default")
    assert (code, "GatedModel, blame Target, model a: 401\nWhat to do: accept the model's terms" in out) == (0, True)


def test_who_has_no_right_is_told_so_at_once(
    control_plane: ControlPlane, admin: KubeApi, study: tuple[Path, dict[str, Any]]
) -> None:
    del admin
    file, _ = study
    stranger = Plugin(control_plane.kubeconfig_for("jane"))
    for arguments in (("wait", "study"), ("run", file, "--wait")):
        code, out, err = stranger(*arguments)
        assert (code, out, err.count("\n")) == (1, "", 1), err
        assert 'User "jane" cannot' in err
        assert "ask whoever runs the cluster for that right" in err


def test_a_resource_that_is_not_there_is_told_from_an_object_that_is_not(admin: KubeApi) -> None:
    """That a cluster has no CRD shows in an answer that is none of the API server's own objects."""
    here = admin.get(f"{benchmarks()}/nowhere")
    unheard = admin.get("/apis/unheard.example/v1/namespaces/default/things/nowhere")
    assert (here.status, here.body["reason"]) == (404, "NotFound")
    assert (unheard.status, unheard.body.get("reason")) == (404, None)


def test_mistakes_are_one_line(plugin: Plugin, tmp_path: Path, study: tuple[Path, dict[str, Any]]) -> None:
    file, _ = study
    for arguments, code, words in (
        (("wait", "nowhere"), 1, '"nowhere" not found'),
        (("explain", "study", "--context", "unheard"), 2, "no cluster to talk to"),
        (("run", tmp_path / "missing.yaml"), 2, "missing.yaml"),
        (("run", file, "-n", "unheard"), 1, 'namespaces "unheard" not found'),
    ):
        found, out, err = plugin(*arguments)
        assert (found, out, err.count("\n")) == (code, "", 1), err
        assert words in err
        assert err.startswith("kubectl perbench: ")
