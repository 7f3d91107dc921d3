"""Runs held against a baseline, over a simulated cluster: what the condition says, and what of former runs stays."""

from typing import Any

import pytest

from perbench.api.baseline import LISTED, BaselineRef, ComparedFigure
from perbench.api.status import Condition, ConditionStatus, ConditionType, Phase, Status
from perbench.failures import Blame, Failure
from perbench_operator.decide import regression
from perbench_operator.decide.regression import chosen_run, named_runs
from perbench_operator.decide.runs import needs_baseline
from perbench_operator.decide.situation import NoBaseline, Prune, Refusal
from perbench_operator.names import MODEL, OUTCOME, ROLE, RUN, Outcome, Role
from tests.support.simulated_cluster import Body, Cluster, Fate
from tests.support.simulated_operator import Operator, benchmark

ITSELF = {"name": "small-or-large"}
SLOWER = {"large": 1.3}


def operator(cluster: Cluster | None = None, *, kill_every: int = 0, **spec: Any) -> Operator:
    run = Operator(cluster or Cluster(blinks=0), benchmark(**{"baselineRef": ITSELF} | spec), kill_every=kill_every)
    run.run()
    assert run.status.completion_time is not None
    return run


def again(run: Operator, request: str = "again", **slower: float) -> Operator:
    """The same asked for once more, some models slower."""
    run.cluster.slower = slower
    run.ask_again(request)
    run.run()
    assert run.status.run is not None
    assert run.status.run.request == request
    return run


def regressed(status: Status) -> Condition:
    return next(condition for condition in status.conditions if condition.type is ConditionType.REGRESSED)


def said(run: Operator) -> tuple[str, str]:
    condition = regressed(run.status)
    return condition.status.value, condition.reason


def kept(run: Operator, role: str = Role.RESULTS) -> set[str]:
    """Ids of the runs of which something is kept."""
    labels = [body["metadata"]["labels"] for body in run.cluster.objects.values()]
    return {each[RUN] for each in labels if each[ROLE] == role}


def run_of(run: Operator) -> str:
    assert run.status.run is not None
    return run.status.run.id


def test_a_model_that_became_slower() -> None:
    run = operator()
    first = run_of(run)
    again(run, large=1.3)
    condition = regressed(run.status)
    assert said(run) == ("True", "Regressed")
    assert condition.message.startswith(f"against run {first} of small-or-large: large on ")
    assert condition.message.endswith(
        "; and 5 more; intervals hold within one launch: what a new start changes is not in them"
    )
    baseline = run.status.baseline
    assert baseline is not None
    assert (baseline.name, baseline.run_id, baseline.regressed_figures) == ("small-or-large", first, 6)
    assert {entry.model for entry in baseline.regressed} == {"large"}
    latency = next(entry for entry in baseline.regressed if entry.figure is ComparedFigure.LATENCY)
    assert float(latency.low) <= float(latency.ratio) <= float(latency.high)
    assert float(latency.ratio) == pytest.approx(1.3, rel=1e-3)
    (event,) = [story for story in run.story if story.reason == "Regressed"]
    assert event.warning
    assert event.message == condition.message
    assert next(c for c in run.status.conditions if c.type is ConditionType.SUCCEEDED).status is ConditionStatus.TRUE


def test_the_end_is_written_before_anything_is_compared() -> None:
    run = again(operator())
    ends = [status for status in run.status_writes if status.completion_time is not None]
    assert [regressed(status).reason for status in ends[-2:]] == ["NotCompared", "NoRegression"]
    assert ends[-1].completion_time == ends[-2].completion_time
    on = [status for status in run.status_writes if status.completion_time is None]
    assert {(regressed(status).status.value, regressed(status).reason) for status in on} == {("Unknown", "NotFinished")}


def test_nothing_became_worse() -> None:
    run = again(operator())
    assert said(run) == ("False", "NoRegression")
    assert "nothing got worse by more than 5 % (4 pairs of model and task)" in regressed(run.status).message
    assert run.status.baseline is not None
    assert run.status.baseline.regressed_figures == 0
    assert [story.reason for story in run.story if not story.warning][-1] == "NotRegressed"


def test_without_a_baseline_nothing_is_said() -> None:
    run = operator(baselineRef=None)
    assert all(len(status.conditions) == 5 for status in run.status_writes)
    assert run.status.baseline is None
    assert not needs_baseline(run.benchmark)


