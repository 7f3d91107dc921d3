from collections import Counter

import pytest

from perbench.api.tasks import PRESET_ITEMS, Preset, Scorer, TaskSpec
from perbench_bench.tasks import ResolvedTask, resolve, score
from perbench_bench.tasks.rows import packaged_rows
from perbench_bench.tasks.text import words

PRESETS = list(Preset)


def put(preset: Preset, limit: int | None = None) -> ResolvedTask:
    return resolve(TaskSpec(name="packaged", preset=preset, limit=limit), None)


@pytest.fixture(params=PRESETS)
def packaged(request: pytest.FixtureRequest) -> ResolvedTask:
    return put(request.param)


def test_every_preset_has_as_many_items_as_the_api_says() -> None:
    assert {preset: len(put(preset).items) for preset in Preset} == PRESET_ITEMS


def test_no_question_comes_twice(packaged: ResolvedTask) -> None:
    prompts = [item.prompt for item in packaged.items + packaged.spare]
    assert len(prompts) == 64
    assert len({words(prompt) for prompt in prompts}) == 64


def test_right_answers_score_1_and_all_others_0(packaged: ResolvedTask) -> None:
    items = packaged.items + packaged.spare
    answers = {answer for item in items for answer in item.answers}
    assert packaged.scoring is not None
    for item in items:
        for answer in answers:
            expected = 1.0 if answer in item.answers else 0.0
            assert score(packaged.scoring, answer, item.answers) == expected, (item, answer)
            assert score(packaged.scoring, f"I think it is {answer}.", item.answers) == expected, (item, answer)
        assert score(packaged.scoring, "", item.answers) == 0


def test_prompts_are_short_and_plain(packaged: ResolvedTask) -> None:
    for item in packaged.items + packaged.spare:
        assert item.prompt.isascii()
        assert item.prompt == item.prompt.strip()
        # By SmolLM2's tokenizer the longest has 44 tokens; so many words stay below 60.
        assert len(words(item.prompt)) <= 40


def test_repeating_an_answers_question_scores_nothing() -> None:
    answers = put(Preset.PACKAGED_ANSWERS)
    assert answers.scoring is not None
    for item in answers.items + answers.spare:
        assert score(answers.scoring, item.prompt, item.answers) == 0, item


@pytest.mark.parametrize("limit", [16, 24, 32, 48])
def test_topics_are_balanced(limit: int) -> None:
    topics = put(Preset.PACKAGED_TOPICS, limit)
    assert topics.scoring is not None
    counts = Counter(item.answers[0] for item in topics.items)
    assert counts == dict.fromkeys(topics.scoring.choices, limit // 4)


def test_spare_topics_are_balanced_too() -> None:
    counts = Counter(item.answers[0] for item in put(Preset.PACKAGED_TOPICS).spare)
    assert set(counts.values()) == {4}
    assert len(counts) == 4


def test_topics_give_themselves_not_away() -> None:
    choices = {"weather", "food", "sports", "technology"}
    assert all(not choices & set(words(row.columns["input"])) for row in packaged_rows("topics"))


def test_one_fixed_guess_is_right_for_a_quarter() -> None:
    topics = put(Preset.PACKAGED_TOPICS)
    assert topics.scoring is not None
    assert topics.scoring.scorer is Scorer.CHOICE
    for choice in topics.scoring.choices:
        assert sum(score(topics.scoring, choice, item.answers) or 0 for item in topics.items) == 12


def test_no_answer_is_right_for_many_questions() -> None:
    answers = put(Preset.PACKAGED_ANSWERS)
    first = Counter(item.answers[0] for item in answers.items)
    assert first.most_common(1)[0][1] <= 2
