"""A run that an operator of before has begun, and that this one would not begin: it goes on, and stays what it was."""

from typing import Any

import pytest

from perbench.api.defaults import resolve_defaults
from perbench.api.identity import run_id
from perbench.api.resource import to_data
from perbench.api.status import Phase
from tests.support.simulated_cluster import Cluster
from tests.support.simulated_operator import SPEC, Operator, benchmark

LONG = [SPEC["tasks"][0], SPEC["tasks"][1] | {"maxTokens": 1500}]
"""Answers longer than TGI gives in one piece, and no multiple of it."""
SMALL, LARGE = SPEC["models"]
NOT_BEGUN: dict[str, tuple[str, dict[str, Any]]] = {
    "lengths of the operator's own TGI": ("InvalidServing", {"tasks": LONG}),
    "lengths of TGI": ("InvalidSpec", {"tasks": LONG, "serving": {"runtime": "TGI"}}),
    "arguments of no runtime": (
        "InvalidSpec", {"models": [SMALL, LARGE | {"serving": {"runtime": "TGI"}}], "serving": {"args": ["--x"]}},
    ),
    "few items of a preset": ("InvalidSpec", {"load": SPEC["load"] | {"concurrency": 13}}),
}  # fmt: skip
"""Why they do not begin, and changes to a spec."""
SPECS = [spec for _, spec in NOT_BEGUN.values()]


def begun(**spec: Any) -> Operator:
    """With a run that has just begun, of a spec that it would not be begun with."""
    run = Operator(Cluster(), benchmark())
    run.look()
    run.body["spec"] |= spec
    read = run.benchmark.spec
    assert read is not None
    run.body["status"]["run"] |= {
        "id": run_id(run.benchmark.uid, read, None), "resolved": to_data(resolve_defaults(read, local=False)),
    }  # fmt: skip
    return run


@pytest.mark.parametrize(("reason", "spec"), NOT_BEGUN.values(), ids=NOT_BEGUN)
def test_such_a_run_does_not_begin(reason: str, spec: dict[str, Any]) -> None:
    run = Operator(Cluster(), benchmark(**spec))
    run.run()
    accepted = run.status.conditions[0]
    assert (accepted.type, accepted.status.value, accepted.reason) == ("Accepted", "False", reason)
    assert run.cluster.objects == {}


@pytest.mark.parametrize("spec", SPECS, ids=NOT_BEGUN)
def test_one_that_is_on_goes_on_to_its_end(spec: dict[str, Any]) -> None:
    run = begun(**spec)
    run.run()
    assert (run.status.phase, run.status.failure) == (Phase.SUCCEEDED, None)


@pytest.mark.parametrize("spec", SPECS, ids=NOT_BEGUN)
def test_one_that_has_ended_has_new_figures_after_an_edit_of_per(spec: dict[str, Any]) -> None:
    run = begun(**spec)
    run.run()
    before, loads = run.status, len(run.cluster.loads)
    run.edit(per={"reference": "large"})
    run.run()
    assert (run.status.conditions[0].status.value, run.status.refused) == ("True", None)
    assert (run.status.run, len(run.cluster.loads)) == (before.run, loads)
    assert run.story[-1].reason == "Recomputed"


def test_one_that_has_ended_is_not_measured_again() -> None:
    run = begun(**NOT_BEGUN["lengths of TGI"][1])
    run.run()
    before = run.status
    for suspend in (True, False):
        run.edit(execution={"suspend": suspend})
        run.ask_again("b")
        run.run()
        assert (run.status.conditions[0].status.value, run.status.conditions[0].reason) == ("False", "InvalidSpec")
        assert run.status.conditions[0].message.startswith("spec.tasks[1]: answers of TGI ")
        assert (run.status.run, run.status.models) == (before.run, before.models)
