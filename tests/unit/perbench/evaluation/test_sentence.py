from dataclasses import replace

from perbench.evaluation import evaluate
from perbench.evaluation.sentence import headline, remarks
from tests.support import results as runs
from tests.support.results import ANSWERS, FOUR_SLOTS, ONE_SLOT, SATURATED, TOPICS, TWO_THREADS, Shape, model, results

STARTS = "Intervals are 95 %, over three starts of each model."


def test_the_best_is_named_with_its_figure_and_what_it_is_against() -> None:
    assert headline(evaluate(runs.succeeded())) == (
        "two-threads gives the most accuracy and speed for its memory on both tasks: Reference PER 1.154 against"
        " one-slot, which has 1."
    )


def test_what_must_be_known_with_it() -> None:
    assert remarks(evaluate(runs.succeeded())) == (
        "four-slots follows with 1.112.",
        "How likely it is the best: > 99 % on topics, 94 % on answers. Under 95 % the order may be chance.",
        STARTS,
    )


def test_a_lead_beyond_what_chance_allows_is_not_called_chance() -> None:
    found = remarks(evaluate(results((model("one-slot", ONE_SLOT), model("two-threads", TWO_THREADS)))))
    assert found[:2] == (
        "one-slot follows with 1.000.",
        "How likely it is the best: > 99 % on topics, > 99 % on answers.",
    )


def test_many_tasks_are_told_from_the_least_to_the_most_likely() -> None:
    tasks = [TOPICS.model_copy(update={"name": f"t{number}"}) for number in range(5)]
    slow = {task.name: ONE_SLOT["topics"] for task in tasks}
    fast = {task.name: TWO_THREADS["topics"] for task in tasks} | {"t3": replace(ONE_SLOT["topics"], seconds=0.999)}
    found = remarks(evaluate(results((model("slow", slow, tasks), model("fast", fast, tasks)), tasks)))
    assert found[1].startswith("How likely it is the best: from ")
    assert " % on t3 to > 99 % on t" in found[1]


def test_the_sentence_does_not_speak_of_memory_where_weights_may_leave_it_out() -> None:
    base = runs.succeeded()
    weighted = base.model_copy(update={"spec": {**base.spec, "per": {"weights": {"memory": 0}}}})
    assert headline(evaluate(weighted)).startswith(
        "two-threads has the highest Reference PER on both tasks, with the weights given: "
    )


def test_the_reference_itself_can_be_the_best() -> None:
    found = evaluate(results(runs.four_models(), per={"reference": "two-threads"}))
    assert headline(found).endswith("Reference PER 1.000 by definition, as it is the reference, and no other has more.")


def test_the_reference_wins_most_tasks_and_another_has_more() -> None:
    tasks = tuple(TOPICS.model_copy(update={"name": f"t{number}"}) for number in range(3))
    even = {task.name: ONE_SLOT["topics"] for task in tasks}
    seconds = {"t0": 1.1, "t1": 1.1, "t2": 0.2}
    uneven = {task.name: replace(ONE_SLOT["topics"], seconds=seconds[task.name]) for task in tasks}
    found = evaluate(results((model("even", even, tasks), model("uneven", uneven, tasks)), tasks))
    assert headline(found).endswith("on two of three tasks: Reference PER 1.000 by definition, as it is the reference.")
    assert remarks(found)[0].startswith("uneven follows with 1.")


def test_the_sentence_does_not_speak_of_memory_that_was_not_measured() -> None:
    elsewhere = [
        model(name, {task: replace(shape, memory_mebibytes=None) for task, shape in shapes.items()})
        for name, shapes in (("slow", ONE_SLOT), ("fast", TWO_THREADS))
    ]
    assert headline(evaluate(results(elsewhere))).startswith("fast has the highest Reference PER on both tasks: ")


def test_nobody_reaches_the_floor() -> None:
    found = evaluate(results(runs.four_models(), per={"qualityFloor": "0.99"}))
    assert headline(found) == "No model is named best, because none reaches the quality floor."


def test_a_reference_of_zero() -> None:
    wrong = {task: replace(shape, right=0) for task, shape in ONE_SLOT.items()}
    found = evaluate(results((model("wrong", wrong), model("fast", TWO_THREADS))))
    assert headline(found) == "No model is named best, because a figure of the reference model wrong is 0."


