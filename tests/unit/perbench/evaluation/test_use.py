"""What servers used, over several stages."""

import pytest

from perbench.evaluation.use import NOTHING_USED, use
from perbench.resources import ResourceUse
from perbench.results import StageRecord, TaskKind
from tests.support.results import ANSWERS, literal_stage, requests


def stage(seconds: float, tokens: int, **used: float | str) -> StageRecord:
    record = ResourceUse.model_validate(used) if used else None
    return literal_stage(ANSWERS, requests([100.0]), window_seconds=seconds, output_tokens_in_window=tokens, use=record)


def test_figures_are_totals_over_totals() -> None:
    long = stage(30.0, 3000, cpu_seconds=45.0, accelerator_utilization=0.9, energy_joules=9000.0)
    short = stage(10.0, 2000, cpu_seconds=5.0, accelerator_utilization=0.5, energy_joules=1000.0)
    found = use(TaskKind.GENERATION, [long, short])
    assert found.cores == 50 / 40
    assert found.cpu_seconds_per_million_tokens == 50 / 5000 * 1e6
    assert found.accelerator_utilization == pytest.approx((30 * 0.9 + 10 * 0.5) / 40)
    assert found.watts == 250.0
    assert found.energy_joules_per_million_tokens == 2e6
    assert (found.reasons, found.known) == ((), True)


def test_tasks_that_count_items_have_no_figure_per_token() -> None:
    found = use(TaskKind.CLASSIFICATION, [stage(10.0, 30, cpu_seconds=15.0, energy_joules=100.0)])
    assert (found.cores, found.watts) == (1.5, 10.0)
    assert (found.cpu_seconds_per_million_tokens, found.energy_joules_per_million_tokens) == (None, None)


def test_one_stage_without_a_figure_leaves_none_and_the_first_reason() -> None:
    whole = stage(10.0, 100, cpu_seconds=15.0, energy_joules=100.0)
    lacking = stage(10.0, 100, cpu_source="cgroup", cpu_reason="it fell", energy_joules=100.0)
    later = stage(10.0, 100, cpu_source="cgroup", cpu_reason="gone", energy_joules=100.0)
    found = use(TaskKind.GENERATION, [whole, lacking, later])
    assert (found.cores, found.watts) == (None, 10.0)
    assert found.reasons == ("processor time is not known: it fell",)


def test_stages_of_which_some_were_not_asked_leave_a_reason_too() -> None:
    """As where a newer version went on with a run."""
    found = use(TaskKind.GENERATION, [stage(10.0, 100), stage(10.0, 100, cpu_seconds=15.0), stage(10.0, 100)])
    assert found.cores is None
    assert found.reasons == ("processor time is not known: 2 of 3 stages have none",)


def test_a_figure_of_0_is_one_and_nothing_is_none() -> None:
    idle = use(TaskKind.GENERATION, [stage(10.0, 0, cpu_seconds=0.0, accelerator_utilization=0.0)])
    assert (idle.cores, idle.accelerator_utilization, idle.known) == (0.0, 0.0, True)
    assert idle.cpu_seconds_per_million_tokens is None, "no token"
    assert use(TaskKind.GENERATION, []) == use(TaskKind.GENERATION, [stage(10.0, 5)]) == NOTHING_USED
    assert not NOTHING_USED.asked
    assert use(TaskKind.GENERATION, [stage(0.0, 5, cpu_seconds=1.0)]).cores is None, "an aborted load has no window"
