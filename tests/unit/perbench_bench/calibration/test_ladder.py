"""Which loads are tried next, and what is trusted after that."""

import pytest

from perbench_bench.calibration.ladder import (
    CONCURRENCIES,
    RATES,
    Step,
    Tried,
    advice_for,
    following,
    ladder_for,
    trusted_up_to,
)


def climb(limit: float, moments: tuple[float, ...] = ()) -> list[Tried]:
    """All loads tried where those up to `limit` pass; those in `moments` fail the first time."""
    tried: list[Tried] = []
    while (asked := following(RATES, tried)) is not None:
        first = all(load.asked != asked for load in tried)
        tried.append(Tried(asked, asked <= limit and not (first and asked in moments)))
        assert len(tried) < 50, "it comes to an end"
    return tried


def asked(tried: list[Tried]) -> list[float]:
    return [load.asked for load in tried]


def test_all_is_tried_where_all_passes() -> None:
    assert asked(climb(10_000)) == list(RATES)


def test_what_fails_is_tried_again_and_then_the_middle() -> None:
    assert asked(climb(300)) == [25, 50, 100, 200, 400, 400, 280]
    assert asked(climb(250)) == [25, 50, 100, 200, 400, 400, 280]


def test_a_moment_of_a_neighbour_is_not_the_limit() -> None:
    assert asked(climb(10_000, moments=(100,))) == [25, 50, 100, 100, 200, 400, 800, 1600]


def test_a_machine_that_passes_nothing_is_asked_twice() -> None:
    assert asked(climb(0)) == [25, 25]


def step(asked: float, trusted: bool, advice: str = "") -> Step:
    return Step(
        asked=asked, trusted=trusted, ttft_error_ms=0.1, itl_error_ms=0.0, rate_error_percent=0.0,
        concurrency_error_percent=0.0, client_error_ms=0.1,
        advice=advice,
    )  # fmt: skip


def test_trusted_is_what_passed_below_everything_that_failed_for_good() -> None:
    assert trusted_up_to([step(4, True), step(16, False), step(16, True), step(64, True)]) == 64
    assert trusted_up_to([step(4, True), step(16, False), step(64, True)]) == 4
    assert trusted_up_to([step(4, False), step(4, False)]) is None
    assert trusted_up_to([]) is None


def test_little_time_means_fewer_loads() -> None:
    assert ladder_for(CONCURRENCIES, 20) == CONCURRENCIES
    assert ladder_for(CONCURRENCIES, 5) == CONCURRENCIES[1::2]


@pytest.mark.parametrize(
    ("rates", "concurrencies", "said"),
    [
        (
            [step(25, True), step(50, False, "give it a core")],
            [step(4, True)],
            (
                "loads of up to 25 requests/s and 4 in flight can be measured here, against answers like these and a"
                " server that shares this machine; beyond that: give it a core"
            ),
        ),
        (
            [step(25, True)],
            [step(4, False, "give it a core")],
            "this machine cannot be trusted with any load now: give it a core",
        ),
    ],
)
def test_the_advice_is_one_sentence(rates: list[Step], concurrencies: list[Step], said: str) -> None:
    assert advice_for(rates, concurrencies) == said