def test_the_first_run_has_none_before_it() -> None:
    run = operator()
    assert said(run) == ("Unknown", "NoBaselineRun")
    assert run.status.baseline is None
    assert [story.reason for story in run.story][-1] == "NotJudged"


def test_a_benchmark_that_is_not_there() -> None:
    run = operator(baselineRef={"name": "nightly"})
    assert said(run) == ("Unknown", "BaselineNotFound")
    assert "nightly in team" in regressed(run.status).message


def test_a_run_of_another_benchmark() -> None:
    nightly = operator(baselineRef=None)
    body = benchmark(baselineRef=ITSELF)
    body["metadata"] |= {"name": "candidate", "uid": "u-2"}
    nightly.cluster.slower = SLOWER
    run = Operator(nightly.cluster, body, others=(nightly.body,))
    run.run()
    assert said(run) == ("True", "Regressed")
    assert run.status.baseline is not None
    assert run.status.baseline.run_id == run_of(nightly)
    assert run_of(nightly) in kept(run), "what another benchmark has is not its to clear away"


def test_of_another_benchmark_a_run_that_is_on_does_not_count() -> None:
    nightly = operator(baselineRef=None)
    first = run_of(nightly)
    nightly.ask_again("next")
    for _ in range(4):
        nightly.turn()
    assert nightly.active
    body = benchmark(baselineRef=ITSELF)
    body["metadata"] |= {"name": "candidate", "uid": "u-2"}
    run = Operator(Cluster(blinks=0), body, others=(nightly.body,))
    run.cluster.objects |= nightly.cluster.objects
    run.run()
    assert run.status.baseline is not None
    assert run.status.baseline.run_id == first
    run.edit(baselineRef=ITSELF | {"runID": run_of(nightly)})
    run.run()
    assert said(run) == ("Unknown", "BaselineUnfinished")


def test_an_edit_compares_again_and_measures_nothing() -> None:
    run = again(operator(), large=1.3)
    loads, first, second = len(run.cluster.loads), run.status.baseline, run_of(run)
    assert first is not None
    run.edit(baselineRef=ITSELF | {"tolerancePercent": "50"})
    run.run()
    assert said(run) == ("False", "NoRegression")
    assert "50 %" in regressed(run.status).message
    run.edit(baselineRef=ITSELF | {"runID": second})
    run.run()
    assert said(run) == ("Unknown", "BaselineIsThisRun")
    run.edit(baselineRef=ITSELF | {"runID": first.run_id})
    run.run()
    assert said(run) == ("True", "Regressed")
    run.edit(baselineRef=None)
    run.run()
    assert len(run.status.conditions) == 5
    assert run.status.baseline is None
    assert len(run.cluster.loads) == loads
    assert run_of(run) == second


def test_an_edit_while_the_run_is_on() -> None:
    run = operator(baselineRef=None)
    run.ask_again("again")
    for _ in range(6):
        run.turn()
    assert run.active
    run.edit(baselineRef=ITSELF)
    run.turn()
    assert said(run) == ("Unknown", "NotFinished")
    run.edit(baselineRef=None)
    run.turn()
    assert len(run.status.conditions) == 5
    run.edit(baselineRef=ITSELF)
    run.run()
    assert said(run) == ("False", "NoRegression")


def test_an_edit_of_per_reads_both_runs_by_it() -> None:
    """Of latency alone the weights leave nothing, so the Reference PER of the slower model is as before."""
    run = again(operator(), large=1.3)
    assert run.status.baseline is not None
    figures = {entry.figure for entry in run.status.baseline.regressed}
    assert ComparedFigure.REFERENCE_PER in figures
    run.edit(per={"weights": {"throughput": 0, "latency": 0}})
    run.run()
    assert run.status.baseline is not None
    assert {entry.figure for entry in run.status.baseline.regressed} == figures - {ComparedFigure.REFERENCE_PER}


def test_runs_that_were_not_measured_alike() -> None:
    run = operator()
    run.edit(load={"concurrency": 6, "repeats": 3})
    run.run()
    assert said(run) == ("Unknown", "BaselineUnlike")
    assert "load.concurrency was 4 and is 6" in regressed(run.status).message
    assert run.status.baseline is not None
    assert run.status.baseline.regressed_figures is None


