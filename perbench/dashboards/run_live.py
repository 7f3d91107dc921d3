"""Run, live: what the bench pods measure while they measure it."""

from grafana_foundation_sdk.builders import bargauge, heatmap, table, timeseries
from grafana_foundation_sdk.models import dashboard as models
from grafana_foundation_sdk.models import units

from perbench.api.defaults import VALIDITY
from perbench.dashboards.frame import Outline, dashboard
from perbench.dashboards.panels import TOKENS_PER_SECOND, Asked, Words, bars, dashed, heat, limited, lines
from perbench.dashboards.promql import (
    BENCHMARK,
    CELL,
    CELL_LEGEND,
    MODEL,
    MODEL_LEGEND,
    aggregated,
    buckets,
    chosen,
    latest,
    quantile,
    rate,
)
from perbench.dashboards.tables import Column, facts, table_of

TTFT = "perbench_time_to_first_token_seconds"
ITL = "perbench_inter_token_latency_seconds"
DURATION = "perbench_request_duration_seconds"
CLIENT_ERROR = "perbench_client_error_seconds"
REQUESTS = "perbench_requests_total"
FAILED = 'outcome!="Success"'
ERROR_SHARE = float(VALIDITY.error_percent or 0) / 100
CLIENT_ERROR_SECONDS = float(VALIDITY.client_error_milliseconds or 0) / 1000
CLIENT_ERROR_TAIL_SECONDS = float(VALIDITY.client_error_tail_milliseconds or 0) / 1000
BUNDLED = "Absent where the server bundles tokens and does not say how many."
MEASURED = "Measured requests that succeeded, without warm-up."
OUTLINE = Outline(
    uid="perbench-run-live",
    description="How runs are going: load, latency, failures, memory and progress, as the bench pods tell them. "
    "The results, with their intervals and the verdict, are on the dashboard Compare once a run has ended.",
    since="now-1h",
    refresh="10s",
)


def run_live() -> models.Dashboard:
    """The dashboard."""
    return dashboard(
        OUTLINE,
        {
            "Where it stands": (_phases(), _progress(), _runs()),
            "Load": (_request_rate(), _output_tokens(), _input_tokens(), _in_flight(), _failures(), _error_share()),
            "Latency": (
                _heat("Time to first token", TTFT, "From when each was due to its first text."),
                _quantiles("Time to first token: quantiles", TTFT, "From when each was due to its first text."),
                _heat("Time between tokens", ITL, f"One observation per token. {BUNDLED}"),
                _quantiles("Time between tokens: quantiles", ITL, BUNDLED),
                _quantiles("Duration of requests: quantiles", DURATION, "From when each was due to its last byte."),
                _mean_duration(),
            ),
            "Was it us": (
                _client_error("half of the requests", 0.5, CLIENT_ERROR_SECONDS, "clientErrorMilliseconds"),
                _client_error("99 of 100 requests", 0.99, CLIENT_ERROR_TAIL_SECONDS, "clientErrorTailMilliseconds"),
            ),
            "The server, and what it answers": (_memory(), _memory_share(), _accuracy(), _processors()),
        },
    )


def _phases() -> table.Panel:
    since = latest("perbench_benchmark_phase_start_time_seconds", by=(*BENCHMARK, "phase"))
    return table_of(
        Words("Benchmarks", "The phase of each benchmark, and since when; as the operator tells it.", units.NoUnit),
        (*BENCHMARK, "phase"),
        Column("Since", f"1000 * {since}", units.DateTimeFromNow),
        width=8,
    )


def _progress() -> bargauge.Panel:
    words = Words(
        "Progress",
        "Share of the task's stages in this start of the model that is done. A pod that has ended is not shown.",
        units.PercentUnit,
    )
    return bars(words, Asked(latest("perbench_progress_ratio"), CELL_LEGEND), width=8).max(1)


def _runs() -> table.Panel:
    labels = (*MODEL, "run_id", "round", "attempt", "runtime", "runtime_version", "version")
    info = aggregated("max", chosen("perbench_run_info", of=MODEL), labels)
    words = Words("Runs", "Which run, start of the model and attempt each bench pod belongs to.", units.NoUnit)
    return facts(words, labels, info, width=8)


def _request_rate() -> timeseries.Panel:
    words = Words(
        "Requests",
        "Requests that end, per second: warm-up, measured and filler ones, good and failed.",
        units.RequestsPerSecond,
    )
    return lines(words, Asked(rate(REQUESTS), CELL_LEGEND), width=8)


def _output_tokens() -> timeseries.Panel:
    words = Words(
        "Output tokens",
        "Tokens of the answers that succeeded, by the server's own count; they count when an answer ends.",
        TOKENS_PER_SECOND,
    )
    return lines(words, Asked(rate("perbench_output_tokens_total"), CELL_LEGEND), width=8)


