"""When a load is given up. Times in seconds."""

import pytest

from perbench.results import Outcome
from perbench_bench.engine.patience import NS, GivingUp, Patience

PATIENCE = Patience(failing_seconds=10, overloaded_seconds=60, stuck_seconds=120)


def given_up_at(
    outcome: Outcome, every: float, *, concurrency: int = 4, success: tuple[float, float] | None = None
) -> float:
    """When a load is given up whose requests all fail, one `every` so often, after a success (sent, ended)."""
    giving_up = GivingUp(PATIENCE, concurrency, 0)
    if success:
        giving_up.succeeded(int(success[0] * NS), int(success[1] * NS))
    began = success[1] if success else 0.0
    for number in range(1, 100_000):
        at = began + number * every
        if giving_up.failed(outcome, int(at * NS)):
            return at
    raise AssertionError("it was never given up")


@pytest.mark.parametrize(
    ("outcome", "every", "seconds"),
    [
        (Outcome.CONNECT_FAILED, 0.01, 10),  # failures in plenty: time decides
        (Outcome.SERVER_ERROR, 0.001, 10),
        (Outcome.CONNECT_FAILED, 1, 20),  # few: twenty of them are wanted
        (Outcome.OVERLOADED, 0.01, 60),  # it is there
        (Outcome.TIMEOUT, 150, 600),  # four slots, each of which has waited in vain once
    ],
)
def test_failures_alone_end_a_load_after_some_time(outcome: Outcome, every: float, seconds: float) -> None:
    assert given_up_at(outcome, every) == pytest.approx(seconds, rel=0.01)


def test_a_wider_load_has_more_failures_at_once() -> None:
    assert given_up_at(Outcome.TRUNCATED, 0.2, concurrency=64) == pytest.approx(128 * 0.2)


def test_no_load_is_given_up_for_refusals_in_less_time_than_two_of_its_requests_take() -> None:
    """256 requests at a server that takes 128: between two waves of successes the others are refused for long."""
    assert given_up_at(Outcome.CONNECT_FAILED, 0.01, success=(0, 90)) == pytest.approx(90 + 10, rel=0.01)
    slow = given_up_at(Outcome.OVERLOADED, 0.01, success=(0, 90))
    assert slow == pytest.approx(90 + 180, rel=0.01)


def test_one_success_begins_it_anew() -> None:
    giving_up = GivingUp(PATIENCE, 4, 0)
    for number in range(100):
        assert giving_up.failed(Outcome.SERVER_ERROR, int(number * 0.09 * NS)) is None
    giving_up.succeeded(8 * NS, 9 * NS)
    for number in range(100):
        assert giving_up.failed(Outcome.SERVER_ERROR, int((9 + number * 0.09) * NS)) is None
    assert giving_up.failed(Outcome.SERVER_ERROR, 19 * NS) is Outcome.SERVER_ERROR


@pytest.mark.parametrize(
    ("outcome", "failures", "gone"),
    [(Outcome.TRUNCATED, 20, True), (Outcome.TRUNCATED, 19, False), (Outcome.OVERLOADED, 1_000, False)],
)
def test_a_load_that_ends_with_many_failures_has_lost_its_server(outcome: Outcome, failures: int, gone: bool) -> None:
    """In however little time: nobody asks it again. A server that refuses is there."""
    giving_up = GivingUp(PATIENCE, 4, 0)
    giving_up.succeeded(0, NS)
    assert all(giving_up.failed(outcome, NS + number) is None for number in range(failures))
    assert giving_up.at_the_end() is (outcome if gone else None)
