"""The beginning of a run: what is looked at before anything is made, and what becomes of a refusal."""

from typing import Any

import pytest

from perbench.api.status import ConditionType, Phase, Status
from perbench.cluster.progress import NOT_ACCEPTED_EXIT, Standing, standing
from perbench.failures import Blame, Failure
from perbench_operator.decide.annotated import annotation_of
from perbench_operator.decide.begin import LOOK_SECONDS, MENDS
from perbench_operator.decide.situation import CheckClaim, CheckConfigMap, Create, Discard, Refusal, Story
from tests.support.simulated_cluster import Cluster
from tests.support.simulated_operator import SPEC, Operator, benchmark

SCORING = {"scorer": "Contains"}
IN_A_CONFIG_MAP = {
    "name": "topics", "dataset": {"configMap": {"name": "questions", "key": "a.jsonl"}, "scoring": SCORING},
}  # fmt: skip
ON_A_VOLUME = {"name": "answers", "dataset": {"volume": {"claimName": "disk", "path": "b.jsonl"}, "scoring": SCORING}}


def operator(**spec: Any) -> Operator:
    return Operator(Cluster(), benchmark(**spec))


def refusal(reason: str, message: str = "not there") -> Refusal:
    return Refusal(Failure(blame=Blame.INFRASTRUCTURE, reason=reason, message=message))


def accepted(run: Operator) -> tuple[str, str]:
    found = next(one for one in run.status.conditions if one.type is ConditionType.ACCEPTED)
    return found.status.value, found.reason


def test_datasets_and_claims_are_looked_for_before_anything_is_made() -> None:
    cache = {"claimName": "hub"}
    run = operator(tasks=[IN_A_CONFIG_MAP, ON_A_VOLUME], serving={"modelCache": cache, "replicas": 2})
    run.turn()
    checks = [action for action in run.actions if isinstance(action, CheckClaim | CheckConfigMap)]
    assert checks == [
        CheckConfigMap("questions", "a.jsonl", "task topics"), CheckClaim("disk", "task answers", 1),
        CheckClaim("hub", "model small", 2), CheckClaim("hub", "model large", 2),
    ]  # fmt: skip
    first = next(number for number, action in enumerate(run.actions) if isinstance(action, Create))
    assert first > max(map(run.actions.index, checks))


def test_a_dataset_that_is_not_there_costs_no_accelerator() -> None:
    run = operator(tasks=[IN_A_CONFIG_MAP])
    run.refuse = {"CheckConfigMap questions": refusal("ConfigMissing")}
    run.run(20)
    assert accepted(run) == ("False", "ConfigMissing")
    assert run.cluster.objects == {}


PACKAGED = [{"name": "small", "model": "packaged:smollm2-135m"}]


def ended() -> Operator:
    run = operator()
    run.run()
    assert run.status.phase is Phase.SUCCEEDED
    for _ in range(20):  # its last pods take a while to end
        run.turn()
    return run


def config_maps(run: Operator) -> set[str]:
    return {name for kind, name in run.cluster.objects if kind == "ConfigMap"}


def without_conditions(status: Status, phase: Phase | None = None) -> Status:
    """Without what changes with every edit; with another phase."""
    since = {"phase": phase or status.phase, "phase_start_time": None}
    return status.model_copy(update={"conditions": (), "observed_generation": None, "refused": None, **since})


def test_an_edit_that_is_refused_and_taken_back_leaves_the_run_as_it_was() -> None:
    run = ended()
    before, loads, kept = run.status, len(run.cluster.loads), config_maps(run)
    run.edit(models=PACKAGED)
    run.run()
    assert accepted(run) == ("False", "LocalOnly")
    assert without_conditions(run.status) == without_conditions(before)
    assert run.status.refused is not None
    assert run.status.refused.id not in {None, before.run and before.run.id}
    assert not run.wants_more
    run.edit(models=SPEC["models"])
    run.run()
    assert accepted(run) == ("True", "Accepted")
    assert without_conditions(run.status) == without_conditions(before)
    assert run.status.refused is None
    assert run.status.observed_generation == 3
    assert len(run.cluster.loads) == loads
    assert config_maps(run) == kept
    assert not any(isinstance(action, Discard) for action in run.actions)
    assert [story.reason for story in run.story][-2:] == ["RunSucceeded", "NotAccepted"]


