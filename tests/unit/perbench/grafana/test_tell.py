"""`perbench grafana tell` as a program, in the environment of its extra, against a Grafana of loopback."""

import json
import subprocess
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from perbench.dashboards import DASHBOARDS
from perbench.grafana.annotations import RunAnnotation
from perbench.grafana.orders import Order, ProblemKind, Report
from tests.support.grafana_double import TOKEN, GrafanaDouble, grafana_double
from tests.support.grafana_program import grafana_program

__all__ = ["grafana_program"]

START = datetime(2026, 4, 2, 9, 0, tzinfo=UTC)
BEGUN = RunAnnotation(namespace="team", benchmark="bench", run_id="0123456789", start=START, text="is on")
ENDED = BEGUN.model_copy(update={"end": START + timedelta(hours=1), "text": "Succeeded"})
OTHER = BEGUN.model_copy(update={"run_id": "9876543210"})
Tell = Callable[..., list[Report]]


@pytest.fixture
def grafana() -> Iterator[GrafanaDouble]:
    with grafana_double() as double:
        yield double


@pytest.fixture
def tell(grafana_program: list[str], grafana: GrafanaDouble, tmp_path: Path) -> Tell:
    """Takes what is to be told; gives the reports."""
    (tmp_path / "token").write_text(TOKEN)

    def run(*annotations: RunAnnotation, dashboards: bool = False) -> list[Report]:
        order = Order(annotations=annotations, dashboards=dashboards)
        arguments = ["grafana", "tell", "--url", grafana.url, "--token-file", str(tmp_path / "token")]
        text = order.model_dump_json(by_alias=True)
        done = subprocess.run(
            [*grafana_program, *arguments], input=text, capture_output=True, text=True, timeout=60, check=False
        )
        assert (done.returncode, done.stderr) == (0, "")
        return [Report.model_validate_json(line) for line in done.stdout.splitlines()]

    return run


def test_a_run_is_marked_at_its_start_and_completed_at_its_end(tell: Tell, grafana: GrafanaDouble) -> None:
    name = "annotation of team/bench, run 0123456789"
    assert tell(BEGUN) == [Report(annotation=0, changes=(f"{name}: created",))]
    (marked,) = grafana.annotations
    assert marked["time"] == marked["timeEnd"] == 1_775_120_400_000
    assert marked["tags"] == ["perbench", "namespace:team", "team/bench", "run:0123456789"]
    assert marked["dashboardId"] == 0, "of no dashboard: all show it"
    assert tell(BEGUN) == [Report(annotation=0)]
    assert tell(ENDED) == [Report(annotation=0, changes=(f"{name}: updated",))]
    assert (marked["timeEnd"] - marked["time"], marked["text"]) == (3_600_000, "Succeeded")
    assert tell(ENDED, BEGUN) == [Report(annotation=0), Report(annotation=1)]
    assert grafana.writes == ["POST /api/annotations", "PATCH /api/annotations/1"]


def test_dashboards_and_annotations_in_one_order(tell: Tell, grafana: GrafanaDouble) -> None:
    first, second = tell(ENDED, dashboards=True)
    assert first.annotation == 0
    assert second.annotation is None
    assert "folder perbench: created" in second.changes
    assert set(grafana.dashboards) == set(DASHBOARDS)
    assert tell(dashboards=True) == [Report()]


