from dataclasses import replace

import pytest

from perbench.api.load import PromptApi
from perbench.evaluation import evaluate
from perbench.failures import Blame, Failure
from perbench.results import ModelRecord, Results, TaskKind
from tests.support import results as runs
from tests.support.results import ANSWERS, FOUR_SLOTS, ONE_SLOT, SATURATED, TOPICS, TWO_THREADS, model, results


def codes(found: Results) -> list[tuple[str, str | None, str | None]]:
    return [(warning.code, warning.task, warning.model) for warning in evaluate(found).warnings]


def test_a_run_without_a_flaw() -> None:
    found = evaluate(runs.succeeded())
    assert found.compared_models == 4
    assert {warning.code for warning in found.warnings} == {"WithinNoise"}  # 17 or 18 of 24 right
    assert found.verdict.exit_code == 0
    assert (found.completed_stages, found.planned_stages) == (24, 24)
    assert found.best is not None
    assert (found.best.model, found.best.tasks_won, found.best.tasks) == ("two-threads", 2, 2)
    for task in found.tasks:
        assert task.order == ("two-threads", "four-slots", "small-cache", "one-slot")


def test_the_best_carries_the_geometric_mean_over_tasks_as_its_model_does() -> None:
    found = evaluate(runs.succeeded())
    values = [task.row("two-threads").scores.reference for task in found.tasks]
    expected = (values[0].value * values[1].value) ** 0.5
    assert found.best.reference_per == pytest.approx(expected)
    assert [entry.reference_per for entry in found.models][3] == pytest.approx(expected)
    assert [entry.tasks_won for entry in found.models] == [0, 0, 0, 2]


def test_the_reference_of_the_spec_is_used() -> None:
    found = evaluate(results(runs.four_models(), per={"reference": "small-cache"}))
    assert found.tasks[0].row("small-cache").scores.reference.value == pytest.approx(1.0)
    assert found.tasks[0].row("one-slot").scores.reference.value < 1


def test_a_failed_model_leaves_the_comparison_of_all_tasks() -> None:
    found = evaluate(runs.with_failed_model())
    assert found.compared_models == 3
    assert found.best.model == "four-slots"
    assert codes(runs.with_failed_model()) == [
        ("TooFewModels", "topics", None),
        ("TooFewModels", "answers", None),
    ]


def test_a_model_invalid_on_one_task_is_compared_on_the_other() -> None:
    found = evaluate(runs.with_invalid_stage())
    assert found.compared_models == 4
    assert "four-slots" in found.tasks[0].order
    assert "four-slots" not in found.tasks[1].order
    assert found.models[1].reference_per is None
    assert found.tasks[1].row("four-slots").cell.figures.throughput == pytest.approx(31.9, abs=0.1)


def test_invalidating_findings_come_first_among_the_warnings() -> None:
    assert codes(runs.with_invalid_stage()) == [
        ("LoadGeneratorSaturated", "answers", "four-slots"),
        ("WithinNoise", "topics", None),
        ("TooFewModels", "answers", None),
    ]


def test_a_failed_reference_is_named_and_there_is_no_best() -> None:
    failed = runs.failed_model("one-slot", runs.OUT_OF_MEMORY)
    found = results((failed, *runs.four_models()[1:]))
    assert evaluate(found).best is None
    assert ("ReferenceFailed", "topics", None) in codes(found)


def test_before_all_stages_are_recorded_there_is_no_per() -> None:
    models = list(runs.four_models())
    models[3] = models[3].model_copy(update={"launches": models[3].launches[:2]})
    found = evaluate(results(models, completion_time=None, interrupted=True))
    assert found.best is None
    assert all(row.scores.reference is None for task in found.tasks for row in task.rows)
    assert found.tasks[0].row("one-slot").cell.figures.accuracy == 0.75
    assert (found.completed_stages, found.planned_stages) == (22, 24)


def test_a_model_that_failed_needs_no_more_stages() -> None:
    failure = Failure(blame=Blame.TARGET, reason="ServerExited", message="gone")
    before = model("two-threads", TWO_THREADS, rounds=1)
    found = evaluate(results((*runs.four_models()[:3], runs.failed_model("two-threads", failure, before))))
    assert found.verdict.exit_code == 4
    assert found.tasks[0].order == ("four-slots", "small-cache", "one-slot")
    assert found.tasks[0].row("two-threads").cell.figures.accuracy == 0.75


