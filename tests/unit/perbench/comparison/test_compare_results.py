import pytest

from perbench.comparison import Figure, ModelComparison, ResultsComparison, Uncompared, Verdict, compare_results
from perbench.per import Axis, Basis, Settings
from perbench.results import ModelRecord, Results
from tests.support.results import (
    NAMES,
    ONE_SLOT,
    Shape,
    four_models,
    model,
    results,
    succeeded,
    with_failed_model,
    with_invalid_stage,
)

SLOW = {"topics": Shape(1.6, 3, 18, 410.0), "answers": Shape(1.5, 12, 15, 416.0)}
"""four-slots at half its speed on topics, as before on answers."""


def second_is(record: ModelRecord) -> Results:
    first, _, *others = four_models()
    return results((first, record, *others))


def of(found: ResultsComparison, task: str, name: str) -> ModelComparison:
    return next(entry for entry in found.models if (entry.task, entry.model) == (task, name))


def test_a_run_compared_with_itself() -> None:
    found = compare_results(succeeded(), succeeded())
    assert not found.refused
    assert [(entry.task, entry.model) for entry in found.models] == [
        (task, name) for task in ("topics", "answers") for name in NAMES
    ]
    assert {entry.verdict for entry in found.models} == {Verdict.NO_DIFFERENCE}
    assert found.regressed == ()
    assert found.uncompared == ()
    assert found.basis is Basis.LAUNCHES
    assert found.reference == "one-slot"
    assert found.tolerance_percent == 5


def test_a_slower_model_has_regressed_on_that_task_alone() -> None:
    found = compare_results(succeeded(), second_is(model("four-slots", SLOW)))
    assert [(entry.task, entry.model) for entry in found.regressed] == [("topics", "four-slots")]
    back = compare_results(second_is(model("four-slots", SLOW)), succeeded())
    assert back.regressed == ()
    assert of(back, "topics", "four-slots").verdict is Verdict.IMPROVED


def test_the_tolerance_is_the_callers() -> None:
    found = compare_results(succeeded(), second_is(model("four-slots", SLOW)), tolerance_percent=99)
    assert found.regressed == ()
    assert found.tolerance_percent == 99


@pytest.mark.parametrize("percent", [-1, 100, float("nan")])
def test_what_is_no_tolerance_is_refused(percent: float) -> None:
    with pytest.raises(ValueError, match="tolerance"):
        compare_results(succeeded(), succeeded(), tolerance_percent=percent)


def test_unlike_results_are_refused_with_all_that_differs() -> None:
    other = succeeded().model_copy(update={"provenance": {**succeeded().provenance, "cpu": "Other", "cores": 64}})
    found = compare_results(succeeded(), other, tolerance_percent=3)
    assert found.refused
    assert [entry.what for entry in found.differences] == ["provenance.cpu", "provenance.cores"]
    assert found.models == ()
    assert found.basis is None
    assert found.tolerance_percent == 3


def test_a_model_that_failed_since_is_lost_and_no_ratio_is_made_up() -> None:
    found = compare_results(succeeded(), with_failed_model())
    assert {entry.model for entry in found.models} == set(NAMES) - {"two-threads"}
    assert found.uncompared == (
        Uncompared("topics", "two-threads", None, "ModelFailed"),
        Uncompared("answers", "two-threads", None, "ModelFailed"),
    )
    assert all(entry.lost for entry in found.uncompared)
    back = compare_results(with_failed_model(), succeeded())
    assert not any(entry.lost for entry in back.uncompared)


def test_an_invalid_cell_is_not_compared() -> None:
    found = compare_results(with_invalid_stage(), succeeded())
    assert found.uncompared == (Uncompared("answers", "four-slots", "MeasurementInvalid", None),)


def test_models_and_tasks_that_only_one_has() -> None:
    models = four_models()
    fewer = compare_results(results(models[:2]), results(models))
    assert [entry.model for entry in fewer.models if entry.task == "topics"] == list(NAMES[:2])
    assert Uncompared("topics", "small-cache", "NotInResults", None) in fewer.uncompared
    tasks = succeeded().tasks
    one_task = results(tuple(model(name, ONE_SLOT, tasks[:1]) for name in NAMES), tasks[:1])
    found = compare_results(succeeded(), one_task)
    assert {entry.task for entry in found.models} == {"topics"}
    assert {(entry.task, entry.candidate) for entry in found.uncompared} == {("answers", "NotInResults")}


def test_one_launch_is_said_and_two_repeats_are_too_few() -> None:
    def once(repeats: int) -> Results:
        return results((model("one-slot", ONE_SLOT, rounds=1, repeats=repeats),), rounds=1, repeats=repeats)

    found = compare_results(succeeded(), once(3))
    assert found.basis is Basis.REPEATS
    assert of(found, "topics", "one-slot").verdict is not Verdict.TOO_FEW_REPEATS
    few = compare_results(once(3), once(2))
    assert of(few, "topics", "one-slot").verdict is Verdict.TOO_FEW_REPEATS


def test_the_reference_is_the_baselines_unless_said() -> None:
    baseline = results(four_models(), per={"reference": "small-cache"})
    assert compare_results(baseline, succeeded()).reference == "small-cache"
    assert compare_results(baseline, succeeded(), settings=Settings(reference="four-slots")).reference == "four-slots"


def test_weights_reach_reference_per() -> None:
    slower = second_is(model("four-slots", SLOW))
    settings = Settings(weights={axis: 0 for axis in Axis if axis is not Axis.MEMORY})
    plain, weighted = (
        of(compare_results(succeeded(), slower, settings=given), "topics", "four-slots").ratios[-1]
        for given in (None, settings)
    )
    assert plain.ratio is not None
    assert plain.ratio < 0.8
    assert weighted.ratio == pytest.approx(1)


def test_weights_are_the_baselines_unless_said() -> None:
    slower = second_is(model("four-slots", SLOW))
    weighted = succeeded().model_copy(
        update={"spec": {**succeeded().spec, "per": {"weights": {"accuracy": 0, "throughput": 0, "latency": 0}}}}
    )
    own = of(compare_results(weighted, slower), "topics", "four-slots").ratios[-1]
    assert own.ratio == pytest.approx(1)


def test_a_model_ranked_apart_has_the_axes_alone() -> None:
    apart = second_is(four_models()[1].model_copy(update={"throughput_unit": "endpoint"}))
    own = of(compare_results(apart, apart), "topics", "four-slots")
    assert [ratio.figure for ratio in own.ratios] == [figure for figure in Figure if figure is not Figure.REFERENCE_PER]
    assert Figure.REFERENCE_PER in {
        ratio.figure for ratio in of(compare_results(apart, apart), "topics", "one-slot").ratios
    }


def test_a_model_that_got_faster_and_less_right_has_regressed() -> None:
    trade = {"topics": Shape(0.4, 3, 6, 410.0), "answers": Shape(1.5, 12, 15, 416.0)}
    own = of(compare_results(succeeded(), second_is(model("four-slots", trade))), "topics", "four-slots")
    assert {ratio.verdict for ratio in own.ratios} >= {Verdict.IMPROVED, Verdict.REGRESSED}
    assert own.verdict is Verdict.REGRESSED
