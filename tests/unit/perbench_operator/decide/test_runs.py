"""Whole runs over a simulated cluster: what users see of them, and what must never happen."""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perbench.api.status import ConditionStatus, ModelPhase, Phase
from perbench.failures import Blame, Failure
from perbench.objects.results import MODEL, LaunchEnd, ModelObject, encoded
from perbench.plan import Plan, Telemetry
from perbench_operator.decide.situation import Create, Prune, Refusal
from perbench_operator.names import ROLE, RUN, Role
from perbench_operator.observed import Exporter
from perbench_operator.platform import DcgmExporter, TelemetryRules
from tests.support.simulated_cluster import Body, Cluster, Fate
from tests.support.simulated_operator import PLATFORM, KilledError, Operator, benchmark


def operator(cluster: Cluster | None = None, /, *, lag: int = 1_000, kill_every: int = 0, **spec: Any) -> Operator:
    return Operator(cluster or Cluster(), benchmark(**spec), lag=lag, kill_every=kill_every)


def fated(model: str, fate: Fate) -> Callable[[Body], Fate]:
    """This befalls the server of one model."""

    def of(job: Body) -> Fate:
        mine = job["metadata"]["annotations"]["perbench.dev/model"] == model
        return fate if mine and job["metadata"]["labels"][ROLE] == Role.MODEL else Fate()

    return of


def conditions(run: Operator) -> dict[str, tuple[str, str]]:
    return {c.type.value: (c.status.value, c.reason) for c in run.status.conditions}


def reasons(run: Operator) -> list[str]:
    return [story.reason for story in run.story]


def test_from_apply_to_per() -> None:
    run = operator()
    run.run()
    status = run.status
    assert status.phase is Phase.SUCCEEDED
    assert {value for value, _ in conditions(run).values()} == {"True"}
    assert status.best is not None
    assert status.progress is not None
    assert (status.progress.completed, status.progress.total) == (12, 12)
    assert [model.phase for model in status.models] == [ModelPhase.SUCCEEDED] * 2
    assert all(task.reference_per for model in status.models for task in model.tasks)
    assert all(model.node == "n1" and model.image and model.image_digest for model in status.models)
    assert run.cluster.troubles == []
    kinds = {
        kind for (kind, _), body in run.cluster.objects.items() if body["metadata"]["labels"].get(ROLE) == Role.MODEL
    }
    assert kinds <= {"Pod"}, "no model after the end"


def test_the_story_of_a_run() -> None:
    run = operator()
    run.run()
    assert reasons(run) == [
        "RunStarted",
        "ModelStarting", "BenchStarted", "LoadStarted", "ModelMeasured",
        "ModelStarting", "BenchStarted", "LoadStarted", "ModelMeasured",
        "RunSucceeded",
    ]  # fmt: skip


def test_a_phase_has_the_time_of_its_beginning() -> None:
    run = operator()
    run.run()
    times: dict[Phase | None, set[Any]] = {}
    before = None
    for status in run.status_writes:
        assert status.phase_start_time is not None
        if before is not None and before.phase is status.phase:
            assert status.phase_start_time == before.phase_start_time, "it stands in it still"
        elif before is not None and before.phase_start_time is not None:
            assert status.phase_start_time >= before.phase_start_time
        times.setdefault(status.phase, set()).add(status.phase_start_time)
        before = status
    assert len(times[Phase.MEASURING]) == 2, "of two models, each when its turn came"
    assert times[Phase.SUCCEEDED] == {run.status.completion_time}


def test_two_models_two_tasks_three_repeats_take_few_status_writes() -> None:
    run = operator()
    run.run()
    assert len(run.status_writes) <= 30


def test_the_run_is_written_down_before_anything_is_made() -> None:
    run = operator()
    run.turn()
    assert run.status_writes[0].run is not None
    first = next(number for number, action in enumerate(run.actions) if isinstance(action, Create))
    assert first > 0
    names = {name for (_, name) in run.cluster.objects}
    assert all(name.startswith("pb-small-or-large-") for name in names)
    assert {b["metadata"]["labels"].get(RUN) for b in run.cluster.objects.values()} == {run.status_writes[0].run.id}


