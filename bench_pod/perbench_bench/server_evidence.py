"""The server's own account of a stage against ours (measurement.md §3). Pure.

Nothing is compared that the server does not count as we do: what each kind counts is in perbench/runtimes/metrics.py.
"""

from collections.abc import Iterator, Sequence
from itertools import pairwise

from perbench.results import Finding, ServerEvidence
from perbench_bench.engine.observations import Totals
from perbench_bench.engine.stage_findings import CACHE_ADVICE, CACHED_PERCENT
from perbench_bench.server_metrics import ServerReading, differences

TOKENS_PERCENT = 1.0
"""By how much two counts of tokens may differ; and by one token a request, whichever is more."""
COMPLETE_SHARE = 0.99
"""A server that counts fewer of the requests it answered is only one of several."""


def no_evidence(reason: str, totals: Totals) -> ServerEvidence:
    """The record of a stage whose server said nothing."""
    return ServerEvidence(
        kind=None,
        reason=reason,
        requests_sent=totals.sends,
        input_tokens_seen=totals.input_tokens,
        output_tokens_seen=totals.output_tokens,
    )


def evidence_of(
    before: ServerReading, after: ServerReading, within: Sequence[ServerReading], totals: Totals, max_tokens: int
) -> ServerEvidence:
    """Put the readings of a stage together: `before` its warm-up, `within` its window, `after` its last answer.

    `max_tokens` is what an answer may be long at most.
    """
    try:
        steps = [before, *within, after]
        for earlier, later in pairwise(steps):
            differences(earlier, later)
        counted = differences(before, after)
    except ValueError as error:
        return no_evidence(f"the server's metrics cannot be used: {error}", totals)
    family = after.family
    if family is None:
        return no_evidence("the server's metrics are empty", totals)
    queue, running = _peak(reading.waiting for reading in within), _peak(reading.running for reading in within)
    again = family.input_again_after is not None and max_tokens > family.input_again_after
    asked, cached = counted["input_tokens"], counted["cached_tokens"]
    return ServerEvidence(
        kind=family.prefix.rstrip(":_"),
        reason=_not_compared(counted["requests"], totals),
        readings=len(within),
        saturated=None if queue is None else queue > 0,
        queue_peak=_whole(queue),
        running_peak=_whole(running),
        kv_use_peak=_peak(reading.cache_use for reading in within),
        preemptions=_whole(counted["preemptions"]),
        cached_percent=100 * cached / asked if cached is not None and asked else None,
        requests_counted=_whole(counted["requests"]),
        requests_sent=totals.sends,
        input_tokens_counted=None if again else _whole(asked),
        input_tokens_seen=totals.input_tokens,
        output_tokens_counted=_whole(counted["output_tokens"]),
        output_tokens_seen=totals.output_tokens,
    )


def judge_server(evidence: ServerEvidence, totals: Totals) -> Iterator[Finding]:
    """OtherTraffic, TokenCountMismatch and PrefixCacheActive, as far as the server's counts can tell."""
    counted, sent = evidence.requests_counted, evidence.requests_sent
    if counted is not None and counted > sent:
        yield Finding(
            code="OtherTraffic", invalidates=True, measured=float(counted), threshold=float(sent), unit="requests",
            rule="requests the server counted while the stage ran, against those that were sent",
            advice="keep other clients off the server while it is measured",
        )  # fmt: skip
    elif evidence.reason is None:
        yield from _tokens("prompt", evidence.input_tokens_counted, evidence.input_tokens_seen, totals)
        yield from _tokens("generated", evidence.output_tokens_counted, evidence.output_tokens_seen, totals)
    if evidence.cached_percent is not None and evidence.cached_percent > CACHED_PERCENT:
        yield Finding(
            code="PrefixCacheActive", invalidates=True, measured=evidence.cached_percent, threshold=CACHED_PERCENT,
            unit="%", rule="prompt tokens the server took from its cache, by its own metrics",
            advice=CACHE_ADVICE,
        )  # fmt: skip


def _tokens(which: str, counted: int | None, seen: int | None, totals: Totals) -> Iterator[Finding]:
    if counted is None or seen is None:
        return
    allowed = max(seen * TOKENS_PERCENT / 100, float(totals.answered))
    if abs(counted - seen) > allowed:
        yield Finding(
            code="TokenCountMismatch", invalidates=True, measured=float(abs(counted - seen)), threshold=allowed,
            unit="tokens",
            rule=f"{which} tokens: {counted} by the server's metrics, {seen} by its answers",
            advice="keep other clients off the server, and point the load at one server rather than at several behind "
            "one address; where neither is the case, the server's token counts cannot be trusted",
        )  # fmt: skip


def _not_compared(requests: float | None, totals: Totals) -> str | None:
    """Why counts of tokens say nothing about each other; None: they do."""
    if requests is not None and requests < COMPLETE_SHARE * totals.answered:
        return (
            f"the server counts {requests:.0f} of the {totals.answered} requests that were answered, so it is one of "
            "several behind its address; tokens were not compared"
        )
    if totals.uncounted:
        return f"{totals.uncounted} requests failed without saying how many tokens they cost; tokens were not compared"
    return None


def _peak(values: Iterator[float | None]) -> float | None:
    return max((value for value in values if value is not None), default=None)


def _whole(value: float | None) -> int | None:
    return None if value is None else round(value)
