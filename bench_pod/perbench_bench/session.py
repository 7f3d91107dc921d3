"""One server under load: its addresses, its protocol, the client's own figures. Everything a stage needs to ask."""

import asyncio
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from pydantic import JsonValue

from perbench.api.models import Protocol
from perbench.failures import Blame, Failure, RunError, UsageError, shorten
from perbench.plan import LoadPlan, Target
from perbench.results import Outcome
from perbench_bench.engine.closed_loop import ClosedLoop
from perbench_bench.engine.connection import Clock
from perbench_bench.engine.delay import RunQueue
from perbench_bench.engine.exchange import Exchange
from perbench_bench.engine.feed import ClosedFeed, Feed, Limits, Ticket
from perbench_bench.engine.http1 import Origin, request_bytes
from perbench_bench.engine.protocols import PROTOCOLS, Sampling, interpret
from perbench_bench.engine.reply import Reply
from perbench_bench.engine.wire import Wire, resolve
from perbench_bench.usage import make_room_for

CONTINUOUS_USAGE = "continuous_usage_stats"
MOST_IN_VAIN = 5
RESOLVE_ATTEMPTS = 3
"""A name that fails once is asked again: a restarting DNS server is no reason to lose a run."""


@dataclass(frozen=True, slots=True)
class Session:
    """A server that answers, and how it is asked."""

    target: Target
    origin: Origin
    addresses: tuple[str, ...]
    load: LoadPlan
    seed: int
    run_queue: RunQueue
    clock: Clock = time.perf_counter_ns

    def request(self, prompt: str, max_tokens: int, *, force_length: bool = False) -> bytes:
        """One request, ready for the wire."""
        protocol, sampling = PROTOCOLS[self.target.protocol], self._sampling(max_tokens, force_length)
        body = protocol.body(self.target.model, prompt, sampling, self.target.extra_body)
        return request_bytes(self.origin, protocol.path, body, api_key_of(self.target))

    def parameters(self, max_tokens: int, *, force_length: bool) -> dict[str, JsonValue]:
        """What every request carries beside the prompt."""
        write = PROTOCOLS[self.target.protocol].write
        body = write(self.target.model, "", self._sampling(max_tokens, force_length)) | self.target.extra_body
        return {key: value for key, value in body.items() if key not in {"prompt", "messages", "inputs"}}

    def read(self, exchange: Exchange) -> Reply:
        """What the server answered."""
        return interpret(PROTOCOLS[self.target.protocol], exchange.response, exchange.ending, exchange.error)

    def wire(self, request: Callable[[Ticket], bytes]) -> Wire:
        """The loop's way to this server."""
        load = self.load
        return Wire(
            self.origin, self.addresses, request, load.request_timeout_seconds, load.first_token_timeout_seconds,
            load.idle_timeout_seconds,
        )  # fmt: skip

    def _sampling(self, max_tokens: int, force_length: bool) -> Sampling:
        return Sampling(max_tokens, self.seed, force_length and self.target.can_force_length)

    async def ask(self, requests: Sequence[bytes]) -> list[Reply]:
        """Ask one after the other, outside any measurement. There are fewer replies where one got no answer in time, or
        where the server is gone: so many in a row got none that could be used."""
        feed = ClosedFeed(Limits(0, 0.0, len(requests)), self.clock())
        collector = _Collector(self, feed)
        await ClosedLoop(self.wire(lambda ticket: requests[ticket.index]), feed, collector, 1, self.clock).run()
        return collector.replies


class _Collector:
    """Keeps the replies of `ask` in order."""

    def __init__(self, session: Session, feed: Feed) -> None:
        self.replies: list[Reply] = []
        self._in_vain = 0
        """In a row. What the server says of one request (HTTP 4xx) holds for that one."""
        self._session = session
        self._feed = feed

    def take(self, exchange: Exchange) -> bool:
        reply = self._session.read(exchange)
        self.replies.append(reply)
        self._in_vain = 0 if reply.outcome in {Outcome.SUCCESS, Outcome.CLIENT_ERROR} else self._in_vain + 1
        if reply.outcome is Outcome.TIMEOUT or self._in_vain == MOST_IN_VAIN:
            self._feed.abort(self._session.clock())
        return reply.outcome is Outcome.SUCCESS