@pytest.mark.parametrize(
    ("answer", "kind", "said"),
    [
        ((401, {"message": "Invalid API key"}), ProblemKind.REFUSED, "does not let this token find annotations"),
        ((403, {"message": "Access denied"}), ProblemKind.REFUSED, "does not let this token find annotations"),
        ((404, {"message": "Not found"}), ProblemKind.REFUSED, "cannot find annotations: Client Error 404: Not found"),
        ((429, {"message": "slow down"}), ProblemKind.UNREACHABLE, "cannot find annotations: Client Error 429"),
        ((503, "<html>Bad gateway</html>"), ProblemKind.UNREACHABLE, "cannot find annotations: Server Error 503"),
        ((200, "<html>Welcome</html>"), ProblemKind.REFUSED, "does not answer as Grafana does"),
        ((200, [{"id": "none"}]), ProblemKind.REFUSED, "does not answer as Grafana does"),
    ],
)
def test_a_grafana_that_refuses(
    tell: Tell, grafana: GrafanaDouble, answer: tuple[int, Any], kind: ProblemKind, said: str
) -> None:
    grafana.refuses = answer
    (report,) = tell(BEGUN)
    assert report.problem is not None
    assert report.problem.kind is kind
    assert report.problem.message.startswith(f"{grafana.url} {said}")
    assert "\n" not in report.problem.message
    assert TOKEN not in report.problem.message


@pytest.mark.parametrize("answer", [(302, "moved"), (307, "moved"), (200, "<html>Log in</html>"), (200, {})])
@pytest.mark.parametrize("write", ["POST", "PATCH"])
def test_a_write_that_something_else_answers_is_not_done(
    tell: Tell, grafana: GrafanaDouble, answer: tuple[int, Any], write: str
) -> None:
    if write == "PATCH":
        tell(BEGUN)
    grafana.refuses_part = (write, answer)
    (report,) = tell(ENDED)
    assert report.problem is not None
    assert (report.problem.kind, report.problem.of_everything) == (ProblemKind.REFUSED, True)
    assert "does not answer as Grafana does" in report.problem.message
    grafana.refuses_part = None
    assert tell(ENDED)[0].changes


def test_what_says_that_it_is_json_and_is_not_is_no_grafana(tell: Tell, grafana: GrafanaDouble) -> None:
    grafana.refuses, grafana.text_type = (200, "{a}"), "application/json"
    (report,) = tell(BEGUN)
    assert report.problem is not None
    assert report.problem.kind is ProblemKind.REFUSED


def test_what_goes_wrong_is_said_in_the_same_words_each_time(tell: Tell, grafana: GrafanaDouble) -> None:
    grafana.url = "http://127.0.0.1:9"
    first, second = tell(BEGUN)[0].problem, tell(OTHER)[0].problem
    assert first is not None
    assert first == second
    assert first.message == (
        "http://127.0.0.1:9 does not answer as Grafana does when asked to find annotations (Connection refused): "
        "is it Grafana's address?"
    )


def test_a_page_of_a_proxy_is_not_repeated(tell: Tell, grafana: GrafanaDouble) -> None:
    grafana.refuses = (502, "<html>Bad gateway, request 4711</html>")
    (report,) = tell(BEGUN)
    assert report.problem is not None
    assert report.problem.message == f"{grafana.url} cannot find annotations: Server Error 502"


def test_an_error_with_one_annotation_is_not_of_those_behind_it(tell: Tell, grafana: GrafanaDouble) -> None:
    tell(OTHER)
    grafana.refuses_part = ("POST", (500, {"message": "Failed to save annotation"}))
    bad, known, dashboards = tell(BEGUN, OTHER, dashboards=True)
    assert bad.problem is not None
    assert (bad.problem.kind, bad.problem.of_everything) == (ProblemKind.UNREACHABLE, False)
    assert known.problem is None
    assert dashboards.problem is not None, "it makes a folder with POST"


def test_two_errors_in_a_row_are_of_everything(tell: Tell, grafana: GrafanaDouble) -> None:
    grafana.refuses = (500, {"message": "database is locked"})
    first, second, third, dashboards = tell(BEGUN, OTHER, ENDED, dashboards=True)
    assert [each.problem and each.problem.of_everything for each in (first, second, third)] == [False, True, True]
    assert dashboards.problem == third.problem
    assert grafana.asked == 2


