"""One stage: warm up, load, ask failed items again, score, and put it all into one record."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray

from perbench.failures import Blame, Failure, RunError
from perbench.plan import LoadPlan, Warmup
from perbench.progress import Progress, StagePhase
from perbench.results import MemoryRecord, Outcome, RequestColumns, StageRecord, TokensPerChunk
from perbench_bench.engine.closed_loop import ClosedLoop
from perbench_bench.engine.feed import Feed, Limits
from perbench_bench.engine.observations import ESTIMATE_LIMIT, NONE, Observations, TimeHistogram, milliseconds
from perbench_bench.engine.recorder import Recorder
from perbench_bench.engine.verdict import ClientUse, client_record, judge_client, judge_stage, tpot_ms
from perbench_bench.memory import MemoryReader
from perbench_bench.prompts import StageRequests
from perbench_bench.session import Session, failure_of, peak_rss_bytes
from perbench_bench.tasks import ResolvedTask, score

PROGRESS_SECONDS = 0.5
FIRST_WARMUP_SECONDS = 10.0
"""Warm-up after a start of the server (measurement.md §1); later stages on it need only requests."""


@dataclass(frozen=True, slots=True)
class StagePlace:
    """Which stage of the plan this is."""

    round: int
    repeat: int
    first: bool
    """The first stage after the server's start."""


@dataclass(frozen=True, slots=True)
class StageResult:
    """What came of a stage. With `aborted` the record holds only what was seen until then."""

    record: StageRecord
    aborted: Failure | None


def limits_of(
    load: LoadPlan, measured: int, place: StagePlace, now: int, window_seconds: float | None = None
) -> Limits:
    """When the phases of a stage end. The default warm-up is measurement.md §1's."""
    default = Warmup(requests=2 * load.concurrency, seconds=FIRST_WARMUP_SECONDS if place.first else 0.0)
    warmup = load.warmup or default
    deadline = now + int(load.max_seconds * 1e9)
    return Limits(warmup.requests, warmup.seconds, measured, window_seconds, deadline)


@dataclass(frozen=True, slots=True)
class StagePlan:
    """All a stage needs, decided."""

    task: ResolvedTask
    place: StagePlace
    load: LoadPlan
    requests: StageRequests
    prompt_fit: dict[str, float]
    window_seconds: float | None = None
    judge_steadiness: bool = True


async def run_stage(
    session: Session, plan: StagePlan, memory: MemoryReader | None, report: Callable[[Progress], None]
) -> StageResult:
    """Run one stage to its end. Raises RunError where there is nothing to record; cancelling drops everything."""
    started_at = datetime.now(UTC)
    began = session.clock()
    limits = limits_of(plan.load, len(plan.requests.measured), plan.place, began, plan.window_seconds)
    feed = Feed(limits, began)
    recorder = Recorder(
        session.read, session.clock, feed, limits.measured, plan.load.concurrency, session.target.counts_end_token
    )
    loop = ClosedLoop(session.wire(plan.requests.of), feed, recorder, plan.load.concurrency, session.clock)
    ticker = asyncio.create_task(_tell(plan, feed, report))
    cpu = time.process_time()
    session.run_queue.start()
    if memory:
        memory.start()
    try:
        await loop.run()
    finally:
        ticker.cancel()
        wait = session.run_queue.stop()
        held = memory.stop() if memory else None
    aborted = failure_of(*recorder.aborted, session.target.url) if recorder.aborted else None
    if not feed.measured_sent:
        raise RunError(aborted or _nothing_measured(plan.load))
    use = ClientUse(wait, time.process_time() - cpu, peak_rss_bytes(), recorder.requests)
    again = await _ask_again(session, plan, recorder) if aborted is None else {}
    record = _record(plan, feed, recorder.seen, use, held, again, started_at)
    report(_progress(plan, StagePhase.RECORDED, feed))
    return StageResult(record, aborted)


async def _ask_again(session: Session, plan: StagePlan, recorder: Recorder) -> dict[int, str]:
    """Failed items once more at concurrency 1, for accuracy only: speed keeps the failure (measurement.md §7)."""
    if plan.task.scoring is None:
        return {}
    failed = [i for i, row in recorder.seen.rows.items() if row.outcome is not Outcome.SUCCESS]
    replies = await session.ask([plan.requests.measured[i] for i in failed]) if failed else []
    return {i: reply.text for i, reply in zip(failed, replies, strict=True) if reply.outcome is Outcome.SUCCESS}


async def _tell(plan: StagePlan, feed: Feed, report: Callable[[Progress], None]) -> None:
    while True:
        phase = StagePhase.MEASURING
        if feed.window_start is None:
            phase = StagePhase.WARMUP
        elif feed.window_end is not None:
            phase = StagePhase.FINISHING
        report(_progress(plan, phase, feed))
        await asyncio.sleep(PROGRESS_SECONDS)


