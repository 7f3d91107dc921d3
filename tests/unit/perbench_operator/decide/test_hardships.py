"""What goes wrong around a run: refusals, kills in the middle, hasty users, damaged objects."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from perbench.api.status import ModelPhase, Phase
from perbench.failures import Blame, Failure
from perbench_operator.decide.situation import Action, Create, RecordEnd, Refusal
from perbench_operator.names import MODEL, ROLE, Role
from perbench_operator.platform import Platform
from tests.support.simulated_cluster import Body, Cluster, Fate
from tests.support.simulated_operator import KilledError, Operator, benchmark

QUOTA = Failure(blame=Blame.INFRASTRUCTURE, reason="QuotaExceeded", message="exceeded quota: small")


News = tuple[str, str | None, Body]


def operator(cluster: Cluster | None = None, **spec: Any) -> Operator:
    return Operator(cluster or Cluster(), benchmark(**spec))


def of_model(fate: Fate, name: str = "small") -> Callable[[Body], Fate]:
    def of(job: Body) -> Fate:
        labels, notes = job["metadata"]["labels"], job["metadata"]["annotations"]
        return fate if labels[ROLE] == Role.MODEL and notes["perbench.dev/model"] == name else Fate()

    return of


def loading(run: Operator) -> Operator:
    while not run.cluster.loads:
        run.turn()
    return run


def hear_of_the_job_alone(run: Operator) -> list[News]:
    """Time passes until the first model's server ends. All is heard but the end of its pod, which comes late: that."""
    late: list[News] = []
    while not late:
        run.cluster.step()
        for news in run.cluster.deliver(1_000):
            if news[2].get("status", {}).get("phase") == "Failed":
                late.append(news)
            else:
                run.cache.child(*news)
    return late


def without_ending_pods(run: Operator) -> None:
    """The pods of what was deleted are given time to end."""
    while any(k == "Pod" and p["metadata"].get("deletionTimestamp") for (k, _), p in run.cluster.objects.items()):
        run.cluster.step()


@pytest.mark.parametrize("what", ["ServiceAccount bench", "Role bench", "ConfigMap snapshot", "ConfigMap results"])
def test_a_run_that_cannot_have_what_all_of_it_needs_ends(what: str) -> None:
    run = operator()
    run.refuse = {what: Refusal(QUOTA)}
    run.run(60)
    assert run.status.completion_time is not None
    assert run.status.phase is Phase.FAILED
    assert run.status.failure == QUOTA
    assert not [name for (kind, name) in run.cluster.objects if kind in {"Job", "Pod"}]


def test_no_bench_pod_is_made_for_a_server_whose_job_is_heard_to_have_ended() -> None:
    run = operator(Cluster(fates=of_model(Fate(crash_after=3)), blinks=0.0))
    run.turn()
    late = hear_of_the_job_alone(run)
    decision = run.look()
    assert not [action for action in decision.actions if isinstance(action, Create)]
    assert decision.wake_after == 1.0
    for news in late:
        run.cache.child(*news)
    run.run()
    (bench,) = {action.manifest["metadata"]["annotations"][MODEL] for action in run.actions if is_bench_job(action)}
    assert bench == "large"
    assert run.status.failure is not None
    assert (run.status.failure.model, run.status.failure.reason) == ("small", "ServerExited")


def test_the_end_of_a_server_is_looked_for_soon_whatever_its_bench_pod_waits_for() -> None:
    def fates(job: Body) -> Fate:
        return Fate(crash_after=4) if job["metadata"]["labels"][ROLE] == Role.MODEL else Fate(start=1_000)

    run = operator(Cluster(fates=fates, blinks=0.0))
    while not any(is_bench_job(action) for action in run.actions):
        run.turn()
    waits = run.look().wake_after
    hear_of_the_job_alone(run)
    decision = run.look()
    assert waits is not None
    assert waits > 1.0
    assert decision.wake_after == 1.0