@pytest.mark.parametrize("wanted", [BEGUN, ENDED])
def test_one_too_many_is_taken_away(tell: Tell, grafana: GrafanaDouble, wanted: RunAnnotation) -> None:
    """As a request leaves it that Grafana carried out after it had been given up."""
    tell(BEGUN, OTHER)
    grafana.annotations.append({**grafana.annotations[0], "id": 3})
    (report,) = tell(wanted)
    assert (report.problem, len(report.changes)) == (None, 1)
    assert [each["id"] for each in grafana.annotations] == [1, 2]
    assert (grafana.annotations[0]["text"] == "Succeeded") == (wanted is ENDED)
    assert tell(wanted) == [Report(annotation=0)]


def test_a_tag_that_somebody_adds_makes_no_second_annotation(tell: Tell, grafana: GrafanaDouble) -> None:
    tell(BEGUN)
    grafana.annotations[0]["tags"] += ["perbench:reviewed", "team/bench:mine", "run", "mine"]
    tell(ENDED)
    assert len(grafana.annotations) == 1
    assert grafana.annotations[0]["text"] == "Succeeded"


def test_the_same_run_of_another_benchmark_is_another(tell: Tell, grafana: GrafanaDouble) -> None:
    tell(BEGUN, BEGUN.model_copy(update={"benchmark": "copy"}), BEGUN.model_copy(update={"namespace": "other"}))
    assert len(grafana.annotations) == 3


def test_a_grafana_that_is_away_is_asked_once(tell: Tell, grafana: GrafanaDouble) -> None:
    grafana.refuses, grafana.retry_after = (503, {"message": "starting"}), "70"
    reports = tell(BEGUN, OTHER, dashboards=True)
    assert [report.annotation for report in reports] == [0, 1, None]
    problems = {report.problem for report in reports}
    assert len(problems) == 1
    assert {problem.retry_after_seconds for problem in problems if problem} == {70}
    assert grafana.asked == 1


@pytest.mark.parametrize("status", [400, 409, 412, 422])
def test_what_is_refused_of_one_is_not_of_all(tell: Tell, grafana: GrafanaDouble, status: int) -> None:
    grafana.refuses_part = ("POST /api/annotations", (status, {"message": "no"}))
    grafana.annotations = [
        {"id": 1, "time": 1_775_120_400_000, "timeEnd": 1_775_120_400_000, "text": "is on", "tags": list(OTHER.tags)}
    ]
    refused, known, dashboards = tell(BEGUN, OTHER, dashboards=True)
    assert refused.problem is not None
    assert refused.problem.kind is ProblemKind.REFUSED
    assert known.problem is None
    assert dashboards.problem is None


def test_a_grafana_that_goes_away_in_the_middle(tell: Tell, grafana: GrafanaDouble) -> None:
    """What was done before stays told; what it had done of the rest is found the next time."""
    grafana.ends_at = 4
    first, second = tell(BEGUN, OTHER)
    assert first.problem is None
    assert second.problem is not None
    assert second.problem.kind is ProblemKind.UNREACHABLE
    grafana.ends_at = None
    assert [report.problem for report in tell(BEGUN, OTHER)] == [None, None]
    assert len(grafana.annotations) == 2


def test_an_annotation_that_somebody_deletes_meanwhile(tell: Tell, grafana: GrafanaDouble) -> None:
    tell(BEGUN)
    grafana.refuses_part = ("PATCH", (404, {"message": "Annotation not found"}))
    (report,) = tell(ENDED)
    assert report.problem is not None
    grafana.refuses_part, grafana.annotations = None, []
    assert tell(ENDED)[0].problem is None
    assert grafana.annotations[0]["text"] == "Succeeded"


@pytest.mark.parametrize("text", ["", "{}x", json.dumps({"annotations": [{}]}), json.dumps({"more": 1})])
def test_what_is_no_order_is_one_line(grafana_program: list[str], tmp_path: Path, text: str) -> None:
    (tmp_path / "token").write_text(TOKEN)
    arguments = ["grafana", "tell", "--url", "http://127.0.0.1:9", "--token-file", str(tmp_path / "token")]
    done = subprocess.run(
        [*grafana_program, *arguments], input=text, capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert done.stderr.startswith("perbench: standard input is no order: ")
