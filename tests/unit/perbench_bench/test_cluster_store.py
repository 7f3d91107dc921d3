"""What the results object takes of tasks and facts, as functions of what it holds."""

import pytest

from perbench.failures import Blame, RunError
from perbench.objects.results import TASKS, ModelFacts, encoded, encoded_tasks, facts_name
from perbench_bench.cluster_store import joined_facts, same_tasks
from tests.support.results import ANSWERS, TOPICS


def test_tasks_are_written_once() -> None:
    first = same_tasks({}, (TOPICS, ANSWERS))
    assert set(first) == {TASKS}
    assert same_tasks(first, (TOPICS, ANSWERS)) == {}


def test_tasks_that_are_put_otherwise_in_a_later_round_end_it() -> None:
    """Items of both rounds would be pooled as if they were the same."""
    held = {TASKS: encoded_tasks((TOPICS, ANSWERS))}
    changed = ANSWERS.model_copy(update={"sha256": "f" * 64})
    with pytest.raises(RunError) as raised:
        same_tasks(held, (TOPICS, changed))
    failure = raised.value.failure
    assert (failure.blame, failure.reason) == (Blame.MEASUREMENT, "TasksDiffer")
    assert "task answers" in failure.message


def test_what_the_hub_said_before_is_not_forgotten_when_it_is_away() -> None:
    before = ModelFacts(source={"kind": "Hub", "revision": "abc", "bytes": 5}, runtime_version="3.3.7")
    held = {facts_name(1): encoded(before)}
    away = ModelFacts(source={"kind": "Hub"}, warnings=("the hub was not asked",))
    now = joined_facts(held, 1, away, stated=False)
    assert now.source == {"kind": "Hub", "revision": "abc", "bytes": 5}
    assert now.runtime_version == "3.3.7"
    assert now.warnings == ("the hub was not asked",)
    assert joined_facts({}, 1, before, stated=False) == before
    assert joined_facts(held, 2, away, stated=False) == away, "of another round: it may have moved"


def test_a_branch_that_moves_after_the_server_has_loaded_it_changes_nothing() -> None:
    held = {facts_name(0): encoded(ModelFacts(source={"kind": "Hub", "revision": "loaded"}))}
    moved = ModelFacts(source={"kind": "Hub", "revision": "moved"})
    assert joined_facts(held, 0, moved, stated=False).source["revision"] == "loaded"
    assert joined_facts(held, 0, moved, stated=True).source["revision"] == "moved"