def is_bench_job(action: Action) -> bool:
    if not isinstance(action, Create) or action.manifest["kind"] != "Job":
        return False
    return bool(action.manifest["metadata"]["labels"][ROLE] == Role.BENCH)


def test_a_run_that_cannot_keep_the_results_of_every_model_ends_before_the_first_is_started() -> None:
    run = operator()
    run.refuse = {"ConfigMap results large": Refusal(QUOTA, "large")}
    run.run(60)
    assert not [action for action in run.actions if isinstance(action, RecordEnd)], "it is no fault of the first one"
    assert (run.status.phase, run.status.failure) == (Phase.FAILED, QUOTA)
    assert not [name for (kind, name) in run.cluster.objects if kind in {"Job", "Pod"}]


def test_a_model_that_was_kept_does_not_block_the_next_run() -> None:
    execution = {"keepModels": "OnFailure", "deadlines": {"readySeconds": 5}}
    run = operator(Cluster(fates=of_model(Fate(ready=10_000))), execution=execution)
    run.run()
    assert [name for (kind, name) in run.cluster.objects if kind == "Job" and name.endswith("-model")]
    run.cluster.fates = lambda _job: Fate()
    run.ask_again("b")
    for _ in range(300):
        run.turn()
    assert run.status.phase is Phase.SUCCEEDED


def test_suspended_and_resumed_within_a_moment() -> None:
    for seed in range(6):
        run = loading(operator(Cluster(seed=seed)))
        run.edit(execution={"suspend": True})
        run.turn()
        run.edit(execution={"suspend": False})
        run.run()
        assert run.status.phase is Phase.SUCCEEDED, run.status.failure
        assert run.cluster.troubles == []


def test_killed_in_the_middle_of_a_suspension() -> None:
    run = loading(operator())
    run.edit(execution={"suspend": True})
    real = run.cluster.delete

    def delete(kind: str, name: str) -> None:
        real(kind, name)
        if kind == "Job":
            raise KilledError

    run.cluster.delete = delete  # type: ignore[method-assign]
    run.turn()
    run.cluster.delete = real  # type: ignore[method-assign]
    run.edit(execution={"suspend": False})
    without_ending_pods(run)
    run.run()
    assert run.status.phase is Phase.SUCCEEDED, run.status.failure


def test_what_a_kill_left_behind_goes_also_while_suspended() -> None:
    run = operator()
    real = run.cluster.delete

    def killed(_kind: str, _name: str) -> None:
        raise KilledError

    run.cluster.delete = killed  # type: ignore[method-assign]
    for _ in range(60):
        run.turn()
    run.cluster.delete = real  # type: ignore[method-assign]
    run.edit(execution={"suspend": True})
    for _ in range(30):
        run.turn()
    assert run.status.phase is Phase.SUSPENDED
    assert not [name for (kind, name) in run.cluster.objects if kind == "Job" and name.endswith("-model")]


def test_the_time_of_a_suspension_does_not_count() -> None:
    run = loading(operator())
    run.edit(execution={"suspend": True})
    for _ in range(30):
        run.turn()
    run.cluster.now += timedelta(days=2)
    run.edit(execution={"suspend": False})
    run.run()
    assert run.status.phase is Phase.SUCCEEDED, run.status.failure
    assert run.status.run is not None
    assert run.status.run.resumed_time is not None


def test_the_times_between_suspensions_are_added_up() -> None:
    """Else a run that is suspended now and then would have no end."""
    run = loading(operator(execution={"deadlines": {"totalSeconds": 3600}}))
    for _ in range(3):
        began = run.status.run
        run.cluster.now += timedelta(minutes=25)
        run.edit(execution={"suspend": True, "deadlines": {"totalSeconds": 3600}})
        run.turn()
        without_ending_pods(run)
        run.cluster.now += timedelta(days=2)
        run.edit(execution={"suspend": False, "deadlines": {"totalSeconds": 3600}})
        run.run(2)
        if not run.active:
            break
        while not run.cluster.loads:
            run.turn()
    assert run.status.failure is not None
    assert run.status.failure.reason == "TotalDeadline"
    assert began is not None
    assert 50 * 60 < (began.active_seconds or 0) < 55 * 60


