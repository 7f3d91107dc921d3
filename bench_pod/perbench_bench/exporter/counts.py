"""What was counted of the loads of one task, out of the arrays of the load engine. Pure.

Requests and tokens of every role count, warm-up and filler included: their rates are the load that the server has. The
histograms are over measured requests that succeeded, as the results are.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from perbench.results import Outcome
from perbench_bench.engine.observations import Observations
from perbench_bench.engine.verdict import client_error_ms, duration_ms, ttft_ms
from perbench_bench.exporter.buckets import (
    CLIENT_ERROR,
    INTER_TOKEN_LATENCY,
    REQUEST_DURATION,
    TIME_TO_FIRST_TOKEN,
    Spread,
    buckets_of_bins,
    nothing,
    spread,
    spread_of_bins,
)

OUTCOMES = tuple(Outcome)
BINS_OF_ITL = buckets_of_bins(INTER_TOKEN_LATENCY)


@dataclass(frozen=True, slots=True)
class Counts:
    """Everything that only grows."""

    outcomes: NDArray[np.int64]
    """Requests, in the order of `OUTCOMES`."""
    output_tokens: int
    input_tokens: int | None
    """None: no answer has said how long its prompt was."""
    ttft: Spread
    itl: Spread | None
    """None: the server bundles tokens without saying how, so there is no time between single ones."""
    duration: Spread
    client_error: Spread

    def __add__(self, other: "Counts") -> "Counts":
        return Counts(
            self.outcomes + other.outcomes,
            self.output_tokens + other.output_tokens,
            _either(self.input_tokens, other.input_tokens),
            self.ttft + other.ttft,
            _either_spread(self.itl, other.itl),
            self.duration + other.duration,
            self.client_error + other.client_error,
        )


NO_COUNTS = Counts(
    np.zeros(len(OUTCOMES), dtype=np.int64), 0, None, nothing(TIME_TO_FIRST_TOKEN), None, nothing(REQUEST_DURATION),
    nothing(CLIENT_ERROR),
)  # fmt: skip


class LoadReader:
    """Counts one load while it runs, from any one thread at a time. What it says never goes back."""

    def __init__(self, seen: Observations, wait_ms: Callable[[], float | None]) -> None:
        self._seen = seen
        self._wait_ms = wait_ms
        self._taken = 0
        """Measured requests that are in `_counts`."""
        self._counts = NO_COUNTS

    def read(self) -> Counts:
        """All since the load began. Only what has come since the last reading is looked at request by request."""
        seen, held = self._seen, self._counts
        new = seen.whole(self._taken)
        self._taken += new.size
        wait = (self._wait_ms() or 0.0) if new.size else 0.0
        outcomes, totals = dict(seen.outcomes), seen.totals
        told = totals.input_tokens_told if totals.answered > totals.untold else None
        self._counts = Counts(
            np.array([outcomes.get(outcome, 0) for outcome in OUTCOMES], dtype=np.int64),
            totals.output_tokens,
            told,
            held.ttft + spread(ttft_ms(seen, new), TIME_TO_FIRST_TOKEN),
            self._itl(held.itl),
            held.duration + spread(duration_ms(seen, new), REQUEST_DURATION),
            held.client_error + spread(client_error_ms(seen, wait, new), CLIENT_ERROR),
        )
        return self._counts

    def _itl(self, before: Spread | None) -> Spread | None:
        """What was shown stays: a server is seen to bundle by its first answers, before anything was."""
        if self._seen.bundled:
            return before if before is not None and before.count else None
        return spread_of_bins(self._seen.itl.taken(), BINS_OF_ITL, len(INTER_TOKEN_LATENCY) + 1)


def _either(one: int | None, other: int | None) -> int | None:
    return one if other is None else other + (one or 0)


def _either_spread(one: Spread | None, other: Spread | None) -> Spread | None:
    if one is None or other is None:
        return one if other is None else other
    return one + other