def _input_tokens() -> timeseries.Panel:
    words = Words(
        "Input tokens",
        "Prompt tokens of the same requests. Absent until an answer says how long its prompt was.",
        TOKENS_PER_SECOND,
    )
    return lines(words, Asked(rate("perbench_input_tokens_total"), CELL_LEGEND), width=8)


def _in_flight() -> timeseries.Panel:
    words = Words("In flight", "Requests under way, connecting included. 0 between stages.", units.Short)
    in_flight = aggregated("sum", chosen("perbench_requests_in_flight"), CELL)
    return lines(words, Asked(in_flight, CELL_LEGEND), width=8)


def _failures() -> timeseries.Panel:
    by = (*MODEL, "outcome")
    words = Words(
        "Failures by outcome",
        "Requests that did not succeed, per second. Dropped ones were never sent: too many were in flight.",
        units.RequestsPerSecond,
    )
    asked = Asked(rate(REQUESTS, FAILED, by=by), f"{{{{outcome}}}} {MODEL_LEGEND}")
    return lines(words, asked, width=8, stacked=True)


def _error_share() -> timeseries.Panel:
    words = Words(
        "Share of failures",
        "Of all requests that end. Dashed: the default of spec.load.validity.errorPercent; beyond it the model failed.",
        units.PercentUnit,
    )
    share = f"{rate(REQUESTS, FAILED)} / {rate(REQUESTS)}"
    return limited(lines(words, Asked(share, CELL_LEGEND), width=8), ERROR_SHARE)


def _heat(title: str, histogram: str, what: str) -> heatmap.Panel:
    return heat(Words(title, f"{MEASURED} All that is chosen together. {what}", units.Seconds), buckets(histogram))


def _quantiles(title: str, histogram: str, what: str) -> timeseries.Panel:
    asked = [Asked(quantile(share, histogram), f"p{share * 100:g} {CELL_LEGEND}") for share in (0.5, 0.95, 0.99)]
    return lines(
        Words(title, f"{MEASURED} {what} Between the ends of its bucket a quantile is a guess.", units.Seconds), *asked
    )


def _mean_duration() -> timeseries.Panel:
    words = Words("Duration of requests: mean", f"{MEASURED} From when each was due to its last byte.", units.Seconds)
    mean = f"{rate(f'{DURATION}_sum')} / {rate(f'{DURATION}_count')}"
    return lines(words, Asked(mean, CELL_LEGEND))


def _client_error(whose: str, share: float, limit: float, setting: str) -> timeseries.Panel:
    words = Words(
        f"The load generator's own part: {whose}",
        f"What it added at most to their time to first token. Dashed: the default of spec.load.validity.{setting}; "
        "beyond it the verdict may fail the stage, unless the server's own times are much longer.",
        units.Seconds,
    )
    return limited(lines(words, Asked(quantile(share, CLIENT_ERROR), CELL_LEGEND)), limit)


def _memory() -> timeseries.Panel:
    by = (*CELL, "basis")
    words = Words(
        "Memory of the model's server",
        "By basis; of several replicas the largest. Absent while no stage runs. Dashed: the most in any stage, and "
        "what the server's container may use.",
        units.BytesIEC,
    )
    panel = lines(
        words,
        Asked(latest("perbench_model_memory_bytes", by=by), f"{{{{basis}}}} {CELL_LEGEND}"),
        Asked(latest("perbench_model_memory_peak_bytes", by=by), f"peak {{{{basis}}}} {CELL_LEGEND}"),
        Asked(latest("perbench_model_memory_limit_bytes", by=MODEL), f"limit {MODEL_LEGEND}"),
    )
    return dashed(panel, "B", "C")


def _memory_share() -> bargauge.Panel:
    words = Words(
        "Memory against the limit",
        "Footprint now, as a share of what the server's container may use. At 100 % it is killed. Absent where no "
        "limit is known, as on accelerators.",
        units.PercentUnit,
    )
    used = latest("perbench_model_memory_bytes", 'basis="Footprint"', by=MODEL)
    share = f"{used} / {latest('perbench_model_memory_limit_bytes', by=MODEL)}"
    return bars(words, Asked(share, MODEL_LEGEND), width=6).max(1)


def _processors() -> timeseries.Panel:
    words = Words(
        "Processors at work",
        "How many cores the model's server keeps busy, all replicas together; of its own, not of the load generator. "
        "Absent for endpoints and for servers with accelerators.",
        units.Short,
    )
    return lines(words, Asked(rate("perbench_model_cpu_seconds_total"), CELL_LEGEND), width=24)


def _accuracy() -> bargauge.Panel:
    words = Words(
        "Accuracy so far",
        "Mean score over the recorded stages of the task. Absent before the first, and for tasks without scores.",
        units.PercentUnit,
    )
    return bars(words, Asked(latest("perbench_accuracy_ratio"), CELL_LEGEND), width=6).max(1)
