import re
from dataclasses import replace
from pathlib import Path

import pytest

from perbench.evaluation import evaluate
from perbench.report.terminal import table
from perbench.results import TaskKind
from tests.support import results as runs
from tests.support.golden import assert_golden
from tests.support.results import NOT_STEADY, ONE_SLOT, TOPICS, TWO_THREADS, model, results

GOLDEN = Path("tests/golden/report")


@pytest.mark.parametrize(
    "name",
    [
        "succeeded",
        "with_failed_model",
        "with_invalid_stage",
        "one_model",
        "one_launch",
        "with_every_setting",
        "interrupted",
        "hostile",
    ],
)
def test_the_table_of_a_run(name: str) -> None:
    text = table(evaluate(getattr(runs, name)()))
    assert max(map(len, text.splitlines())) <= 80
    assert_golden(GOLDEN / f"table-{name.replace('_', '-')}.txt", text)


def test_the_longest_names_and_figures_fit_into_80_columns() -> None:
    huge = replace(ONE_SLOT["answers"], seconds=0.000_012, memory_mebibytes=1_234_567.0)
    slow = replace(TWO_THREADS["answers"], seconds=98_765.0)
    models = [model("m" * 40, {"answers": huge}, (runs.ANSWERS,)), model("n" * 40, {"answers": slow}, (runs.ANSWERS,))]
    text = table(evaluate(results(models, (runs.ANSWERS,))))
    assert max(map(len, text.splitlines())) <= 80
    assert text.replace("\n", "").replace(" ", "").count("m" * 24) >= 2
    assert "1,234,568" in text


def test_a_load_without_answers_has_a_price_for_its_tokens_alone() -> None:
    load = runs.ANSWERS.model_copy(update={"name": "load", "kind": TaskKind.SYNTHETIC, "max_tokens": 12})
    base = results([model(name, {"load": ONE_SLOT["answers"]}, (load,)) for name in "ab"], (load,))
    prices = {"prices": [{"unit": "server", "dollarsPerHour": 1}]}
    text = table(evaluate(base.model_copy(update={"spec": {**base.spec, "capacity": prices}})))
    assert "$ PER MILLION TOKENS\n" in text
    assert "ANSWERS" not in text


def test_no_control_character_reaches_the_terminal() -> None:
    text = table(evaluate(runs.hostile()))
    assert all(character.isprintable() or character == "\n" for character in text)


def test_warnings_that_say_the_same_stand_once() -> None:
    noisy = replace(ONE_SLOT["topics"], findings={0: (NOT_STEADY,)})
    models = [model(name, {"topics": noisy}, (TOPICS,)) for name in ("a", "b")]
    text = table(evaluate(results(models, (TOPICS,))))
    assert text.count("NotSteady") == 1
    assert "NotSteady (a on topics, b on topics): in 1 of 3 stages" in text


def test_repeats_and_a_single_round_are_said() -> None:
    text = table(evaluate(results([model("m", ONE_SLOT, rounds=1, repeats=3)], rounds=1, repeats=3)))
    assert "topics (classification): 24 items, 4 requests at a time, 1 round of 3 repeats" in text


def test_draws_in_which_no_model_reaches_the_floor_are_said() -> None:
    def text(floor: str) -> str:
        found = results(runs.four_models(), per={"qualityFloor": floor})
        return " ".join(table(evaluate(found)).split())

    assert re.search(
        r"In \d+ % of the draws no model reaches the quality floor, so none of them is the best", text("0.75")
    )
    assert "of the draws" not in text("0.1")