def test_an_edit_that_is_suspended_and_taken_back_leaves_the_run_as_it_was() -> None:
    run = ended()
    before, loads, kept = run.status, len(run.cluster.loads), config_maps(run)
    run.edit(models=SPEC["models"][:1], execution={"suspend": True})
    run.run()
    assert accepted(run) == ("Unknown", "Suspended")
    assert run.status.phase is Phase.SUSPENDED
    assert without_conditions(run.status, phase=before.phase) == without_conditions(before)
    assert not run.wants_more
    run.edit(models=SPEC["models"], execution={"suspend": False})
    run.run()
    assert accepted(run) == ("True", "Accepted")
    assert without_conditions(run.status) == without_conditions(before)
    assert (len(run.cluster.loads), config_maps(run)) == (loads, kept)


@pytest.mark.parametrize("then", [{}, {"models": PACKAGED}], ids=["taken back", "refused"])
def test_a_run_that_has_ended_has_not_ended_anew_because_an_edit_waited(then: dict[str, Any]) -> None:
    """Alerts on how it ended, which are for a day, do not fire for another."""
    run = ended()
    before = run.status
    run.edit(models=SPEC["models"][:1], execution={"suspend": True})
    run.run()
    waited = run.status.phase_start_time
    assert waited is not None
    assert before.phase_start_time is not None
    assert waited > before.phase_start_time
    run.edit(**{"models": SPEC["models"], "execution": {"suspend": False}, **then})
    run.run()
    assert (run.status.phase, run.status.phase_start_time) == (before.phase, before.completion_time)


def test_an_edit_that_is_suspended_begins_when_it_is_not_any_more() -> None:
    run = ended()
    before = run.status
    run.edit(models=SPEC["models"][:1], execution={"suspend": True})
    run.run()
    run.edit(execution={"suspend": False})
    run.run()
    assert run.status.completion_time is not None
    assert run.status.run is not None
    assert before.run is not None
    assert run.status.run.id != before.run.id
    assert accepted(run) == ("True", "Accepted")


def test_an_edit_that_is_suspended_is_waited_for() -> None:
    """It is as with a benchmark that has had no run: nothing is wrong with it, and it is not at its end."""
    run = ended()
    run.edit(models=SPEC["models"][:1], execution={"suspend": True})
    assert standing(run.body).exit_code is None
    run.run()
    why = "execution.suspend is true: the run that is asked for has not begun, the figures are of the one before"
    assert standing(run.body) == Standing(f"Suspended  {why}", None)
    assert run.story[-1] == Story("Suspended", why)
    run.edit(execution={"suspend": False})
    run.run()
    assert standing(run.body).exit_code == 0


def test_a_request_that_is_suspended_is_waited_for() -> None:
    run = ended()
    run.ask_again("b")
    run.edit(execution={"suspend": True})
    run.run()
    assert accepted(run) == ("Unknown", "Suspended")
    assert standing(run.body).exit_code is None
    del run.body["metadata"]["annotations"]
    run.run()
    assert standing(run.body).exit_code == 0
    assert run.status.phase is Phase.SUCCEEDED


def test_an_edit_that_is_suspended_and_then_refused_is_not_suspended_any_more() -> None:
    run = ended()
    run.edit(models=SPEC["models"][:1], execution={"suspend": True})
    run.run()
    run.edit(models=PACKAGED, execution={"suspend": False})
    run.run()
    assert accepted(run) == ("False", "LocalOnly")
    assert run.status.phase is Phase.SUCCEEDED
    assert standing(run.body).exit_code == 2


def test_the_end_of_a_run_is_told_to_grafana_as_it_was_whatever_is_asked_since() -> None:
    run = ended()
    before = annotation_of(run.benchmark, run.status)
    assert before is not None
    assert "Succeeded" in before.text
    run.edit(models=SPEC["models"][:1], execution={"suspend": True})
    run.run()
    assert annotation_of(run.benchmark, run.status) == before


def test_a_run_that_failed_and_has_lost_its_results_is_failed_again_when_a_suspended_edit_is_taken_back() -> None:
    run = operator(execution={"deadlines": {"totalSeconds": 1}})
    run.run()
    assert run.status.phase is Phase.FAILED
    run.edit(models=SPEC["models"][:1], execution={"suspend": True})
    run.run()
    assert run.status.phase is Phase.SUSPENDED
    for key in [key for key in run.cluster.objects if key[1].endswith("-results")]:
        run.cluster.delete(*key)
    run.edit(models=SPEC["models"], execution={"suspend": False})
    run.run()
    assert run.status.phase is Phase.FAILED


