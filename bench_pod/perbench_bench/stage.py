"""One stage: warm up, load, ask failed items again, score, and put it all into one record."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from perbench.failures import Blame, Failure, RunError, shorten
from perbench.progress import Progress, StagePhase
from perbench.results import Outcome, ServerEvidence, StageRecord
from perbench_bench.daemon import in_daemon
from perbench_bench.engine.feed import Feed
from perbench_bench.engine.observations import Totals
from perbench_bench.engine.recorder import Recorder
from perbench_bench.load_run import carry_out, prepare
from perbench_bench.memory_source import Memory
from perbench_bench.metrics_watch import MetricsWatch, NoMetricsError
from perbench_bench.onlooker import LoadUnderWay, Onlooker, nobody
from perbench_bench.server_evidence import evidence_of, no_evidence
from perbench_bench.server_metrics import ServerReading
from perbench_bench.session import Session, api_key_of, failure_of
from perbench_bench.stage_plan import StagePlan, limits_of
from perbench_bench.stage_record import StageEnd, record_of

PROGRESS_SECONDS = 0.5
ERROR_CHARACTERS = 300
"""Kept of a server's own words for a failure."""


@dataclass(frozen=True, slots=True)
class StageResult:
    """What came of a stage. With `aborted` the record holds only what was seen until then."""

    record: StageRecord
    aborted: Failure | None
    errors: Mapping[Outcome, str] = field(default_factory=dict)
    """Of each way in which measured requests failed, what was said of the first."""
    lacking: int = 0
    """Measured requests that were dropped for want of our own descriptors, ports or memory."""


async def run_stage(
    session: Session,
    plan: StagePlan,
    memory: Memory | None,
    report: Callable[[Progress], None],
    onlooker: Onlooker = nobody,
) -> StageResult:
    """Run one stage to its end. Raises RunError where there is nothing to record; cancelling drops everything."""
    watch = MetricsWatch(session.origin, session.addresses, api_key_of(session.target), session.clock)
    reading = await _before_load(watch, memory)
    started_at = datetime.now(UTC)
    limits = limits_of(plan.load, len(plan.requests.measured), plan.place, session.clock(), plan.window_seconds)
    session = replace(session, load=plan.load)
    run = prepare(session, plan.requests.of, limits, session.seed + plan.place.number)
    feed = run.feed
    run.seen.keeps_text = plan.task.scoring is not None  # what nobody scores would fill the memory
    ticker = asyncio.create_task(_tell(plan, feed, report))
    shown = LoadUnderWay(plan.task.name, limits.measured, run.seen, feed, session.run_queue.so_far, memory)
    with onlooker(shown):
        try:
            use = await carry_out(session, run)
        finally:
            ticker.cancel()
            watch.stop()
        taken = await in_daemon(lambda: memory.stop(run)) if memory else None
    aborted = _aborted(run.recorder, session.target.url)
    if not feed.measured_sent:
        raise RunError(aborted or _nothing_measured(plan, feed))
    server = await _server_side(watch, reading, feed, run.seen.totals, plan.task.max_tokens)
    again = await _ask_again(session, plan, run.recorder) if aborted is None else {}
    parameters = session.parameters(plan.task.max_tokens, force_length=plan.task.synthetic is not None)
    record = record_of(plan, StageEnd(started_at, feed, run.seen, use, taken, server, again, parameters))
    report(_progress(plan, StagePhase.RECORDED, feed))
    return StageResult(record, aborted, _first_errors(run.recorder), run.seen.lacking)


def _aborted(recorder: Recorder, url: str) -> Failure | None:
    """Why nothing came of the load, if nothing did. A lack of our own is not the server's fault."""
    fatal = recorder.gone() or recorder.nothing_succeeded()
    if fatal is None:
        return None
    if fatal[0] is Outcome.DROPPED and recorder.seen.lacking:
        return Failure(blame=Blame.LOAD_GENERATOR, reason="TooFewDescriptors", message=shorten(fatal[1]))
    return failure_of(*fatal, url)


def _first_errors(recorder: Recorder) -> dict[Outcome, str]:
    """What was said of the first measured request that failed in each way, on one line."""
    found: dict[Outcome, str] = {}
    for row in recorder.seen.rows.values():
        if row.error and row.outcome is not Outcome.SUCCESS:
            found.setdefault(row.outcome, shorten(" ".join(row.error.split()), ERROR_CHARACTERS))
    return found


async def _before_load(watch: MetricsWatch, memory: Memory | None) -> ServerReading | NoMetricsError:
    """Begin to watch memory and metrics. The server's metrics before any request of the stage, or why they cannot be
    read: that is no failure."""
    try:
        reading = await _metrics_before(watch)
        if memory:
            await in_daemon(lambda: memory.start(watch))
    except asyncio.CancelledError:
        watch.stop()
        raise
    return reading


async def _metrics_before(watch: MetricsWatch) -> ServerReading | NoMetricsError:
    try:
        return await asyncio.to_thread(watch.begin)
    except NoMetricsError as error:
        return error


async def _server_side(
    watch: MetricsWatch, before: ServerReading | NoMetricsError, feed: Feed, totals: Totals, max_tokens: int
) -> ServerEvidence:
    """The server's own account of the stage, after the last request has ended."""
    if isinstance(before, NoMetricsError):
        return no_evidence(str(before), totals)
    try:
        after = await asyncio.to_thread(watch.end)
        within = watch.within(feed.window_start or 0, feed.window_end or 0)
    except NoMetricsError as error:
        return no_evidence(f"after the load: {error}", totals)
    return evidence_of(before, after, within, totals, max_tokens)


async def _ask_again(session: Session, plan: StagePlan, recorder: Recorder) -> dict[int, str]:
    """Failed items once more at concurrency 1, for accuracy only: speed keeps the failure (measurement.md §7)."""
    if plan.task.scoring is None:
        return {}
    failed = [i for i, row in recorder.seen.rows.items() if row.outcome is not Outcome.SUCCESS]
    replies = await session.ask([plan.requests.measured[i] for i in failed]) if failed else []
    return {i: reply.text for i, reply in zip(failed, replies, strict=False) if reply.outcome is Outcome.SUCCESS}


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


def _nothing_measured(plan: StagePlan, feed: Feed) -> Failure:
    load = plan.load
    if feed.window_start is not None and not feed.time_limited:
        message = f"no request was due within {plan.window_seconds:g} s at this rate: raise --duration or --rate"
        return Failure(blame=Blame.MEASUREMENT, reason="NothingDue", message=message)
    message = f"load.maxSeconds ({load.max_seconds:g}) passed before the warm-up was over; raise it or warm up less"
    return Failure(blame=Blame.TARGET, reason="StageTimeLimit", message=message)
