"""`perbench load`: one synthetic stage against a server that already runs, and its figures as one flat document."""

import asyncio
import signal
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import uvloop
from pydantic import JsonValue

from perbench.api.tasks import Synthetic, TaskSpec
from perbench.failures import Failure, RunError
from perbench.plan import LoadPlan, Target
from perbench.progress import Progress
from perbench.results import Outcome, StageRecord
from perbench.statistics import histogram
from perbench.statistics.percentiles import PERCENTS, Summary, summarise
from perbench_bench.prompts import fit_prompt_length, fit_record, synthetic_requests
from perbench_bench.session import open_session, preflight
from perbench_bench.stage import StageResult, run_stage
from perbench_bench.stage_plan import StagePlace, StagePlan
from perbench_bench.tasks import resolve

LONGEST_SECONDS = 86_400.0


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
    """Run the load to its end. Raises UsageError for a URL that is none, KeyboardInterrupt when interrupted."""
    try:
        result = uvloop.run(_until_signal(request, report))
    except RunError as error:
        return LoadOutcome(document_of(None), RunError.exit_code, error.failure, None)
    record = result.record
    failure = result.aborted
    failed = failure is not None or _error_percent(record) > request.load.validity.error_percent
    code = RunError.exit_code if failed else (0 if record.valid else 3)
    return LoadOutcome(document_of(record), code, failure, record)


async def _until_signal(request: LoadRequest, report: Callable[[Progress], None]) -> StageResult:
    task = asyncio.create_task(_run(request, report))
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, task.cancel)
    try:
        return await task
    except asyncio.CancelledError:
        raise KeyboardInterrupt from None


async def _run(request: LoadRequest, report: Callable[[Progress], None]) -> StageResult:
    synthetic = Synthetic(input_tokens=request.input_tokens, output_tokens=request.output_tokens)
    task = resolve(TaskSpec(name="load", synthetic=synthetic, limit=request.requests), None)
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


def _error_percent(record: StageRecord) -> float:
    outcomes = record.requests.outcome
    return 100 * sum(outcome is not Outcome.SUCCESS for outcome in outcomes) / len(outcomes) if outcomes else 100.0


def document_of(record: StageRecord | None) -> dict[str, JsonValue]:
    """The keys of `perbench load --json` (fixed names). None where there is no figure; `n` observations beside each."""
    if record is None:
        return _nothing()
    rows = record.requests
    failed = sum(outcome is not Outcome.SUCCESS for outcome in rows.outcome)
    seconds = record.window_seconds
    client = record.client
    return {
        "requests": len(rows.outcome),
        "errors": failed,
        "retries": client.retries,
        "kept_connections": client.kept_connections,
        "duration_s": seconds,
        "request_rate": record.requests_in_window / seconds if seconds > 0 else None,
        "output_tokens": record.output_tokens_in_window,
        "output_token_rate": record.output_tokens_in_window / seconds if seconds > 0 else None,
        "ttft_ms": _summary(summarise(_given(rows.ttft_ms), failed)),
        "ttft_sent_ms": _summary(summarise(_given(rows.ttft_sent_ms), failed)),
        "itl_ms": _of_histogram(record),
        "tpot_ms": _summary(summarise(_given(rows.tpot_ms), failed)),
        "e2e_ms": _summary(summarise(_given(rows.e2e_ms), failed)),
        "in_flight_mean": client.concurrency_delivered,
        "client_error_ms": client.error_p50_ms,
        "cpu_ms_per_request": client.cpu_ms_per_request,
        "peak_rss_mb": client.peak_rss_bytes / 1e6,
        "valid": record.valid,
        "invalid_reasons": list(dict.fromkeys(f.code for f in record.findings if f.invalidates)),
        "findings": [finding.model_dump(by_alias=False) for finding in record.findings],
    }


def _nothing() -> dict[str, JsonValue]:
    """The document of a load that could not begin."""
    empty = _summary(summarise([]))
    figures: dict[str, JsonValue] = dict.fromkeys(("ttft_ms", "ttft_sent_ms", "itl_ms", "tpot_ms", "e2e_ms"), empty)
    names = (
        "duration_s", "request_rate", "output_token_rate", "in_flight_mean", "client_error_ms", "cpu_ms_per_request",
        "peak_rss_mb", "kept_connections",
    )  # fmt: skip
    nothing: dict[str, JsonValue] = dict.fromkeys(names)
    counts: dict[str, JsonValue] = {"requests": 0, "errors": 0, "retries": 0, "output_tokens": 0}
    verdict: dict[str, JsonValue] = {"valid": False, "invalid_reasons": ["NothingMeasured"], "findings": []}
    return counts | nothing | figures | verdict


def _given(values: tuple[float | None, ...]) -> list[float]:
    return [value for value in values if value is not None]


def _summary(found: Summary) -> dict[str, JsonValue]:
    percentiles: dict[str, JsonValue] = {f"p{percent}": found.value(percent) for percent in PERCENTS}
    return {"mean": found.mean, **percentiles, "max": found.max, "n": found.n, "unbounded": list(found.unbounded)}


def _of_histogram(record: StageRecord) -> dict[str, JsonValue]:
    itl = record.itl
    percentiles: dict[str, JsonValue] = {f"p{p}": histogram.percentile(itl, p).value for p in PERCENTS}
    return {"mean": histogram.mean(itl), **percentiles, "max": itl.max, "n": itl.total, "unbounded": []}
