import pytest
from hypothesis import given
from hypothesis import strategies as st

from perbench_bench.tasks.synthetic import MAX_PROMPTS, LengthFit, prompt

SEEDS = st.integers(0, 2**32)
INDICES = st.integers(0, MAX_PROMPTS - 1)


def test_the_text_is_the_same_everywhere() -> None:
    assert prompt(42, 0, 8) == "common button much gate plant detail down whole"
    assert prompt(42, 513, 8) == "question right head floor talk food week fish"


@given(seed=SEEDS, index=INDICES, count=st.integers(1, 200))
def test_a_prompt_has_as_many_words_as_asked(seed: int, index: int, count: int) -> None:
    text = prompt(seed, index, count)
    assert len(text.split(" ")) == count
    assert text == " ".join(text.split())
    assert text.isascii()


@given(seed=SEEDS, index=INDICES, count=st.integers(1, 50))
def test_a_longer_prompt_begins_as_a_shorter_one(seed: int, index: int, count: int) -> None:
    assert prompt(seed, index, 50).split()[:count] == prompt(seed, index, count).split()


def test_512_in_a_row_begin_with_512_words() -> None:
    for start in (0, 300, 512 * 512 - 100):
        assert len({prompt(7, index, 1) for index in range(start, start + 512)}) == 512


@given(seed=SEEDS, first=INDICES, second=INDICES)
def test_prompts_of_a_seed_differ_in_their_first_three_words(seed: int, first: int, second: int) -> None:
    assert (prompt(seed, first, 3) == prompt(seed, second, 3)) == (first == second)


def test_laps_differ() -> None:
    assert len({prompt(7, index * 512, 3) for index in range(2000)}) == 2000


def test_another_seed_gives_other_prompts() -> None:
    same = sum(prompt(1, index, 20) == prompt(2, index, 20) for index in range(500))
    assert same == 0


def test_all_words_are_used_about_equally() -> None:
    drawn = " ".join(prompt(3, index, 200) for index in range(200)).split()
    counts = {word: drawn.count(word) for word in set(drawn)}
    assert len(counts) == 512
    assert 40 < min(counts.values()) <= max(counts.values()) < 130


@pytest.mark.parametrize("wrong", [(-1, 5), (MAX_PROMPTS, 5), (0, 0)])
def test_impossible_prompts_are_refused(wrong: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="no prompt"):
        prompt(1, *wrong)


def test_before_any_answer_a_word_is_a_token() -> None:
    assert LengthFit.of([]) == LengthFit()
    assert LengthFit().words_for(100) == 100


def test_one_observation_is_taken_as_offset() -> None:
    fit = LengthFit.of([(100, 131)])
    assert (fit.offset, fit.slope, fit.observations) == (31, 1, 1)
    assert fit.words_for(100) == 69


def test_one_observation_with_fewer_tokens_than_words() -> None:
    fit = LengthFit.of([(100, 80)])
    assert fit.offset == 0
    assert fit.slope == pytest.approx(0.8)
    assert fit.words_for(100) == 125


@given(
    offset=st.integers(0, 200),
    slope=st.integers(1, 5),
    lengths=st.lists(st.integers(1, 4000), min_size=2, max_size=5, unique=True),
    target=st.integers(300, 4000),
)
def test_a_straight_line_is_found(offset: int, slope: int, lengths: list[int], target: int) -> None:
    fit = LengthFit.of([(length, offset + slope * length) for length in lengths])
    assert offset + slope * fit.words_for(target) == pytest.approx(target, abs=slope / 2 + 0.01)


@given(offset=st.integers(0, 60), slope=st.floats(0.7, 2), target=st.integers(100, 8000))
def test_two_requests_are_within_5_percent(offset: int, slope: float, target: int) -> None:
    def server(sent: int) -> int:
        return round(offset + slope * sent)

    seen: list[tuple[int, int]] = []
    for _ in range(2):
        sent = LengthFit.of(seen).words_for(target)
        seen.append((sent, server(sent)))
    delivered = server(LengthFit.of(seen).words_for(target))
    assert abs(delivered - target) / target <= 0.05


def test_nonsense_gives_a_line_through_the_origin() -> None:
    falling = LengthFit.of([(100, 120), (110, 100)])
    assert falling.offset == 0
    assert falling.slope == pytest.approx(110 / 105)
    flat = LengthFit.of([(100, 100), (110, 100)])
    assert flat.slope > 0
    below = LengthFit.of([(10, 10), (20, 40)])
    assert below.offset == 0


def test_useless_counts_are_left_out() -> None:
    assert LengthFit.of([(100, 0), (0, 5), (50, 60)]).observations == 1


@given(observations=st.lists(st.tuples(st.integers(-5, 500), st.integers(-5, 5000))), target=st.integers(1, 10**6))
def test_there_is_always_a_word_to_send(observations: list[tuple[int, int]], target: int) -> None:
    assert LengthFit.of(observations).words_for(target) >= 1