def test_a_model_that_crashes_leaves_the_comparison() -> None:
    run = operator(Cluster(fates=fated("small", Fate(crash_after=5, words="CUDA error: no kernel image"))))
    run.run()
    assert run.status.phase is Phase.FAILED
    assert conditions(run)["Succeeded"] == ("False", "SomeModelsFailed")
    failure = run.status.failure
    assert failure is not None
    assert (failure.blame, failure.reason, failure.model) == (Blame.TARGET, "ServerExited", "small")
    assert "no kernel image" in failure.message
    assert failure.exit_code == 1
    assert [model.phase for model in run.status.models] == [ModelPhase.FAILED, ModelPhase.SUCCEEDED]
    assert "ModelFailed" in reasons(run)
    assert run.cluster.troubles == []


def test_all_models_crash_before_anything_is_measured() -> None:
    run = operator(
        Cluster(fates=lambda job: Fate(crash_after=0) if job["metadata"]["labels"][ROLE] == "model" else Fate())
    )
    run.run()
    assert conditions(run)["Succeeded"] == ("False", "AllModelsFailed")
    assert run.status.completion_time is not None


def test_on_model_failure_stop_ends_the_run() -> None:
    run = operator(Cluster(fates=fated("small", Fate(crash_after=0))), execution={"onModelFailure": "Stop"})
    run.run()
    assert [model.phase for model in run.status.models] == [ModelPhase.FAILED] * 2
    assert run.status.failure is not None
    assert run.status.failure.model == "small"
    assert reasons(run).count("ModelStarting") == 1


def test_without_a_node_the_scheduler_s_words_are_shown_and_then_the_model_failed() -> None:
    words = "0/3 nodes are available: 3 Insufficient nvidia.com/gpu."
    cluster = Cluster(fates=fated("small", Fate(never_scheduled=words)))
    run = operator(cluster, execution={"deadlines": {"schedulingSeconds": 20}})
    for _ in range(10):
        run.turn()
    assert run.status.progress is not None
    assert words in (run.status.progress.message or "")
    run.run()
    assert run.status.failure is not None
    assert run.status.failure.reason == "Unschedulable"
    assert words in run.status.failure.message
    assert run.status.models[1].phase is ModelPhase.SUCCEEDED


def test_keep_models_on_failure_leaves_the_failed_one() -> None:
    run = operator(Cluster(fates=fated("small", Fate(crash_after=4))), execution={"keepModels": "OnFailure"})
    run.run()
    models = [
        name
        for (kind, name), b in run.cluster.objects.items()
        if kind == "Job" and b["metadata"]["labels"][ROLE] == "model"
    ]
    assert len(models) == 1
    assert run.status.models[1].phase is ModelPhase.SUCCEEDED


def test_a_model_that_never_ran_is_not_kept() -> None:
    """It would start as soon as there is room, beside the one that is measured by then."""
    execution = {"keepModels": "OnFailure", "deadlines": {"schedulingSeconds": 20}}
    cluster = Cluster(fates=fated("small", Fate(never_scheduled="0/3 nodes are available")))
    run = operator(cluster, execution=execution)
    run.run()
    assert [model.phase for model in run.status.models] == [ModelPhase.FAILED, ModelPhase.SUCCEEDED]
    assert not [key for key in run.cluster.objects if key[0] == "Job" and key[1].endswith("-model")]


def test_a_suspended_run_gives_everything_back_and_goes_on_later() -> None:
    run = operator()
    while not run.cluster.loads:
        run.turn()
    run.edit(execution={"suspend": True})
    for _ in range(30):
        run.turn()
    assert run.status.phase is Phase.SUSPENDED
    assert not [kind for (kind, _) in run.cluster.objects if kind in {"Job", "Pod"}]
    before = len(run.cluster.loads)
    run.edit(execution={"suspend": False})
    run.run()
    assert run.status.phase is Phase.SUCCEEDED
    assert len(run.cluster.loads) == 12, "finished stages are not measured again"
    assert before > 0
    assert {"Suspended", "Resumed"} <= set(reasons(run))


def test_suspended_before_the_start() -> None:
    run = operator(execution={"suspend": True})
    run.turn()
    assert run.status.phase is Phase.SUSPENDED
    assert run.cluster.objects == {}
    run.edit(execution={})
    run.run()
    assert run.status.phase is Phase.SUCCEEDED


