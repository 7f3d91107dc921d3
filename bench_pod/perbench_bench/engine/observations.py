"""What one stage saw: a row per measured request, sums for the window, histograms over tokens.

Arrays and sums, so that memory does not depend on how long the answers are. Stamps are ns of the engine's clock;
-1 stands for "there is none".
"""

from collections import Counter
from dataclasses import dataclass, field
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from perbench.results import Outcome
from perbench_bench.engine.exchange import Exchange
from perbench_bench.engine.feed import Feed, Role
from perbench_bench.engine.reply import Ending, Reply
from perbench_bench.engine.time_histogram import TimeHistogram

NONE = -1
NOT_SENT = frozenset({Ending.NO_RESOURCES, Ending.HELD_BACK})
ESTIMATE_LIMIT = 1.05
"""Tokens per content event above which a server bundles tokens and its gaps say nothing about single ones."""


def milliseconds(nanoseconds: NDArray[np.int64]) -> NDArray[np.float64]:
    """Stamps or their differences, in milliseconds."""
    return np.asarray(nanoseconds, dtype=np.float64) / 1e6


@dataclass(slots=True)
class WindowSums:
    """What arrived inside the window, whoever started it, and what the client lost of it."""

    output_tokens: float = 0.0
    requests: int = 0
    in_flight_ns: int = 0
    """Time inside the window, summed over the requests that were under way."""
    lost_ns: int = 0
    """Turnaround and read delay of the requests sent inside the window."""
    connecting_ns: int = 0
    """What the same waited for a connection, those found dead included: the network's and the server's affair."""
    resting_ns: int = 0
    """What their slots had waited on purpose before them, after a failure."""
    cycle_ns: int = 0
    """From slot free to last byte, of the same requests."""
    cycles: int = 0
    """How many requests these sums are over."""
    retries: int = 0
    """Of these, sent once more because their connection was found dead."""


@dataclass(slots=True)
class Totals:
    """Over every request of the stage, warm-up and filler included: what the server must have counted."""

    requests: int = 0
    sends: int = 0
    """Times a request was sent: once more where a connection was found dead."""
    retries: int = 0
    """Requests that were to be sent once more for that."""
    answered: int = 0
    """Requests that succeeded."""
    uncounted: int = 0
    """Requests that may have generated tokens without a count of them in the answer."""
    input_tokens_told: int = 0
    """Over the answers that said how long their prompt was."""
    untold: int = 0
    """Answers that did not."""
    output_tokens: int = 0
    per_address: Counter[str] = field(default_factory=Counter)
    """Requests sent to each address."""

    @property
    def input_tokens(self) -> int | None:
        """None: an answer did not say how long its prompt was."""
        return None if self.untold else self.input_tokens_told

    def by_address(self) -> tuple[int, ...]:
        """Requests to each address, the most first. Empty where there is only one."""
        counts = sorted(self.per_address.values(), reverse=True)
        return tuple(counts) if len(counts) > 1 else ()

    def add(self, exchange: Exchange, reply: Reply) -> None:
        """Take one finished request."""
        self.requests += 1
        self.per_address[exchange.address] += 1
        self.retries += exchange.retried
        if reply.outcome is Outcome.CONNECT_FAILED:
            return
        self.sends += 2 if exchange.retried else 1
        if reply.outcome is Outcome.SUCCESS:
            self.answered += 1
            self.untold += reply.input_tokens is None
            self.input_tokens_told += reply.input_tokens or 0
            self.output_tokens += reply.output_tokens or 0
        elif reply.outcome not in {Outcome.OVERLOADED, Outcome.CLIENT_ERROR}:
            self.uncounted += 1


@dataclass(slots=True)
class Row:
    """What is kept of one measured request besides its stamps."""

    outcome: Outcome
    error: str | None
    text: str
    finish: str | None
    input_tokens: int | None
    output_tokens: int | None
    cached_tokens: int | None
    content_tokens: float
    """Tokens that arrived in chunks: the end token, where the server counts it, is in none."""
    address: str
    """Where it was sent, of the server's addresses."""


