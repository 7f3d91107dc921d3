import base64
import hashlib
import re
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
import yaml

from perbench.api.per import PerSpec
from perbench.api.resource import PERBenchmark
from perbench.evaluation import settings_of
from perbench.report import render
from perbench.results import CalibrationRecord, Results
from tests.support import results as runs
from tests.support.golden import assert_golden
from tests.support.pages import Page
from tests.support.results import HOSTILE, ONE_SLOT, TOPICS, TWO_THREADS, Shape, model, results

GOLDEN = Path("tests/golden/report")

ALL_BOUNDS = {
    unit: {"low": 0, "high": 10_000}
    for unit in ("accuracy", "tokensPerSecond", "itemsPerSecond", "millisecondsPerToken", "millisecondsPerItem")
} | {"memoryMebibytes": {"low": 0, "high": 10_000}}


def page_of(found: Results) -> Page:
    return Page.of(render(found))


@pytest.fixture(scope="module")
def succeeded() -> Page:
    return page_of(runs.succeeded())


@pytest.mark.parametrize("name", ["with_every_setting", "with_failed_model"])
def test_the_page_of_a_run(name: str) -> None:
    html = render(getattr(runs, name)())
    # Its tags stay: a line that is nothing but a wildcard would stand for every line when the file is rewritten.
    plain = re.sub(r"(?<=<style>).*?(?=</style>)|'sha256-[^']*'", "<ANY>", html, flags=re.DOTALL)
    assert_golden(GOLDEN / f"page-{name.replace('_', '-')}.html", plain)


def test_the_verdict_comes_first_and_in_words(succeeded: Page) -> None:
    body = succeeded.text.split("quickstart", 2)[2].strip()
    assert body.startswith("Succeeded two-threads gives the most accuracy and speed for its memory on both tasks:")
    assert "How likely it is the best: > 99 % on topics" in body[:400]


def test_both_scales_stand_beside_each_other(succeeded: Page) -> None:
    # The probability stands twice, once for phones; styles show one of them.
    line = "2 four-slots Pareto 1.095 1.066–1.125 best: < 1 % < 1 % 0.461 0.398–0.520"  # noqa: RUF001 - ranges
    assert line in succeeded.text


def test_what_the_intervals_cover_stands_under_the_table(succeeded: Page) -> None:
    assert "Lines are 95 % intervals, from 3 launches of each model: they hold what a new start" in succeeded.text
    assert (
        "95 % intervals within one launch, from 3 repeats: every model was started" in page_of(runs.one_launch()).text
    )
    few = results([model(name, ONE_SLOT, rounds=2) for name in "ab"], rounds=2)
    assert "No intervals: they need three launches of each model" in page_of(few).text


def test_unresolved_axes_are_named_with_their_rule(succeeded: Page) -> None:
    told = "Accuracy left out of Published PER: the models differ by less than four standard errors."
    assert told in succeeded.text
    assert "Leaving out one model at a time reverses " in succeeded.text


def test_a_model_whose_items_all_score_alike_is_named() -> None:
    perfect = {"topics": replace(ONE_SLOT["topics"], right=24)}
    text = page_of(results([model("a", perfect, (TOPICS,)), model("b", ONE_SLOT, (TOPICS,))], (TOPICS,))).text
    assert "Every item of a has the same score: how far its accuracy may be off is not known." in text


def test_a_model_without_an_interval_where_others_have_one_says_why() -> None:
    gone = [runs.model(name, ONE_SLOT, (TOPICS,)) for name in ("a", "b")]
    unread = gone[1].launches[1].stages[0].model_copy(update={"window_seconds": 0.0})
    launches = list(gone[1].launches)
    launches[1] = launches[1].model_copy(update={"stages": (unread,)})
    gone[1] = gone[1].model_copy(update={"launches": tuple(launches)})
    text = page_of(results(gone, (TOPICS,))).text
    assert "no interval: a figure is missing in one replicate" in text


def test_an_axis_left_out_of_an_absent_scale_is_not_spoken_of() -> None:
    assert "left out of Published PER" not in page_of(runs.with_failed_model()).text


def test_a_published_zero_that_chance_may_have_made_says_so() -> None:
    near = {"topics": replace(ONE_SLOT["topics"], memory_mebibytes=351.2, memory_drift=(0.0, 30.0, -25.0))}
    base = results([*runs.four_models()[1:], model("near", near, (TOPICS,))], (TOPICS,))
    assert re.search(r"0 \(worst on \w+\) more than 0 in \d+ % of the draws", page_of(base).text)


