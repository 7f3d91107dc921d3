import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perbench.api.tasks import Scorer, Scoring
from perbench.failures import UsageError
from perbench_bench.tasks.scorers import TEXT_LIMIT, check_answers, check_scoring, score

EXACT = Scoring(scorer=Scorer.EXACT_MATCH)
CONTAINS = Scoring(scorer=Scorer.CONTAINS)
F1 = Scoring(scorer=Scorer.F1)
SLOW = r"(a+)+$"

WORDS = st.lists(st.sampled_from(["red", "blue", "the", "a", "of", "42", "-7", "3.5", "new", "york"]), min_size=1)
SENTENCES = WORDS.map(" ".join)


def choice(*choices: str) -> Scoring:
    return Scoring(scorer=Scorer.CHOICE, choices=choices)


def regex(pattern: str) -> Scoring:
    return Scoring(scorer=Scorer.REGEX, pattern=pattern)


@pytest.mark.parametrize(
    ("scoring", "text", "answers", "expected"),
    [
        (EXACT, " The Nile.\n", ["nile"], 1),
        (EXACT, "The river Nile", ["Nile"], 0),
        (EXACT, "B", ["a", "b"], 1),
        (EXACT, "3.5", ["35"], 0),
        (EXACT, "-4", ["4"], 0),
        (EXACT, "", [""], 1),
        (EXACT, "something", [""], 0),
        (CONTAINS, "3 + 4 = 7", ["7", "seven"], 1),
        (CONTAINS, "It makes 17.", ["7"], 0),
        (CONTAINS, "a party", ["art"], 0),
        (CONTAINS, "in South\nAmerica, I think", ["South America"], 1),
        (CONTAINS, "America is south", ["South America"], 0),
        (CONTAINS, "Nile", ["the Nile"], 1),
        (CONTAINS, "こたえは東京です", ["東京"], 1),
        (CONTAINS, "", ["7"], 0),
        (choice("food", "sports"), "It is about Sports, not food.", ["sports"], 1),
        (choice("food", "sports"), "It is about food and sports.", ["sports"], 0),
        (choice("food", "sports"), "Seafood", ["food"], 0),
        (choice("food", "sports"), "", ["food"], 0),
        (choice("new", "New York"), "new york", ["New York"], 1),
        (choice("new", "New York"), "new york", ["new"], 0),
        (choice("food", "sports"), "food", ["sports", "food"], 1),
        (regex(r"####\s*(-?[\d,]+)"), "12 and 30 make\n#### 1,042", ["1042"], 1),
        (regex(r"####\s*(-?[\d,]+)"), "1042", ["1042"], 0),
        (regex(r"\d+"), "first 12, then 13", ["12"], 1),
        (regex(r"\d+"), "first 12, then 13", ["13"], 0),
        (regex(r"(x)?y"), "y", ["x"], 0),
        (regex(r"(?i)THE (\w+) (\w+)"), "the big cat", ["BIG"], 1),
        (F1, "the quick brown fox", ["quick fox"], 0.8),
        (F1, "fox fox", ["fox"], 2 / 3),
        (F1, "cat", ["dog", "a cat"], 1),
        (F1, "", [""], 1),
        (F1, "", ["cat"], 0),
        (F1, "cat", [""], 0),
    ],
)
def test_score(scoring: Scoring, text: str, answers: list[str], expected: float) -> None:
    assert score(scoring, text, answers) == pytest.approx(expected)


@pytest.mark.parametrize("scoring", [EXACT, CONTAINS, F1, choice("red", "blue", "of"), regex(r"(.+)")])
@given(text=st.text(), answers=st.lists(st.text(), max_size=4))
def test_every_score_lies_between_0_and_1(scoring: Scoring, text: str, answers: list[str]) -> None:
    result = score(scoring, text, answers)
    assert result is not None
    assert 0 <= result <= 1


@given(answer=SENTENCES, before=SENTENCES, after=SENTENCES)
def test_contains_finds_an_answer_anywhere(answer: str, before: str, after: str) -> None:
    assert score(CONTAINS, f"{before}. {answer}! {after}", [answer]) == 1


