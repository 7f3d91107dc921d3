"""What is counted of a load while it runs: once each, in steps or at once, and never back."""

import pytest

from perbench.results import Outcome
from perbench_bench.engine.exchange import Exchange
from perbench_bench.engine.feed import ClosedFeed, Limits, Role, Ticket
from perbench_bench.engine.observations import Observations
from perbench_bench.engine.reply import Ending, Reply
from perbench_bench.exporter.counts import NO_COUNTS, OUTCOMES, Counts, LoadReader

MS = 1_000_000


class Load:
    """Requests that end one after the other; times in ms."""

    def __init__(self, measured: int = 20) -> None:
        self.seen = Observations(measured)
        self._feed = ClosedFeed(Limits(0, 0.0, measured), 0)
        self._feed.next(0)
        self.wait_ms: float | None = 0.0
        self._numbers = dict.fromkeys(Role, 0)
        self.reader = LoadReader(self.seen, lambda: self.wait_ms)

    def end(
        self, role: Role = Role.MEASURED, outcome: Outcome = Outcome.SUCCESS, *, ttft: float = 40, gap: float = 10,
        chunks: int = 3, each: int = 1, told: bool = True, prompt: int | None = 7, number: int | None = None,
    ) -> None:  # fmt: skip
        index = self._numbers[role] if number is None else number
        self._numbers[role] += 1
        stamps = [int((ttft + i * gap) * MS) for i in range(chunks)] if outcome is Outcome.SUCCESS else []
        exchange = Exchange(Ticket(role, index), 0, lambda _: None, lambda *_: None)
        exchange.sent = MS // 10
        exchange.reads.extend(stamps)
        exchange.delays.extend([MS // 5] * len(stamps))
        exchange.finish(Ending.COMPLETE, (stamps[-1] if stamps else 0) + MS)
        tokens = each * chunks
        reply = Reply(
            outcome=outcome, finish="length", input_tokens=prompt, output_tokens=tokens, stamps=stamps,
            events=[1] * len(stamps), tokens=[each] * len(stamps) if told else None, texts=["x"] * len(stamps),
        )  # fmt: skip
        self.seen.add(exchange, reply, self._feed, counts_end_token=False)


def outcomes(counts: Counts) -> dict[Outcome, int]:
    return {outcome: int(number) for outcome, number in zip(OUTCOMES, counts.outcomes, strict=True) if number}


def test_every_role_is_load_and_only_measured_successes_are_timed() -> None:
    load = Load()
    load.end(Role.WARMUP)
    load.end(Role.FILLER, Outcome.TIMEOUT)
    load.end()
    load.end(outcome=Outcome.SERVER_ERROR)
    counts = load.reader.read()
    assert outcomes(counts) == {Outcome.SUCCESS: 2, Outcome.TIMEOUT: 1, Outcome.SERVER_ERROR: 1}
    assert (counts.output_tokens, counts.input_tokens) == (6, 14)
    assert (counts.ttft.count, counts.duration.count, counts.client_error.count) == (1, 1, 1)
    assert counts.ttft.sum_seconds == pytest.approx(0.040)
    assert counts.duration.sum_seconds == pytest.approx(0.061)
    assert counts.itl is not None
    assert counts.itl.count == 2
    assert counts.itl.sum_seconds == pytest.approx(0.020)


def test_in_steps_as_at_once_whatever_order_requests_end_in() -> None:
    stepwise, at_once = Load(), Load()
    for number in (3, 0, 2, 1):
        for load in (stepwise, at_once):
            load.end(ttft=40 + 30 * number, number=number)
        stepwise.reader.read()
    one, other = stepwise.reader.read(), at_once.reader.read()
    assert one.ttft.per_bucket.tolist() == other.ttft.per_bucket.tolist()
    assert one.ttft.count == 4
    assert one.ttft.sum_seconds == pytest.approx(other.ttft.sum_seconds)
    assert outcomes(one) == outcomes(other)
    assert stepwise.reader.read().ttft.count == 4


def test_the_clients_error_has_the_wait_for_a_core_as_it_is_when_it_is_counted() -> None:
    load = Load()
    load.wait_ms = 1.0
    load.end()
    assert load.reader.read().client_error.sum_seconds == pytest.approx(0.0013)
    load.wait_ms = None
    load.end()
    assert load.reader.read().client_error.sum_seconds == pytest.approx(0.0016)


def test_prompt_tokens_are_absent_until_an_answer_tells() -> None:
    load = Load()
    load.end(prompt=None)
    assert load.reader.read().input_tokens is None
    load.end(prompt=5)
    load.end(prompt=None)
    assert load.reader.read().input_tokens == 5
    assert load.seen.totals.input_tokens is None


def test_bundled_tokens_have_no_times_between_them() -> None:
    load = Load()
    load.end(told=False, each=4)
    assert load.reader.read().itl is None
    told = Load()
    told.end(each=4)
    counted = told.reader.read().itl
    assert counted is not None
    assert counted.count == 8


def test_what_was_counted_before_the_server_began_to_bundle_stays() -> None:
    load = Load()
    load.end(told=False)
    before = load.reader.read().itl
    assert before is not None
    assert before.count == 2
    load.end(told=False, each=4)
    assert load.seen.bundled
    assert load.reader.read().itl is before


def test_loads_add_up() -> None:
    one, other = Load(), Load()
    one.end()
    other.end(told=False, each=4, prompt=None)
    first, second = one.reader.read(), other.reader.read()
    for both in (first + second, second + first, NO_COUNTS + first + second):
        assert outcomes(both) == {Outcome.SUCCESS: 2}
        assert (both.output_tokens, both.input_tokens) == (15, 7)
        assert both.itl is not None
        assert (both.itl.count, both.ttft.count) == (2, 2)
    assert (NO_COUNTS + NO_COUNTS).input_tokens is None
