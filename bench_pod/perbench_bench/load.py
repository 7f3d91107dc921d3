"""`perbench load`: one synthetic stage against a server that already runs, and its figures as one flat document."""

import asyncio
import signal
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from math import ceil

import numpy as np
import uvloop
from pydantic import JsonValue

from perbench.api.defaults import least_items
from perbench.api.tasks import Synthetic, TaskSpec
from perbench.failures import Blame, Failure, RunError, UsageError, printable, shorten
from perbench.plan import LoadPlan, Target
from perbench.progress import Progress
from perbench.results import Histogram, Outcome, StageRecord
from perbench.statistics import histogram
from perbench.statistics.percentiles import PERCENTS, Summary, summarise
from perbench_bench.engine.arrivals import schedule_ns
from perbench_bench.prompts import fit_prompt_length, fit_record, synthetic_requests
from perbench_bench.session import open_session, preflight
from perbench_bench.stage import StageResult, run_stage
from perbench_bench.stage_plan import StagePlace, StagePlan
from perbench_bench.tasks import resolve
from perbench_bench.usage import memory_left_bytes

LONGEST_SECONDS = 86_400.0
MOST_PER_SECOND = 20_000
"""Requests that are sent in a second at most: several times what the least client can do."""
BYTES_PER_STAMPS, BYTES_PER_REQUEST = 100, 1_000
"""What one request takes before the load, and at its end: the figures of its row and their copy in the record."""
MOST_ITEMS = 1_000_000
"""A task may say no higher limit (`TaskSpec`)."""


@dataclass(frozen=True, slots=True)
class LoadRequest:
    """What the command line asked for."""

    target: Target
    load: LoadPlan
    """The loop, and how many requests pass before anything is measured."""
    requests: int
    input_tokens: int
    output_tokens: int
    seed: int = 42
    duration_seconds: float | None = None


@dataclass(frozen=True, slots=True)
class LoadOutcome:
    """The document to print and how the command ends."""

    document: Mapping[str, JsonValue]
    exit_code: int
    failure: Failure | None
    record: StageRecord | None


def run_load(request: LoadRequest, report: Callable[[Progress], None]) -> LoadOutcome:
    """Run the load to its end.

    Raises UsageError for a URL that is none and for more requests than memory has room for, KeyboardInterrupt when
    interrupted.
    """
    needed = requests_needed(request)
    refuse_too_large(request, needed, memory_left_bytes())
    try:
        result = uvloop.run(_until_signal(request, needed, report))
    except RunError as error:
        return LoadOutcome(document_of(request, None, error.failure), RunError.exit_code, error.failure, None)
    outcomes, limit = Counter(result.record.requests.outcome), request.load.validity.error_percent
    failure = result.aborted or too_many_errors(outcomes, result.errors, result.lacking, limit)
    code = RunError.exit_code if failure else (0 if result.record.valid else 3)
    return LoadOutcome(document_of(request, result, failure), code, failure, result.record)


def requests_needed(request: LoadRequest) -> int:
    """How many measured requests the load can come to: with a duration, no more than can be sent in it.

    Of an open loop one more than are due, so that it is time that ends the window.
    """
    seconds, arrivals = request.duration_seconds, request.load.arrivals
    if seconds is None:
        return request.requests
    if arrivals is None:
        return min(request.requests, max(ceil(seconds * MOST_PER_SECOND), least_items(request.load.concurrency)))
    due = schedule_ns(arrivals, request.requests, request.seed)
    return min(request.requests, int(np.searchsorted(due, seconds * 1e9, side="right")) + 1)


def refuse_too_large(request: LoadRequest, needed: int, bytes_left: int | None) -> None:
    """Raises UsageError where the figures of so many requests surely do not fit. `bytes_left` None: it is not known."""
    certain = request.duration_seconds is None  # else nobody knows how many will be sent
    bytes_needed = needed * (BYTES_PER_REQUEST if certain else BYTES_PER_STAMPS)
    if bytes_left is not None and bytes_needed > bytes_left:
        raise UsageError(
            f"--requests {request.requests}: their figures need about {bytes_needed / 1e9:.3g} GB of memory, and "
            f"{bytes_left / 1e9:.3g} GB are free here: ask for fewer, or for a shorter --duration"
        )


