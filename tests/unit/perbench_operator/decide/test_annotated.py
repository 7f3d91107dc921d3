"""What Grafana is told of runs, and that nothing depends on it."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import pytest

from perbench.api.resource import to_data
from perbench.api.status import Condition, ConditionStatus, ConditionType, Phase, Status
from perbench.failures import Blame, Failure
from perbench.grafana.annotations import RunAnnotation
from perbench.grafana.orders import Problem, ProblemKind
from perbench_operator.decide.annotated import annotation_due, annotation_of, broken_off, condition_of
from perbench_operator.decide.situation import Told
from tests.support.simulated_cluster import Cluster
from tests.support.simulated_operator import Operator, benchmark

AWAY = Problem(kind=ProblemKind.UNREACHABLE, message="https://grafana does not answer")
REFUSES = Problem(kind=ProblemKind.REFUSED, message="https://grafana does not let this token find annotations")


@dataclass
class WithGrafana(Operator):
    """An operator with a Grafana that is told at once, and answers with a problem or without."""

    annotates: bool = True
    problem: Problem | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        self.known: dict[tuple[str, datetime], RunAnnotation] = {}
        self.asked: list[RunAnnotation] = []

    def turn(self) -> None:
        due = annotation_due(self.benchmark) if self.annotates else None
        if due is not None and not (self.told and self.told.annotation == due and self.told.problem is None):
            self.asked.append(due)
            self.told = Told(due, self.problem)
            if self.problem is None:
                self.known[due.run_id, due.start] = due
        super().turn()

    def run(self, steps: int = 400) -> None:
        super().run(steps)
        self.turn()
        self.turn()


def said(status: Status) -> tuple[str, str] | None:
    condition = condition_of(status)
    return (condition.status.value, condition.reason) if condition else None


def test_a_run_is_told_at_its_start_and_at_its_end() -> None:
    run = WithGrafana(Cluster(), benchmark())
    run.run()
    begun, ended = run.asked
    assert (begun.namespace, begun.benchmark, begun.end) == ("team", "small-or-large", None)
    assert run.status.run is not None
    assert begun.run_id == run.status.run.id
    assert begun.text == f"<b>team/small-or-large, run {begun.run_id}: 2 models</b>"
    assert (ended.start, ended.end) == (begun.start, run.status.completion_time)
    head, best = ended.text.split("<br>")
    assert head == f"<b>team/small-or-large, run {begun.run_id}: 2 models, Succeeded</b>"
    assert best.startswith("best: ")
    assert "Reference PER" in best
    assert said(run.status) == ("True", "Annotated")


def comparable(run: Operator) -> list[dict[str, Any]]:
    """Statuses without what is said of Grafana, each once."""
    found: list[dict[str, Any]] = []
    for status in run.status_writes:
        data = to_data(status)
        data["conditions"] = [each for each in data["conditions"] if each["type"] != "Annotated"]
        if not found or found[-1] != data:
            found.append(data)
    return found


@pytest.mark.parametrize("problem", [None, AWAY, REFUSES])
def test_a_run_goes_as_without_grafana(problem: Problem | None) -> None:
    without, with_it = Operator(Cluster(), benchmark()), WithGrafana(Cluster(), benchmark(), problem=problem)
    without.run()
    with_it.run()
    assert comparable(with_it) == comparable(without)
    assert with_it.actions == without.actions
    assert with_it.story == without.story
    assert len(with_it.status_writes) == len(without.status_writes) + 1, "one more: what came of the end"


def test_without_a_grafana_nothing_is_said_of_it() -> None:
    run = Operator(Cluster(), benchmark())
    run.run()
    assert all(condition_of(status) is None for status in run.status_writes)
    assert annotation_due(run.benchmark) is None


@pytest.mark.parametrize(("problem", "reason"), [(AWAY, "GrafanaUnreachable"), (REFUSES, "GrafanaRefused")])
def test_a_grafana_that_does_not_take_it_is_a_condition_and_it_goes_on(problem: Problem, reason: str) -> None:
    run = WithGrafana(Cluster(), benchmark(), problem=problem)
    run.run()
    assert run.status.phase is Phase.SUCCEEDED
    assert said(run.status) == ("False", reason)
    assert condition_of(run.status) is not None
    assert condition_of(run.status).message == problem.message  # type: ignore[union-attr]
    writes = len(run.status_writes)
    run.problem = REFUSES if problem is AWAY else AWAY
    run.turn()
    run.turn()
    assert len(run.status_writes) == writes, "that it fails for another reason is not worth a write"
    run.problem = None
    run.turn()
    run.turn()
    assert said(run.status) == ("True", "Annotated")
    assert len(run.status_writes) == writes + 1
    assert annotation_due(run.benchmark) is None


def test_while_a_run_is_on_it_is_written_along_with_what_else_is_written() -> None:
    run = WithGrafana(Cluster(), benchmark())
    run.turn()
    assert said(run.status_writes[0]) == ("Unknown", "NotYetAnnotated")
    run.run()
    on = [said(status) for status in run.status_writes if status.completion_time is None]
    assert on[-1] == ("True", "Annotated")
    ended = [said(status) for status in run.status_writes if status.completion_time is not None]
    assert ended == [("Unknown", "NotYetAnnotated"), ("True", "Annotated")]


@pytest.mark.parametrize("kill_every", [3, 7, 20])
def test_an_operator_that_is_killed_tells_again_and_loses_nothing(kill_every: int) -> None:
    run = WithGrafana(Cluster(), benchmark(), kill_every=kill_every)
    while not run.status_writes or run.active:
        run.turn()
        run.told = None  # what a new process knows
    run.turn()
    run.turn()
    assert said(run.status) == ("True", "Annotated")
    assert {(each.run_id, each.start) for each in run.asked} == set(run.known)
    (kept,) = run.known.values()
    assert kept == annotation_of(run.benchmark, run.status)


def test_an_operator_that_was_away_for_the_whole_run_tells_all_of_it_at_once() -> None:
    """What is asked for at the end is whole: start, end and verdict."""
    run = WithGrafana(Cluster(), benchmark(), problem=AWAY)
    run.run()
    run.problem, run.told = None, None
    run.turn()
    run.turn()
    (kept,) = run.known.values()
    assert (kept.start, kept.end) == (run.status.start_time, run.status.completion_time)


def test_runs_that_ended_before_there_was_a_grafana_are_not_told() -> None:
    run = WithGrafana(Cluster(), benchmark(), annotates=False)
    Operator.run(run)
    run.asked, run.told, writes = [], None, len(run.status_writes)
    run.annotates = True
    run.turn()
    run.turn()
    assert (run.asked, len(run.status_writes)) == ([], writes)
    run.edit(per={"reference": "large"})
    run.run()
    assert (run.asked, said(run.status)) == ([], None)
    run.ask_again("2026-04-03")
    run.run()
    assert said(run.status) == ("True", "Annotated")
    assert len(run.known) == 1


def test_a_run_that_is_on_when_a_grafana_comes_is_told() -> None:
    run = WithGrafana(Cluster(), benchmark(), annotates=False)
    Operator.turn(run)
    assert run.active
    run.annotates = True
    run.run()
    assert said(run.status) == ("True", "Annotated")
    assert len(run.known) == 1


def test_figures_that_are_computed_anew_are_told_anew() -> None:
    run = WithGrafana(Cluster(), benchmark())
    run.run()
    run.body["status"]["best"]["referencePer"] = "9"  # as under other settings
    run.told = None
    before, writes = annotation_of(run.benchmark, run.status), len(run.status_writes)
    assert before is not None
    run.edit(per={"reference": "large"})
    run.run()
    assert run.asked[-1] != before
    assert (run.asked[-1].start, run.asked[-1].end) == (before.start, before.end)
    assert said(run.status) == ("True", "Annotated")
    assert len(run.status_writes) == writes + 2


def test_an_edit_that_is_refused_leaves_what_was_told() -> None:
    run = WithGrafana(Cluster(), benchmark())
    run.run()
    asked, known = len(run.asked), condition_of(run.status)
    run.edit(models=[{"name": "a", "model": "packaged:smollm2-135m"}])
    run.run()
    assert run.status.refused is not None
    assert condition_of(run.status) == known
    assert len(run.asked) == asked


def test_a_new_run_is_told_anew() -> None:
    run = WithGrafana(Cluster(), benchmark())
    run.run()
    run.ask_again("2026-04-03")
    run.run()
    assert len(run.known) == 2
    assert len(run.asked) == 4


def test_a_benchmark_that_is_not_accepted_has_no_run_to_tell_of() -> None:
    run = WithGrafana(Cluster(), benchmark(models=[{"name": "a", "model": "packaged:smollm2-135m"}]))
    run.run()
    assert run.status.phase is Phase.FAILED
    assert (run.asked, said(run.status)) == ([], None)


def test_what_a_server_says_is_text_and_short() -> None:
    run = WithGrafana(Cluster(), benchmark())
    run.run()
    failure = Failure(blame=Blame.TARGET, reason="ServerExited", message="<script>\x1b[31m" + "&" * 900, model="small")
    changed = run.status.model_copy(
        update={
            "phase": Phase.FAILED,
            "failure": failure,
            "conditions": tuple(
                each.model_copy(update={"status": ConditionStatus.FALSE, "reason": "AllModelsFailed", "message": "no"})
                if each.type is ConditionType.SUCCEEDED
                else each
                for each in run.status.conditions
            ),
        }
    )
    annotation = annotation_of(run.benchmark, changed)
    assert annotation is not None
    head, last, _best, why = annotation.text.split("<br>")
    assert head.endswith("2 models, Failed</b>")
    assert last == "AllModelsFailed: no"
    assert "<" not in why
    assert "\x1b" not in why
    assert why.endswith("&amp;")
    assert len(why) < 2000


def test_what_got_worse_than_the_baseline_is_told() -> None:
    run = WithGrafana(Cluster(), benchmark())
    run.run()
    first = run.status.conditions[0]
    update = {"type": ConditionType.REGRESSED, "reason": "FiguresRegressed", "message": "small: throughput -20 %"}
    for says in ConditionStatus:
        regressed = first.model_copy(update=update | {"status": says})
        changed = run.status.model_copy(update={"conditions": (*run.status.conditions, regressed)})
        annotation = annotation_of(run.benchmark, changed)
        assert annotation is not None
        told = "FiguresRegressed: small: throughput -20 %" in annotation.text
        assert told == (says is ConditionStatus.TRUE)


def test_a_benchmark_that_is_deleted_while_its_run_is_on() -> None:
    run = WithGrafana(Cluster(), benchmark())
    run.turn()
    begun = annotation_of(run.benchmark, run.status)
    assert begun is not None
    ended = broken_off(begun, begun.start + timedelta(seconds=61.5))
    assert ended.end == begun.start + timedelta(seconds=61)
    assert ended.text == f"{begun.text}<br>deleted while the run was on"
    assert broken_off(begun, begun.start - timedelta(seconds=5)).end == begun.start


def test_the_condition_is_the_last_and_there_once() -> None:
    run = WithGrafana(Cluster(), benchmark())
    run.run()
    for status in run.status_writes:
        kinds = [condition.type for condition in status.conditions]
        assert kinds == [kind for kind in ConditionType if kind is not ConditionType.REGRESSED]
    assert isinstance(condition_of(run.status), Condition)


def test_without_a_grafana_the_condition_goes_with_the_next_write() -> None:
    """One that says of a run's start that it was told would say so of its end."""
    run = WithGrafana(Cluster(), benchmark())
    while run.benchmark.status is None or said(run.status) != ("True", "Annotated"):
        run.turn()
    assert run.active
    run.annotates = False
    run.run()
    assert run.status.completion_time is not None
    assert said(run.status) is None
    before = run.status
    run.annotates = True
    run.run()
    assert run.status == before, "it had ended before there was a Grafana"


def test_without_a_grafana_the_condition_goes_also_where_the_run_is_broken_off() -> None:
    """What a broken-off run said before is kept, but for this."""
    run = WithGrafana(Cluster(), benchmark())
    while run.benchmark.status is None or said(run.status) != ("True", "Annotated"):
        run.turn()
    run.annotates = False
    run.edit(field_of_tomorrow=1)
    for _ in range(20):
        run.turn()
    assert run.status.failure is not None
    assert run.status.failure.reason == "InvalidSpec"
    assert said(run.status) is None
