import pytest

from perbench.comparison import Difference, Figure, Ratio, Verdict, words
from perbench.statistics.intervals import Interval


@pytest.mark.parametrize("verdict", list(Verdict))
def test_every_verdict_has_words(verdict: Verdict) -> None:
    assert words.VERDICTS[verdict]


def test_cells() -> None:
    whole = Ratio(Figure.LATENCY, 10, 9.12, 0.912, Interval(0.8849, 0.9411), Verdict.IMPROVED)
    assert words.ratio_cell(whole) == "0.912 (0.885 to 0.941)"
    few = Ratio(Figure.LATENCY, 10, 9.12, 0.912, None, Verdict.TOO_FEW_REPEATS)
    assert words.ratio_cell(few) == "0.912"
    assert words.ratio_cell(Ratio(Figure.LATENCY, None, 9.12, None, None, Verdict.NO_RATIO)) == "-"


def test_a_refusal_names_what_differs() -> None:
    differences = [Difference(f"load.x{number}", "1", "2") for number in range(7)]
    text = words.refusal(differences)
    assert text.startswith("load.x0 was 1 and is 2; load.x1 was 1 and is 2;")
    assert text.endswith("load.x4 was 1 and is 2; and 2 more")
    assert words.refusal(differences[:1]) == "load.x0 was 1 and is 2"
    assert words.refusal([]) == ""