def test_settings_that_are_not_the_defaults_stand_where_they_matter() -> None:
    text = page_of(runs.with_every_setting()).text
    assert "Latency, unloaded ms per token, lower is better two-threads 58.3" in text
    assert "Memory, reserved MiB, lower is better two-threads 471" in text
    assert "small-cache Pareto – best: < 1 % accuracy below the quality floor" in text  # noqa: RUF001 - an absent figure
    assert "1 / seconds per item, with the weights given" in text
    for fact in ("Latency Unloaded", "Memory Reserved", "Quality floor 0.6", "Weights accuracy 2"):
        assert fact in text


def test_draws_in_which_no_model_reaches_the_floor_are_said(succeeded: Page) -> None:
    text = page_of(results(runs.four_models(), per={"qualityFloor": "0.75"})).text
    assert re.search(r"In \d+ % of the draws no model reaches the quality floor, so none of them is the best", text)
    assert "of the draws no model" not in succeeded.text


def test_costs_stand_where_there_is_a_price(succeeded: Page) -> None:
    text = page_of(runs.with_every_setting()).text
    assert "A million output tokens $, lower is better two-threads 3.24 3.10–3.38" in text  # noqa: RUF001 - a range
    assert "A thousand right answers $, lower is better two-threads 0.0260" in text
    assert "at the price given for a server" in text
    assert "right answers" not in succeeded.text


def test_other_settings_can_be_given() -> None:
    base = runs.succeeded()
    other = settings_of(base, PerSpec.model_validate({"reference": "small-cache"}))
    assert "small-cache = 1" in Page.of(render(base, other)).text
    assert "one-slot = 1" not in Page.of(render(base, other)).text


def test_latency_is_drawn_and_described_for_who_cannot_see_it(succeeded: Page) -> None:
    described = [label for label in succeeded.attributes("svg", "aria-label") if label]
    assert "two-threads: median 176 ms, 95th percentile withheld, for want of requests" in described
    assert len([label for label in described if label.startswith("four-slots: median")]) == 2 + 3
    assert any(label.startswith("Accuracy against throughput on topics. On the Pareto front") for label in described)
    assert "Whole request, without load" not in succeeded.text
    assert "Whole request, without load" in page_of(runs.with_every_setting()).text


def test_what_the_load_generator_added_stands_beside_latency_and_in_no_interval(succeeded: Page) -> None:
    assert re.search(
        r"The load generator added to the median request, beside all intervals and in none: two-threads [\d.]+ ms, ",
        succeeded.text,
    )


def calibrated(*found: CalibrationRecord | None) -> str:
    launches = model("a", ONE_SLOT, (TOPICS,), rounds=len(found)).launches
    tried = [launch.model_copy(update={"calibration": each}) for launch, each in zip(launches, found, strict=True)]
    first = model("a", ONE_SLOT, (TOPICS,)).model_copy(update={"launches": tuple(tried)})
    return page_of(results([first, model("b", ONE_SLOT, (TOPICS,))], (TOPICS,))).text


def test_how_exactly_the_machine_measured_stands_with_the_model() -> None:
    good = CalibrationRecord(
        ttft_error_ms=0.21, itl_error_ms=0.05, rate_trusted=800, concurrency_trusted=256, advice="well"
    )
    worse = good.model_copy(update={"ttft_error_ms": 0.4, "rate_trusted": 400})
    words = "load generator time to first token within 0.40 ms, between tokens within 0.050 ms"
    assert f"{words}, in loads of up to 400 requests/s and 256 in flight, tried before each launch" in calibrated(
        good, worse, None
    )
    assert f"{words}, in loads of up to 256 in flight," in calibrated(
        good, worse.model_copy(update={"rate_trusted": None}), good
    )
    nothing = CalibrationRecord(
        ttft_error_ms=None, itl_error_ms=None, rate_trusted=None, concurrency_trusted=None, advice="stop what else runs"
    )
    assert "load generator stop what else runs" in calibrated(good, nothing, good)
    assert "tried before each launch" not in calibrated(None, None, None)


def test_every_drawing_is_described_or_passed_over(succeeded: Page) -> None:
    for tag, attributes in succeeded.elements:
        if tag == "svg":
            assert attributes.get("aria-hidden") == "true" or attributes.get("aria-label"), attributes


def test_a_zero_says_on_what_it_is_worst(succeeded: Page) -> None:
    assert "0 (worst on memory)" in succeeded.text
    assert "0 (worst on throughput and latency)" in succeeded.text


def test_the_four_axes_have_unit_direction_and_range(succeeded: Page) -> None:
    for words in (
        "Accuracy higher is better two-threads 0.750",
        "Throughput items/s per server, higher is better two-threads 5.70 5.47–5.93",  # noqa: RUF001 - a range
        "Throughput tokens/s per server, higher is better",
        "Latency ms per item, lower is better",
        "Latency ms per token, lower is better",
        "Memory MiB, lower is better two-threads 431",
    ):
        assert words in succeeded.text