def test_unlike_units_are_ranked_apart_and_nobody_is_best() -> None:
    endpoint = model("far", FOUR_SLOTS, throughput_unit="endpoint", runtime=None)
    found = results((model("near", ONE_SLOT), endpoint))
    assert ("UnlikeUnits", None, None) in codes(found)
    assert evaluate(found).best is None
    assert evaluate(found).tasks[0].order == ("near",)


@pytest.mark.parametrize(
    ("api", "protocol", "apart"),
    [
        ("Completion", "OpenAIChat", True),
        ("Completion", "OpenAI", False),
        ("Chat", "TGI", True),
        ("Chat", "OpenAIChat", False),
    ],
)
def test_an_endpoint_that_forces_another_kind_of_prompt_is_ranked_apart(api: str, protocol: str, apart: bool) -> None:
    base = results((model("near", ONE_SLOT), model("far", FOUR_SLOTS)))
    endpoint = {"name": "far", "endpoint": {"url": "http://far", "protocol": protocol, "model": "x"}}
    changes = {
        "spec": {**base.spec, "models": [{"name": "near", "model": "packaged:smollm2-135m"}, endpoint]},
        "resolved": base.resolved.model_copy(update={"api": PromptApi(api)}),
    }
    found = base.model_copy(update=changes)
    assert (("UnlikePrompts", None, None) in codes(found)) is apart
    assert evaluate(found).tasks[0].row("far").apart is apart


def test_answers_that_differ_between_repeats_are_a_warning_above_five_percent() -> None:
    wavering = [
        stage.model_copy(
            update={
                "requests": stage.requests.model_copy(
                    update={"answer": tuple(f"{i} {stage.round if i < 2 else ''}" for i in range(24))}
                )
            }
        )
        for stage in model("m", ONE_SLOT, (TOPICS,)).stages("topics")
    ]
    found = results((runs.literal_model(*wavering),), (TOPICS,))
    assert ("Nondeterministic", "topics", "m") in codes(found)  # 2 of 24: 8.3 %
    assert evaluate(found).verdict.exit_code == 0
    assert not any(code == "Nondeterministic" for code, _, _ in codes(runs.one_model()))  # 1 of 24: 4.2 %


def test_models_that_answer_at_unlike_lengths_are_said() -> None:
    rambling = {**TWO_THREADS, "answers": replace(TWO_THREADS["answers"], tokens=16)}
    found = evaluate(results((model("terse", ONE_SLOT), model("rambling", rambling))))
    assert found.tasks[0].notes == ()
    (note,) = found.tasks[1].notes
    assert note.startswith("Answers differ in length: rambling gives 16.0 tokens, terse gives 12.0 tokens (1.33x).")


def test_an_axis_on_which_models_cannot_be_told_apart_is_named() -> None:
    # Accuracies from 2 to 23 of 24 stand out of the noise of 24 items; four MiB of 400 are not worth an axis.
    shapes = [
        replace(ONE_SLOT["topics"], seconds=1 + n / 5, memory_mebibytes=400 + n, right=2 + 7 * n) for n in range(4)
    ]
    found = results([model(f"m{n}", {"topics": shape}, (TOPICS,)) for n, shape in enumerate(shapes)], (TOPICS,))
    (warning,) = evaluate(found).warnings
    assert (warning.code, warning.task) == ("Unresolved", "topics")
    assert warning.message.startswith("memory left out")


def test_memory_missing_for_one_model_is_left_out_for_all_and_named() -> None:
    shapes = [ONE_SLOT, FOUR_SLOTS, TWO_THREADS, {"topics": replace(ONE_SLOT["topics"], memory_mebibytes=None)}]
    found = results([model(f"m{n}", shape, (TOPICS,)) for n, shape in enumerate(shapes)], (TOPICS,))
    missing, unresolved, reason = evaluate(found).warnings
    assert missing.code == "NotMeasured"
    assert missing.message.startswith("memory left out for all: not measured for m3")
    assert unresolved.code == "Unresolved"
    assert unresolved.message.startswith("accuracy left out")
    assert (reason.code, reason.model) == ("NoMemoryFigure", "m3")
    assert reason.message == "the server runs elsewhere, and its memory cannot be read"
    assert evaluate(found).tasks[0].row("m0").scores.reference.value == pytest.approx(1.0)


