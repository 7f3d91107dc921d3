"""Was it us? The rules of measurement.md §1, 3 and 4 that decide whether a stage's figures can be trusted. Pure.

A verdict is data: code, what was measured, the limit, the unit, what to do. Text is made of it elsewhere.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from perbench.results import ClientRecord, Finding, Outcome
from perbench_bench.engine.observations import NONE, Observations, mean_duration_drift, milliseconds

TAIL_BEYOND = 10
"""Observations beyond the highest percentile that is judged."""
STEADY_DIFFERENCE = 0.10
STEADY_ERRORS = 2.0
STEADY_JUDGED_FROM = 200
"""Requests per stage from which unsteadiness invalidates; below it the two halves are too small to be sure."""
CACHED_PERCENT = 1.0
INPUT_LENGTH_PERCENT = 5.0
UNEVEN_PERCENT = 10.0
CONCURRENCY_PERCENT = 95.0

MORE_ROOM = "give the load generator a core of its own: fewer server threads, a lower concurrency, or another machine"


@dataclass(frozen=True, slots=True)
class ClientUse:
    """What the load generator's process used during the stage."""

    run_queue_wait_ms: float | None
    cpu_seconds: float
    peak_rss_bytes: int
    requests: int
    """All requests of the stage, warm-up and filler included."""


@dataclass(frozen=True, slots=True)
class Tail:
    """A high percentile: which one, of the client's error and of the time to first token."""

    percent: float
    error_ms: float
    ttft_ms: float


def client_error_ms(seen: Observations, wait_ms: float) -> NDArray[np.float64]:
    """Client-added error per request: turnaround, delay of the read of its first token, mean wait for a core."""
    known = (seen.turnaround != NONE) & (seen.first_delay != NONE)
    return milliseconds(seen.turnaround[known] + seen.first_delay[known]) + wait_ms


def ttft_ms(seen: Observations) -> NDArray[np.float64]:
    """Time to first token from when the slot came free, of the requests that have one."""
    known = seen.first != NONE
    return milliseconds(seen.first[known] - seen.free[known])


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


def client_record(seen: Observations, concurrency: int, use: ClientUse) -> ClientRecord:
    """The load generator's own figures."""
    wait = use.run_queue_wait_ms or 0.0
    errors = client_error_ms(seen, wait)
    tail = _tail(errors, ttft_ms(seen))
    typical_delay = seen.read_delay.quantile(0.5)
    return ClientRecord(
        error_p50_ms=_median(errors),
        error_p99_ms=tail.error_ms if tail else None,
        error_tail_percentile=tail.percent if tail else None,
        read_delay_p50_ms=None if typical_delay is None else typical_delay + wait,
        run_queue_wait_ms=use.run_queue_wait_ms,
        concurrency_delivered=_delivered(seen, concurrency, wait),
        cpu_ms_per_request=use.cpu_seconds * 1e3 / use.requests if use.requests else None,
        peak_rss_bytes=use.peak_rss_bytes,
        requests_per_address=_per_address(seen),
    )


def judge_client(seen: Observations, record: ClientRecord, concurrency: int) -> Iterator[Finding]:
    """LoadGeneratorSaturated, once per rule that is broken."""
    ttft = ttft_ms(seen)
    typical = _median(ttft) or 0.0
    yield from _over("p50 of the client's error", record.error_p50_ms, max(0.5, 0.02 * typical), "ms")
    tail = _tail(client_error_ms(seen, record.run_queue_wait_ms or 0.0), ttft)
    if tail and ttft.size >= 20:
        name = f"p{tail.percent:g} of the client's error"
        yield from _over(name, tail.error_ms, max(3.0, 0.10 * tail.ttft_ms), "ms")
    tpot = tpot_ms(seen)
    per_token = float(np.nanmedian(tpot)) if np.isfinite(tpot).any() else 0.0
    yield from _over("p50 of the read delay", record.read_delay_p50_ms, max(0.1, 0.05 * per_token), "ms")
    least = concurrency * CONCURRENCY_PERCENT / 100
    if record.concurrency_delivered is not None and record.concurrency_delivered < least:
        yield Finding(
            code="LoadGeneratorSaturated", invalidates=True, measured=record.concurrency_delivered, threshold=least,
            unit="requests", rule="requests really in flight, mean over the window", advice=MORE_ROOM,
        )  # fmt: skip


