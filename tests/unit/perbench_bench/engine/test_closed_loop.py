"""The engine against a server that records what it really did."""

import asyncio
import gc
from typing import Any

import numpy as np
import pytest
import uvloop
from numpy.typing import NDArray

from perbench.api.models import Protocol
from perbench.plan import LoadPlan, Target
from perbench.results import Outcome
from perbench_bench.engine.closed_loop import ClosedLoop
from perbench_bench.engine.exchange import Exchange
from perbench_bench.engine.feed import ClosedFeed, Limits, Role, Ticket
from perbench_bench.engine.http1 import Origin
from perbench_bench.engine.recorder import Recorder
from perbench_bench.engine.wire import Wire, family_that_listens
from perbench_bench.session import open_session
from perbench_bench.truth import truth_server
from perbench_bench.truth.reading import Record
from tests.support.loads import Ran, run
from tests.support.quiet import compared

Both = tuple[Ran, Record]


def loaded(script: dict[str, Any], protocol: Protocol, *, measured: int = 60, tokens: int = 6) -> Both:
    """A load of a server that keeps to this script, and what the server did."""
    with truth_server(script) as server:
        ran = run(server.url, protocol, measured=measured, tokens=tokens)
        return ran, server.record


def early(times: NDArray[np.float64]) -> float:
    """One that was hardly kept waiting: who waits for a core adds to times, and never takes from them."""
    return float(np.percentile(times, 10))


@pytest.mark.parametrize("protocol", list(Protocol))
def test_figures_agree_with_what_the_server_did(protocol: Protocol) -> None:

    def measure() -> Both:
        both = loaded({"timing": {"firstMs": 20, "gapMs": 5}}, protocol)
        ran, record = both
        assert len(record) == ran.feed.warmup_sent + ran.feed.measured_sent + ran.feed.filler_sent
        assert all(row.outcome is Outcome.SUCCESS and row.output_tokens == 6 for row in ran.seen.rows.values())
        assert record.in_flight.max() <= 4, "never more in flight than asked"
        return both

    def compare(both: Both) -> None:
        ran, record = both
        seen, feed = ran.seen, ran.feed
        assert feed.window_start
        assert feed.window_end
        measured = (record.arrival >= feed.window_start) & (record.arrival <= feed.window_end)
        true_ttft = early(record.ttft_ms()[measured])
        reported = early((seen.first - seen.sent) / 1e6)
        # Wide enough for a busy machine, narrow enough that a wrong stamp (headers, last byte, slot) would show.
        assert reported == pytest.approx(true_ttft, abs=3.0)
        # The script's own: a server that is kept waiting makes up for it, and its own median says little then.
        assert seen.itl.quantile(0.5) == pytest.approx(5, abs=1.0)
        seconds = (feed.window_end - feed.window_start) / 1e9
        true_tokens = record.token_rate(feed.window_start, feed.window_end) * seconds
        assert seen.window.output_tokens == pytest.approx(true_tokens, rel=0.03)

    compared(measure, compare)


def test_the_loop_stays_full_until_the_last_measured_request_has_ended() -> None:
    def compare(both: Both) -> None:
        ran, record = both
        start, last = int(ran.seen.sent.min()), int(ran.seen.end.max())
        assert ran.feed.filler_sent >= 1
        # Mean number under way at the server until the last measured request has ended: none ran in a thinned loop.
        assert record.mean_in_flight(start, last) == pytest.approx(4, rel=0.1)

    uneven = {"timing": {"firstMs": [20, 20, 20, 300], "gapMs": 1}}
    compared(lambda: loaded(uneven, Protocol.TGI, measured=24), compare)


