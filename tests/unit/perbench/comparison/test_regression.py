import pytest

from perbench.comparison import Judgement, Side, compare_results, judge_regression
from perbench.comparison.values import ResultsComparison
from perbench.results import Results
from tests.support.results import (
    ONE_SLOT,
    Shape,
    four_models,
    model,
    results,
    succeeded,
    with_failed_model,
    with_invalid_stage,
)

AGAINST = "run 0123456789 of nightly"


def slower(factor: float, memory: float | None = 410.0) -> Results:
    """Of four-slots."""
    shapes = {"topics": Shape(0.8 * factor, 3, 18, memory), "answers": Shape(1.5 * factor, 12, 15, memory)}
    first, _, *others = four_models()
    return results((first, model("four-slots", shapes), *others))


def judged(baseline: Results, candidate: Results) -> Judgement:
    return judge_regression(compare_results(baseline, candidate), AGAINST)


def test_the_worst_comes_first_and_the_rest_is_counted() -> None:
    found = judged(slower(1), slower(2))
    assert (found.worse, found.reason) == (True, "Regressed")
    assert {entry.model for entry in found.regressed} == {"four-slots"}
    sizes = [entry.by for entry in found.regressed]
    assert sizes == sorted(sizes, reverse=True)
    assert found.message.startswith(f"against {AGAINST}: {found.regressed[0].words}; and {len(sizes) - 1} more")


def test_with_one_launch_in_either_run_the_message_says_so() -> None:
    def once(factor: float) -> Results:
        shapes = {name: Shape(factor, 3, 18) for name in ("topics", "answers")}
        return results((model("one-slot", shapes, rounds=1, repeats=3),), rounds=1, repeats=3)

    assert "within one launch" in judged(once(1), once(2)).message
    assert "within one launch" not in judged(slower(1), slower(2)).message


def test_what_became_better_is_not_worse() -> None:
    found = judged(slower(2), slower(1))
    assert (found.worse, found.reason, found.regressed) == (False, "NoRegression", ())


def test_a_run_against_itself() -> None:
    found = judged(succeeded(), succeeded())
    assert found == Judgement(
        False, "NoRegression", f"against {AGAINST}: nothing got worse by more than 5 % (8 pairs of model and task)"
    )


def test_a_model_that_failed_and_a_figure_that_is_missing_are_lost() -> None:
    failed = judged(succeeded(), with_failed_model())
    assert (failed.worse, failed.reason) == (None, "FiguresLost")
    assert "two-threads on topics (ModelFailed), two-threads on answers (ModelFailed)" in failed.message
    missing = judged(slower(1), slower(1, memory=None))
    assert (missing.worse, missing.reason) == (None, "FiguresLost")
    assert "memory of four-slots on topics" in missing.message


def test_what_is_lost_is_told_beside_what_got_worse() -> None:
    found = judged(slower(1), slower(2, memory=None))
    assert found.worse
    assert "; not measured any more: memory of four-slots on topics" in found.message


def test_what_the_baseline_lacks_cannot_be_held_against_it() -> None:
    """A model that failed one night and is slow the next has not been shown to be as good as before."""
    lacks = judged(with_failed_model(), succeeded())
    assert (lacks.worse, lacks.reason) == (None, "BaselineLacks")
    assert "two-threads on topics (ModelFailed)" in lacks.message
    assert judged(with_invalid_stage(), succeeded()).reason == "BaselineLacks"
    assert judged(with_failed_model(), with_failed_model()).reason == "NoRegression"


def test_what_is_not_asked_for_any_more_is_named() -> None:
    found = judged(succeeded(), results(four_models()[:1]))
    assert found.worse is False
    assert found.message.endswith(
        "(2 pairs of model and task); not asked for any more: four-slots on topics, small-cache on topics,"
        " two-threads on topics and 3 more"
    )


def test_too_few_repeats() -> None:
    def once(repeats: int) -> Results:
        return results((model("one-slot", ONE_SLOT, rounds=1, repeats=repeats),), rounds=1, repeats=repeats)

    found = judged(once(3), once(2))
    assert (found.worse, found.reason) == (None, "TooFewRepeats")
    assert "one-slot on topics, one-slot on answers" in found.message


def test_unlike_runs() -> None:
    other = succeeded().model_copy(update={"provenance": {**succeeded().provenance, "cpu": "Other"}})
    found = judged(succeeded(), other)
    assert (found.worse, found.reason) == (None, "BaselineUnlike")
    assert "provenance.cpu was" in found.message


@pytest.mark.parametrize(("side", "reason"), [(Side.BASELINE, "BaselineUnfinished"), (Side.CANDIDATE, "RunIncomplete")])
def test_an_unfinished_run(side: Side, reason: str) -> None:
    assert judge_regression(ResultsComparison((), (), unfinished=(side,)), AGAINST).reason == reason


def on(product: str, factor: float = 1) -> Results:
    """Every launch on this product."""
    own = slower(factor)
    models = [
        entry.model_copy(
            update={"launches": tuple(each.model_copy(update={"accelerator": product}) for each in entry.launches)}
        )
        for entry in own.models
    ]
    return own.model_copy(update={"models": tuple(models)})


@pytest.mark.parametrize(
    ("before", "after", "reason"),
    [("1 x L4", "1 x L4-SHARED", "RunUntrusted"), ("1 x L4-SHARED", "1 x L4", "BaselineUntrusted"),
     ("1 x L4-SHARED", "1 x L4-SHARED", "RunUntrusted")],
)  # fmt: skip
def test_a_run_of_which_no_figure_can_be_trusted_is_not_judged(before: str, after: str, reason: str) -> None:
    found = judged(on(before), on(after, 2))
    assert (found.worse, found.reason, found.regressed) == (None, reason, ())
    assert ": SharedAccelerator: one-slot ran on L4-SHARED" in found.message
    assert judged(on("1 x L4"), on("1 x L4", 2)).worse


def test_nothing_in_common() -> None:
    """All that both were to measure failed then as well."""
    nobody = tuple(entry for entry in with_failed_model().models if entry.name == "two-threads")
    found = judged(results(nobody), results(nobody))
    assert (found.worse, found.reason) == (None, "NothingCompared")
