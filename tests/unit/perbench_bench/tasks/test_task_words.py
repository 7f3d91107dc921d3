import pytest
from hypothesis import given
from hypothesis import strategies as st

from perbench_bench.tasks.text import without_article, without_articles, words


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ()),
        ("The  Nile.\n", ("the", "nile")),
        ("**Paris**, of course!", ("paris", "of", "course")),
        ("_Paris_", ("paris",)),
        ("well-known", ("well", "known")),
        ("don't", ("don", "t")),
        ("It costs $3.50.", ("it", "costs", "3.50")),
        ("35", ("35",)),
        ("-4", ("-4",)),
        ("−4", ("-4",)),  # noqa: RUF001 - a real minus sign
        ("10-4", ("10", "4")),
        ("3 - 4", ("3", "4")),
        ("1,000,000 and 1,000", ("1000000", "and", "1000")),
        ("1,2,3", ("1", "2", "3")),
        ("3,5", ("3", "5")),
        ("1,0000", ("1", "0000")),
        ("Version 1.2.3.", ("version", "1.2.3")),
        ("STRASSE Straße", ("strasse", "strasse")),
        ("ＰＡＲＩＳ　４２", ("paris", "42")),  # noqa: RUF001 - full width
        ("ﬁne H₂O", ("fine", "h2o")),
        ("答えは東京", ("答", "え", "は", "東", "京")),
        ("हिन्दी", ("हिन्दी",)),
        ("❤️ yes", ("yes",)),
    ],
)
def test_words(text: str, expected: tuple[str, ...]) -> None:
    assert words(text) == expected


def test_vowel_signs_tell_words_apart() -> None:
    assert words("कि") != words("की")


def test_composed_and_decomposed_letters_are_alike() -> None:
    assert words("cafe\u0301") == words("caf\u00e9")


@given(st.text())
def test_words_of_words_are_the_same(text: str) -> None:
    found = words(text)
    assert words(" ".join(found)) == found


@given(st.text(alphabet=st.characters(max_codepoint=0x24F)))
def test_case_does_not_count(text: str) -> None:
    assert words(text.upper().lower()) == words(text.upper())


def test_one_leading_article_goes_unless_it_is_all() -> None:
    assert without_article(words("The Hague")) == ("hague",)
    assert without_article(words("A")) == ("a",)
    assert without_article(words("vitamin A")) == ("vitamin", "a")


def test_all_articles_go_unless_they_are_all() -> None:
    assert without_articles(words("the cat and a dog")) == ("cat", "and", "dog")
    assert without_articles(words("the a")) == ("a",)
    assert without_articles(()) == ()