def test_a_request_that_is_refused_and_taken_back_leaves_the_run_as_it_was() -> None:
    run = ended()
    before, loads = run.status, len(run.cluster.loads)
    run.refuse = {"Job model": refusal("InvalidPod")}
    run.ask_again("b")
    run.run()
    assert accepted(run) == ("False", "InvalidPod")
    assert without_conditions(run.status) == without_conditions(before)
    del run.body["metadata"]["annotations"]
    run.run()
    assert accepted(run) == ("True", "Accepted")
    assert run.status.refused is None
    assert len(run.cluster.loads) == loads


def test_results_that_are_gone_when_a_refused_edit_is_taken_back_are_said_to_be() -> None:
    run = ended()
    run.edit(models=PACKAGED)
    run.run()
    for key in [key for key in run.cluster.objects if key[1].endswith("-results")]:
        run.cluster.delete(*key)
    run.edit(models=SPEC["models"])
    run.run()
    assert accepted(run) == ("True", "Accepted")
    assert run.status.refused is None
    assert [warning.reason for warning in run.status.warnings][-1] == "ResultsMissing"


def test_a_spec_that_cannot_be_read_leaves_the_run_as_it_was() -> None:
    run = ended()
    before = run.status
    run.edit(later={"a": 1})
    run.run()
    assert accepted(run) == ("False", "InvalidSpec")
    assert without_conditions(run.status) == without_conditions(before)
    del run.body["spec"]["later"]
    run.edit()
    run.run()
    assert accepted(run) == ("True", "Accepted")
    assert run.status.run == before.run


def test_whoever_waits_for_a_run_that_was_asked_for_learns_that_it_was_refused() -> None:
    first = operator(models=PACKAGED)
    again = ended()
    again.edit(models=PACKAGED)
    for run in (first, again):
        run.ask_again("b")
        run.run()
        assert run.status.refused is not None
        assert run.status.refused.request == "b"
        assert standing(run.body).exit_code == NOT_ACCEPTED_EXIT
    again.ask_again("x" * 300)
    again.run()
    assert standing(again.body).exit_code == NOT_ACCEPTED_EXIT


@pytest.mark.parametrize("what", ["CheckConfigMap questions", "CheckClaim disk", "Job model"])
@pytest.mark.parametrize("reason", sorted(MENDS))
def test_what_others_can_mend_is_tried_again_without_an_edit(what: str, reason: str) -> None:
    run = operator(tasks=[IN_A_CONFIG_MAP, ON_A_VOLUME])
    run.refuse = {what: refusal(reason)}
    run.turn()
    assert accepted(run) == ("False", reason)
    assert run.look().wake_after == LOOK_SECONDS
    run.turn()
    assert [story.reason for story in run.story] == ["NotAccepted"], "said once"
    run.refuse = {}
    run.run()
    assert run.status.phase is Phase.SUCCEEDED


def test_what_the_benchmark_itself_has_wrong_waits_for_an_edit() -> None:
    run = operator()
    run.refuse = {"Job model": refusal("InvalidPod")}
    run.turn()
    run.refuse = {}
    assert (run.look().actions, run.look().wake_after) == ((), None)
    assert accepted(run) == ("False", "InvalidPod")
    run.edit(execution={"retries": 0})
    run.run()
    assert run.status.phase is Phase.SUCCEEDED


@pytest.mark.parametrize(
    "spec",
    [
        {"tasks": [{"name": "topics", "synthetic": {"inputTokens": 8, "outputTokens": 8}, "limit": 60_000}]},
        {"load": {"concurrency": 4, "repeats": 100}, "execution": {"rounds": 7}},
    ],
    ids=["requests", "stages"],
)
def test_what_cannot_be_kept_is_not_measured(spec: dict[str, Any]) -> None:
    run = operator(**spec)
    run.run()
    assert accepted(run) == ("False", "ResultsTooLarge")
    assert run.cluster.objects == {}


def test_how_large_a_dataset_is_cannot_be_told_from_its_limit() -> None:
    run = operator(tasks=[{**IN_A_CONFIG_MAP, "limit": 1_000_000}])
    run.turn()
    assert accepted(run) == ("True", "Accepted")


def test_a_preset_counts_with_the_items_that_it_has() -> None:
    run = operator(tasks=[{"name": "topics", "preset": "PackagedTopics", "limit": 1_000_000}])
    run.turn()
    assert accepted(run) == ("True", "Accepted")
    run = operator(
        tasks=[{"name": "topics", "preset": "PackagedTopics"}],
        load={"concurrency": 4, "repeats": 100}, execution={"rounds": 11},
    )  # fmt: skip
    run.turn()
    assert accepted(run) == ("False", "ResultsTooLarge")