@pytest.mark.parametrize("runtime", ["TGI", "VLLM", "SGLang"])
def test_other_files_of_a_model_are_compared(runtime: str) -> None:
    """The hub's main branch has moved; then another revision is named, another model."""
    serving = {"runtime": runtime, "accelerator": {"resource": "nvidia.com/gpu", "count": 1}}
    run = operator(Cluster(blinks=0, commit="a" * 40), serving=serving)
    run.cluster.commit = "b" * 40
    again(run)
    assert said(run) == ("False", "NoRegression")
    for source in ({"model": "org/small", "revision": "v2"}, {"model": "org/other"}):
        run.edit(models=[{"name": "small", **source}, {"name": "large", "model": "org/large"}])
        run.run()
        assert said(run) == ("False", "NoRegression")


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"resources": {"limits": {"cpu": "2"}}}, "resources.limits.cpu was absent and is 2"),
        ({"nodeSelector": {"pool": "slow"}}, "nodeSelector.pool was absent and is slow"),
        ({"sharedMemory": "64Mi"}, "sharedMemory was 1Gi and is 64Mi"),
        ({"podPatch": {"spec": {"hostNetwork": True}}}, "podPatch.spec.hostNetwork was absent and is true"),
    ],
)
def test_pods_that_have_something_else_are_not_alike(change: dict[str, Any], what: str) -> None:
    run = operator()
    served = benchmark()["spec"].get("serving") or {}
    run.edit(serving={**served, **change})
    run.run()
    assert said(run) == ("Unknown", "BaselineUnlike")
    assert f"serverArguments.{what}" in regressed(run.status).message


def test_two_repeats_are_too_few() -> None:
    run = operator(load={"concurrency": 4, "repeats": 2})
    again(run, large=1.3)
    assert said(run) == ("Unknown", "TooFewRepeats")


def crashing(model: str) -> Cluster:
    """From the second run on."""
    runs: dict[str, None] = {}

    def fate(job: Body) -> Fate:
        labels, notes = job["metadata"]["labels"], job["metadata"]["annotations"]
        runs.setdefault(labels[RUN])
        mine = labels[ROLE] == Role.MODEL and notes[MODEL] == model
        return Fate(crash_after=0) if mine and len(runs) > 1 else Fate()

    return Cluster(fates=fate, blinks=0)


def test_a_model_that_failed_since_is_told() -> None:
    run = again(operator(crashing("small")))
    assert said(run) == ("Unknown", "FiguresLost")
    assert "small on topics (ModelFailed)" in regressed(run.status).message


def test_beside_what_got_worse_it_is_told_too() -> None:
    run = again(operator(crashing("small")), large=1.3)
    assert said(run) == ("True", "Regressed")
    assert "not measured any more: small on topics (ModelFailed)" in regressed(run.status).message


def test_a_model_that_is_not_asked_for_any_more_is_not_lost() -> None:
    run = operator()
    run.edit(models=[{"name": "small", "model": "org/small"}])
    run.run()
    assert said(run) == ("False", "NoRegression")
    assert "not asked for any more: large on topics" in regressed(run.status).message


def test_a_reference_that_the_baseline_lacks_is_no_reference_there() -> None:
    run = operator(models=[{"name": "small", "model": "org/small"}])
    run.edit(models=[{"name": "large", "model": "org/large"}, {"name": "small", "model": "org/small"}])
    run.run()
    assert said(run) == ("False", "NoRegression")


def test_a_run_that_was_broken_off_is_not_compared() -> None:
    run = operator()
    run.ask_again("again")
    failure = Failure(blame=Blame.INFRASTRUCTURE, reason="QuotaExceeded", message="no room")
    run.refuse = {"ConfigMap snapshot": Refusal(failure)}
    run.run()
    assert run.status.failure is not None
    assert said(run) == ("Unknown", "RunIncomplete")


def test_what_the_baseline_measured_is_gone() -> None:
    run = again(operator())
    assert run.status.baseline is not None
    former = run.status.baseline.run_id
    for key, body in list(run.cluster.objects.items()):
        if body["metadata"]["labels"].get(RUN) == former and body["metadata"]["labels"][ROLE] == Role.RESULTS:
            run.cluster.delete(*key)
            break
    run.edit(baselineRef=ITSELF | {"runID": former})
    run.run()
    assert said(run) == ("Unknown", "BaselineGone")
    run.edit(baselineRef=ITSELF | {"runID": "0123456789"})
    run.run()
    assert said(run) == ("Unknown", "BaselineGone")
    assert "run 0123456789" in regressed(run.status).message


