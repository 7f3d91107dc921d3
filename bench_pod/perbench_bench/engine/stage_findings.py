"""What a stage's figures say about it: steadiness, cache, prompt length, saturation (measurement.md §1, 3, 4). Pure."""

from collections.abc import Iterable, Iterator
from math import sqrt

import numpy as np
from numpy.typing import NDArray

from perbench.results import Finding, Outcome
from perbench_bench.engine.feed import TYPICAL_OF, Feed
from perbench_bench.engine.observations import ESTIMATE_LIMIT, NONE, Observations, milliseconds

STEADY_DIFFERENCE = 0.10
STEADY_ERRORS = 2.0
STEADY_JUDGED_FROM = 200
"""Requests per stage from which unsteadiness invalidates; below it the two halves are too small to be sure."""
CACHED_PERCENT = 1.0
CACHE_ADVICE = "turn the server's prefix cache off: repeats ask the same items and would look faster than they are"
INPUT_LENGTH_PERCENT = 5.0
OUTPUT_LENGTH_PERCENT = 10.0
UNEVEN_PERCENT = 10.0
KEEPING_UP_PERCENT = 95.0
"""Completions per arrival below which a server does not keep up with an open loop."""


def judge_stage(
    seen: Observations, feed: Feed, *, input_tokens: int | None, output_tokens: int | None = None, steadiness: bool,
    open_loop: bool,
) -> Iterator[Finding]:  # fmt: skip
    """What the stage's own figures say about it. `input_tokens`, `output_tokens`: asked for, of a synthetic load."""
    if feed.time_limited:
        yield Finding(
            code="StageTimeLimit", invalidates=True, measured=None, threshold=None, unit="",
            rule="load.maxSeconds was reached before every item was sent",
            advice="raise load.maxSeconds, lower the task's limit, or raise the concurrency",
        )  # fmt: skip
    saturated = list(_keeping_up(seen, feed)) if open_loop else []
    yield from saturated
    if open_loop and not saturated:
        yield from _long_enough(seen, feed)
    if steadiness:
        yield from _steadiness(seen, excused=bool(saturated))
    yield from _cached(seen)
    yield from _uneven(seen.totals.by_address())
    if input_tokens is not None:
        yield from _input_length(seen, input_tokens)
    if output_tokens is not None:
        yield from _output_length(seen, output_tokens)
    if seen.bundled:
        yield Finding(
            code="TokensBundled", invalidates=False, measured=seen.tokens_per_chunk, threshold=ESTIMATE_LIMIT,
            unit="tokens", rule="tokens in one chunk, of a server that does not say how many",
            advice="no time between single tokens is known, and none is given: see the gaps between chunks and the time"
            " per output token",
        )  # fmt: skip