def test_an_edit_of_per_is_computed_and_not_measured() -> None:
    run = operator()
    run.run()
    assert run.status.best is not None
    loads, first = len(run.cluster.loads), run.status.run
    run.edit(per={"reference": "large"})
    run.run()
    assert len(run.cluster.loads) == loads
    assert run.status.run == first
    assert run.status.observed_generation == 2
    assert run.story[-1].reason == "Recomputed"


def test_a_new_value_of_the_annotation_is_a_new_run_and_old_results_stay_as_long_as_asked() -> None:
    run = operator(execution={"historyLimit": 1})
    seen = []
    for value in ("", "b", "c"):
        if value:
            run.ask_again(value)
        run.run()
        assert run.status.run is not None
        seen.append(run.status.run.id)
    assert len(set(seen)) == 3
    assert kept_results(run) == set(seen[1:])
    others = {b["metadata"]["labels"][RUN] for (kind, _), b in run.cluster.objects.items() if kind == "Job"}
    assert others == {seen[-1]}
    assert Prune(1) in run.actions


def test_a_lower_limit_holds_for_runs_that_have_ended_already() -> None:
    """It is for whoever needs the room now, not after a run more."""
    run = operator()
    seen = []
    for value in ("", "b", "c"):
        if value:
            run.ask_again(value)
        run.run()
        assert run.status.run is not None
        seen.append(run.status.run.id)
    assert kept_results(run) == set(seen)
    run.edit(execution={"historyLimit": 1})
    run.run()
    assert kept_results(run) == set(seen[1:])
    run.edit(execution={"historyLimit": 0})
    run.run()
    assert kept_results(run) == {seen[-1]}
    asked = len(run.actions)
    run.run()
    assert len(run.actions) == asked, "once"


def test_an_edit_after_the_end_is_a_new_run() -> None:
    run = operator()
    run.run()
    first = run.status.run
    run.edit(load={"concurrency": 4, "repeats": 1})
    run.run()
    assert run.status.run != first
    assert run.status.progress is not None
    assert run.status.progress.total == 4


def test_queued_until_there_is_room() -> None:
    run = operator()
    run.may_start = False
    for _ in range(5):
        run.turn()
    assert run.status.phase is Phase.QUEUED
    assert conditions(run)["Succeeded"] == ("Unknown", "Queued")
    assert not [kind for (kind, _) in run.cluster.objects if kind == "Job"]
    run.may_start = True
    run.run()
    assert run.status.phase is Phase.SUCCEEDED


def test_the_whole_run_has_a_deadline() -> None:
    run = operator(Cluster(fates=fated("small", Fate(ready=10_000))), execution={"deadlines": {"totalSeconds": 60}})
    run.run()
    assert run.status.failure is not None
    assert run.status.failure.reason == "TotalDeadline"
    assert [model.phase for model in run.status.models] == [ModelPhase.FAILED] * 2
    assert not [kind for (kind, _) in run.cluster.objects if kind == "Job"]


def test_what_the_api_would_not_take_is_told_before_anything_is_made() -> None:
    run = operator()
    words = Failure(blame=Blame.INFRASTRUCTURE, reason="InvalidPod", message="spec.tolerations[0].operator: no")
    run.refuse = {"Job model": Refusal(words, "small")}
    run.run()
    assert conditions(run)["Accepted"] == ("False", "InvalidPod")
    assert run.status.phase is Phase.FAILED
    assert run.status.start_time is None
    assert run.cluster.objects == {}
    assert reasons(run) == ["NotAccepted"]
    run.refuse = {}
    run.edit(serving={"args": ["--x"]})
    run.run()
    assert run.status.phase is Phase.SUCCEEDED


def test_a_foreign_object_of_a_child_s_name_fails_the_model() -> None:
    run = operator()
    message = "Service x is there and does not belong to this benchmark"
    run.refuse = {
        "Service model": Refusal(Failure(blame=Blame.INFRASTRUCTURE, reason="NameConflict", message=message), "small")
    }
    run.run()
    assert run.status.failure is not None
    assert (run.status.failure.blame, run.status.failure.reason) == (Blame.INFRASTRUCTURE, "NameConflict")