def _progress(plan: StagePlan, phase: StagePhase, feed: Feed) -> Progress:
    total = len(plan.requests.measured)
    done = feed.measured_ended
    return Progress(task=plan.task.name, repeat=plan.place.repeat, phase=phase, completed=done, total=total)


def _nothing_measured(load: LoadPlan) -> Failure:
    message = f"load.maxSeconds ({load.max_seconds:g}) passed before the warm-up was over; raise it or warm up less"
    return Failure(blame=Blame.TARGET, reason="StageTimeLimit", message=message)


def _record(
    plan: StagePlan, feed: Feed, seen: Observations, use: ClientUse, held: MemoryRecord | None,
    again: dict[int, str], started_at: datetime,
) -> StageRecord:  # fmt: skip
    client = client_record(seen, plan.load.concurrency, use)
    synthetic = plan.task.synthetic
    findings = [
        *judge_client(seen, client, plan.load.concurrency),
        *judge_stage(
            seen,
            time_limited=feed.time_limited,
            input_tokens=synthetic.input_tokens if synthetic else None,
            steadiness=plan.judge_steadiness,
        ),
    ]
    ratio = seen.content_tokens / seen.content_events if seen.content_events else None
    withheld = not seen.reported_tokens and ratio is not None and ratio > ESTIMATE_LIMIT
    return StageRecord(
        task=plan.task.name,
        round=plan.place.round,
        repeat=plan.place.repeat,
        started_at=started_at,
        concurrency=plan.load.concurrency,
        warmup_requests=feed.warmup_sent,
        filler_requests=feed.filler_sent,
        window_seconds=((feed.window_end or 0) - (feed.window_start or 0)) / 1e9,
        output_tokens_in_window=round(seen.window.output_tokens),
        requests_in_window=seen.window.requests,
        requests=_columns(plan.task, feed, seen, again),
        itl=TimeHistogram().document() if withheld else seen.itl.document(),
        chunk_gap=seen.chunk_gap.document(),
        tokens_per_chunk=_source_of_tokens(seen),
        tokens_per_chunk_ratio=ratio,
        prompt_fit=plan.prompt_fit,
        memory=held,
        client=client,
        findings=tuple(findings),
    )


def _source_of_tokens(seen: Observations) -> TokensPerChunk | None:
    if not seen.content_events:
        return None
    return TokensPerChunk.REPORTED if seen.reported_tokens else TokensPerChunk.ESTIMATED


def _columns(task: ResolvedTask, feed: Feed, seen: Observations, again: dict[int, str]) -> RequestColumns:
    order = sorted(seen.rows, key=lambda i: int(seen.sent[i]))
    rows = [seen.rows[i] for i in order]
    start = feed.window_start or 0
    texts = [row.text if row.outcome is Outcome.SUCCESS else again.get(i) for i, row in zip(order, rows, strict=True)]
    index = np.array(order, dtype=np.int64)
    ended_well = np.array([row.outcome is Outcome.SUCCESS for row in rows], dtype=bool)
    has_first = seen.first[index] != NONE
    return RequestColumns(
        item=tuple(order),
        outcome=tuple(row.outcome for row in rows),
        sent_seconds=tuple((milliseconds(seen.sent[index] - start) / 1e3).tolist()),
        ttft_ms=_known(milliseconds(seen.first[index] - seen.free[index]), has_first),
        ttft_sent_ms=_known(milliseconds(seen.first[index] - seen.sent[index]), has_first),
        connect_ms=tuple(milliseconds(seen.connect[index]).tolist()),
        e2e_ms=_known(milliseconds(seen.end[index] - seen.free[index]), ended_well),
        tpot_ms=_known(tpot_ms(seen)[index], np.isfinite(tpot_ms(seen)[index])),
        input_tokens=tuple(row.input_tokens for row in rows),
        output_tokens=tuple(row.output_tokens for row in rows),
        cached_tokens=tuple(row.cached_tokens for row in rows),
        finish=tuple(row.finish for row in rows),
        score=tuple(_score(task, i, text) for i, text in zip(order, texts, strict=True)),
        answer=tuple(texts) if task.scoring else tuple(None for _ in texts),
    )


def _score(task: ResolvedTask, item: int, text: str | None) -> float | None:
    if task.scoring is None or text is None:
        return None
    return score(task.scoring, text, task.items[item].answers)


def _known(values: NDArray[np.float64], known: NDArray[np.bool_]) -> tuple[float | None, ...]:
    return tuple(float(value) if there else None for value, there in zip(values, known, strict=True))