def test_a_synthetic_task_needs_no_scores_and_says_nothing_of_accuracy() -> None:
    task = ANSWERS.model_copy(update={"name": "load", "kind": TaskKind.SYNTHETIC, "max_tokens": 12})
    shapes = (ONE_SLOT, FOUR_SLOTS, runs.SMALL_CACHE, TWO_THREADS)
    found = results([model(f"m{n}", {"load": s["answers"]}, (task,)) for n, s in enumerate(shapes)], (task,))
    assert codes(found) == []
    assert evaluate(found).verdict.exit_code == 0
    assert evaluate(found).tasks[0].row("m1").scores.published.value > 0


def test_synthetic_outputs_that_missed_their_length_are_excluded_and_warned_of() -> None:
    task = ANSWERS.model_copy(update={"name": "load", "kind": TaskKind.SYNTHETIC, "max_tokens": 12})
    short = replace(ONE_SLOT["answers"], tokens=6)
    found = results(
        (model("full", {"load": ONE_SLOT["answers"]}, (task,)), model("short", {"load": short}, (task,))), (task,)
    )
    assert ("OutputLengthMissed", "load", "short") in codes(found)
    assert evaluate(found).tasks[0].order == ("full",)


def test_a_warning_that_does_not_invalidate_is_kept() -> None:
    noisy = {**ONE_SLOT, "topics": replace(ONE_SLOT["topics"], findings={0: (runs.NOT_STEADY,), 2: (runs.NOT_STEADY,)})}
    warning = next(w for w in evaluate(results((model("m", noisy),))).warnings if w.code == "NotSteady")
    assert warning.message == (
        "in 2 of 3 stages: difference of the mean request duration between the halves of the window 14 %"
        " (limit 10 %); measure more items or warm up longer"
    )


def test_a_run_in_which_everything_is_invalid_names_nobody_best() -> None:
    starved = {name: replace(shape, findings={0: (SATURATED,)}) for name, shape in ONE_SLOT.items()}
    found = evaluate(results([model(f"m{n}", starved) for n in range(4)]))
    assert found.best is None
    assert found.compared_models == 0
    assert found.verdict.exit_code == 3


def test_what_could_not_be_learnt_of_a_model_is_said_last() -> None:
    found = runs.succeeded()
    first = found.models[0].model_copy(update={"remarks": ("the hub was not asked: HF_HUB_OFFLINE is set",)})
    warned = evaluate(found.model_copy(update={"models": (first, *found.models[1:])})).warnings[-1]
    assert (warned.code, warned.model, warned.message) == (
        "Remark", first.name, "the hub was not asked: HF_HUB_OFFLINE is set",
    )  # fmt: skip


def loaded(name: str, *commits: str | None, repository: str = "org/m") -> ModelRecord:
    base = model(name, ONE_SLOT, rounds=len(commits), source={"kind": "Hub", "model": repository})
    launches = [
        launch.model_copy(update={"revision": commit}) for launch, commit in zip(base.launches, commits, strict=True)
    ]
    return base.model_copy(update={"launches": tuple(launches)})


def moved(*models: ModelRecord) -> list[str]:
    return [warned.message for warned in evaluate(results(models)).warnings if warned.code == "RevisionMoved"]


def test_a_branch_that_moved_between_rounds_or_models_is_a_warning() -> None:
    one, two = "1" * 40, "2" * 40
    (between_rounds,) = moved(loaded("a", one, one, two), loaded("b", one, one, one, repository="org/other"))
    assert between_rounds == (
        "set revision and run again: org/m was changed at the hub while it was measured, and loaded as 111111111111: a"
        " in round 1, a in round 2; 222222222222: a in round 3"
    )
    (between_models,) = moved(loaded("a", one, one, one), loaded("b", two, None, two))
    assert "111111111111: a in round 1, a in round 2, a in round 3; 222222222222: b in round 1, b in" in between_models
    assert moved(loaded("a", one, None, one), loaded("b", two, two, two, repository="org/other")) == []


def test_memory_that_is_not_the_servers_alone_is_a_remark() -> None:
    base = model("a", ONE_SLOT)
    first = base.launches[0].stages[0]
    assert first.memory is not None
    mixed = first.memory.model_copy(update={"source": "smaps_rollup; of every container of the pod (perbench-memory)"})
    launch = base.launches[0].model_copy(update={"stages": (first.model_copy(update={"memory": mixed}),)})
    found = evaluate(results((base.model_copy(update={"launches": (launch,)}),))).warnings
    assert [(warned.code, warned.model) for warned in found if "every container" in warned.message] == [("Remark", "a")]