def test_percentiles_without_enough_requests_say_so(succeeded: Page) -> None:
    assert "withheld (n = 72)" in succeeded.text


def test_rounds_are_shown_against_the_mean(succeeded: Page) -> None:
    assert "Rounds and drift" in succeeded.text
    assert "What all models have in common is drift of the machine." in succeeded.text
    assert "four-slots -3.9 %, -0.1 %, +4.1 %" in succeeded.text
    assert "All together +0.1 %, -0.4 %, +0.4 %" in succeeded.text


def test_figures_of_every_round_are_there(succeeded: Page) -> None:
    assert "Model Round 1 Round 2 Round 3 Reference PER two-threads 1.169 1.171 1.126" in succeeded.text
    assert "Memory, MiB two-threads 432 430 431" in succeeded.text
    once = page_of(runs.one_launch()).text
    assert "Repeats and drift" not in once
    assert "so drift of the machine cannot be told from the model itself" in once
    assert "What all models have in common is drift of the machine." not in once
    assert "Model Repeat 1 Repeat 2 Repeat 3 Reference PER" in once


def test_provenance_is_there(succeeded: Page) -> None:
    for words in ("Example CPU, 2 cores", "8.00 GiB", "c" * 64, "a" * 64, "LlamaCpp b11669", "5 min 12 s", "slots 4"):
        assert words in succeeded.text


def test_nothing_wrong_is_said() -> None:
    calm = runs.results([runs.model("m", ONE_SLOT), runs.model("n", ONE_SLOT)])
    calm = calm.model_copy(update={"spec": {**calm.spec, "per": {"bounds": ALL_BOUNDS}}})
    assert "No finding and no warning." in page_of(calm).text


def test_the_yaml_can_be_run_again(succeeded: Page) -> None:
    command, text = succeeded.raw["code"]
    assert command == "perbench run quickstart.yaml"
    document = yaml.safe_load(text)
    PERBenchmark.model_validate(document)
    assert document["spec"] == runs.succeeded().spec
    assert document["metadata"] == {"name": "quickstart"}


def test_a_reference_that_the_spec_does_not_name_is_written_into_the_yaml() -> None:
    base = runs.succeeded()
    other = base.model_copy(update={"resolved": base.resolved.model_copy(update={"reference": "four-slots"})})
    assert yaml.safe_load(page_of(other).raw["code"][1])["spec"]["per"] == {"reference": "four-slots"}


def test_a_failed_model_is_shown_with_blame_and_reason() -> None:
    text = page_of(runs.with_failed_model()).text
    assert "Not succeeded" in text
    assert "ServerExited · two-threads · blame: Target" in text
    assert "failed to allocate 512 MiB for the KV cache" in text
    assert "exit code 1" in text
    assert "two-threads failed – the model failed" in text  # noqa: RUF001 - an absent figure
    assert "No Published PER: fewer than four models are compared" in text


def test_an_invalid_cell_keeps_its_figures_and_says_why_it_is_not_compared() -> None:
    text = page_of(runs.with_invalid_stage()).text
    assert "Not valid" in text
    assert "four-slots not valid – the measurement is not valid" in text  # noqa: RUF001 - an absent figure
    assert "four-slots 31.9" in text
    assert "LoadGeneratorSaturated · four-slots on answers makes it invalid in 1 of 3 stages" in text


def test_models_of_another_unit_are_not_drawn_on_one_scale() -> None:
    near, far = runs.four_models()[:2], runs.four_models()[2:]
    apart = [record.model_copy(update={"throughput_unit": "endpoint"}) for record in far]
    page = render(results((*near, *apart)))
    drawings = re.findall(r'<svg class="scatter wide".*?</svg>', page, re.DOTALL)
    assert len(drawings) == 2
    assert all("throughput, " in drawing and " per server " in drawing for drawing in drawings)
    assert [re.findall("<title>(.*?)</title>", drawing) for drawing in drawings] == [["four-slots", "one-slot"]] * 2


def test_one_model() -> None:
    assert "Only one-slot could be compared" in page_of(runs.one_model()).text


def test_a_run_that_is_not_at_its_end() -> None:
    text = page_of(runs.interrupted()).text
    assert "Not finished" in text
    assert "20 of 24 stages are recorded" in text
    assert "given when the run is at its end" in text


def test_nobody_is_drawn_behind_a_front_that_is_not_known() -> None:
    assert "<circle class=" in render(runs.with_failed_model()), "the drawing is not there at all"
    assert 'class="scatter' not in render(runs.interrupted())