def test_while_a_run_waits_its_time_stands_and_is_not_written_again() -> None:
    run = loading(operator())
    run.cluster.now += timedelta(minutes=25)
    run.edit(execution={"suspend": True})
    run.turn()
    without_ending_pods(run)
    run.turn()
    assert run.status.run is not None
    stands, written = run.status.run.active_seconds, len(run.status_writes)
    assert stands is not None
    assert 25 * 60 < stands < 26 * 60
    for _ in range(5):
        run.cluster.now += timedelta(hours=1)
        run.turn()
    assert len(run.status_writes) == written
    run.may_start = False
    run.edit(execution={"suspend": False})
    run.turn()
    assert run.status.phase is Phase.QUEUED
    assert run.status.run.active_seconds == stands


def test_a_run_that_waits_has_no_time_beyond_its_deadline() -> None:
    """Where the deadline is lowered meanwhile it ends when its turn is asked for."""
    run = loading(operator())
    run.cluster.now += timedelta(minutes=25)
    run.edit(execution={"suspend": True})
    run.turn()
    without_ending_pods(run)
    run.edit(execution={"suspend": False, "deadlines": {"totalSeconds": 600}})
    run.run(4)
    assert run.status.failure is not None
    assert run.status.failure.reason == "TotalDeadline"


@pytest.mark.parametrize("wait", [{"suspend": True}, {}], ids=["suspended", "on"])
def test_a_status_of_before_says_nothing_of_earlier_times(wait: dict[str, Any]) -> None:
    """Written by an operator that counted from `resumedTime` alone."""
    run = loading(operator(execution={"deadlines": {"totalSeconds": 3600}}))
    run.cluster.now += timedelta(minutes=59)
    run.edit(execution={"suspend": True, "deadlines": {"totalSeconds": 3600}})
    run.turn()
    without_ending_pods(run)
    if not wait:
        run.edit(execution={"deadlines": {"totalSeconds": 3600}})
        loading(run)
    run.body["status"]["run"].pop("activeSeconds")
    run.edit(execution={"deadlines": {"totalSeconds": 3600}})
    run.cluster.now += timedelta(minutes=30)
    run.run()
    assert run.status.phase is Phase.SUCCEEDED, run.status.failure


def test_a_model_that_has_been_up_for_long_goes_on_when_it_is_not_ready_for_a_moment() -> None:
    run = loading(operator())
    run.cluster.now += timedelta(hours=3)
    run.cluster.blinks = 0.5
    run.run()
    assert run.status.phase is Phase.SUCCEEDED, run.status.failure
    assert all(model.ready_seconds is not None and model.ready_seconds < 60 for model in run.status.models)


def test_a_server_that_dies_hours_after_it_was_ready_says_why() -> None:
    run = loading(operator())
    run.cluster.now += timedelta(hours=3)
    run.cluster.fates = of_model(Fate(crash_after=0, exit_code=139, words="segmentation fault"))
    run.run()
    assert run.status.failure is not None
    assert (run.status.failure.reason, run.status.failure.exit_code) == ("ServerExited", 139)


def measured_unseen() -> Operator:
    """The first model is measured to its end while no operator is there."""
    run = loading(operator())
    while not any("Finished" in str(body.get("data")) for body in run.cluster.objects.values()):
        run.cluster.step()
    return run


