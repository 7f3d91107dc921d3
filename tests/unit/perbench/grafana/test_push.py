"""`perbench grafana push` as a program, in the environment of its extra, against a Grafana of loopback."""

import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from perbench.dashboards import DASHBOARDS, as_json
from perbench.dashboards.frame import TITLES
from tests.support.grafana_double import TOKEN, GrafanaDouble, grafana_double
from tests.support.grafana_program import grafana_program

__all__ = ["grafana_program"]

Push = Callable[..., tuple[int, str, str]]


@pytest.fixture
def push(grafana_program: list[str], tmp_path: Path) -> Push:
    """Takes the address and further arguments; gives exit code, standard output and standard error."""
    (tmp_path / "token").write_text(f"{TOKEN}\n")

    def run(url: str, *more: object) -> tuple[int, str, str]:
        arguments = ["grafana", "push", "--url", url, "--token-file", tmp_path / "token", *more]
        done = subprocess.run(
            [*grafana_program, *map(str, arguments)], capture_output=True, text=True, timeout=60, check=False
        )
        return done.returncode, done.stdout, done.stderr

    return run


@pytest.fixture
def grafana() -> Iterator[GrafanaDouble]:
    with grafana_double() as double:
        yield double


def told(folder: str, dashboards: str) -> str:
    return "\n".join([f"folder {folder}", *(f"dashboard {title}: {dashboards}" for title in TITLES.values()), ""])


def test_everything_is_made_and_the_second_time_nothing_changes(push: Push, grafana: GrafanaDouble) -> None:
    assert push(grafana.url) == (0, told("perbench: created", "created"), "")
    assert [folder["title"] for folder in grafana.folders] == ["perbench"]
    for uid, make in DASHBOARDS.items():
        kept = grafana.dashboards[uid]
        assert kept["dashboard"].items() >= json.loads(as_json(make())).items()
        assert kept["meta"]["folderUid"] == grafana.folders[0]["uid"]
    grafana.writes.clear()
    assert push(grafana.url) == (0, told("perbench: unchanged", "unchanged"), "")
    assert grafana.writes == []
    assert grafana.data_sources == {}


def test_what_somebody_changed_comes_back_and_the_rest_stays(push: Push, grafana: GrafanaDouble) -> None:
    push(grafana.url)
    grafana.dashboards["perbench-compare"]["dashboard"]["title"] = "Mine"
    del grafana.dashboards["perbench-history"]
    grafana.writes.clear()
    code, out, _ = push(grafana.url)
    assert code == 0
    assert out.splitlines() == [
        "folder perbench: unchanged",
        "dashboard perbench: Run, live: unchanged",
        "dashboard perbench: Compare: updated",
        "dashboard perbench: Fleet and history: created",
        "dashboard perbench: Operator: unchanged",
    ]
    assert grafana.writes == ["POST /api/dashboards/db"] * 2
    assert grafana.dashboards["perbench-compare"]["dashboard"]["title"] == TITLES["perbench-compare"]


def test_another_folder_is_moved_to(push: Push, grafana: GrafanaDouble) -> None:
    push(grafana.url)
    grafana.folders.append({"uid": "theirs", "title": "Model serving"})
    assert push(grafana.url, "--folder", "Model serving") == (0, told("Model serving: unchanged", "updated"), "")
    assert {each["meta"]["folderUid"] for each in grafana.dashboards.values()} == {"theirs"}


def test_a_data_source_is_made_and_follows_its_address(push: Push, grafana: GrafanaDouble) -> None:
    for url, verb in (
        ("http://prometheus:9090", "created"),
        ("http://other", "updated"),
        ("http://other", "unchanged"),
    ):
        code, out, _ = push(grafana.url, "--prometheus-url", url)
        assert code == 0
        assert f"data source perbench Prometheus: {verb}\n" in out
        assert grafana.data_sources["perbench-prometheus"]["url"] == url


def test_a_grafana_behind_a_path(push: Push) -> None:
    with grafana_double("/tools/grafana") as grafana:
        assert push(f"{grafana.url}/")[0] == 0
        assert set(grafana.dashboards) == set(DASHBOARDS)


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ((401, {"message": "Invalid API key"}), "does not let this token list folders: give that of a service account"),
        ((403, {"message": "You'll need additional permissions"}), "does not let this token list folders"),
        ((500, {"message": "database is locked"}), "cannot list folders: Server Error 500: database is locked"),
        ((200, "<html>Welcome</html>"), "does not answer as Grafana does when asked to list folders"),
        ((200, [{"name": "no folder"}]), "does not answer as Grafana does when asked to list folders"),
    ],
)
def test_a_grafana_that_refuses_is_one_line(
    push: Push, grafana: GrafanaDouble, answer: tuple[int, object], said: str
) -> None:
    grafana.refuses = answer
    code, out, err = push(grafana.url)
    assert (code, out) == (1, "")
    assert err.startswith(f"perbench: {grafana.url} {said}")
    assert err.count("\n") == 1
    assert TOKEN not in err


def test_nobody_at_the_address_is_one_line(push: Push) -> None:
    code, out, err = push("http://127.0.0.1:9")
    assert (code, out, err.count("\n")) == (1, "", 1)
    assert err.startswith("perbench: http://127.0.0.1:9 does not answer")


@pytest.mark.parametrize("url", ["grafana.example.org", "ftp://g", "https://", "https://g/?orgId=2", "https://a:b@g"])
def test_what_is_no_address_is_refused(push: Push, url: str) -> None:
    code, _, err = push(url)
    assert (code, err.count("\n")) == (2, 1)
    assert err.startswith(f"perbench: --url {url}: give Grafana's address")


@pytest.mark.parametrize("content", [b"", b"two words\n", b"\xff\xfe", b"x" * 5000])
def test_what_is_no_token_is_refused(push: Push, grafana: GrafanaDouble, tmp_path: Path, content: bytes) -> None:
    (tmp_path / "other").write_bytes(content)
    code, _, err = push(grafana.url, "--token-file", tmp_path / "other")
    assert (code, err.count("\n")) == (2, 1)
    assert "this is no token of Grafana" in err
    assert "cannot be read" in push(grafana.url, "--token-file", tmp_path / "nowhere")[2]