def test_of_the_run_itself_nothing_is_there_any_more() -> None:
    run = again(operator())
    for key, body in list(run.cluster.objects.items()):
        if body["metadata"]["labels"].get(RUN) == run_of(run) and body["metadata"]["labels"][ROLE] == Role.RESULTS:
            run.cluster.delete(*key)
    run.edit(baselineRef=ITSELF | {"tolerancePercent": 1})
    run.run()
    assert said(run) == ("Unknown", "RunIncomplete")
    assert run.status.baseline is None


@pytest.mark.parametrize("limit", [0, 1])
def test_the_run_before_is_there_until_it_was_compared_and_as_long_as_the_status_names_it(limit: int) -> None:
    run = operator(execution={"historyLimit": limit})
    ids = [run_of(run)]
    for request in ("second", "third"):
        ids.append(run_of(again(run, request)))
        assert said(run) == ("False", "NoRegression")
        assert kept(run) == kept(run, Role.SNAPSHOT) == set(ids[-2:])
    run.edit(per={"reference": "large"})
    run.run()
    assert said(run) == ("False", "NoRegression"), "an edit finds it still"


def test_a_run_that_somebody_names_outlives_the_history() -> None:
    run = operator(execution={"historyLimit": 0})
    first = run_of(run)
    run.edit(baselineRef=ITSELF | {"runID": first})
    for request in ("second", "third"):
        again(run, request)
        assert said(run) == ("False", "NoRegression")
        assert kept(run) == {first, run_of(run)}
    other = benchmark(baselineRef=ITSELF | {"runID": run_of(run)})
    other["metadata"] |= {"name": "candidate", "uid": "u-2"}
    run.others = (other,)
    third = run_of(run)
    again(run, "fourth")
    assert kept(run) == {first, third, run_of(run)}


@pytest.mark.parametrize("every", [2, 3, 5])
def test_killed_again_and_again_it_is_compared_all_the_same(every: int) -> None:
    run = again(operator(kill_every=every), large=1.3)
    assert said(run) == ("True", "Regressed")
    assert run.cluster.troubles == []
    assert any(isinstance(action, Prune) for action in run.actions)


def test_a_run_that_is_pinned_is_not_measured_anew_under_its_id() -> None:
    run = operator()
    first, load = run_of(run), run.body["spec"].get("load")
    run.edit(baselineRef=ITSELF | {"runID": first}, load={"concurrency": 6, "repeats": 3})
    run.run()
    second = run_of(run)
    run.edit(load=load)
    run.run(60)
    accepted = run.status.conditions[0]
    assert (accepted.status.value, accepted.reason) == ("False", "RunIsBaseline")
    assert run_of(run) == second
    assert first in kept(run)
    again(run)
    assert run.status.baseline is not None
    assert run.status.baseline.run_id == first


def test_a_run_in_which_a_model_failed_is_no_baseline_while_there_is_a_better_one() -> None:
    """Else what is slow from then on is held against itself."""
    run = operator(crashing("small"))
    first = run_of(run)
    again(run, "second")
    assert said(run) == ("Unknown", "FiguresLost")
    run.cluster.fates = lambda _job: Fate()
    again(run, "third", small=1.5)
    assert said(run) == ("True", "Regressed")
    assert run.status.baseline is not None
    assert run.status.baseline.run_id == first


def test_against_a_run_in_which_a_model_failed_nothing_is_said_of_it() -> None:
    """The only one there is."""
    failing = [True]
    run = operator(Cluster(fates=lambda job: Fate(crash_after=0) if failing[0] and is_small(job) else Fate(), blinks=0))
    failing[0] = False
    again(run, "second", small=1.5)
    assert said(run) == ("Unknown", "BaselineLacks")
    assert "small on topics (ModelFailed)" in regressed(run.status).message


def is_small(job: Body) -> bool:
    labels, notes = job["metadata"]["labels"], job["metadata"]["annotations"]
    return bool(labels[ROLE] == Role.MODEL and notes[MODEL] == "small")


def test_a_run_that_was_broken_off_is_no_baseline() -> None:
    run = operator()
    first = run_of(run)
    run.ask_again("second")
    for _ in range(4):
        run.turn()
    assert run.active
    failure = Failure(blame=Blame.INFRASTRUCTURE, reason="QuotaExceeded", message="no room")
    run.refuse = {"Job a0": Refusal(failure), "ConfigMap results": Refusal(failure)}
    run.run()
    assert run.status.phase is Phase.FAILED
    run.refuse = {}
    again(run, "third", large=1.3)
    assert said(run) == ("True", "Regressed")
    assert run.status.baseline is not None
    assert run.status.baseline.run_id == first