async def _until_signal(request: LoadRequest, needed: int, report: Callable[[Progress], None]) -> StageResult:
    task = asyncio.create_task(_run(request, needed, report))
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, task.cancel)
    try:
        return await task
    except asyncio.CancelledError:
        raise KeyboardInterrupt from None


async def _run(request: LoadRequest, needed: int, report: Callable[[Progress], None]) -> StageResult:
    synthetic = Synthetic(input_tokens=request.input_tokens, output_tokens=request.output_tokens)
    task = resolve(TaskSpec(name="load", synthetic=synthetic, limit=min(needed, MOST_ITEMS)), None)
    task = replace(task, count=needed)
    load = request.load
    session = await open_session(request.target, load, request.seed)
    session = await preflight(session, "Say a word.", 2)
    fit = await fit_prompt_length(session, task)
    requests = synthetic_requests(session, task, fit.words_for(request.input_tokens), 0)
    plan = StagePlan(
        task, StagePlace(0, 0, first=True), load, requests, fit_record(fit), request.duration_seconds,
        judge_steadiness=load.warmup is None or load.warmup.requests > 0,
    )  # fmt: skip
    return await run_stage(session, plan, None, report)


def too_many_errors(
    outcomes: Mapping[Outcome, int], said: Mapping[Outcome, str], lacking: int, limit_percent: float
) -> Failure | None:
    """The failure of a server of whose answers more were errors than may be; None: it did not fail.

    `lacking` requests were not sent for want of our own means: no error of the server's, and the verdict tells of it.
    """
    count = Counter(outcomes)
    count[Outcome.DROPPED] -= min(lacking, count[Outcome.DROPPED])
    kinds = [(kind, number) for kind, number in count.most_common() if kind is not Outcome.SUCCESS and number]
    total, failed = count.total(), sum(number for _, number in kinds)
    if 100 * failed <= limit_percent * total:
        return None
    listed = ", ".join(f"{number} {kind}" for kind, number in kinds)
    text = f"{failed} of {total} requests failed ({listed}), more than {limit_percent:g} %"
    sample = next((said[kind] for kind, _ in kinds if said.get(kind)), "")
    message = f"{text}; such as: {printable(sample)}" if sample else text
    return Failure(blame=Blame.TARGET, reason="TooManyErrors", message=shorten(message))


def document_of(
    request: LoadRequest, result: StageResult | None, failure: Failure | None = None
) -> dict[str, JsonValue]:
    """The keys of `perbench load --json` (fixed names). None where there is no figure; `n` observations beside each.

    `failure`: why the command ends with 4; the load is then not valid either.
    """
    if result is None:
        return _nothing(request, failure)
    record = result.record
    rows = record.requests
    failed = sum(outcome is not Outcome.SUCCESS for outcome in rows.outcome)
    seconds = record.window_seconds
    client = record.client
    reasons = [failure.reason] if failure else []
    reasons += [finding.code for finding in record.findings if finding.invalidates]
    return {
        "requests": len(rows.outcome),
        "errors": failed,
        "outcomes": {kind.value: count for kind, count in Counter(rows.outcome).most_common()},
        "error_samples": {kind.value: said for kind, said in result.errors.items()},
        "retries": client.retries,
        "kept_connections": client.kept_connections,
        "duration_s": seconds,
        "request_rate": record.requests_in_window / seconds if seconds > 0 else None,
        "output_tokens": record.output_tokens_in_window,
        "output_token_rate": record.output_tokens_in_window / seconds if seconds > 0 else None,
        "ttft_ms": _summary(summarise(_given(rows.ttft_ms), failed)),
        "ttft_sent_ms": _summary(summarise(_given(rows.ttft_sent_ms), failed)),
        "itl_ms": _of_histogram(record.itl),
        "chunk_gap_ms": _of_histogram(record.chunk_gap),
        "tpot_ms": _summary(summarise(_given(rows.tpot_ms), failed)),
        "e2e_ms": _summary(summarise(_given(rows.e2e_ms), failed)),
        "tokens_per_chunk": record.tokens_per_chunk.value if record.tokens_per_chunk else None,
        "tokens_per_chunk_ratio": record.tokens_per_chunk_ratio,
        **_lengths(request, record),
        "in_flight_mean": client.concurrency_delivered,
        "client_error_ms": client.error_p50_ms,
        "cpu_ms_per_request": client.cpu_ms_per_request,
        "peak_rss_mb": client.peak_rss_bytes / 1e6,
        "server": record.server.model_dump(mode="json", by_alias=False) if record.server else None,
        "request_parameters": dict(record.request_parameters),
        "valid": failure is None and record.valid,
        "invalid_reasons": list(dict.fromkeys(reasons)),
        "findings": [finding.model_dump(by_alias=False) for finding in record.findings],
    }