def origin_of(target: Target) -> Origin:
    """Where a target answers. Raises UsageError: its URL or the environment's key cannot be used."""
    origin, route = Origin.parse(target.url), PROTOCOLS[target.protocol].path
    if route.startswith("/v1/") and origin.base_path.endswith("/v1"):
        raise UsageError(f"{target.url}: leave out /v1, it is part of the route {route}")
    api_key_of(target)
    return origin


def api_key_of(target: Target) -> str | None:
    """The key, out of the environment. Raises UsageError; the key itself is never said."""
    variable = target.api_key_variable
    if variable is None:
        return None
    key = os.environ.get(variable)
    if key is None:
        raise UsageError(f"the environment variable {variable}, which is to hold the API key, is not set")
    key = key.strip()  # files and secrets often end in a line feed
    if not (key.isascii() and key.isprintable()):
        raise UsageError(f"the environment variable {variable} holds characters that an API key cannot have")
    return key or None


async def open_session(target: Target, load: LoadPlan, seed: int) -> Session:
    """Look the server's name up and learn how idle this process is.

    Raises UsageError (`origin_of`) and RunError: the name cannot be resolved, or too few files may be open.
    """
    origin = origin_of(target)
    make_room_for(load.most_in_flight, least=load.concurrency or 1)
    run_queue = RunQueue(asyncio.get_running_loop())
    await run_queue.prepare()
    for attempt in range(RESOLVE_ATTEMPTS):
        try:
            addresses = await resolve(origin)
            return Session(target, origin, addresses, load, seed, run_queue)
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
    Outcome.DROPPED: (Blame.TARGET, "TargetOverloaded"),
}


def failure_of(outcome: Outcome, error: str, url: str) -> Failure:
    """The failure of a server that answers only so."""
    blame, reason = REASONS[outcome]
    return Failure(blame=blame, reason=reason, message=shorten(f"{url}: {error}"))


def candidates(target: Target) -> tuple[Target, ...]:
    """Ways to ask, the best first. A server of the OpenAI kind may take extensions, or refuse what it does not know.

    `continuous_usage_stats` (vLLM, SGLang) has the server say how many tokens each chunk carries. `cache_prompt: false`
    (llama-server) keeps repeats from being answered out of the prefix cache; others ignore it. What the target's own
    `extra_body` says stands.
    """
    if target.protocol is Protocol.TGI:
        return (target,)
    ways = [target]
    if "cache_prompt" not in target.extra_body:
        ways = [_with(target, {"cache_prompt": False}), target.model_copy(update={"can_force_length": False})]
    if "stream_options" not in target.extra_body:
        ways.insert(0, _with(ways[0], {"stream_options": {"include_usage": True, CONTINUOUS_USAGE: True}}))
    return tuple(ways)


def _with(target: Target, additions: dict[str, JsonValue]) -> Target:
    return target.model_copy(update={"extra_body": {**target.extra_body, **additions}})


async def preflight(session: Session, prompt: str, max_tokens: int) -> Session:
    """One real generation before any load: a server that cannot do this cannot be measured.

    Returns the session that asks as the server was found to take it. Raises RunError.
    """
    for target in candidates(session.target):
        asking = replace(session, target=target)
        reply = (await asking.ask([asking.request(prompt, max_tokens, force_length=True)]))[0]
        probed = "stream_options" in target.extra_body and "stream_options" not in session.target.extra_body
        ignored = probed and reply.outcome is Outcome.SUCCESS and reply.tokens is None
        if reply.outcome is not Outcome.CLIENT_ERROR and not ignored:
            break
    if reply.outcome is not Outcome.SUCCESS:
        raise RunError(failure_of(reply.outcome, reply.error or "", session.target.url))
    if reply.output_tokens is None:
        message = (
            f"{session.target.url} answers without token counts (usage); tokens come from the server only, so its "
            "speed cannot be measured: turn usage in streams on, or use another protocol"
        )
        raise RunError(Failure(blame=Blame.TARGET, reason="NoTokenCounts", message=message))
    return asking
