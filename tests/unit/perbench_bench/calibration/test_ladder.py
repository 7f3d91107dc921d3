"""Which loads are tried next, and what is trusted after that."""

import pytest

from perbench_bench.calibration.ladder import (
    CONCURRENCIES,
    RATES,
    Calibration,
    Reference,
    Step,
    advice_for,
    following,
    is_owed,
    ladder_for,
    trusted_up_to,
)


def step(asked: float, trusted: bool, advice: str = "") -> Step:
    return Step(
        asked=asked, trusted=trusted, ttft_error_ms=0.1, itl_error_ms=0.0, rate_error_percent=0.0,
        concurrency_error_percent=0.0, client_error_ms=0.1,
        advice=advice,
    )  # fmt: skip


def climb(limit: float, moments: tuple[float, ...] = ()) -> list[Step]:
    """All loads tried where those up to `limit` pass; those in `moments` fail the first time."""
    tried: list[Step] = []
    while (asked := following(RATES, tried)) is not None:
        first = all(load.asked != asked for load in tried)
        tried.append(step(asked, asked <= limit and not (first and asked in moments)))
        assert len(tried) < 50, "it comes to an end"
    return tried


def asked(tried: list[Step]) -> list[float]:
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


def test_of_a_launch_the_largest_error_of_what_was_trusted_is_recorded() -> None:
    def calibration(*rates: Step) -> Calibration:
        return Calibration(
            reference=Reference(ttft_ms=50, itl_ms=10, tokens=8), rate_trusted=trusted_up_to(rates),
            concurrency_trusted=None, rates=rates, concurrencies=(), seconds=5.0, advice="do this",
        )  # fmt: skip

    def off(ttft_ms: float, itl_ms: float, *, trusted: bool) -> Step:
        return step(25, trusted).model_copy(update={"ttft_error_ms": ttft_ms, "itl_error_ms": itl_ms})

    found = calibration(off(-0.3, 0.1, trusted=True), off(9.0, 9.0, trusted=False), off(0.2, 0.0, trusted=True))
    record = found.record()
    assert (record.ttft_error_ms, record.itl_error_ms) == (0.3, 0.1), "either way off is off"
    assert (record.rate_trusted, record.concurrency_trusted, record.advice) == (25, None, "do this")
    nothing = calibration(off(9.0, 9.0, trusted=False)).record()
    assert (nothing.ttft_error_ms, nothing.itl_error_ms, nothing.rate_trusted) == (None, None, None)


def test_trusted_is_what_passed_below_everything_that_failed_for_good() -> None:
    assert trusted_up_to([step(4, True), step(16, False), step(16, True), step(64, True)]) == 64
    assert trusted_up_to([step(4, True), step(16, False), step(64, True)]) == 4
    assert trusted_up_to([step(4, False), step(4, False)]) is None
    assert trusted_up_to([]) is None


def test_little_time_means_fewer_loads() -> None:
    assert ladder_for(CONCURRENCIES, 20) == CONCURRENCIES
    assert ladder_for(CONCURRENCIES, 5) == (4, 64, 256), "the lightest first: what fails is gone down from"


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
            [step(4, False, "give it a core"), step(4, False, "give it a core")],
            (
                "in an open loop up to 25 requests/s can be measured here; in a closed loop not even 4 in flight"
                " (tried 2 times) can be measured here now: give it a core"
            ),
        ),
        (
            [step(25, False)],
            [step(4, True), step(16, True)],
            (
                "in an open loop not even 25 requests/s (tried once) can be measured here now; in a closed loop up to"
                " 16 in flight can be measured here: stop what else runs on this machine"
            ),
        ),
        (
            [step(25, False, "give it a core"), step(25, False)],
            [step(4, False)],
            (
                "this machine cannot be trusted with any load now, not even 25 requests/s (tried 2 times) or 4 in"
                " flight (tried once): give it a core"
            ),
        ),
        (
            [step(25, True)],
            [],
            (
                "in an open loop up to 25 requests/s can be measured here; in a closed loop nothing was tried in the"
                " time there was: give it more time"
            ),
        ),
    ],
)
def test_the_advice_is_one_sentence(rates: list[Step], concurrencies: list[Step], said: str) -> None:
    assert advice_for(rates, concurrencies) == said


def test_the_lightest_load_is_tried_and_tried_again_whatever_its_share_of_the_time() -> None:
    assert is_owed([], time_left=-1.0)
    assert is_owed([step(25, False)], time_left=0.1)
    assert not is_owed([step(25, False)], time_left=-0.1)
    assert not is_owed([step(25, False), step(25, False)], time_left=0.1)
    assert not is_owed([step(25, True)], time_left=0.1), "a limit is known"