def _lengths(request: LoadRequest, record: StageRecord | None) -> dict[str, JsonValue]:
    """Tokens of prompts and answers by the server's own count, beside what was asked for."""
    rows = record.requests if record else None
    asked, answered = (_known(rows.input_tokens), _known(rows.output_tokens)) if rows else ([], [])
    ended = [finish for finish in rows.finish if finish is not None] if rows else []
    return {
        "input_length": {"asked": request.input_tokens, **_summary(summarise(asked))},
        "output_length": {"asked": request.output_tokens, **_summary(summarise(answered))},
        "stopped_by_length_percent": 100 * ended.count("length") / len(ended) if ended else None,
    }


def _nothing(request: LoadRequest, failure: Failure | None) -> dict[str, JsonValue]:
    """The document of a load that could not begin."""
    empty = _summary(summarise([]))
    times = ("ttft_ms", "ttft_sent_ms", "itl_ms", "chunk_gap_ms", "tpot_ms", "e2e_ms")
    figures: dict[str, JsonValue] = dict.fromkeys(times, empty)
    names = (
        "duration_s", "request_rate", "output_token_rate", "in_flight_mean", "client_error_ms", "cpu_ms_per_request",
        "peak_rss_mb", "tokens_per_chunk", "tokens_per_chunk_ratio", "server", "kept_connections",
    )  # fmt: skip
    nothing: dict[str, JsonValue] = dict.fromkeys(names)
    counts: dict[str, JsonValue] = {
        "requests": 0,
        "errors": 0,
        "retries": 0,
        "outcomes": {},
        "error_samples": {},
        "output_tokens": 0,
    }
    reasons: list[JsonValue] = [*([failure.reason] if failure else []), "NothingMeasured"]
    verdict: dict[str, JsonValue] = {"valid": False, "invalid_reasons": reasons, "findings": []}
    return counts | nothing | figures | _lengths(request, None) | {"request_parameters": {}} | verdict


def _known(counts: tuple[int | None, ...]) -> list[float]:
    return [float(count) for count in counts if count is not None]


def _given(values: tuple[float | None, ...]) -> list[float]:
    return [value for value in values if value is not None]


def _summary(found: Summary) -> dict[str, JsonValue]:
    percentiles: dict[str, JsonValue] = {f"p{percent}": found.value(percent) for percent in PERCENTS}
    return {"mean": found.mean, **percentiles, "max": found.max, "n": found.n, "unbounded": list(found.unbounded)}


def _of_histogram(times: Histogram) -> dict[str, JsonValue]:
    percentiles: dict[str, JsonValue] = {f"p{p}": histogram.percentile(times, p).value for p in PERCENTS}
    return {"mean": histogram.mean(times), **percentiles, "max": times.max, "n": times.total, "unbounded": []}