def test_a_model_that_was_measured_while_no_operator_was_there_is_measured_whatever_became_of_it() -> None:
    def drained(run: Operator) -> None:
        run.cluster.drain(Role.MODEL)

    def without_job(run: Operator) -> None:
        for kind, name in [key for key in run.cluster.objects if key[0] == "Job" and key[1].endswith("-model")]:
            run.cluster.delete(kind, name)

    def without_anything(run: Operator) -> None:
        for kind, name in [key for key in run.cluster.objects if key[0] == "Job"]:
            run.cluster.delete(kind, name)

    for befalls in (drained, without_job, without_anything):
        run = measured_unseen()
        befalls(run)
        run.run()
        assert run.status.phase is Phase.SUCCEEDED, (befalls, run.status.failure)
        assert len(run.cluster.loads) == 12
        assert [story.reason for story in run.story].count("ModelStarting") == 2, "none is started for nothing"


def test_a_model_that_was_measured_before_the_deadline_is_measured_though_nobody_looked_in_time() -> None:
    run = measured_unseen()
    run.edit(execution={"deadlines": {"totalSeconds": 1}})
    run.run()
    assert [model.phase.value for model in run.status.models] == ["Succeeded", "Failed"]


@pytest.mark.parametrize(("role", "reason"), [(Role.BENCH, "NodeLost"), (Role.MODEL, "Drained")])
def test_a_node_that_does_not_answer_costs_a_model_and_minutes_not_the_run(role: str, reason: str) -> None:
    run = loading(operator())
    run.cluster.drain(role, lost=True)
    began = run.cluster.now
    run.run(2_000)
    assert [model.phase.value for model in run.status.models] == ["Failed", "Succeeded"]
    assert run.status.failure is not None
    assert (run.status.failure.blame, run.status.failure.reason) == (Blame.INFRASTRUCTURE, reason)
    assert run.cluster.now - began < timedelta(minutes=10)
    assert run.cluster.troubles == []
    for _ in range(20):
        run.turn()
    assert run.cache.holders() == set()


def test_a_model_that_is_lost_with_its_node_while_suspended_is_not_started_beside_itself() -> None:
    run = loading(operator())
    run.cluster.lost = {name for (kind, name) in run.cluster.objects if kind == "Pod" and "-model-" in name}
    run.edit(execution={"suspend": True})
    for _ in range(20):
        run.turn()
    run.edit(execution={"suspend": False})
    for _ in range(20):
        run.turn()
    assert run.status.progress is not None
    assert "waiting for its former pods to go" in (run.status.progress.message or "")
    run.run(2_000)
    assert [model.phase.value for model in run.status.models] == ["Failed", "Succeeded"]
    assert run.status.failure is not None
    assert run.status.failure.reason == "NodeLost"
    assert run.cluster.troubles == []


def is_of_a_later_version(run: Operator) -> None:
    """An operator of an older version has taken over."""
    run.edit(field_of_tomorrow=1)


def is_not_allowed(run: Operator) -> None:
    """What held when the run began does not allow it, as this operator understands it."""
    for (_, name), body in run.cluster.objects.items():
        if name.endswith("-snapshot"):
            platform = Platform.model_validate_json(body["data"]["platform.json"])
            body["data"]["platform.json"] = platform.model_copy(update={"pod_patch": False}).model_dump_json(
                by_alias=True
            )


PATCHED = {"podPatch": {"metadata": {"labels": {"team": "a"}}}}


@pytest.mark.parametrize(
    ("becomes", "reason"), [(is_of_a_later_version, "InvalidSpec"), (is_not_allowed, "PolicyDenied")]
)
def test_a_run_that_cannot_be_carried_out_any_more_leaves_nothing_but_what_it_measured(
    becomes: Callable[[Operator], None], reason: str
) -> None:
    run = loading(operator(serving=PATCHED))
    for _ in range(3):
        run.turn()
    before = run.status
    becomes(run)
    run.run(60)
    for _ in range(20):
        run.turn()
    assert run.status.completion_time is not None
    assert run.status.failure is not None
    assert (run.status.phase, run.status.failure.reason) == (Phase.FAILED, reason)
    assert (run.status.run, run.status.start_time) == (before.run, before.start_time)
    assert run.status.progress == before.progress
    assert [model.tasks for model in run.status.models] == [model.tasks for model in before.models]
    assert {model.phase for model in run.status.models} == {ModelPhase.FAILED}, "none is measured any more"
    kinds = {kind for (kind, name) in run.cluster.objects if not name.endswith("-bench")}  # of the run, not of a pod
    assert kinds == {"ConfigMap"}