def test_missing_memory_is_a_dash_and_named() -> None:
    shapes = [ONE_SLOT, TWO_THREADS, runs.SMALL_CACHE, {"topics": replace(ONE_SLOT["topics"], memory_mebibytes=None)}]
    text = page_of(results([model(f"m{n}", shape, (TOPICS,)) for n, shape in enumerate(shapes)], (TOPICS,))).text
    assert "Memory left out for all: not measured for m3" in text


def test_errors_are_shown_by_kind() -> None:
    failing = {"topics": replace(ONE_SLOT["topics"], failed=2)}
    text = page_of(results((model("m", failing, (TOPICS,)),), (TOPICS,))).text
    assert "8.3 % (6 ServerError)" in text
    assert "TooManyErrors · m · blame: Target" in text


@pytest.mark.parametrize("name", ["succeeded", "with_failed_model", "with_invalid_stage", "one_model", "hostile"])
def test_the_page_needs_nothing_and_runs_nothing(name: str) -> None:
    page = page_of(getattr(runs, name)())
    forbidden = {"script", "link", "img", "iframe", "object", "embed", "base", "form", "a"}
    assert not forbidden & {tag for tag, _ in page.elements}
    names = {name for _, attributes in page.elements for name in attributes}
    assert not {entry for entry in names if entry.startswith("on") or entry in {"src", "href", "style", "action"}}
    (styles,) = page.raw["style"]
    assert "url(" not in styles
    assert "@import" not in styles


def test_the_policy_allows_our_style_sheet_and_nothing_else(succeeded: Page) -> None:
    (policy,) = [
        attributes["content"]
        for tag, attributes in succeeded.elements
        if tag == "meta" and attributes.get("http-equiv") == "Content-Security-Policy"
    ]
    digest = base64.b64encode(hashlib.sha256(succeeded.raw["style"][0].encode()).digest()).decode()
    assert policy == f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"


def test_hostile_text_stays_text() -> None:
    page = page_of(runs.hostile())
    shown = '<script>alert("x")</script>{{ 7*7 }}�[31m�&'
    assert page.text.count(shown) > 20
    assert shown in page.raw["title"][0]
    assert "49" not in page.raw["title"][0]
    html = render(runs.hostile())
    assert "<script" not in html
    assert not re.search("[\x00-\x08\x0b-\x1f\u202a-\u202e\u2066-\u2069]", html)


def test_hostile_text_is_a_single_word_of_the_command() -> None:
    command = page_of(runs.hostile()).raw["code"][0]
    assert command.startswith("perbench run '<script>")
    assert command.endswith("&.yaml'")


def test_bars_never_leave_their_box() -> None:
    numbers = [
        float(value.removesuffix("%"))
        for name in ("succeeded", "with_every_setting")
        for tag, attributes in page_of(getattr(runs, name)()).elements
        if tag in {"rect", "line", "circle", "text"}
        for key, value in attributes.items()
        if value is not None and (value.endswith("%") or tag == "rect") and key in {"width", "x", "x1", "x2", "cx"}
    ]
    assert len(numbers) > 400
    assert all(0 <= number <= 100 for number in numbers)


def test_headings_do_not_skip_a_level(succeeded: Page) -> None:
    levels = [int(tag[1]) for tag, _ in succeeded.elements if re.fullmatch("h[1-6]", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))


@pytest.mark.parametrize(("models", "tasks"), [(32, 4), (8, 16)])
def test_the_largest_page_is_under_three_megabytes(models: int, tasks: int) -> None:
    records = [TOPICS.model_copy(update={"name": f"{'t' * 38}{number:02}"}) for number in range(tasks)]
    shapes = {record.name: Shape(1.2, 3, 18, 380.0) for record in records}
    found = results([model(f"{'m' * 38}{number:02}", shapes, records) for number in range(models)], records)
    assert 100_000 < len(render(found).encode()) < 3_000_000


def luminance(color: str) -> float:
    channels = [int(color[index : index + 2], 16) / 255 for index in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_text_has_enough_contrast_in_light_dark_and_print(succeeded: Page) -> None:
    palettes = [
        dict(re.findall(r"--([a-z-]+): (#[0-9a-f]{6})", block))
        for block in succeeded.raw["style"][0].split(":root")[1:]
    ]
    assert len(palettes) == 3
    for palette in palettes:
        for ink, paper in (
            *((ink, "paper") for ink in ("ink", "quiet", "accent", "bad", "open")),
            ("ink", "soft"),
            ("ink", "bad-soft"),
        ):
            lighter, darker = sorted((luminance(palette[ink]), luminance(palette[paper])), reverse=True)
            assert (lighter + 0.05) / (darker + 0.05) >= 4.5, (ink, paper, palette)


def test_the_name_of_a_run_is_its_title(succeeded: Page) -> None:
    assert succeeded.raw["title"][0] == "quickstart: Succeeded"
    assert HOSTILE not in render(runs.hostile())
