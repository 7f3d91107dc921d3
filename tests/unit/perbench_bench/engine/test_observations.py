"""What becomes of a finished exchange: window sums, rows, where token counts come from. Stamps in ns."""

import pytest

from perbench.results import Outcome
from perbench_bench.engine.exchange import Exchange
from perbench_bench.engine.feed import ClosedFeed, Limits, Role, Ticket
from perbench_bench.engine.observations import Observations
from perbench_bench.engine.recorder import Recorder
from perbench_bench.engine.reply import Ending, Reply


def exchange(index: int = 0, *, reads: tuple[int, ...] = (20, 30), end: int = 40) -> Exchange:
    made = Exchange(Ticket(Role.MEASURED, index), 10, lambda _: None, lambda _exchange, _succeeded: None)
    made.sent = 11
    made.reads.extend(reads)
    made.finish(Ending.COMPLETE, end)
    return made


def open_feed(window_end: int | None = None) -> ClosedFeed:
    feed = ClosedFeed(Limits(0, 0.0, 100), 0)
    feed.next(5)
    feed.window_end = window_end
    return feed


def answer(stamps: list[int], output: int, tokens: list[int] | None = None) -> Reply:
    return Reply(
        finish="stop", input_tokens=3, output_tokens=output, stamps=stamps, events=[1] * len(stamps), tokens=tokens,
        texts=["x"] * len(stamps),
    )  # fmt: skip


@pytest.mark.parametrize(("window_end", "tokens"), [(None, 1), (39, 0)])
def test_an_end_token_alone_arrives_when_the_answer_ends(window_end: int | None, tokens: int) -> None:
    seen = Observations(1)
    seen.add(exchange(), answer([], 1), open_feed(window_end), counts_end_token=True)
    assert seen.window.output_tokens == tokens


def test_tokens_count_in_the_window_by_the_chunks_that_arrived_in_it() -> None:
    seen = Observations(2)
    seen.add(exchange(0), answer([20, 30], 4, [3, 1]), open_feed(25), counts_end_token=False)
    assert seen.window.output_tokens == 3
    seen.add(exchange(1), answer([20, 30], 4), open_feed(25), counts_end_token=False)
    assert seen.window.output_tokens == 3 + 2


def test_one_answer_that_nobody_counted_along_makes_the_gaps_an_estimate() -> None:
    """A server that counts at the end only seems to count along where an answer is one chunk."""
    seen = Observations(2)
    seen.add(exchange(0), answer([20], 4, [4]), open_feed(), counts_end_token=False)
    assert seen.estimated_answers == 0
    seen.add(exchange(1), answer([20, 30], 4), open_feed(), counts_end_token=False)
    assert seen.estimated_answers == 1


def test_an_answer_without_token_counts_is_no_success_of_a_load() -> None:
    reply = answer([20], 1)
    reply.output_tokens = None
    recorder = Recorder(lambda _: reply, lambda: 50, open_feed(), 1, 1)
    assert not recorder.take(exchange())
    assert recorder.seen.rows[0].outcome is Outcome.MALFORMED
    assert "token counts" in str(recorder.seen.rows[0].error)


def test_the_totals_are_over_every_role_and_attempt() -> None:
    seen = Observations(8)
    ended = [
        (Role.WARMUP, answer([20], 4)),
        (Role.MEASURED, answer([20], 5)),
        (Role.FILLER, Reply(Outcome.TIMEOUT)),
        (Role.FILLER, Reply(Outcome.OVERLOADED)),
        (Role.FILLER, Reply(Outcome.CONNECT_FAILED)),
    ]
    for number, (role, reply) in enumerate(ended):
        one = exchange()
        one.ticket, one.retried, one.address = Ticket(role, 0), role is Role.MEASURED, f"10.0.0.{number % 2}"
        seen.add(one, reply, open_feed(), counts_end_token=False)
    totals = seen.totals
    assert (totals.requests, totals.sends, totals.answered, totals.uncounted) == (5, 5, 2, 1)
    assert (totals.input_tokens, totals.output_tokens) == (6, 9)
    assert dict(totals.per_address) == {"10.0.0.0": 3, "10.0.0.1": 2}
    failures = (Outcome.TIMEOUT, Outcome.OVERLOADED, Outcome.CONNECT_FAILED)
    assert seen.outcomes == {Outcome.SUCCESS: 2} | dict.fromkeys(failures, 1)
    seen.add(exchange(1), Reply(finish="stop", output_tokens=1), open_feed(), counts_end_token=False)
    assert (totals.input_tokens, totals.input_tokens_told, totals.output_tokens) == (None, 6, 10)


def test_a_request_that_was_never_sent_has_an_outcome_and_is_in_no_total() -> None:
    seen = Observations(1)
    held = exchange()
    held.finish(Ending.HELD_BACK, 40)
    seen.add(held, Reply(Outcome.DROPPED), open_feed(), counts_end_token=False)
    assert (seen.outcomes, seen.totals.requests) == ({Outcome.DROPPED: 1}, 0)


def test_measured_requests_are_whole_in_the_order_they_ended() -> None:
    seen = Observations(3)
    for index, outcome in ((2, Outcome.SUCCESS), (0, Outcome.TIMEOUT)):
        reply = answer([20, 30], 2) if outcome is Outcome.SUCCESS else Reply(outcome)
        seen.add(exchange(index), reply, open_feed(), counts_end_token=False)
    assert seen.whole().tolist() == [2, 0]
    assert seen.whole(after=1).tolist() == [0]
    assert seen.succeeded.tolist() == [False, False, True]
    assert seen.whole(after=2).size == 0


def test_a_read_that_brings_many_tokens_delayed_each_of_them() -> None:
    """After a stall one read brings what came in all of it: counted per read, a stalled client would look quick."""
    seen = Observations(1)
    late = exchange(reads=(20, 30, 5_000_030))
    for delay in (100_000, 100_000, 4_000_000):
        late.read_delayed(delay)
    reply = answer([20, 30, 5_000_030], 10)
    reply.events = [1, 1, 8]
    seen.add(late, reply, open_feed(), counts_end_token=False)
    assert seen.read_delay.document().total == 10
    assert seen.read_delay.quantile(0.5) == pytest.approx(4.0, rel=0.01)
    assert seen.first_delay[0] == 100_000


def test_a_delay_that_is_not_known_yet_is_not_counted() -> None:
    seen = Observations(1)
    late = exchange(reads=(20, 30))
    late.read_delayed(1_000_000)
    seen.add(late, answer([20, 30], 2), open_feed(), counts_end_token=False)
    assert seen.read_delay.document().total == 1