def judge_stage(
    seen: Observations, *, time_limited: bool, input_tokens: int | None, steadiness: bool
) -> Iterator[Finding]:
    """What the stage's own figures say about it: steadiness, cache, prompt length, time limit."""
    if time_limited:
        yield Finding(
            code="StageTimeLimit", invalidates=True, measured=None, threshold=None, unit="",
            rule="load.maxSeconds was reached before every item was sent",
            advice="raise load.maxSeconds, lower the task's limit, or raise the concurrency",
        )  # fmt: skip
    if steadiness:
        yield from _steadiness(seen)
    yield from _cached(seen)
    yield from _uneven(_per_address(seen))
    if input_tokens is not None:
        yield from _input_length(seen, input_tokens)


def _steadiness(seen: Observations) -> Iterator[Finding]:
    done = np.array([i for i, row in seen.rows.items() if row.outcome is Outcome.SUCCESS], dtype=np.int64)
    drift = mean_duration_drift(seen.sent[done], milliseconds(seen.end[done] - seen.sent[done]))
    if drift is None or abs(drift[0]) < STEADY_DIFFERENCE or drift[1] < STEADY_ERRORS:
        return
    yield Finding(
        code="NotSteady", invalidates=len(seen.rows) >= STEADY_JUDGED_FROM, measured=drift[0] * 100,
        threshold=STEADY_DIFFERENCE * 100, unit="%",
        rule="change of the mean request duration from the first half of the stage to the second",
        advice="warm up longer (load.warmup), or look for other work on the server",
    )  # fmt: skip


def _cached(seen: Observations) -> Iterator[Finding]:
    pairs = [(r.cached_tokens, r.input_tokens) for r in seen.rows.values() if r.cached_tokens is not None]
    total = sum(asked or 0 for _, asked in pairs)
    if not total:
        return
    percent = 100 * sum(cached for cached, _ in pairs) / total
    if percent > CACHED_PERCENT:
        yield Finding(
            code="PrefixCacheActive", invalidates=True, measured=percent, threshold=CACHED_PERCENT, unit="%",
            rule="prompt tokens the server took from its cache",
            advice="turn the server's prefix cache off: repeats ask the same items and would look faster than they are",
        )  # fmt: skip


def _per_address(seen: Observations) -> tuple[int, ...]:
    """Requests to each address, the most first. Empty where there is only one."""
    counts = sorted(seen.totals.per_address.values(), reverse=True)
    return tuple(counts) if len(counts) > 1 else ()


def _uneven(counts: tuple[int, ...]) -> Iterator[Finding]:
    """Replicas that got unlike shares. A request more or less is no matter: the last round is seldom a whole one."""
    if not counts:
        return
    spread = counts[0] - counts[-1]
    percent = 100 * spread * len(counts) / sum(counts)
    if spread > 1 and percent > UNEVEN_PERCENT:
        yield Finding(
            code="UnevenReplicas", invalidates=False, measured=percent, threshold=UNEVEN_PERCENT, unit="%",
            rule="requests to the busiest address less those to the idlest, of their mean",
            advice="raise the concurrency to a multiple of the replicas; where it is one, look for a slow replica",
        )  # fmt: skip


def _input_length(seen: Observations, asked: int) -> Iterator[Finding]:
    lengths = [row.input_tokens for row in seen.rows.values() if row.input_tokens is not None]
    if not lengths:
        return
    delivered = sum(lengths) / len(lengths)
    if abs(delivered - asked) > asked * INPUT_LENGTH_PERCENT / 100:
        yield Finding(
            code="InputLengthMissed", invalidates=False, measured=delivered, threshold=float(asked), unit="tokens",
            rule="mean prompt length, fitted against the server's own count",
            advice="compare only with runs of the same delivered length",
        )  # fmt: skip


def _over(rule: str, measured: float | None, limit: float, unit: str) -> Iterator[Finding]:
    if measured is not None and measured > limit:
        yield Finding(
            code="LoadGeneratorSaturated", invalidates=True, measured=measured, threshold=limit, unit=unit, rule=rule,
            advice=MORE_ROOM,
        )  # fmt: skip


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


def _delivered(seen: Observations, concurrency: int, wait_ms: float) -> float | None:
    """C · (1 - lost / cycle) over the window: what was really in flight (measurement.md §4).

    The client's own count cannot show the loss, because it stamps the end late. Connecting counts as lost too: the
    server holds no request of that slot meanwhile.
    """
    window = seen.window
    if not window.cycle_ns:
        return None
    lost = window.lost_ns + window.cycles * wait_ms * 1e6
    return concurrency * max(0.0, 1 - lost / window.cycle_ns)
