"""How the matrix of spoiled and good loads counts them."""

from perbench_bench.truth.judge import Error
from tests.bench.confusion import CLOSED, TYPICAL, Case, Matrix
from tests.bench.judged_load import Judged


def judged(severity: float, *, passed: bool) -> Judged:
    return Judged(passed, () if passed else ("p50",), (Error("ttft_mean", 100.0 + severity, 100.0, 1.0),), 0.1)


def case(*, of_the_network: bool) -> Case:
    return Case("closed, slow network", "40 ms", CLOSED, TYPICAL, of_the_network=of_the_network)


def test_a_spoiled_load_that_passes_is_wrong() -> None:
    matrix = Matrix()
    assert matrix.add(case(of_the_network=False), judged(2.0, passed=True)) == "spoiled"
    assert not matrix.holds(0)


def test_what_a_slow_network_spoiled_is_counted_apart_and_named_where_it_passed() -> None:
    matrix = Matrix()
    assert matrix.add(case(of_the_network=True), judged(2.0, passed=True)) == "network"
    assert matrix.add(case(of_the_network=True), judged(2.0, passed=False)) == "network"
    assert matrix.add(case(of_the_network=True), judged(1.0, passed=True)) == "near"
    assert matrix.add(case(of_the_network=True), judged(0.1, passed=False)) == "good"
    assert (matrix.counts["network", True], matrix.counts["network", False]) == (1, 1)
    assert any(row.split() == ["network", "1", "1"] for row in matrix.table())
    [noted] = matrix.noted
    assert noted == "closed, slow network 40 ms: 2.00 times the limit, ttft_mean"