def _keeping_up(seen: Observations, feed: Feed) -> Iterator[Finding]:
    """TargetSaturated: more arrives than is completed, what is under way grows beyond what chance explains, and so do
    the times of requests.

    Valid all the same: it is what the server does at this rate. Looked at from when most of the first requests have
    ended, since before that an empty server only fills; at the latest from the middle of the window, as in a queue even
    the first soon wait long. Where times are unlike, a server fills for longer than that, but they do not grow.
    Requests held back count as arrived.
    """
    if feed.window_start is None or feed.window_end is None:
        return
    end = feed.window_end
    start = min(feed.window_start + _most_last(seen), (feed.window_start + end) // 2)
    arrived = int((seen.due > start).sum())
    if not arrived or end <= start:
        return
    percent = 100 * _ended_between(seen, start, end) / arrived
    quarter = (end - start) // 4
    early, late = (_in_flight(seen, at, at + quarter) for at in (start, end - quarter))
    rising = late > early + 2 * sqrt(max(early, 1.0)) and _take_longer(seen)
    if percent >= KEEPING_UP_PERCENT or not (rising or seen.held_back):
        return
    yield Finding(
        code="TargetSaturated", invalidates=False, measured=percent, threshold=KEEPING_UP_PERCENT, unit="%",
        rule="requests completed in the window, of those that arrived in it, while ever more were under way",
        advice="the server does not keep up with this rate, and its latencies grow with the length of the stage: lower"
        " load.rate",
    )  # fmt: skip


def _long_enough(seen: Observations, feed: Feed) -> Iterator[Finding]:
    """ShortWindow: far fewer requests ended in the window than arrived, as it opened with few under way.

    The rate counts what ended. It is less than what arrived by what was under way when the window closed and not when
    it opened. Whether the server was still filling, or does not keep up, such a window does not show.
    """
    if feed.window_start is None or feed.window_end is None:
        return
    start, end = feed.window_start, feed.window_end
    arrived = int(((seen.due > start) & (seen.due <= end)).sum())
    if not arrived:
        return
    percent = 100 * _ended_between(seen, start, end) / arrived
    early, late = _under_way(seen, start), _under_way(seen, end)
    if percent < KEEPING_UP_PERCENT and late > early + 2 * sqrt(max(early, 1)):
        yield Finding(
            code="ShortWindow", invalidates=False, measured=percent, threshold=KEEPING_UP_PERCENT, unit="%",
            rule="requests completed in the window, of those that arrived in it: it opened with fewer under way than it"
            " closed with",
            advice="either the server was still filling, and serves more than the rates given, or it does not keep up:"
            " warm up for longer than a request takes (load.warmup, --warmup) and send more requests, to see which",
        )  # fmt: skip


def _under_way(seen: Observations, at: int) -> int:
    """Requests of any role that were sent by a stamp and ended after it."""
    measured = int(((seen.sent != NONE) & (seen.sent <= at) & (seen.end > at)).sum())
    return measured + sum(spare.sent <= at < spare.end for spare in seen.spare_in_window)


def _most_last(seen: Observations) -> int:
    """How long all but a few of the first answered requests took, in ns."""
    known = _ended(seen)
    first = known[np.argsort(seen.sent[known], kind="stable")][:TYPICAL_OF]
    return int(np.percentile(seen.end[first] - seen.sent[first], 95)) if first.size else 0


def _take_longer(seen: Observations) -> bool:
    """Whether requests sent in the second half took longer, beyond what chance explains."""
    known = _ended(seen)
    drift = mean_duration_drift(seen.sent[known], milliseconds(seen.end[known] - seen.sent[known]))
    return drift is not None and drift[0] > 0 and drift[1] >= STEADY_ERRORS


def _ended(seen: Observations) -> NDArray[np.int64]:
    """The measured requests that were sent, by index."""
    return np.flatnonzero((seen.sent != NONE) & (seen.end > seen.sent))


def _ended_between(seen: Observations, start: int, end: int) -> int:
    """Requests of any role that ended after `start` and by `end`; those that were never sent did not."""
    sent = seen.end > seen.sent
    measured = int((sent & (seen.end > start) & (seen.end <= end)).sum())
    return measured + sum(start < spare.end <= end for spare in seen.spare_in_window)


def _in_flight(seen: Observations, start: int, end: int) -> float:
    """Requests under way between two stamps, mean over that time."""
    measured = (seen.sent != NONE) & (seen.end != NONE)
    sent = np.concatenate([seen.sent[measured], [spare.sent for spare in seen.spare_in_window]])
    ended = np.concatenate([seen.end[measured], [spare.end for spare in seen.spare_in_window]])
    inside = np.clip(np.minimum(ended, end) - np.maximum(sent, start), 0, None)
    return float(inside.sum()) / max(end - start, 1)


def _steadiness(seen: Observations, *, excused: bool) -> Iterator[Finding]:
    """`excused`: a server that does not keep up cannot be steady, and is told so."""
    done = np.array([i for i, row in seen.rows.items() if row.outcome is Outcome.SUCCESS], dtype=np.int64)
    drift = mean_duration_drift(seen.sent[done], milliseconds(seen.end[done] - seen.sent[done]))
    if drift is None or abs(drift[0]) < STEADY_DIFFERENCE or drift[1] < STEADY_ERRORS:
        return
    yield Finding(
        code="NotSteady", invalidates=not excused and len(seen.rows) >= STEADY_JUDGED_FROM, measured=drift[0] * 100,
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
            advice=CACHE_ADVICE,
        )  # fmt: skip


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
    delivered = _mean_off((row.input_tokens for row in seen.rows.values()), asked, INPUT_LENGTH_PERCENT)
    if delivered is not None:
        yield Finding(
            code="InputLengthMissed", invalidates=False, measured=delivered, threshold=float(asked), unit="tokens",
            rule="mean prompt length, fitted against the server's own count",
            advice="compare only with runs of the same delivered length",
        )  # fmt: skip


def _output_length(seen: Observations, asked: int) -> Iterator[Finding]:
    """A server that cannot be told to go on ends when it likes: its rate is then that of another load."""
    delivered = _mean_off((row.output_tokens for row in seen.rows.values()), asked, OUTPUT_LENGTH_PERCENT)
    if delivered is not None:
        yield Finding(
            code="OutputLengthUnmet", invalidates=False, measured=delivered, threshold=float(asked), unit="tokens",
            rule="mean answer length: the server ended answers by itself",
            advice="compare only with runs of the same delivered length, or ask for answers as short as these",
        )  # fmt: skip


def _mean_off(lengths: Iterable[int | None], asked: int, percent: float) -> float | None:
    """The mean of the lengths that are known, where it is off what was asked for by more than that."""
    known = [length for length in lengths if length is not None]
    mean = sum(known) / len(known) if known else None
    return mean if mean is not None and abs(mean - asked) > asked * percent / 100 else None


def mean_duration_drift(sent: NDArray[np.int64], duration_ms: NDArray[np.float64]) -> tuple[float, float] | None:
    """(relative difference, difference in standard errors) of mean duration between the halves, in order of sending.

    None with fewer than two requests in a half.
    """
    ordered = duration_ms[np.argsort(sent, kind="stable")]
    half = ordered.size // 2
    if half < 2:
        return None
    early, late = ordered[:half], ordered[-half:]
    difference = float(late.mean() - early.mean())
    error = float(np.sqrt(early.var(ddof=1) / half + late.var(ddof=1) / half))
    relative = difference / float(early.mean())
    return relative, abs(difference) / error if error > 0 else (0.0 if difference == 0 else np.inf)