def test_packaged_models_are_of_local_mode() -> None:
    run = operator(models=[{"name": "a", "model": "packaged:smollm2-135m"}])
    run.run()
    assert conditions(run)["Accepted"][0] == "False"


def test_an_endpoint_has_a_bench_pod_and_nothing_else() -> None:
    endpoint = {"url": "http://models.team:8080", "protocol": "OpenAI", "model": "m"}
    run = operator(models=[{"name": "a", "endpoint": endpoint}])
    run.run()
    assert run.status.phase is Phase.SUCCEEDED
    made = {a.manifest["metadata"]["labels"][ROLE] for a in run.actions if isinstance(a, Create)}
    assert Role.MODEL not in made


def test_a_benchmark_on_its_way_out_is_left_alone() -> None:
    run = operator()
    run.body["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    run.turn()
    assert run.writes == 0


@pytest.mark.parametrize("kill_every", [2, 3, 5, 7, 11])
def test_an_operator_that_is_killed_again_and_again_comes_to_the_same_end(kill_every: int) -> None:
    run = operator(kill_every=kill_every)
    run.run()
    assert run.status.phase is Phase.SUCCEEDED
    assert len(run.cluster.loads) == 12
    assert run.cluster.troubles == []


@settings(max_examples=10, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    lag=st.integers(1, 6),
    kill_every=st.sampled_from([0, 2, 3, 7, 13]),
    rounds=st.integers(1, 2),
    crash=st.one_of(st.none(), st.integers(0, 12)),
    lost=st.one_of(st.none(), st.integers(0, 3)),
    compared=st.booleans(),
)
def test_every_fair_schedule_ends_and_nothing_forbidden_happens(
    seed: int, lag: int, kill_every: int, rounds: int, crash: int | None, lost: int | None, *, compared: bool
) -> None:
    def fate(job: Body) -> Fate:
        labels, notes = job["metadata"]["labels"], job["metadata"]["annotations"]
        if labels[ROLE] == Role.MODEL and notes["perbench.dev/model"] == "small":
            return Fate(crash_after=crash)
        if labels[ROLE] == Role.BENCH and notes["perbench.dev/attempt"] == "0":
            return Fate(crash_after=lost)
        return Fate()

    spec = {"execution": {"rounds": rounds, "historyLimit": 0}, "baselineRef": {"name": "small-or-large"}}
    run = operator(
        Cluster(seed=seed, fates=fate), lag=lag, kill_every=kill_every,
        **(spec if compared else {"execution": {"rounds": rounds}}),
    )  # fmt: skip
    run.run(2_000)
    if compared:
        first = run.status.run
        run.ask_again("again")
        run.run(2_000)
        assert first is not None
        assert run.status.baseline is not None
        assert run.status.baseline.run_id == first.id, "the run before is there still"
        assert conditions(run)["Regressed"][1] not in {"NotFinished", "NotCompared"}
    assert run.status.completion_time is not None, run.status
    assert run.cluster.troubles == []
    assert conditions(run)["Succeeded"][0] != ConditionStatus.UNKNOWN.value
    for _ in range(20):
        run.turn()
    live = [
        b for (kind, _), b in run.cluster.objects.items() if kind == "Pod" and b["metadata"]["labels"][ROLE] == "model"
    ]
    assert not live


def kept_results(run: Operator) -> set[str]:
    """Runs whose results objects are there."""
    bodies = run.cluster.objects.values()
    return {b["metadata"]["labels"][RUN] for b in bodies if b["metadata"]["labels"].get(ROLE) == "results"}


def stored(run: Operator) -> dict[str, ModelObject]:
    identity = run._identity(run.benchmark)
    assert identity is not None
    return run.records(identity)


def test_how_every_model_is_served_is_stored_before_the_first_is_started() -> None:
    run = operator()
    while not any(kind == "Job" for kind, _ in run.cluster.objects):
        run.turn()
    records = {name: record.model for name, record in stored(run).items()}
    assert set(records) == {"small", "large"}
    for name, record in records.items():
        assert record is not None
        assert (record.name, record.source["model"]) == (name, f"org/{name}")
        assert "NUM_SHARD" in str(record.server_arguments["environment"]), "what perbench adds is in it"
    run.run()
    assert all(record.model == records[name] for name, record in stored(run).items())


def test_figures_are_computed_anew_from_how_models_were_served_then() -> None:
    """Whatever a newer operator would make of the same benchmark."""
    run = operator()
    run.run()
    before = run.status.models[0].tasks[0].throughput
    record = stored(run)["small"].model
    assert record is not None
    names = [name for kind, name in run.cluster.objects if kind == "ConfigMap" and name.endswith("-results")]
    name = next(name for name in names if owner_of(run, name) == "small")
    run.cluster.merge(name, {"binaryData": {MODEL: encoded(record.model_copy(update={"units": 2}))}})
    run.edit(per={"reference": "large"})
    run.run()
    after = run.status.models[0].tasks[0].throughput
    assert before is not None
    assert after is not None
    assert float(after) == pytest.approx(float(before) / 2, rel=0.01)


def owner_of(run: Operator, name: str) -> str:
    return str(run.cluster.objects["ConfigMap", name]["metadata"]["annotations"]["perbench.dev/model"])


def test_later_rounds_load_the_commit_that_the_first_one_found() -> None:
    first, second = "a" * 40, "b" * 40
    cluster = Cluster(commit=first)
    run = operator(cluster, execution={"rounds": 2}, models=[{"name": "small", "model": "org/small"}])
    run.turn()
    while not ends(run):
        run.turn()
    cluster.commit = second
    run.run()
    jobs = [action.manifest for action in run.actions if isinstance(action, Create) and of_model(action.manifest)]
    servers = [job["spec"]["template"]["spec"]["containers"][0]["env"] for job in jobs]
    revisions = [{entry["name"]: entry.get("value") for entry in server}.get("REVISION") for server in servers]
    assert revisions[0] is None
    assert set(revisions[1:]) == {first}
    plans = [a.manifest["data"]["plan.json"] for a in run.actions if isinstance(a, Create) and "-plan" in name_of(a)]
    assert f'"revision":"{first}"' in plans[-1], "the hub is asked about what the server was told to load"


def test_the_plan_says_where_the_pods_are_and_what_reads_their_accelerators() -> None:
    """It is made when the pods run, so that it can."""
    run = on_accelerators(Cluster())
    while not run.cluster.loads:
        run.turn()
    telemetry = told(run)
    assert {pod.name for pod in telemetry.pods} == model_pods(run)
    assert {pod.exporter for pod in telemetry.pods} == {"10.0.0.7"}
    assert (telemetry.exporter_port, telemetry.prometheus_url) == (9401, "http://p")


def test_a_bench_pod_that_is_made_again_is_told_where_the_exporter_is_now() -> None:
    run = on_accelerators(Cluster(fates=lambda job: Fate(crash_after=3) if name_ends(job, "-a0") else Fate()))
    while not run.cluster.loads:
        run.turn()
    run.exporters = {"n1": Exporter(address="10.0.0.8")}
    run.run()
    assert "BenchRestarted" in reasons(run)
    assert {pod.exporter for pod in told(run).pods} == {"10.0.0.8"}


def test_after_a_suspension_the_plan_names_the_pods_that_are_there_then() -> None:
    run = on_accelerators(Cluster())
    while not run.cluster.loads:
        run.turn()
    before = model_pods(run)
    run.edit(execution={"suspend": True})
    for _ in range(30):
        run.turn()
    run.edit(execution={"suspend": False})
    loads = len(run.cluster.loads)
    while len(run.cluster.loads) == loads:
        run.turn()
    assert model_pods(run).isdisjoint(before)
    assert {pod.name for pod in told(run).pods} == model_pods(run)


def test_a_plan_that_was_made_for_pods_that_have_gone_is_made_anew() -> None:
    """The operator was killed between plan and Job; the model was then suspended, and admitted again by a queue."""
    run = on_accelerators(Cluster())
    real = run.cluster.create

    def killed(manifest: Body) -> Body | None:
        if name_ends(manifest, "-a0"):
            raise KilledError
        return real(manifest)

    run.cluster.create = killed  # type: ignore[method-assign]
    while not any(name.endswith("-plan") for (_, name) in run.cluster.objects):
        run.turn()
    before = model_pods(run)
    run.cluster.suspends = True
    while model_pods(run):
        run.cluster.step()
    run.cluster.suspends = False
    run.cluster.create = real  # type: ignore[method-assign]
    while not run.cluster.loads:
        run.turn()
    assert model_pods(run).isdisjoint(before)
    assert {pod.name for pod in told(run).pods} == model_pods(run)


def on_accelerators(cluster: Cluster) -> Operator:
    """A model of two replicas on a node with an exporter."""
    dcgm = DcgmExporter(namespace="gpus", pod_labels={"app": "dcgm"}, port=9401)
    platform = PLATFORM.model_copy(update={"telemetry": TelemetryRules(dcgm=dcgm, prometheus_url="http://p")})
    serving = {"runtime": "VLLM", "accelerator": {"resource": "nvidia.com/gpu", "count": 1}, "replicas": 2}
    body = benchmark(serving=serving, models=[{"name": "small", "model": "org/small"}], execution={"retries": 2})
    return Operator(cluster, body, platform=platform, exporters={"n1": Exporter(address="10.0.0.7")})


def told(run: Operator) -> Telemetry:
    """What the plan that is there says of accelerators."""
    (plan,) = [body for (_, name), body in run.cluster.objects.items() if name.endswith("-plan")]
    memory = Plan.model_validate_json(plan["data"]["plan.json"]).memory
    assert memory is not None
    assert memory.telemetry is not None
    return memory.telemetry


def model_pods(run: Operator) -> set[str]:
    return {name for (kind, name), body in run.cluster.objects.items() if kind == "Pod" and of_role(body, Role.MODEL)}


def test_metrics_of_pods_may_be_read_of_the_pods_that_the_plan_names() -> None:
    """As long as the operator itself may: nobody can hand out what he does not hold, and no run is to fail of it."""
    asking = PLATFORM.model_copy(update={"telemetry": TelemetryRules(pod_metrics=True)})
    serving = {"runtime": "LlamaCpp", "accelerator": None, "replicas": 2}
    models = [{"name": "small", "model": "org/small"}]

    def made(*, lost: bool) -> list[dict[str, Any]]:
        cluster = Cluster(fates=lambda job: Fate(crash_after=3) if name_ends(job, "-a0") else Fate())
        run = Operator(cluster, benchmark(serving=serving, models=models, execution={"retries": 2}), platform=asking)
        run.turn()
        if lost:
            run.platform = PLATFORM
        run.run()
        assert "BenchRestarted" in reasons(run)
        told = [a.manifest for a in run.actions if isinstance(a, Create) and "-plan" in name_of(a)]
        memory = Plan.model_validate_json(told[0]["data"]["plan.json"]).memory
        assert memory is not None
        assert memory.pod_metrics is not None
        pods = {name for (kind, name), each in cluster.objects.items() if kind == "Pod" and of_role(each, Role.MODEL)}
        assert set(memory.pod_metrics.pods) == pods
        assert len(pods) == 2
        return [a.manifest for a in run.actions if isinstance(a, Create) and name_of(a).endswith("-podmetrics")]

    *_, role, binding = made(lost=False)  # of the last attempt; each has its own
    assert (role["kind"], binding["kind"]) == ("Role", "RoleBinding")
    (rule,) = role["rules"]
    assert (rule["apiGroups"], rule["resources"], rule["verbs"]) == (["metrics.k8s.io"], ["pods"], ["get"])
    assert len(rule["resourceNames"]) == 2
    assert binding["roleRef"]["name"] == role["metadata"]["name"]
    assert made(lost=True) == []


def name_ends(body: Body, end: str) -> bool:
    return bool(body["metadata"]["name"].endswith(end))


def of_role(body: Body, role: Role) -> bool:
    return bool(body["metadata"]["labels"][ROLE] == role)


def ends(run: Operator) -> list[LaunchEnd]:
    return [end for record in stored(run).values() for end in record.ends.values()]


def of_model(manifest: Body) -> bool:
    return manifest["kind"] == "Job" and manifest["metadata"]["labels"][ROLE] == Role.MODEL


def name_of(action: Create) -> str:
    return str(action.manifest["metadata"]["name"])
