"""One load from its first request to its last answer, with the readings of this process around it."""

import gc
from collections.abc import Callable
from dataclasses import dataclass

from perbench_bench.engine.causes import causes
from perbench_bench.engine.closed_loop import ClosedLoop
from perbench_bench.engine.feed import ClosedFeed, Feed, Limits, OpenFeed, Ticket
from perbench_bench.engine.load_loop import LoadLoop
from perbench_bench.engine.observations import Observations
from perbench_bench.engine.open_loop import OpenLoop
from perbench_bench.engine.recorder import Recorder
from perbench_bench.engine.verdict import ClientUse
from perbench_bench.session import Session
from perbench_bench.usage import peak_rss_bytes, read_usage


@dataclass(frozen=True, slots=True)
class LoadRun:
    """A load that is to run, or has run."""

    feed: Feed
    recorder: Recorder
    loop: LoadLoop

    @property
    def seen(self) -> Observations:
        """What was seen of it so far."""
        return self.recorder.seen


def prepare(session: Session, request: Callable[[Ticket], bytes], limits: Limits, seed: int) -> LoadRun:
    """The load of the session's plan. Its clock begins to run; arrivals of an open loop are drawn by `seed`."""
    gc.collect()
    load, began = session.load, session.clock()
    feed = OpenFeed(limits, load.arrivals, seed, began) if load.arrivals else ClosedFeed(limits, began)
    width, end_token = load.concurrency or 0, session.target.counts_end_token
    recorder = Recorder(session.read, session.clock, feed, limits.measured, width, end_token)
    wire = session.wire(request)
    if isinstance(feed, OpenFeed):
        return LoadRun(feed, recorder, OpenLoop(wire, feed, recorder, load.most_in_flight, session.clock))
    return LoadRun(feed, recorder, ClosedLoop(wire, feed, recorder, width, session.clock))


async def carry_out(session: Session, run: LoadRun) -> ClientUse:
    """Run it to its end. Cancelling drops everything."""
    gc.freeze()
    gc.disable()  # a collection in the middle of a read would be counted against the server
    before = read_usage()
    session.run_queue.start()
    try:
        await run.loop.run()
    finally:
        gc.enable()
        gc.unfreeze()
        wait = session.run_queue.stop()
    after = read_usage()
    pressed = causes(before, after, wait, lacking=bool(run.seen.lacking))
    cpu_seconds = (after.own_cpu_ns - before.own_cpu_ns) / 1e9
    return ClientUse(wait, cpu_seconds, peak_rss_bytes(), run.seen.totals.requests, pressed, run.loop.keep_alive)