def test_bundled_chunks_give_the_gap_of_single_tokens_where_the_server_counts() -> None:
    def compare(both: Both) -> None:
        ran, _ = both
        # Three tokens every 24 ms are 8 ms a token; a reader sees a chunk every 24 ms.
        assert ran.seen.itl.quantile(0.5) == pytest.approx(8, rel=0.15)
        assert ran.seen.chunk_gap.quantile(0.5) == pytest.approx(24, rel=0.15)

    script = {"answer": {"tokensPerChunk": 3}, "timing": {"tokenMs": 8}}
    ran, _ = compared(lambda: loaded(script, Protocol.TGI, tokens=9, measured=24), compare)
    assert ran.seen.first_tokens[0] == 3


def test_bundled_chunks_that_nobody_counts_are_seen_as_such() -> None:
    with truth_server({"answer": {"tokensPerChunk": 3}}) as server:
        ran = run(server.url, Protocol.OPENAI, tokens=9, measured=24)
    assert ran.seen.estimated_answers == 24
    assert ran.seen.content_tokens / ran.seen.content_events == pytest.approx(3)


def test_a_broken_promise_of_keep_alive_is_no_fault_of_the_target() -> None:
    def measure() -> Both:
        both = loaded({"faults": [{"kind": "broken-keep-alive"}]}, Protocol.OPENAI)
        ran, record = both
        assert all(row.outcome is Outcome.SUCCESS for row in ran.seen.rows.values())
        sent = ran.recorder.seen.totals.requests
        assert len(record) == sent, "no request was sent twice to a server that had read it"
        assert (ran.seen.first - ran.seen.due >= ran.seen.first - ran.seen.sent + ran.seen.connect).all()
        assert (ran.seen.connect > 0).all()
        return both

    def compare(both: Both) -> None:
        # From the slot on, connecting is in the figure; from the send on, it is not.
        ran, record = both
        from_the_send = (ran.seen.first - ran.seen.sent) / 1e6
        assert early(from_the_send) == pytest.approx(early(record.ttft_ms()), abs=3)

    compared(measure, compare)


def test_a_server_that_is_not_there_ends_the_load_soon() -> None:
    ran = run("http://127.0.0.1:9", Protocol.OPENAI, measured=1000)
    assert ran.recorder.aborted
    assert ran.recorder.aborted[0] is Outcome.CONNECT_FAILED
    assert ran.recorder.seen.totals.requests < 40


def test_a_silent_server_ends_in_time_outs() -> None:
    with truth_server({"timing": {"firstMs": 60_000}}) as server:
        ran = run(server.url, Protocol.OPENAI, measured=40, concurrency=10, timeout=0.3)
    assert ran.recorder.aborted
    assert ran.recorder.aborted[0] is Outcome.TIMEOUT


def test_silence_in_the_middle_of_an_answer_ends_it() -> None:
    with truth_server({"timing": {"gapMs": 60_000}}) as server:
        ran = run(server.url, Protocol.OPENAI, measured=40, concurrency=10, idle=0.3)
    assert ran.recorder.aborted == (Outcome.TIMEOUT, "silent for 0.3 s in the middle of an answer")


def test_an_answer_that_has_not_begun_is_not_silent() -> None:
    """Headers at once, the first token after a queue or a long prompt: vLLM and llama-server do so."""
    with truth_server({"timing": {"firstMs": 700}}) as server:
        ran = run(server.url, Protocol.OPENAI, measured=16, concurrency=8, idle=0.3, tokens=1)
    assert {row.outcome for row in ran.seen.rows.values()} == {Outcome.SUCCESS}


def test_questions_outside_the_measurement_stop_at_the_first_time_out() -> None:
    async def ask(url: str) -> list[Outcome]:
        load = LoadPlan(concurrency=1, max_seconds=60, request_timeout_seconds=0.3)
        session = await open_session(Target(url=url, protocol=Protocol.TGI, model="m"), load, seed=1)
        return [reply.outcome for reply in await session.ask([session.request("a", 2)] * 5)]

    with truth_server({"timing": {"firstMs": 60_000}}) as server:
        assert uvloop.run(asyncio.wait_for(ask(server.url), 30)) == [Outcome.TIMEOUT]


