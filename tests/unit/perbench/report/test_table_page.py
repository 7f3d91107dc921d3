import base64
import hashlib
import re
from itertools import pairwise

import pytest

from perbench.per.table import read_table
from perbench.per.table_scores import score_table
from perbench.report.table_page import render_table
from tests.support import tables
from tests.support.pages import Page
from tests.support.per_rows import STUDY
from tests.support.tables import AGREEING, FOUR, HEADER, page, table

PAGES = ("study", "study_with_floor", "few_models", "hostile_table")


@pytest.fixture(scope="module")
def study() -> Page:
    return Page.of(tables.study())


def section(found: Page, task: str, after: str) -> str:
    """The text of a task's section."""
    return found.text.split(f" {task} generation, 16 models ", 1)[-1].split(f" {after} ", 1)[0]


def test_the_sentence_comes_first_and_the_weaknesses_with_it(study: Page) -> None:
    body = study.text.split("per_published.csv", 2)[2].strip()
    assert body.startswith("5 cells differ Qwen2.5-0.5B is first on all 5 tasks by Reference PER")
    for words in ("15 of 80 Published cells are 0", "71 pairs of other models", "5 cells of 80 differ"):
        assert words in body.split("All tasks", 1)[0]


def test_every_task_in_one_line(study: Page) -> None:
    for words in (
        "gsm8k Qwen2.5-0.5B Qwen2.5-1.5B 2 of 16 12 10 of 16",
        "squad2 Qwen2.5-0.5B Gemma-2-2B 4 of 16 22 9 of 16",
        "hellaswag Qwen2.5-0.5B Qwen2.5-1.5B 3 of 16 21 13 of 16",
        "imdb Qwen2.5-0.5B Qwen2.5-0.5B 2 of 16 11 1 of 16",
        "arc-easy Qwen2.5-0.5B Qwen2.5-0.5B 4 of 16 5 9 of 16",
    ):
        assert words in study.text


def test_the_five_cells_that_do_not_follow_the_formula(study: Page) -> None:
    for words in (
        "gsm8k Mistral-7B 0.2837 0.514 -0.230",
        "squad2 Qwen2.5-32B 0 0.299 -0.299",
        "squad2 Llama-3.1-70B 0.03 0.000 +0.030",
        "hellaswag Gemma-2-2B 0.53 0.559 -0.029",
        "arc-easy Vicuna-13B 0.04 0.000 +0.040",
    ):
        assert words in study.text
    assert study.text.count("the table says") == 5


def test_both_scales_with_what_a_removal_does(study: Page) -> None:
    assert "2 Qwen2.5-1.5B Pareto 0.644 0.662 0.651–0.796" in study.text  # noqa: RUF001 - a range has an en dash
    assert "6 Mistral-7B 0.314 0.514 0.496–0.618 the table says 0.2837" in study.text  # noqa: RUF001 - a range
    assert "0 (worst on throughput, memory and latency)" in study.text
    assert "Gemma-2-2B 4 Qwen2.5-1.5B, before Qwen2.5-0.5B Qwen2.5-0.5B: 0.808 → 0.420" in study.text
    assert "Qwen2.5-0.5B 19 Phi-3.5, before Qwen2.5-1.5B Qwen2.5-1.5B: 0.644 → 0.000" in study.text


def test_the_worst_on_each_axis_is_marked(study: Page) -> None:
    assert "Qwen2.5-72B 0.808 worst 29.0 worst 4.65 worst 18,432" in study.text
    assert "Llama-2-13B worst 0.352 115 2.38 6,656" in study.text
    assert "Qwen2.5-0.5B 0.377 best 7,927 best 0.150 best 1,024" in study.text


def test_the_drawing_is_there_twice_and_says_what_it_shows(study: Page) -> None:
    classes = [name for name in study.attributes("svg", "class") if name and name.startswith("scatter")]
    assert classes == ["scatter wide", "scatter narrow"] * 5
    labels = [label for label in study.attributes("svg", "aria-label") if label]
    assert labels[0].startswith(
        "Accuracy against throughput on gsm8k. On the Pareto front over all axes: Qwen2.5-0.5B,"
    )
    fronts = study.attributes("circle", "class").count("front")
    assert fronts == 2 * (10 + 9 + 13 + 1 + 9)
    assert study.attributes("circle", "class").count("behind") == 2 * 80 - fronts


def test_a_floor_takes_places_and_says_why() -> None:
    found = Page.of(tables.study_with_floor())
    assert "Llama-2-13B – accuracy below the quality floor" in found.text  # noqa: RUF001 - an absent figure
    assert "Models whose accuracy is below 0.5 are not ranked." in found.text


def test_few_models_have_no_published_value_and_no_removals() -> None:
    found = Page.of(tables.few_models())
    assert "No Published PER: fewer than four models are compared" in found.text
    assert "t a – – – 3 of 3" in found.text, "no zeros where there are no values"  # noqa: RUF001 - absent figures
    assert "One model left out" not in found.text
    assert "Memory left out for all: not measured for c (NotMeasured)." in found.text
    assert "differ" not in found.text.split("All tasks", 1)[0]


def test_agreement_is_said() -> None:
    lines = [f"{line},{per}" for line, per in zip(FOUR, AGREEING, strict=True)]
    found = Page.of(page(table(*lines, header=f"{HEADER},per")))
    assert "All cells agree" in found.text
    assert "Cells that do not follow" not in found.text


def test_the_command_makes_the_page_again() -> None:
    study = read_table(STUDY)
    html = render_table(study, score_table(study, "Phi-3.5", 0.5), ["--reference", "Phi 3.5", "--quality-floor", "0.5"])
    command = "perbench score per_published.csv --reference 'Phi 3.5' --quality-floor 0.5 --report report.html"
    assert Page.of(html).raw["code"] == [command]


@pytest.mark.parametrize("name", PAGES)
def test_the_page_needs_nothing_and_runs_nothing(name: str) -> None:
    found = Page.of(getattr(tables, name)())
    assert not {"script", "link", "img", "iframe", "object", "embed", "base", "form"} & {
        tag for tag, _ in found.elements
    }
    names = {name for _, attributes in found.elements for name in attributes}
    assert not {entry for entry in names if entry.startswith("on") or entry in {"src", "style", "action"}}
    assert all(re.fullmatch(r"#task-\d+", target or "") for target in found.attributes("a", "href"))
    digest = base64.b64encode(hashlib.sha256(found.raw["style"][0].encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    assert found.attributes("meta", "content")[0] == policy


@pytest.mark.parametrize("name", PAGES)
def test_headings_do_not_skip_a_level_and_links_lead_somewhere(name: str) -> None:
    found = Page.of(getattr(tables, name)())
    levels = [int(tag[1]) for tag, _ in found.elements if re.fullmatch("h[1-6]", tag)]
    assert levels[0] == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))
    ids = [attributes["id"] for _, attributes in found.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    assert {str(target)[1:] for target in found.attributes("a", "href")} <= set(ids)


def test_hostile_names_stay_text() -> None:
    html = tables.hostile_table()
    assert "<script" not in html
    assert "49" not in Page.of(html).raw["title"][0]
    assert Page.of(html).text.count('<script>alert("x")</script>{{ 7*7 }}') >= 7
    labels = [label for label in Page.of(html).attributes("svg", "aria-label") if label]
    assert '<script>alert("x")</script>' in labels[0]


def test_a_large_table_stays_small() -> None:
    assert len(tables.large_table().encode()) < 1_000_000
    assert len(tables.study().encode()) < 300_000
