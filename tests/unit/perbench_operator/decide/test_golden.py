"""What users see at every stage of a run, and of every end: the status as YAML, with the events that led there."""

from collections.abc import Callable
from typing import Any

import pytest

from perbench.api.resource import to_data
from perbench.api.status import Phase
from perbench.failures import Blame, Failure
from perbench.report.manifest import to_yaml
from perbench_operator.decide.situation import Refusal
from perbench_operator.names import ROLE, Role
from tests.support.golden import ROOT, assert_golden
from tests.support.simulated_cluster import Body, Cluster, Fate
from tests.support.simulated_operator import Operator, benchmark

FOLDER = ROOT / "operator/status"


def fated(**fates: Fate) -> Callable[[Body], Fate]:
    """What befalls the servers of these models; `bench`: all bench pods."""

    def of(job: Body) -> Fate:
        labels, notes = job["metadata"]["labels"], job["metadata"]["annotations"]
        key = notes["perbench.dev/model"] if labels[ROLE] == Role.MODEL else "bench"
        return fates.get(key, Fate())

    return of


NOTHING = fated()


def operator(fates: Callable[[Body], Fate] = NOTHING, **spec: Any) -> Operator:
    return Operator(Cluster(fates=fates, blinks=0), benchmark(**spec))


def until(run: Operator, phase: Phase) -> Operator:
    """As far as this phase."""
    for _ in range(200):
        run.turn()
        if run.status.phase is phase:
            return run
    raise AssertionError(run.status.phase)


def ended(run: Operator) -> Operator:
    run.run()
    assert run.status.completion_time is not None
    return run


def queued() -> Operator:
    run = operator()
    run.may_start = False
    return until(run, Phase.QUEUED)


def begun() -> Operator:
    """Written down, and nothing made yet."""
    run = operator()
    run.kill_every = 2
    run.turn()
    return run


def between() -> Operator:
    run = operator()
    for _ in range(200):
        run.turn()
        if run.status.progress and "waiting for the pods of small" in (run.status.progress.message or ""):
            return run
    raise AssertionError(run.status)


def suspended() -> Operator:
    run = operator()
    while not run.cluster.loads:
        run.turn()
    run.edit(execution={"suspend": True})
    return until(run, Phase.SUSPENDED)


def refused() -> Operator:
    run = operator()
    words = 'Job "x" is invalid: spec.template.spec.tolerations[0].operator: Unsupported value: "Exist"'
    run.refuse = {
        "Job model": Refusal(Failure(blame=Blame.INFRASTRUCTURE, reason="InvalidPod", message=words), "small")
    }
    run.run()
    return run


def name_conflict() -> Operator:
    run = operator()
    words = "Service pb-x-model is there and does not belong to this benchmark: delete it, or rename the benchmark"
    failure = Failure(blame=Blame.INFRASTRUCTURE, reason="NameConflict", message=words)
    run.refuse = {"Service model": Refusal(failure, "small")}
    return ended(run)


def recomputed() -> Operator:
    run = ended(operator())
    run.edit(per={"reference": "large"})
    run.run()
    return run


def results_missing() -> Operator:
    run = ended(operator())
    for key in [key for key, body in run.cluster.objects.items() if body["metadata"]["labels"][ROLE] == Role.RESULTS]:
        run.cluster.delete(*key)
    run.edit(per={"reference": "large"})
    run.run()
    return run


def compared(slower: float = 1.0, fates: Callable[[Body], Fate] = NOTHING, **spec: Any) -> Operator:
    """The second run of a benchmark that is held against the run before; `large` is slower then."""
    run = ended(operator(baselineRef={"name": "small-or-large"}))
    run.cluster.slower = {"large": slower}
    run.cluster.fates = fates
    if spec:
        run.edit(**spec)
    else:
        run.ask_again("tonight")
    run.story.clear()
    return ended(run)


CASES: dict[str, Callable[[], Operator]] = {
    "not-accepted": refused,
    "local-only": lambda: _run(operator(models=[{"name": "a", "model": "packaged:smollm2-135m"}])),
    "begun": begun,
    "between-two-models": between,
    "queued": queued,
    "starting": lambda: until(
        operator(fated(small=Fate(never_scheduled="0/3 nodes are available."))), Phase.STARTING_MODEL
    ),
    "measuring": lambda: until(operator(), Phase.MEASURING),
    "suspended": suspended,
    "suspended-before-the-start": lambda: until(operator(execution={"suspend": True}), Phase.SUSPENDED),
    "succeeded": lambda: ended(operator()),
    "recomputed": recomputed,
    "results-missing": results_missing,
    "regressed": lambda: compared(1.3),
    "not-regressed": compared,
    "baseline-unlike": lambda: compared(load={"concurrency": 6, "repeats": 3}),
    "figures-lost": lambda: compared(fates=fated(small=Fate(crash_after=6, words="CUDA error"))),
    "no-baseline-run": lambda: ended(operator(baselineRef={"name": "small-or-large"})),
    "some-models-failed": lambda: ended(operator(fated(small=Fate(crash_after=6, words="CUDA error")))),
    "all-models-failed": lambda: ended(operator(fated(small=Fate(crash_after=0), large=Fate(crash_after=0)))),
    "stopped": lambda: ended(operator(fated(small=Fate(crash_after=0)), execution={"onModelFailure": "Stop"})),
    "unschedulable": lambda: ended(
        operator(
            fated(small=Fate(never_scheduled="0/3 nodes are available: 3 Insufficient nvidia.com/gpu.")),
            execution={"deadlines": {"schedulingSeconds": 10}},
        )
    ),
    "never-ready": lambda: ended(
        operator(fated(small=Fate(ready=10_000)), execution={"deadlines": {"readySeconds": 10}})
    ),
    "bench-lost": lambda: ended(operator(fated(bench=Fate(crash_after=1, words="Killed")), execution={"retries": 1})),
    "name-conflict": name_conflict,
    "total-deadline": lambda: ended(
        operator(fated(small=Fate(ready=10_000)), execution={"deadlines": {"totalSeconds": 30}})
    ),
}


def _run(run: Operator) -> Operator:
    run.run()
    return run


@pytest.mark.parametrize("name", CASES)
def test_status_and_story(name: str) -> None:
    run = CASES[name]()
    story = [f"{'Warning' if told.warning else 'Normal':<8}{told.reason:<16}{told.message}" for told in run.story]
    assert_golden(FOLDER / f"{name}.yaml", to_yaml({"status": to_data(run.status), "events": story}))


def test_every_file_has_its_case() -> None:
    assert {path.stem for path in FOLDER.glob("*.yaml")} == set(CASES)
