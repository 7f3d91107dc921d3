"""The record of a stage out of what was seen. Pure."""

from dataclasses import dataclass
from datetime import datetime

import numpy as np
from numpy.typing import NDArray
from pydantic import JsonValue

from perbench.results import Finding, Outcome, RequestColumns, ServerEvidence, StageRecord, TokensPerChunk
from perbench_bench.engine.delivery import judge_connections, judge_delivery
from perbench_bench.engine.feed import Feed
from perbench_bench.engine.observations import NONE, Observations, milliseconds
from perbench_bench.engine.stage_findings import judge_stage
from perbench_bench.engine.time_histogram import TimeHistogram
from perbench_bench.engine.verdict import ClientUse, client_record, judge_client, tpot_ms
from perbench_bench.memory_now import Taken
from perbench_bench.server_evidence import judge_server
from perbench_bench.stage_plan import StagePlan
from perbench_bench.tasks import ResolvedTask, score


@dataclass(frozen=True, slots=True)
class StageEnd:
    """All that a stage leaves."""

    started_at: datetime
    feed: Feed
    seen: Observations
    use: ClientUse
    taken: Taken | None
    """None: the server runs elsewhere."""
    server: ServerEvidence
    answers_later: dict[int, str]
    """Answers of failed items that were asked again after the window."""
    parameters: dict[str, JsonValue]


def record_of(plan: StagePlan, end: StageEnd) -> StageRecord:
    """Put it together, with the verdict."""
    feed, seen, load = end.feed, end.seen, plan.load
    client = client_record(seen, load, feed, end.use)
    findings: list[Finding] = list(judge_client(seen, client, load, end.use))
    findings += [*judge_delivery(seen, client, load), *judge_connections(seen, load)]
    synthetic = plan.task.synthetic
    findings += judge_stage(
        seen, feed,
        input_tokens=synthetic.input_tokens if synthetic else None,
        output_tokens=synthetic.output_tokens if synthetic else None,
        steadiness=plan.judge_steadiness, open_loop=load.arrivals is not None,
    )  # fmt: skip
    found = {finding.code for finding in findings}
    findings += [finding for finding in judge_server(end.server, seen.totals) if finding.code not in found]
    return StageRecord(
        task=plan.task.name,
        round=plan.place.round,
        repeat=plan.place.repeat,
        started_at=end.started_at,
        concurrency=load.concurrency,
        rate=load.arrivals.rate if load.arrivals else None,
        warmup_requests=feed.warmup_sent,
        filler_requests=feed.filler_sent,
        window_seconds=feed.window_ns / 1e9,
        output_tokens_in_window=round(seen.window.output_tokens),
        requests_in_window=seen.window.requests,
        requests=_columns(plan.task, end),
        itl=(TimeHistogram() if seen.bundled else seen.itl).document(),
        chunk_gap=seen.chunk_gap.document(),
        tokens_per_chunk=_source_of_tokens(seen),
        tokens_per_chunk_ratio=seen.tokens_per_chunk,
        prompt_fit=plan.prompt_fit,
        request_parameters=end.parameters,
        memory=end.taken.memory if end.taken else None,
        use=end.taken.use if end.taken else None,
        server=end.server,
        client=client,
        findings=tuple(findings),
    )


def _source_of_tokens(seen: Observations) -> TokensPerChunk | None:
    if not seen.content_events:
        return None
    return TokensPerChunk.ESTIMATED if seen.estimated_answers else TokensPerChunk.REPORTED


def _columns(task: ResolvedTask, end: StageEnd) -> RequestColumns:
    seen, later = end.seen, end.answers_later
    order = sorted(seen.rows, key=lambda i: int(seen.sent[i]))
    rows = [seen.rows[i] for i in order]
    start = end.feed.window_start or 0
    texts = [row.text if row.outcome is Outcome.SUCCESS else later.get(i) for i, row in zip(order, rows, strict=True)]
    index = np.array(order, dtype=np.int64)
    has_first = seen.first[index] != NONE
    per_token = tpot_ms(seen)[index]
    return RequestColumns(
        item=tuple(order),
        outcome=tuple(row.outcome for row in rows),
        sent_seconds=tuple((milliseconds(seen.sent[index] - start) / 1e3).tolist()),
        ttft_ms=_known(milliseconds(seen.first[index] - seen.due[index]), has_first),
        ttft_sent_ms=_known(milliseconds(seen.first[index] - seen.sent[index]), has_first),
        connect_ms=tuple(milliseconds(seen.connect[index]).tolist()),
        e2e_ms=_known(milliseconds(seen.end[index] - seen.due[index]), seen.succeeded[index]),
        tpot_ms=_known(per_token, np.isfinite(per_token)),
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