def test_a_name_is_reached_on_the_family_its_server_listens_on() -> None:
    with truth_server() as server:
        port = Origin.parse(server.url).port
        found = uvloop.run(family_that_listens([("::1",), ("127.0.0.2", "127.0.0.1")], port))
    assert found == ("127.0.0.2", "127.0.0.1")
    assert uvloop.run(family_that_listens([("::1",), ("127.0.0.1",)], port)) == ("::1",), "none: the first tells why"


def test_answers_that_pile_up_are_read() -> None:
    class Reading:
        taken = 0

        def take(self, _exchange: Exchange) -> bool:
            self.taken += 1
            return True

    async def work() -> int:
        reading = Reading()
        wire = Wire(Origin.parse("http://h"), ("127.0.0.1",), lambda _: b"", 1, 1, 1)
        loop = ClosedLoop(wire, ClosedFeed(Limits(0, 0.0, 100), 0), reading, 4)
        for index in range(50):
            ticket = Ticket(Role.MEASURED, index)
            loop.ended(Exchange(ticket, 0, lambda _: None, lambda _exchange, _succeeded: None))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        return 50 - reading.taken

    assert uvloop.run(work()) <= 4


def test_finished_exchanges_are_freed_without_the_garbage_collector() -> None:
    gc.collect()
    gc.disable()
    try:
        with truth_server({"timing": {"firstMs": 1, "gapMs": 0}}) as server:
            run(server.url, Protocol.TGI, measured=200)
        left = sum(isinstance(thing, Exchange) for thing in gc.get_objects())
    finally:
        gc.enable()
    assert left < 20


def test_a_cancelled_load_leaves_no_connection_half_open() -> None:
    """What is still being opened when the event loop ends has crashed the process, now and then."""

    async def tasks_left() -> int:
        load = LoadPlan(concurrency=4, max_seconds=60)
        session = await open_session(Target(url=url, protocol=Protocol.TGI, model="m"), load, seed=1)
        request = session.request("a", 4)
        feed = ClosedFeed(Limits(0, 0.0, 100), session.clock())
        recorder = Recorder(session.read, session.clock, feed, 100, 4)
        running = ClosedLoop(session.wire(lambda _: request), feed, recorder, 4, session.clock).run()

        async def cancelled() -> int:
            try:
                await running
            except asyncio.CancelledError:
                return len(asyncio.all_tasks())
            raise AssertionError("the load was not cancelled")

        task = asyncio.create_task(cancelled())
        await asyncio.sleep(0)
        task.cancel()
        return await task

    with truth_server() as server:
        url = server.url
        assert uvloop.run(tasks_left()) == 2, "this one and the test's own"


def test_comments_do_not_keep_an_answer_alive_that_has_fallen_silent() -> None:
    """TGI's router sends one every 15 s for as long as it waits, also for a shard that will never answer."""
    with truth_server({"timing": {"gapMs": 60_000}, "stream": {"commentsMs": 50}}) as server:
        ran = run(server.url, Protocol.TGI, measured=40, concurrency=10, idle=0.5, timeout=5)
    assert ran.recorder.aborted == (Outcome.TIMEOUT, "silent for 0.5 s in the middle of an answer")


@pytest.mark.parametrize("headers", ["at-once", "with-first-token"])
def test_an_answer_that_never_begins_is_given_up_in_less_time_than_a_whole_request_may_take(headers: str) -> None:
    stream = {"headers": headers} | ({"commentsMs": 50} if headers == "at-once" else {})
    with truth_server({"timing": {"firstMs": 60_000}, "stream": stream}) as server:
        ran = run(server.url, Protocol.TGI, measured=40, concurrency=10, first=0.5, timeout=5)
    assert ran.recorder.aborted == (Outcome.TIMEOUT, "no token within 0.5 s")
    assert max(ran.seen.end - ran.seen.sent) / 1e9 < 5, "the limit of the whole request"
