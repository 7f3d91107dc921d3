"""The truth server itself: takes requests, writes what their plans say when it is due, and records what it did.

One heap of what is due and one fine timer: delays are exact far below the event loop's millisecond.
"""

import asyncio
import ssl
import time
from collections import deque
from collections.abc import Callable
from heapq import heappop, heappush

import orjson

from perbench_bench.engine.delay import LoopMonitor
from perbench_bench.engine.timer import fine_timer
from perbench_bench.truth.asked import ROUTES, BadRequestError, read_request
from perbench_bench.truth.connection import Connection, GuardedConnection
from perbench_bench.truth.faults import overloaded
from perbench_bench.truth.metrics import Counters
from perbench_bench.truth.plan import Ending, Plan
from perbench_bench.truth.planner import Planner
from perbench_bench.truth.queueing import Admission, SlotQueue
from perbench_bench.truth.record import NONE, Outcome, Recorder, Row
from perbench_bench.truth.rendering import plain, refusal
from perbench_bench.truth.script import Script, Usage

OUTCOMES = {
    Ending.DONE: Outcome.DONE, Ending.CLOSE: Outcome.CLOSED, Ending.RESET: Outcome.RESET, Ending.REFUSE: Outcome.RESET,
    Ending.EXIT: Outcome.CLOSED,
}  # fmt: skip


WRITES_A_TURN = 16
CLOSING_SECONDS = 0.2
"""How long clients may take to see the end of their connections, before these are reset."""


class Answering:
    """One request that has come and not ended."""

    __slots__ = ("connection", "next", "over", "plan", "row", "waits", "written")

    def __init__(self, connection: Connection, plan: Plan, row: Row) -> None:
        self.connection = connection
        self.plan = plan
        self.row = row
        self.next = 0
        """Which write is next."""
        self.written: list[int] = []
        """Stamps of the writes with tokens."""
        self.waits = False
        self.over = False


