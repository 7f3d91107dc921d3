"""Was it us? The rules of measurement.md §4 that decide whether the load generator spoiled a stage's figures. Pure.

A verdict is data: code, what was measured, the limit, the unit, what to do. Text is made of it elsewhere.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from perbench.plan import LoadPlan, Validity
from perbench.results import ClientRecord, Finding
from perbench_bench.engine.causes import Cause, advice_of
from perbench_bench.engine.delivery import delivered, kept_up_by_us
from perbench_bench.engine.feed import Feed
from perbench_bench.engine.observations import NONE, Observations, milliseconds

TAIL_BEYOND = 10
"""Observations beyond the highest percentile that is judged."""
TAIL_FROM = 20
"""Requests below which no tail is judged."""
ON_TIME_MS = 10.0
"""A request of an open loop is on time within this, or one mean gap."""


@dataclass(frozen=True, slots=True)
class ClientUse:
    """What the load generator's process used during the stage, and what pressed on it."""

    run_queue_wait_ms: float | None
    cpu_seconds: float
    peak_rss_bytes: int
    requests: int
    """All requests of the stage, warm-up and filler included."""
    causes: tuple[Cause, ...] = ()
    kept_connections: bool = True
    """Whether connections were still kept for the next request at the end."""


@dataclass(frozen=True, slots=True)
class Tail:
    """A high percentile: which one, of the client's error and of the time to first token."""

    percent: float
    error_ms: float
    ttft_ms: float


Which = slice | NDArray[np.int64]
"""Measured requests, by index."""
EVERY = slice(None)


def client_error_ms(seen: Observations, wait_ms: float, which: Which = EVERY) -> NDArray[np.float64]:
    """Client-added error per request: its lag, the delay of the read of its first token, the mean wait for a core."""
    lag, delay = seen.lag[which], seen.first_delay[which]
    known = (lag != NONE) & (delay != NONE)
    return milliseconds(lag[known] + delay[known]) + wait_ms


def ttft_ms(seen: Observations, which: Which = EVERY) -> NDArray[np.float64]:
    """Time to first token from when the request was due, of the requests that have one."""
    first, due = seen.first[which], seen.due[which]
    known = first != NONE
    return milliseconds(first[known] - due[known])


def duration_ms(seen: Observations, which: Which = EVERY) -> NDArray[np.float64]:
    """Time to the last byte from when the request was due, of the requests that succeeded."""
    known = seen.succeeded[which]
    return milliseconds(seen.end[which][known] - seen.due[which][known])


def tpot_ms(seen: Observations) -> NDArray[np.float64]:
    """Time per output token of each request; NaN where it has none (tokens ≤ those of the first chunk)."""
    tokens = np.full(seen.first.size, np.nan)
    for i, row in seen.rows.items():
        if row.output_tokens is not None and seen.first[i] != NONE:
            tokens[i] = row.content_tokens
    further = tokens - seen.first_tokens
    with np.errstate(invalid="ignore", divide="ignore"):
        result = milliseconds(seen.last - seen.first) / further
    return np.where((seen.first != NONE) & (further > 0), result, np.nan)


def client_record(seen: Observations, load: LoadPlan, feed: Feed, use: ClientUse) -> ClientRecord:
    """The load generator's own figures over the window of `feed`."""
    wait = use.run_queue_wait_ms or 0.0
    errors = client_error_ms(seen, wait)
    tail = _tail(errors, ttft_ms(seen))
    typical_delay = seen.read_delay.quantile(0.5)
    if load.concurrency is None:
        in_flight = seen.window.in_flight_ns / feed.window_ns if feed.window_ns > 0 else None
    else:
        in_flight = delivered(seen.window, load.concurrency, wait)
    return ClientRecord(
        error_p50_ms=_median(errors),
        error_p99_ms=tail.error_ms if tail else None,
        error_tail_percentile=tail.percent if tail else None,
        read_delay_p50_ms=None if typical_delay is None else typical_delay + wait,
        run_queue_wait_ms=use.run_queue_wait_ms,
        concurrency_delivered=in_flight,
        on_time_percent=None if load.arrivals is None else _on_time_percent(seen, load.arrivals.rate, feed.overdue),
        cpu_ms_per_request=use.cpu_seconds * 1e3 / use.requests if use.requests else None,
        peak_rss_bytes=use.peak_rss_bytes,
        requests_per_address=seen.totals.by_address(),
        retries=seen.totals.retries,
        kept_connections=use.kept_connections,
    )


def judge_client(seen: Observations, record: ClientRecord, load: LoadPlan, use: ClientUse) -> Iterator[Finding]:
    """LoadGeneratorSaturated, once per rule that is broken."""
    limits, advice = load.validity, advice_of(use.causes)
    for rule, measured, limit, unit in (*_delays(seen, record, limits), *_shortfalls(seen, record, load)):
        yield Finding(
            code="LoadGeneratorSaturated", invalidates=True, measured=measured, threshold=limit, unit=unit, rule=rule,
            advice=advice,
        )  # fmt: skip