def test_a_run_that_was_broken_off_is_not_said_to_have_lost_its_results() -> None:
    run = loading(operator())
    for _ in range(3):
        run.turn()
    is_of_a_later_version(run)
    run.run(60)
    before = run.status
    del run.body["spec"]["field_of_tomorrow"]
    run.edit(per={"reference": "large"})
    run.run(60)
    assert (run.status.phase, run.status.failure) == (Phase.FAILED, before.failure)
    assert [model.tasks for model in run.status.models] == [model.tasks for model in before.models]
    assert [warning.reason for warning in run.status.warnings][-1] == "NotComputed"
    assert "broken off" in run.status.warnings[-1].message


@pytest.mark.parametrize("becomes", [is_of_a_later_version, is_not_allowed])
def test_a_run_that_has_ended_keeps_its_figures_where_they_cannot_be_computed_anew(
    becomes: Callable[[Operator], None],
) -> None:
    run = operator(serving=PATCHED)
    run.run()
    before = run.status
    becomes(run)
    run.edit(per={"reference": "large"})
    run.run()
    assert run.status.conditions[0].status.value == "False"
    assert (run.status.models, run.status.best, run.status.run) == (before.models, before.best, before.run)


def test_the_time_in_the_queue_does_not_count() -> None:
    run = operator(execution={"deadlines": {"totalSeconds": 600}})
    run.may_start = False
    for _ in range(5):
        run.turn()
    run.cluster.now += timedelta(days=2)
    for _ in range(5):
        run.turn()
    assert run.status.phase is Phase.QUEUED
    run.may_start = True
    run.run()
    assert run.status.phase is Phase.SUCCEEDED, run.status.failure


def test_the_time_after_the_queue_counts() -> None:
    run = operator(Cluster(fates=of_model(Fate(ready=10_000))), execution={"deadlines": {"totalSeconds": 60}})
    run.may_start = False
    for _ in range(100):
        run.turn()
    run.may_start = True
    run.run()
    assert run.status.failure is not None
    assert run.status.failure.reason == "TotalDeadline"


def test_who_waits_is_told_for_whom() -> None:
    run = operator()
    run.may_start = False
    run.holders = ("team/a", "team/b", "team/c", "team/d")
    for _ in range(3):
        run.turn()
    assert run.status.progress is not None
    words = "small: as many models run as the operator allows, of team/a, team/b, team/c and 1 more"
    assert run.status.progress.message == words


def turns(run: Operator, count: int) -> Operator:
    for _ in range(count):
        run.turn()
    return run


def test_jobs_that_somebody_else_lets_go_later_are_waited_for() -> None:
    run = turns(operator(Cluster(suspends=True)), 200)
    assert run.status.progress is not None
    assert "its Job is suspended" in (run.status.progress.message or "")
    run.cluster.suspends = False
    run.run()
    assert run.status.phase is Phase.SUCCEEDED, run.status.failure


def test_jobs_that_nobody_lets_go() -> None:
    run = operator(Cluster(suspends=True), execution={"deadlines": {"schedulingSeconds": 30}})
    run.run()
    assert run.status.failure is not None
    assert run.status.failure.reason == "JobSuspended"


