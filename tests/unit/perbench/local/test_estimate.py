import pytest

from perbench.local.estimate import (
    ASSUMED_START_SECONDS,
    ASSUMED_TOKENS_PER_SECOND,
    Pace,
    StageWork,
    duration_text,
    estimate_sentence,
    remaining_seconds,
)

WORK = StageWork(model="m", task="t", requests=30, output_tokens=20)


def test_before_anything_is_measured_every_answer_takes_its_limit_at_the_assumed_rate() -> None:
    assert remaining_seconds(2, [WORK] * 2) == pytest.approx(
        2 * ASSUMED_START_SECONDS + 2 * 600 / ASSUMED_TOKENS_PER_SECOND
    )


def test_a_stage_is_expected_to_take_as_long_as_those_of_its_model_and_task() -> None:
    pace = Pace().started(2.0).started(4.0).finished(WORK, 7.0).finished(WORK, 9.0)
    assert remaining_seconds(1, [WORK], pace) == pytest.approx(3.0 + 8.0)


def test_other_stages_are_corrected_by_how_wrong_the_assumption_was() -> None:
    other = StageWork(model="n", task="t", requests=60, output_tokens=20)
    pace = Pace().finished(WORK, 2 * WORK.assumed_seconds)
    assert remaining_seconds(0, [other], pace) == pytest.approx(2 * other.assumed_seconds)


def test_a_warm_up_has_its_least_and_a_stage_its_most() -> None:
    assert StageWork("m", "t", 1, 1, least_seconds=10.0).assumed_seconds == 10.0
    assert StageWork("m", "t", 10**6, 1000, most_seconds=1800.0).assumed_seconds == 1800.0


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(12, "less than a minute"), (60, "about 1 minute"), (250, "about 4 minutes"), (9000, "about 2.5 hours")],
)
def test_durations_are_not_given_to_the_second(seconds: float, text: str) -> None:
    assert duration_text(seconds) == text


def test_the_sentence_says_what_it_assumes() -> None:
    assert estimate_sentence(3, [WORK] * 6) == (
        "about 1 minute: 3 starts of a server and 6 stages, if a server writes 60 tokens/s"
        " and every answer takes all it may; corrected as stages end"
    )


def test_endpoints_are_not_started() -> None:
    assert "start" not in estimate_sentence(0, [WORK])