Broken = tuple[str, float, float, str]
"""A broken rule: its words, what was measured, the limit, the unit."""


def _delays(seen: Observations, record: ClientRecord, limits: Validity) -> Iterator[Broken]:
    """What the client added to what it measured."""
    ttft = ttft_ms(seen)
    typical = _median(ttft) or 0.0
    allowed = max(limits.client_error_milliseconds, limits.client_error_percent / 100 * typical)
    if record.error_p50_ms is not None and record.error_p50_ms > allowed:
        yield "p50 of the client's error", record.error_p50_ms, allowed, "ms"
    tail = _tail(client_error_ms(seen, record.run_queue_wait_ms or 0.0), ttft)
    if tail and ttft.size >= TAIL_FROM:
        share = limits.client_error_tail_percent / 100
        allowed = max(limits.client_error_tail_milliseconds, share * tail.ttft_ms)
        if tail.error_ms > allowed:
            yield f"p{tail.percent:g} of the client's error", tail.error_ms, allowed, "ms"
    yield from _read_tail(seen, limits)
    yield from _per_token(seen, record.read_delay_p50_ms, limits)


def _per_token(seen: Observations, delay: float | None, limits: Validity) -> Iterator[Broken]:
    """The median read delay, against the time per token that it would spoil.

    Where no request has one, no figure between tokens is given: the delay of the first token's read is judged as part
    of the client's error (`docs/decisions/answers-of-one-token.md`).
    """
    tpot = tpot_ms(seen)
    if delay is None or not np.isfinite(tpot).any():
        return
    allowed = max(limits.read_delay_milliseconds, limits.read_delay_percent / 100 * float(np.nanmedian(tpot)))
    if delay > allowed:
        yield "p50 of the read delay", delay, allowed, "ms"


def _read_tail(seen: Observations, limits: Validity) -> Iterator[Broken]:
    """The 95th percentile of times between tokens, and of those to the first, is given: stalls must not make it.

    Judged just beyond it: where stalls hit about one token in twenty, chance decides whether the 95th shows them.
    """
    delay, gap = seen.read_delay.quantile(0.96), seen.itl.quantile(0.95)
    if delay is not None and gap is not None and seen.first.size >= TAIL_FROM:
        allowed = max(limits.read_delay_tail_milliseconds, limits.read_delay_tail_percent / 100 * gap)
        if delay > allowed:
            yield "p96 of the read delay", delay, allowed, "ms"


def _shortfalls(seen: Observations, record: ClientRecord, load: LoadPlan) -> Iterator[Broken]:
    """What the client did not deliver of the load that was asked for."""
    limits, on_time = load.validity, record.on_time_percent
    if load.concurrency is not None:
        least = load.concurrency * limits.concurrency_percent / 100
        ours = kept_up_by_us(seen.window, load.concurrency, record.run_queue_wait_ms or 0.0)
        if ours is not None and ours < least:
            yield (
                "requests left in flight by the load generator, mean of the window",
                ours,
                least,
                "requests",
            )
    if on_time is not None and on_time < limits.on_time_percent:
        yield "requests that left when they were due", on_time, limits.on_time_percent, "%"
    if seen.lacking:
        yield "requests not sent for want of descriptors, ports or memory", float(seen.lacking), 0.0, "requests"


def _on_time_percent(seen: Observations, rate: float, overdue: int) -> float | None:
    """Share of the requests that left within 10 ms or one mean gap of when they were due (measurement.md §4).

    `overdue` ones had not left when time was up. Those held back by the limit on requests under way are no fault of the
    client; connecting is the target's affair.
    """
    lags = milliseconds(seen.lag[seen.lag != NONE])
    drawn = lags.size + overdue
    return 100 * int((lags <= max(ON_TIME_MS, 1e3 / rate)).sum()) / drawn if drawn else None


def _tail(errors: NDArray[np.float64], ttft: NDArray[np.float64]) -> Tail | None:
    """The 99th percentile, or the highest with ten observations beyond it."""
    n = min(errors.size, ttft.size)
    if n <= TAIL_BEYOND:
        return None
    percent = min(99.0, round(100 * (n - TAIL_BEYOND) / n, 1))
    return Tail(percent, _nearest_rank(errors, percent), _nearest_rank(ttft, percent))


def _nearest_rank(values: NDArray[np.float64], percent: float) -> float:
    return float(np.percentile(values, percent, method="inverted_cdf"))


def _median(values: NDArray[np.float64]) -> float | None:
    return float(np.median(values)) if values.size else None