class Spare(NamedTuple):
    """A request that was not measured and under way inside the window."""

    sent: int
    first: int
    """The first chunk with text; -1: there is none."""
    end: int
    address: str
    input_tokens: int | None
    output_tokens: int | None


class Observations:
    """Everything measured in one stage of at most `capacity` measured requests.

    The load's thread alone changes it. Another may read `outcomes`, `totals`, and of the measured requests those in
    `whole()`, while it does.
    """

    def __init__(self, capacity: int) -> None:
        def stamps() -> NDArray[np.int64]:
            return np.full(capacity, NONE, dtype=np.int64)

        self.due, self.sent, self.first, self.last, self.end = (stamps() for _ in range(5))
        self.connect, self.lag, self.first_delay = (stamps() for _ in range(3))
        # lag: from due to sent, connecting left out; the turnaround of a closed loop.
        self.succeeded: NDArray[np.bool_] = np.zeros(capacity, dtype=bool)
        self.first_tokens: NDArray[np.float64] = np.full(capacity, np.nan)
        """Tokens in the first chunk (k₁)."""
        self.rows: dict[int, Row] = {}
        self.keeps_text = True
        self._ended: NDArray[np.int64] = np.full(capacity, NONE, dtype=np.int64)
        self._whole = 0
        self.outcomes: Counter[Outcome] = Counter()
        """Of every request that has ended, of any role, also of those never sent."""
        self.window = WindowSums()
        self.spare_in_window: list[Spare] = []
        self.held_back = 0
        """Requests not sent because as many as may be were under way."""
        self.lacking = 0
        """Requests not sent for want of descriptors, ports or memory of our own."""
        self.totals = Totals()
        self.itl, self.chunk_gap = TimeHistogram(), TimeHistogram()
        self.read_delay = TimeHistogram()
        """How long each token waited before it was read: what one read brings counts as often as there are tokens."""
        self.content_tokens = 0
        self.content_events = 0
        self.estimated_answers = 0
        """Answers whose server did not say how many tokens each chunk carries."""

    @property
    def tokens_per_chunk(self) -> float | None:
        """Mean over all content events. None: nothing came in chunks."""
        return self.content_tokens / self.content_events if self.content_events else None

    @property
    def bundled(self) -> bool:
        """Whether the server bundles tokens and does not say how: then no time between single ones is known."""
        ratio = self.tokens_per_chunk
        return bool(self.estimated_answers) and ratio is not None and ratio > ESTIMATE_LIMIT

    def whole(self, after: int = 0) -> NDArray[np.int64]:
        """The measured requests in the order they ended, without the first `after`: all of each is written down."""
        return self._ended[after : self._whole]

    def add(self, exchange: Exchange, reply: Reply, feed: Feed, *, counts_end_token: bool | None) -> None:
        """Take one finished request of any role."""
        self.outcomes[reply.outcome] += 1
        if exchange.ending is Ending.HELD_BACK:
            self.held_back += 1
        elif exchange.ending is Ending.NO_RESOURCES:
            self.lacking += 1
        else:
            self.totals.add(exchange, reply)
        end_tokens = 1 if counts_end_token and reply.finish == "stop" and reply.output_tokens else 0
        tokens = tokens_per_chunk(reply, end_tokens)
        self._add_to_window(exchange, reply, feed, tokens)
        if exchange.ticket.role is Role.MEASURED:
            self._add_row(exchange, reply, tokens)
            self._ended[self._whole] = exchange.ticket.index
            self._whole += 1

    def _add_to_window(self, exchange: Exchange, reply: Reply, feed: Feed, tokens: list[float]) -> None:
        window = self.window
        if feed.in_window(exchange.end) and exchange.ending not in NOT_SENT:
            window.requests += reply.outcome is Outcome.SUCCESS
        if under_way := feed.overlap(exchange.sent, exchange.end):
            window.in_flight_ns += under_way
            if exchange.ticket.role is not Role.MEASURED:
                first = reply.stamps[0] if reply.stamps else NONE
                counts = reply.input_tokens, reply.output_tokens
                self.spare_in_window.append(Spare(exchange.sent, first, exchange.end, exchange.address, *counts))
        if reply.output_tokens:
            # Tokens without any text (an end token alone) are there when the answer ends.
            total = sum(tokens)
            stamps, weights = (reply.stamps, tokens) if total > 0 else ([exchange.end], [1.0])
            inside = sum(weight for stamp, weight in zip(stamps, weights, strict=True) if feed.in_window(stamp))
            window.output_tokens += inside / (total or 1.0) * reply.output_tokens
        if feed.in_window(exchange.sent) and (exchange.rested_ns or not exchange.paused):
            window.cycles += 1
            window.retries += exchange.retried
            turnaround = exchange.sent - exchange.due - exchange.connect_ns
            window.lost_ns += turnaround + (exchange.delays[-1] if exchange.delays else 0)
            window.connecting_ns += exchange.connect_ns
            window.resting_ns += exchange.rested_ns
            window.cycle_ns += exchange.end - exchange.due + exchange.rested_ns

    def _add_row(self, exchange: Exchange, reply: Reply, tokens: list[float]) -> None:
        i = exchange.ticket.index
        self.due[i], self.sent[i], self.end[i] = exchange.due, exchange.sent, exchange.end
        self.connect[i] = exchange.connect_ns
        self.succeeded[i] = reply.outcome is Outcome.SUCCESS
        if not exchange.paused and exchange.ending not in NOT_SENT:
            self.lag[i] = max(0, exchange.sent - exchange.due - exchange.connect_ns)
        self.rows[i] = Row(
            reply.outcome, reply.error, reply.text if self.keeps_text else "", reply.finish,
            reply.input_tokens, reply.output_tokens, reply.cached_tokens, float(sum(tokens)), exchange.address,
        )  # fmt: skip
        if reply.outcome is not Outcome.SUCCESS or not reply.stamps:
            return
        self.first[i], self.last[i] = reply.stamps[0], reply.stamps[-1]
        self.first_tokens[i] = tokens[0] if tokens else np.nan
        delay_of = dict(
            zip(exchange.reads, exchange.delays, strict=False)
        )  # that of the last read may be still to come
        self.first_delay[i] = delay_of.get(reply.stamps[0], NONE)
        known = [
            (delay_of[stamp] / 1e6, count)
            for stamp, count in zip(reply.stamps, reply.carried, strict=True)
            if count and stamp in delay_of
        ]
        self.read_delay.add([delay for delay, _ in known], [count for _, count in known])
        self._add_gaps(reply, tokens)

    def _add_gaps(self, reply: Reply, tokens: list[float]) -> None:
        """A gap before a chunk of k tokens is k values of gap/k (measurement.md §1)."""
        stamps = reply.stamps
        gaps = [(later - earlier) / 1e6 for earlier, later in pairwise(stamps)]
        self.chunk_gap.add(gaps)
        if reply.tokens is None:
            self.estimated_answers += 1
        carried = reply.carried[1:]
        self.content_events += sum(reply.events)
        self.content_tokens += round(sum(tokens))
        self.itl.add(
            [gap / count for gap, count in zip(gaps, carried, strict=True) if count],
            [count for count in carried if count],
        )


def tokens_per_chunk(reply: Reply, end_tokens: int) -> list[float]:
    """Tokens of each chunk: as the server said, else its total spread over the content events (measurement.md §1).

    Empty when the server gave no count. The end token is in no chunk, so it is taken off an estimated total where
    the runtime counts it and the answer ended by itself.
    """
    if reply.tokens is not None:
        return [float(count) for count in reply.tokens]
    if not reply.output_tokens or not reply.events:
        return []
    each = max(reply.output_tokens - end_tokens, 0) / sum(reply.events)
    return [each * count for count in reply.events]