@pytest.mark.parametrize("seen", [True, False])
def test_a_model_that_is_suspended_while_it_is_loaded_was_taken_away(seen: bool) -> None:
    run = loading(operator())
    run.cluster.suspends = True
    for _ in range(0 if seen else 30):
        run.cluster.step()
    turns(run, 30)
    run.cluster.suspends = False
    run.run()
    assert [model.phase.value for model in run.status.models] == ["Failed", "Succeeded"]
    assert run.status.failure is not None
    assert (run.status.failure.blame, run.status.failure.reason) == (Blame.INFRASTRUCTURE, "Preempted")
    assert run.cluster.troubles == []


def test_a_job_controller_that_is_away_for_minutes_costs_minutes() -> None:
    run = turns(operator(Cluster(job_controller=False)), 200)
    run.cluster.job_controller = True
    run.run()
    assert run.status.phase is Phase.SUCCEEDED, run.status.failure


def hangs_first(job: Body) -> Fate:
    labels, notes = job["metadata"]["labels"], job["metadata"]["annotations"]
    first = labels[ROLE] == Role.BENCH and notes["perbench.dev/attempt"] == "0"
    return Fate(hang_after=4 if first and notes["perbench.dev/model"] == "small" else None)


def test_a_bench_pod_that_hangs_costs_an_attempt_and_no_stage_that_was_recorded() -> None:
    run = operator(Cluster(fates=hangs_first))
    run.run(2_000)
    assert run.status.phase is Phase.SUCCEEDED, run.status.failure
    assert len(run.cluster.loads) == 12
    assert [story.reason for story in run.story].count("BenchHung") == 1
    assert "has said nothing for 600 s" in next(s.message for s in run.story if s.reason == "BenchRestarted")
    assert run.cluster.troubles == []


def test_bench_pods_that_all_hang() -> None:
    run = operator(Cluster(fates=lambda _job: Fate(hang_after=4)), execution={"retries": 1})
    run.run(4_000)
    assert run.status.failure is not None
    assert (run.status.failure.blame, run.status.failure.reason) == (Blame.LOAD_GENERATOR, "BenchLost")


def test_a_request_that_does_not_fit_into_the_status_is_refused() -> None:
    run = operator()
    run.ask_again("x" * 254)
    run.turn()
    accepted = run.status.conditions[0]
    assert (accepted.status.value, accepted.reason) == ("False", "InvalidRequest")
    run.ask_again("x" * 253)
    run.run()
    assert run.status.phase is Phase.SUCCEEDED


def test_a_stage_that_cannot_be_read_any_more_is_said_and_the_run_ends() -> None:
    run = operator()
    while run.active or not run.status_writes:
        for (kind, name), body in run.cluster.objects.items():
            progress = run.cluster.objects.get((kind, name.replace("-results", "-progress")), {})
            if name.endswith("-results") and "Finished" in str(progress.get("data")):
                body["binaryData"]["stage.0.topics.0"] = "AAAA"
        run.turn()
    assert run.status.phase is Phase.FAILED
    assert run.status.failure is not None
    assert (run.status.failure.blame, run.status.failure.reason) == (Blame.MEASUREMENT, "StagesMissing")


def test_a_spec_that_is_changed_and_changed_back_is_measured_again() -> None:
    run = operator()
    run.run()
    assert run.status.run is not None
    first, all_of_it = run.status.run.id, len(run.cluster.loads)
    run.edit(load={"concurrency": 4, "repeats": 1})
    run.run()
    between = len(run.cluster.loads)
    run.edit(load={"concurrency": 4, "repeats": 3})
    run.run()
    assert run.status.run.id == first
    assert len(run.cluster.loads) == between + all_of_it


def test_the_order_of_the_models_may_be_changed_during_a_run() -> None:
    """To the API server lists with keys are equal in any order, so no rule forbids it."""
    run = loading(operator())
    run.body["spec"]["models"] = run.body["spec"]["models"][::-1]
    run.body["metadata"]["generation"] += 1
    run.run()
    assert run.status.phase is Phase.SUCCEEDED
    assert len(run.cluster.loads) == 12
    assert run.cluster.troubles == []