def test_a_run_is_compared_before_the_next_that_is_asked_for_begins() -> None:
    run = operator()
    run.cluster.slower = SLOWER
    run.ask_again("second")
    for _ in range(6):
        run.turn()
    second = run_of(run)
    run.ask_again("third")
    run.run()
    assert run_of(run) != second
    judged = [regressed(status) for status in run.status_writes if status.run and status.run.id == second]
    assert judged[-1].reason == "Regressed"
    assert [story.reason for story in run.story].count("Regressed") == 1


@pytest.mark.parametrize("edit", [{"later": {"a": 1}}, {"models": [{"name": "x", "model": "./local.gguf"}]}])
def test_a_run_whose_spec_was_changed_before_it_was_compared_does_not_wait_for_ever(edit: dict[str, Any]) -> None:
    run = operator()
    run.ask_again("second")
    while run.active or not any(regression.is_pending(status) for status in run.status_writes[-1:]):
        run.cluster.step()
        for kind, event, body in run.cluster.deliver(1_000):
            run.cache.child(kind, event, body)
        run.look()
    before = dict(run.body["spec"])
    run.edit(**edit)
    run.run()
    assert not regression.is_pending(run.status)
    run.body["spec"] = before
    run.edit()
    run.run()
    assert said(run) == ("False", "NoRegression")


def snapshot(run: str, made: str, outcome: str | None = Outcome.SUCCEEDED) -> Body:
    ended = {OUTCOME: outcome} if outcome else {}
    return {"metadata": {"labels": {RUN: run, **ended}, "creationTimestamp": made}}


def test_the_latest_run_is_chosen() -> None:
    reference = BaselineRef(name="nightly")
    snapshots = [snapshot("a", "2026-01-01"), snapshot("c", "2026-01-03"), snapshot("b", "2026-01-02")]
    status = {"run": {"id": "c"}, "startTime": "2026-01-03"}
    assert chosen_run(reference, None, None, {"status": status | {"completionTime": "x"}}, snapshots) == "c"
    assert chosen_run(reference, None, None, {"status": status}, snapshots) == "b"
    assert chosen_run(reference, "c", None, {}, snapshots) == "b"
    assert chosen_run(reference, "c", "a", {}, snapshots) == "a", "an edit does not change what was compared"
    assert chosen_run(reference, "c", "z", {}, snapshots) == "b", "unless it is gone"
    failed = [snapshot("a", "2026-01-01"), snapshot("b", "2026-01-02", Outcome.FAILED)]
    assert chosen_run(reference, "c", None, {}, failed) == "a"
    assert chosen_run(reference, "a", None, {}, failed) == "b"
    for left in ([], [snapshot("a", "2026-01-01", None)]):
        nothing = chosen_run(reference, None, None, {}, left)
        assert isinstance(nothing, NoBaseline)
        assert nothing.reason == "NoBaselineRun"


def test_runs_that_are_named() -> None:
    def body(namespace: str, **parts: Any) -> Body:
        return {"metadata": {"namespace": namespace}, "spec": {}} | parts

    bodies = [
        body("team", spec={"baselineRef": {"name": "nightly", "runID": "a"}}),
        body("team", spec={"baselineRef": {"name": "nightly"}}, status={"baseline": {"name": "nightly", "runID": "b"}}),
        body("team", spec={"baselineRef": {"name": "weekly", "runID": "c"}}),
        body("other", spec={"baselineRef": {"name": "nightly", "runID": "d"}}),
        {"metadata": {"namespace": "team"}},
    ]
    assert named_runs("nightly", "team", bodies) == {"a", "b"}


def test_of_many_figures_the_worst_are_listed() -> None:
    models = [{"name": f"m{number}", "model": "org/m"} for number in range(8)]
    run = operator(models=models)
    again(run, **{f"m{number}": 1.1 + number / 10 for number in range(8)})
    baseline = run.status.baseline
    assert baseline is not None
    assert baseline.regressed_figures is not None
    assert baseline.regressed_figures > LISTED == len(baseline.regressed)
    assert baseline.regressed[0].model == "m7"
