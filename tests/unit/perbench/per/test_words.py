import pytest

from perbench.per import Axis, LeftOut, Reason, Score, words


def test_cells() -> None:
    assert words.published_cell(Score("m", 0.6437)) == "0.644"
    assert words.published_cell(Score("m", 0.0, axes=(Axis.MEMORY,))) == "0 (worst on memory)"
    assert words.published_cell(Score("m", None, Reason.TOO_FEW_MODELS)) == "-"
    assert words.reference_cell(Score("m", 0.0, axes=(Axis.ACCURACY,))) == "0 (no accuracy)"


def test_a_small_value_does_not_read_as_zero() -> None:
    assert words.number(0.0004) == "<0.001"
    assert words.number(0.0006) == "0.001"


def test_axis_names() -> None:
    assert words.axis_names(()) == ""
    assert words.axis_names((Axis.THROUGHPUT, Axis.MEMORY)) == "throughput and memory"
    assert words.axis_names((Axis.THROUGHPUT, Axis.MEMORY, Axis.LATENCY)) == "throughput, memory and latency"


def test_draws_in_which_nobody_is_ranked() -> None:
    said = "In 35 % of the draws no model reaches the quality floor, so none of them is the best."
    assert words.nobody_ranked(0.349) == said
    assert words.nobody_ranked(None) == words.nobody_ranked(0.004) == ""


OF_AXES = {Reason.UNRESOLVED, Reason.WITHIN_NOISE, Reason.NOT_MEASURED, Reason.ZERO_WEIGHT}


@pytest.mark.parametrize("reason", [reason for reason in Reason if reason not in OF_AXES])
def test_every_reason_of_a_score_has_words(reason: Reason) -> None:
    assert words.why_absent(Score("m", None, reason, (Axis.LATENCY,)))


def test_axes_left_out() -> None:
    unresolved = words.why_left_out(LeftOut(Axis.MEMORY, Reason.UNRESOLVED))
    assert unresolved == "memory left out of Published PER: the models differ by less than 2 % of its maximum"
    noisy = words.why_left_out(LeftOut(Axis.MEMORY, Reason.WITHIN_NOISE))
    assert noisy == "memory left out of Published PER: the models differ by less than four standard errors"
    assert (
        words.why_left_out(LeftOut(Axis.MEMORY, Reason.ZERO_WEIGHT)) == "memory left out: its weight is 0 (ZeroWeight)"
    )
    assert "for all: not measured for a, b" in words.why_left_out(LeftOut(Axis.MEMORY, Reason.NOT_MEASURED, ("a", "b")))
    assert (
        words.why_left_out(LeftOut(Axis.ACCURACY, Reason.NOT_MEASURED))
        == "accuracy left out: not measured (NotMeasured)"
    )