@given(text=SENTENCES, answer=SENTENCES)
def test_a_match_counts_for_the_laxer_scorers_too(text: str, answer: str) -> None:
    if score(EXACT, text, [answer]) == 1:
        assert score(CONTAINS, text, [answer]) == 1
        assert score(F1, text, [answer]) == 1
        assert score(regex(r"(?s).*"), text, [answer]) == 1


@given(text=SENTENCES, answer=SENTENCES)
def test_f1_is_symmetric(text: str, answer: str) -> None:
    assert score(F1, text, [answer]) == score(F1, answer, [text])


@pytest.mark.parametrize("scoring", [EXACT, CONTAINS, F1])
@given(text=SENTENCES, answers=st.lists(SENTENCES, min_size=1, max_size=4))
def test_the_best_answer_counts(scoring: Scoring, text: str, answers: list[str]) -> None:
    each = [score(scoring, text, [answer]) or 0.0 for answer in answers]
    assert score(scoring, text, answers) == max(each)


@given(text=SENTENCES)
def test_exactly_the_first_choice_named_is_right(text: str) -> None:
    scoring = choice("red", "blue", "42")
    named = [word for word in text.split() if word in scoring.choices]
    right = [each for each in scoring.choices if score(scoring, text, [each]) == 1]
    assert right == named[:1]


def test_only_the_beginning_of_a_long_answer_is_judged() -> None:
    assert score(CONTAINS, "x " * (TEXT_LIMIT // 2) + "seven", ["seven"]) == 0
    assert score(CONTAINS, "seven " + "x " * TEXT_LIMIT, ["seven"]) == 1


def test_a_pattern_that_takes_too_long_gives_no_score() -> None:
    assert score(regex(SLOW), "a" * 64 + "!", ["a"]) is None
    assert score(regex(SLOW), "aaa", ["aaa"]) == 1


@pytest.mark.parametrize("pattern", [SLOW, r"(\w+\s?)+$", r"^(\d*)*x", r"a*a*a*a*a*a*b", r"(.*)(.*)(.*)(.*)(.*)(.*)#"])
def test_slow_patterns_are_refused(pattern: str) -> None:
    with pytest.raises(
        UsageError, match=r"^task 't': the pattern .* takes over 0.5 s on 256 characters; avoid repeats"
    ):
        check_scoring(regex(pattern), "task 't'")


@pytest.mark.parametrize("pattern", [r"####\s*(-?[0-9.,]+)", r"(?i)answer is\s*\(?([A-D])\)?", r".*?(\d+).*", r"\bx\b"])
def test_usual_patterns_pass(pattern: str) -> None:
    check_scoring(regex(pattern), "task 't'")


def test_patterns_are_matched_in_other_threads_too() -> None:
    found = []
    thread = threading.Thread(target=lambda: found.append(score(regex(r"\d+"), "is 12", ["12"])))
    thread.start()
    thread.join()
    assert found == [1]


@pytest.mark.parametrize(
    ("choices", "message"),
    [
        (("yes", "+"), "a choice needs letters or digits, '\\+' has none"),
        (("C++", "C#"), r"the choices 'C\+\+' and 'C#' have the same words; rename one"),
    ],
)
def test_choices_that_cannot_be_told_apart(choices: tuple[str, ...], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        check_scoring(choice(*choices), "task 't'")


@pytest.mark.parametrize(
    ("scoring", "answer", "message"),
    [
        (choice("food", "sports"), "sport", "'sport' is not one of the choices; did you mean 'sports'?"),
        (choice("food", "sports"), "xyz", "'xyz' is not one of the choices; choices are food, sports"),
        (CONTAINS, "", "Contains needs letters or digits in every answer, '' has none"),
        (EXACT, "+", "answers are compared by letters and digits, '+' has none"),
    ],
)
def test_answers_that_can_never_count(scoring: Scoring, answer: str, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        check_answers(scoring, ["food", answer], "task 't': f:3")
    assert str(caught.value).startswith("task 't': f:3: ")
    assert str(caught.value).endswith(message)


@pytest.mark.parametrize("scoring", [EXACT, F1])
def test_an_empty_answer_can_be_right(scoring: Scoring) -> None:
    check_answers(scoring, [""], "task 't'")


def test_answers_may_differ_from_choices_in_case() -> None:
    check_answers(choice("Food", "Sports"), ["food"], "task 't'")