class TruthServer:
    """Serves one script. Calls `on_end` when it has done all it may do, `on_exit` where a fault ends the process."""

    def __init__(
        self,
        script: Script,
        recorder: Recorder,
        on_end: Callable[[], None],
        on_exit: Callable[[], None],
        *,
        tls: ssl.SSLContext | None = None,
        api_key: str | None = None,
        max_requests: int,
    ) -> None:
        self.recorder = recorder
        self.tls = tls
        self.connections: set[Connection] = set()
        loop = asyncio.get_running_loop()
        self.monitor = LoopMonitor(loop, time.perf_counter_ns)
        self._loop = loop
        self._script = script
        self._planner = Planner(script)
        self._queue: SlotQueue[Answering] = SlotQueue(script.queue.slots, script.queue.limit)
        self._counters = Counters(script.metrics, script.model)
        self._models = orjson.dumps({"object": "list", "data": [{"id": script.model, "object": "model"}]})
        self._under_way: set[Answering] = set()
        self._heap: list[tuple[int, int, Answering]] = []
        self._pushed = 0
        self._inbox: deque[tuple[Connection, int, bytes, bytes, bytes]] = deque()
        self._timer = fine_timer(loop, self._fire)
        self._armed = 0
        self._api_key = api_key
        self._on_end, self._on_exit = on_end, on_exit
        self._max_requests = max_requests
        self._listener: asyncio.Server | None = None
        self._address: tuple[str, int] = ("", 0)
        self._reopening: asyncio.Task[int] | None = None

    async def listen(self, host: str, port: int) -> int:
        """Begin. The port. Raises OSError."""
        self._listener = await self._loop.create_server(self._connected, host, port, backlog=4096, ssl=self.tls)
        self._address = (host, self._listener.sockets[0].getsockname()[1])
        return self._address[1]

    def recover(self) -> None:
        """No fault any more; listens again where it had stopped."""
        self._planner.faults_on = False
        if self._listener is None:
            self._reopening = self._loop.create_task(self.listen(*self._address))

    async def stop(self) -> None:
        """End every connection; what was under way is recorded as such."""
        self._stop_listening()
        self._timer.close()
        for answering in list(self._under_way):
            self._record(answering, NONE, Outcome.UNFINISHED)
        for connection in list(self.connections):
            connection.close()
        patience = time.monotonic() + CLOSING_SECONDS
        while self.connections:  # uvloop does not end while connections are open
            await asyncio.sleep(0.002)
            if time.monotonic() > patience:
                for connection in list(self.connections):
                    connection.reset()

    # --- requests

    def _connected(self) -> Connection:
        number = self.recorder.connections
        self.recorder.connections += 1
        return GuardedConnection(self, number, self._api_key) if self._api_key else Connection(self, number)

    def request(self, connection: Connection, came: int, method: bytes, url: bytes, body: bytes) -> None:
        """A whole request. It is understood later, one a turn of the loop: the stamps of others do not wait for it."""
        if not self._inbox:
            self._loop.call_soon(self._take_inbox)
        self._inbox.append((connection, came, method, url, body))

    def _take_inbox(self) -> None:
        connection, came, method, url, body = self._inbox.popleft()
        if self._inbox:
            self._loop.call_soon(self._take_inbox)
        since = time.perf_counter_ns()
        connection.asked = False
        self._understand(connection, came, method, url, body)
        if connection not in self.connections:  # gone since
            self.lost(connection)
        self.monitor.worked(since)

    def _understand(self, connection: Connection, came: int, method: bytes, url: bytes, body: bytes) -> None:
        protocol = ROUTES.get(url)
        if protocol is None or method != b"POST":
            self._say(connection, self._aside(method, url))
            return
        if not connection.authorized():
            self._say(connection, plain(401, b'{"error":"Unauthorized"}'))
            return
        try:
            asked = read_request(protocol, body, strict=self._script.answer.usage is Usage.STRICT)
        except BadRequestError as error:
            self._say(connection, refusal(400, str(error), protocol))
            return
        plan = self._planner.plan(asked)
        row = Row(
            protocol=protocol, arrival=came, in_flight=len(self._under_way) + 1, connection=connection.number,
            prompt_bytes=len(asked.prompt.encode()), prompt_tokens=plan.prompt_tokens,
            cached_tokens=NONE if plan.cached_tokens is None else plan.cached_tokens, output_tokens=plan.output_tokens,
            fault=plan.fault, prompt=asked.prompt[: self.recorder.prompt_characters],
        )  # fmt: skip
        answering = Answering(connection, plan, row)
        connection.answering = answering
        self._under_way.add(answering)
        self._admit(answering, came)

    def _aside(self, method: bytes, url: bytes) -> bytes:
        """The answer to anything but a generation."""
        if method != b"GET":
            return refusal(404 if url not in ROUTES else 405, f"{method.decode()} {url.decode(errors='replace')[:80]}")
        if url == b"/metrics":
            text = self._counters.exposition(self._queue.running, self._queue.waiting)
            return plain(200, text, "text/plain; version=0.0.4; charset=utf-8")
        if url == b"/health":
            return plain(200, b"")
        if url == b"/v1/models":
            return plain(200, self._models)
        return refusal(404 if url not in ROUTES else 405, f"GET {url.decode(errors='replace')[:80]}")

    @staticmethod
    def _say(connection: Connection, response: bytes) -> None:
        connection.write(response)
        if not connection.keep_alive:
            connection.close()

    def _admit(self, answering: Answering, came: int) -> None:
        plan = answering.plan
        if not plan.needs_slot:
            self._begin(answering, came)
            return
        admission = self._queue.arrive(answering)
        if admission is Admission.REFUSED:
            answering.plan = overloaded(self._script.queue.overload, answering.row.protocol, self._planner.renderer)
            answering.row.output_tokens = 0
            self._begin(answering, came)
            return
        if plan.at_arrival:
            answering.connection.write(plan.at_arrival)
        if admission is Admission.STARTS:
            self._begin(answering, came)
        else:
            answering.waits = True

    def _begin(self, answering: Answering, turn: int) -> None:
        """Its turn has come, by the script: delays of an earlier answer's writes do not add up along the line."""
        answering.waits = False
        answering.row.turn = turn
        if answering.plan.at_turn:
            answering.connection.write(answering.plan.at_turn)
        self._push(turn + answering.plan.offsets[0], answering)
        self._arm()

    # --- what is due

    def _push(self, due: int, answering: Answering) -> None:
        self._pushed += 1
        heappush(self._heap, (due, self._pushed, answering))

    def _arm(self) -> None:
        if self._heap and self._heap[0][0] != self._armed:
            self._armed = self._heap[0][0]
            self._timer.arm(self._armed)

    def _fire(self) -> None:
        """Write what is due by now, as much as one turn of the loop may: requests that come meanwhile are stamped."""
        heap, clock = self._heap, time.perf_counter_ns
        now = since = clock()
        self._armed = 0
        for _ in range(WRITES_A_TURN):
            if not heap or heap[0][0] > now:
                break
            answering = heappop(heap)[2]
            if not answering.over:
                self._write(answering, clock)
        self._arm()
        self.monitor.worked(since)

    def _write(self, answering: Answering, clock: Callable[[], int]) -> None:
        plan, number = answering.plan, answering.next
        data = plan.writes[number]
        stamp = clock()
        if data:
            answering.connection.write(data)
        if plan.tokens[number]:
            answering.written.append(stamp)
        answering.next = number + 1
        if answering.next < len(plan.writes):
            self._push(answering.row.turn + plan.offsets[number + 1], answering)
        else:
            self._end(answering, stamp)

    def _end(self, answering: Answering, stamp: int) -> None:
        ending, connection = answering.plan.ending, answering.connection
        if ending is Ending.SILENCE:  # in flight until the client has enough
            return
        refused = answering.plan.fault is None and not answering.plan.whole
        self._record(answering, stamp, Outcome.REFUSED if refused else OUTCOMES[ending])
        if ending is Ending.CLOSE or (ending is Ending.DONE and not connection.keep_alive):
            connection.close()
        elif ending is Ending.RESET:
            connection.reset()
        elif ending is Ending.REFUSE:
            self._refuse(stamp)
        elif ending is Ending.EXIT:
            self._on_exit()

    def lost(self, connection: Connection) -> None:
        """A connection is gone; the client gave up what was under way on it."""
        if connection.answering:
            self._record(connection.answering, time.perf_counter_ns(), Outcome.ABANDONED)

    def _record(self, answering: Answering, stamp: int, outcome: Outcome) -> None:
        plan, row, written = answering.plan, answering.row, answering.written
        answering.over = True
        answering.connection.answering = None
        self._under_way.discard(answering)
        row.end, row.outcome = stamp, outcome
        tokens = [count for count in plan.tokens if count][: len(written)]
        due = [row.turn + offset for offset, count in zip(plan.offsets, plan.tokens, strict=True) if count]
        self.recorder.take(row, due[: len(written)], written, tokens)
        self._count(answering, outcome, sum(tokens))
        if answering.waits:
            self._queue.withdraw(answering)
        elif plan.needs_slot and outcome is not Outcome.UNFINISHED:
            self._next(row.turn + plan.offsets[-1] if outcome is not Outcome.ABANDONED else stamp)
        if len(self.recorder.rows) >= self._max_requests or self.recorder.full:
            self._on_end()

    def _next(self, free: int) -> None:
        """A slot is free since `free`: whoever waits first takes it."""
        following = self._queue.leave()
        if following is not None:
            self._begin(following, max(free, following.row.arrival))

    def _count(self, answering: Answering, outcome: Outcome, written: int) -> None:
        counters, plan = self._counters, answering.plan
        if answering.row.turn == NONE or outcome is Outcome.REFUSED:
            return
        whole = plan.whole and outcome in {Outcome.DONE, Outcome.CLOSED}
        counters.prompt_tokens += plan.prompt_tokens
        counters.cached_tokens += plan.cached_tokens or 0
        counters.generation_tokens += plan.output_tokens if whole else written
        reason = ("stop" if plan.stops else "length") if whole else "abort" if outcome is Outcome.ABANDONED else "error"
        counters.finished[reason] += 1

    def _refuse(self, stamp: int) -> None:
        self._stop_listening()
        for answering in list(self._under_way):
            self._record(answering, stamp, Outcome.RESET)
        for connection in list(self.connections):
            connection.reset()

    def _stop_listening(self) -> None:
        if self._listener:
            self._listener.close()
            self._listener = None
