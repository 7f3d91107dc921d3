"""One server under load: its addresses, its protocol, the client's own figures. Everything a stage needs to ask."""

import asyncio
import os
import resource
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from perbench.failures import Blame, Failure, RunError, shorten
from perbench.plan import Target
from perbench.results import Outcome
from perbench_bench.engine.closed_loop import ClosedLoop, Wire, resolve
from perbench_bench.engine.connection import Clock
from perbench_bench.engine.delay import RunQueue
from perbench_bench.engine.exchange import Exchange
from perbench_bench.engine.feed import Feed, Limits, Ticket
from perbench_bench.engine.http1 import Origin, request_bytes
from perbench_bench.engine.protocols import PROTOCOLS, Sampling, interpret
from perbench_bench.engine.reply import Reply

RESOLVE_ATTEMPTS = 3
"""A name that fails once is asked again: a restarting DNS server is no reason to lose a run."""


@dataclass(frozen=True, slots=True)
class Session:
    """A server that answers, and how it is asked."""

    target: Target
    origin: Origin
    addresses: tuple[str, ...]
    timeout_seconds: float
    seed: int
    run_queue: RunQueue
    clock: Clock = time.perf_counter_ns

    def request(self, prompt: str, max_tokens: int, *, force_length: bool = False) -> bytes:
        """One request, ready for the wire."""
        protocol = PROTOCOLS[self.target.protocol]
        sampling = Sampling(max_tokens, self.seed, force_length and self.target.can_force_length)
        body = protocol.body(self.target.model, prompt, sampling, self.target.extra_body)
        variable = self.target.api_key_variable
        return request_bytes(self.origin, protocol.path, body, os.environ.get(variable) if variable else None)

    def read(self, exchange: Exchange) -> Reply:
        """What the server answered."""
        return interpret(PROTOCOLS[self.target.protocol], exchange.response, exchange.ending, exchange.error)

    def wire(self, request: Callable[[Ticket], bytes]) -> Wire:
        """The loop's way to this server."""
        return Wire(self.origin, self.addresses, request, self.timeout_seconds)

    async def ask(self, requests: Sequence[bytes]) -> list[Reply]:
        """Ask one after the other, outside any measurement."""
        replies: list[Reply] = []
        feed = Feed(Limits(0, 0.0, len(requests)), self.clock())
        loop = ClosedLoop(
            self.wire(lambda ticket: requests[ticket.index]), feed, _Collector(self, replies), 1, self.clock
        )
        await loop.run()
        return replies


class _Collector:
    """Keeps the replies of `ask` in order."""

    def __init__(self, session: Session, replies: list[Reply]) -> None:
        self._session = session
        self._replies = replies

    def take(self, exchange: Exchange) -> bool:
        self._replies.append(self._session.read(exchange))
        return self._replies[-1].outcome is Outcome.SUCCESS


async def open_session(target: Target, timeout_seconds: float, seed: int) -> Session:
    """Look the server's name up and learn how idle this process is. Raises RunError: the name cannot be resolved."""
    origin = Origin.parse(target.url)
    run_queue = RunQueue(asyncio.get_running_loop())
    await run_queue.prepare()
    for attempt in range(RESOLVE_ATTEMPTS):
        try:
            addresses = await resolve(origin)
            return Session(target, origin, addresses, timeout_seconds, seed, run_queue)
        except OSError as error:
            if attempt + 1 == RESOLVE_ATTEMPTS:
                raise RunError(_unresolved(origin, error)) from error
            await asyncio.sleep(0.5)
    raise AssertionError("unreachable")


def _unresolved(origin: Origin, error: OSError) -> Failure:
    message = f"the name {origin.host} cannot be resolved: {error.strerror or error}; check the URL and the DNS"
    return Failure(blame=Blame.INFRASTRUCTURE, reason="NameNotResolved", message=message)


REASONS: dict[Outcome, tuple[Blame, str]] = {
    Outcome.CONNECT_FAILED: (Blame.TARGET, "TargetUnreachable"),
    Outcome.TIMEOUT: (Blame.TARGET, "TargetNotAnswering"),
    Outcome.OVERLOADED: (Blame.TARGET, "TargetOverloaded"),
    Outcome.CLIENT_ERROR: (Blame.TARGET, "RequestsRefused"),
    Outcome.SERVER_ERROR: (Blame.TARGET, "TargetErrors"),
    Outcome.TRUNCATED: (Blame.TARGET, "AnswersTruncated"),
    Outcome.MALFORMED: (Blame.TARGET, "AnswersMalformed"),
    Outcome.DROPPED: (Blame.LOAD_GENERATOR, "RequestsDropped"),
}


def failure_of(outcome: Outcome, error: str, url: str) -> Failure:
    """The failure of a server that answers only so."""
    blame, reason = REASONS[outcome]
    return Failure(blame=blame, reason=reason, message=shorten(f"{url}: {error}"))


async def preflight(session: Session, prompt: str, max_tokens: int) -> Reply:
    """One real generation before any load: a server that cannot do this cannot be measured. Raises RunError."""
    reply = (await session.ask([session.request(prompt, max_tokens)]))[0]
    if reply.outcome is not Outcome.SUCCESS:
        raise RunError(failure_of(reply.outcome, reply.error or "", session.target.url))
    if reply.output_tokens is None:
        message = (
            f"{session.target.url} answers without token counts (usage); tokens come from the server only, so its "
            "speed cannot be measured: turn usage in streams on, or use another protocol"
        )
        raise RunError(Failure(blame=Blame.TARGET, reason="NoTokenCounts", message=message))
    return reply


def peak_rss_bytes() -> int:
    """The largest resident size of this process so far (getrusage; KiB on Linux, bytes on macOS)."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if os.uname().sysname == "Darwin" else peak * 1024
