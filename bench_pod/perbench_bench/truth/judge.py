"""How far figures are from what the server really did, as multiples of what may be (measurement.md §4). Pure.

A load is spoiled when a reported rate, concurrency, time to first token or time between tokens is off the server's own
record by more than its limit: 1 ms or 5 % of a time, 5 % of a rate or concurrency, of a rate one request in the window.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from perbench_bench.engine.feed import Feed
from perbench_bench.engine.observations import NONE, Observations
from perbench_bench.truth.reading import Record

TIME_MS = 1.0
SHARE = 0.05
TAIL_FROM = 200
"""Requests from which a 95th percentile is given (measurement.md §1)."""


@dataclass(frozen=True, slots=True)
class Error:
    """One figure: reported, true, and how far off may be."""

    figure: str
    reported: float
    true: float
    limit: float

    @property
    def amount(self) -> float:
        """Reported less true."""
        return self.reported - self.true

    @property
    def severity(self) -> float:
        """Multiples of the limit; above 1 the figure is spoiled."""
        return abs(self.amount) / self.limit


def errors(
    seen: Observations, feed: Feed, record: Record, concurrency: int | None, network_ms: float = 0.0
) -> tuple[Error, ...]:
    """Every figure of a load against the record of its server.

    `concurrency`: asked for, in a closed loop; None: an open one, which reports a mean. `network_ms`: what the way
    there and back is known to take: not the client's error.
    """
    start, end = feed.window_start, feed.window_end
    if start is None or end is None or end <= start:
        raise ValueError("a load without a window has no figures")
    found = [_times(name, *pair) for name, pair in _time_pairs(seen, record, start, end, network_ms).items()]
    flat = [error for group in found for error in group]
    rate = seen.window.requests / (end - start) * 1e9
    shift = round(network_ms / 2 * 1e6)
    flat.append(rate_error(rate, record.request_rate(start - shift, end - shift), (end - start) / 1e9))
    reported = seen.window.in_flight_ns / (end - start) if concurrency is None else float(concurrency)
    flat.append(_share("concurrency", reported, _held(record, start, end, network_ms)))
    return tuple(flat)


def rate_error(reported: float, true: float, seconds: float) -> Error:
    """Of the requests that ended in a window of so many seconds.

    One more or less may be: whether a request at an edge ended inside hangs on the microseconds until it was read.
    """
    return Error("request_rate", reported, true, max(SHARE * true, (1 + 1e-9) / seconds))


def severity(found: tuple[Error, ...]) -> float:
    """That of the worst figure."""
    return max((error.severity for error in found), default=0.0)


def _held(record: Record, start: int, end: int, network_ms: float) -> float:
    """Requests at the server, and those on the way to and from it, mean over the window."""
    on_the_way = record.request_rate(start, end) * network_ms / 1e3
    return record.mean_in_flight(start, end) + on_the_way


def _time_pairs(
    seen: Observations, record: Record, start: int, end: int, network_ms: float
) -> dict[str, tuple[NDArray[np.float64], NDArray[np.float64]]]:
    """Reported and true values, in ms, of the requests of the window."""
    known = seen.first != NONE
    half = round(network_ms / 2 * 1e6)
    inside = (record.arrival >= start + half) & (record.arrival <= end + half) & (record.first >= 0)
    true_ttft = record.ttft_ms()[inside] + network_ms
    gaps = _gaps_of(record, inside)
    return {
        "ttft": ((seen.first[known] - seen.due[known]) / 1e6, true_ttft),
        "ttft_sent": ((seen.first[known] - seen.sent[known]) / 1e6, true_ttft),
        "itl": (_reported_gaps(seen), gaps),
    }


def _gaps_of(record: Record, inside: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Times between tokens of these requests: a gap before a chunk of k tokens is k values of gap / k."""
    values: list[NDArray[np.float64]] = []
    for request in np.flatnonzero(inside):
        chunks = record.chunks(int(request))
        gaps, tokens = np.diff(record.written[chunks]) / 1e6, record.tokens[chunks][1:]
        values.append(np.repeat(gaps / tokens, tokens))
    return np.concatenate(values) if values else np.empty(0)


def _reported_gaps(seen: Observations) -> NDArray[np.float64]:
    """The histogram of times between tokens, as values: the middle of each bin, as often as it was counted."""
    document = seen.itl.document()
    middles = np.array(seen.itl.middles(document.bins))
    return np.repeat(middles, document.counts)


def _times(name: str, reported: NDArray[np.float64], true: NDArray[np.float64]) -> list[Error]:
    if not reported.size or not true.size:
        return []
    pairs = {"mean": (reported.mean(), true.mean()), "p50": (np.median(reported), np.median(true))}
    if min(reported.size, true.size) >= TAIL_FROM:
        pairs["p95"] = (np.percentile(reported, 95), np.percentile(true, 95))
    return [
        Error(f"{name}_{which}", float(ours), float(theirs), max(TIME_MS, SHARE * float(theirs)))
        for which, (ours, theirs) in pairs.items()
    ]


def _share(name: str, reported: float, true: float) -> Error:
    return Error(name, reported, true, max(SHARE * true, 1e-9))