def test_a_failed_model_is_named() -> None:
    found = remarks(evaluate(runs.with_failed_model()))
    assert "Not compared, because it failed: two-threads." in found


def test_an_invalid_cell_is_named_with_its_task() -> None:
    found = remarks(evaluate(runs.with_invalid_stage()))
    assert "four-slots is not compared on answers: the measurement is not valid." in found


def test_one_model_alone_says_nothing() -> None:
    assert headline(evaluate(runs.one_model())) == (
        "Only one-slot could be compared, so its PER of 1 stands for nothing but itself."
    )


def test_wins_on_some_tasks_are_counted() -> None:
    tasks = (TOPICS, ANSWERS, TOPICS.model_copy(update={"name": "third"}))
    fast = {**TWO_THREADS, "third": ONE_SLOT["topics"]}
    slow = {**ONE_SLOT, "third": TWO_THREADS["topics"]}
    found = evaluate(results((model("slow", slow, tasks), model("fast", fast, tasks)), tasks))
    assert "on two of three tasks" in headline(found)


def test_nobody_can_be_compared() -> None:
    starved = {name: replace(shape, findings={0: (SATURATED,)}) for name, shape in ONE_SLOT.items()}
    found = evaluate(results((model("m", starved),)))
    assert headline(found).startswith("No model can be compared: m on topics: in 1 of 3 stages: median error added")
    assert STARTS not in remarks(found)


def test_a_failed_reference() -> None:
    failed = runs.failed_model("one-slot", runs.OUT_OF_MEMORY)
    found = evaluate(results((failed, *runs.four_models()[1:])))
    assert headline(found) == (
        "No model is named best, because the reference model one-slot has no figures to compare with."
    )


def invalid(shape: Shape) -> Shape:
    return replace(shape, findings={0: (SATURATED,)})


def test_no_two_models_meet_on_any_task() -> None:
    models = (
        model("a", {"topics": ONE_SLOT["topics"], "answers": invalid(ONE_SLOT["answers"])}),
        model("b", {"topics": invalid(ONE_SLOT["topics"]), "answers": ONE_SLOT["answers"]}),
    )
    assert headline(evaluate(results(models))) == "On no task can two models be compared, so PER ranks nothing."


def test_a_task_without_a_ranking_is_not_passed_over_in_silence() -> None:
    reference = model("a", {"topics": ONE_SLOT["topics"], "answers": invalid(ONE_SLOT["answers"])})
    assert "on the one task that can be ranked: " in headline(evaluate(results((reference, model("b", TWO_THREADS)))))


def test_who_won_more_tasks_and_failed_one_is_named() -> None:
    tasks = (TOPICS, ANSWERS, TOPICS.model_copy(update={"name": "third"}))
    even = {**ONE_SLOT, "third": ONE_SLOT["topics"]}
    fast = {**TWO_THREADS, "third": invalid(TWO_THREADS["topics"])}
    found = evaluate(results((model("even", even, tasks), model("fast", fast, tasks)), tasks))
    assert found.best is not None
    assert found.best.model == "even"
    assert "fast won more tasks, but cannot be ranked on every one." in remarks(found)


def test_models_ranked_apart() -> None:
    endpoint = model("far", FOUR_SLOTS, throughput_unit="endpoint")
    assert "ranked apart" in headline(evaluate(results((model("near", ONE_SLOT), endpoint))))


def test_a_run_that_is_not_at_its_end() -> None:
    started = model("one-slot", ONE_SLOT, rounds=1)
    found = evaluate(results((started, model("waiting", {}, (), rounds=0)), completion_time=None, interrupted=True))
    assert headline(found).startswith("The run is not at its end: 2 of 12 stages are recorded")
    assert remarks(found) == ()


def test_one_launch_says_nothing_of_the_next() -> None:
    assert remarks(evaluate(runs.one_launch()))[-1] == (
        "Every model was started once: intervals (95 %) hold within one launch; a new start may change more."
    )


def test_too_few_replicates_for_intervals() -> None:
    for rounds, needed in ((1, "three repeats or rounds"), (2, "three rounds")):
        models = [model(name, shape, rounds=rounds) for name, shape in (("a", ONE_SLOT), ("b", FOUR_SLOTS))]
        found = remarks(evaluate(results(models, rounds=rounds)))
        assert found == ("a follows with 1.000.", f"There are no intervals: they need {needed}.")
