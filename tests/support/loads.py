"""Loads of the engine alone, run to their end."""

import asyncio
from dataclasses import dataclass

import uvloop

from perbench.api.models import Protocol
from perbench.plan import LoadPlan, Target
from perbench_bench.engine.closed_loop import ClosedLoop
from perbench_bench.engine.feed import ClosedFeed, Limits
from perbench_bench.engine.observations import Observations
from perbench_bench.engine.patience import Patience
from perbench_bench.engine.recorder import Recorder
from perbench_bench.session import open_session

HASTY = Patience(failing_seconds=0.2, overloaded_seconds=0.2)
"""Tests do not wait long to see a load given up."""


@dataclass
class Ran:
    seen: Observations
    feed: ClosedFeed
    recorder: Recorder
    kept_connections: bool


def run(
    url: str,
    protocol: Protocol,
    *,
    measured: int = 60,
    concurrency: int = 4,
    tokens: int = 6,
    timeout: float = 30,
    first: float = 30,
    idle: float = 30,
    prompt: str = "a b c",
) -> Ran:
    """A closed loop to its end; the warm-up is 2 x concurrency requests."""

    async def work() -> Ran:
        load = LoadPlan(
            concurrency=concurrency, max_seconds=60, request_timeout_seconds=timeout, first_token_timeout_seconds=first,
            idle_timeout_seconds=idle,
        )  # fmt: skip
        session = await open_session(Target(url=url, protocol=protocol, model="m"), load, seed=1)
        request = session.request(prompt, tokens)
        feed = ClosedFeed(Limits(2 * concurrency, 0.0, measured), session.clock())
        recorder = Recorder(session.read, session.clock, feed, measured, concurrency, patience=HASTY)
        loop = ClosedLoop(session.wire(lambda _: request), feed, recorder, concurrency, session.clock)
        await loop.run()
        return Ran(recorder.seen, feed, recorder, loop.keep_alive)

    return uvloop.run(asyncio.wait_for(work(), 180))
