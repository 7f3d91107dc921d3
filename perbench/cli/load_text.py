"""What `perbench load` prints for a reader: the figures of its JSON, with units, and the verdict in words. Pure."""

import textwrap
from collections.abc import Mapping
from typing import Any

from perbench.failures import printable

ROWS = (
    ("time to first token", "ttft_ms"),
    ("  from the send", "ttft_sent_ms"),
    ("between tokens", "itl_ms"),
    ("  between chunks", "chunk_gap_ms"),
    ("time per output token", "tpot_ms"),
    ("whole request", "e2e_ms"),
)
COLUMNS = ("mean", "p50", "p90", "p95", "p99", "max")
ABSENT = "-"
SAMPLE_LINES = 3
"""Of what a server said of a failure; the JSON has more."""


def load_text(document: Mapping[str, Any]) -> str:
    """At most 80 columns. A dash stands for a figure that is not given (too few requests, or a failure)."""
    lines = [
        (
            f"{document['requests']} requests, {document['errors']} failed, in {_number(document['duration_s'])} s: "
            f"{_number(document['request_rate'])} requests/s, {_number(document['output_token_rate'])} tokens/s"
        ),
        *_failures(document),
        "",
        f"{'milliseconds':<22}" + "".join(f"{column:>9}" for column in COLUMNS),
    ]
    for label, key in ROWS:
        figures = document[key]
        lines.append(f"{label:<22}" + "".join(f"{_number(figures[column]):>9}" for column in COLUMNS))
    lines += ["", *_lengths(document), *_server(document["server"]), *_client(document), *_verdict(document)]
    return "\n".join(lines) + "\n"


def _failures(document: Mapping[str, Any]) -> list[str]:
    """How requests failed, each way with an example. Servers' own words are one line without control characters."""
    lines: list[str] = []
    for kind, count in document["outcomes"].items():
        if kind == "Success":
            continue
        said = printable(document["error_samples"].get(kind) or "")
        text = f"failed: {count} {kind}" + (f", such as: {said}" if said else "")
        lines += textwrap.wrap(text, 80, subsequent_indent="  ", max_lines=SAMPLE_LINES)
    return lines


def _lengths(document: Mapping[str, Any]) -> list[str]:
    """Delivered beside asked for, by the server's own count."""
    prompts, answers = document["input_length"], document["output_length"]
    ended = document["stopped_by_length_percent"]
    of_prompts = f"prompts of {_number(prompts['mean'])} tokens ({prompts['asked']} asked for)"
    of_answers = f"answers of {_number(answers['mean'])} tokens ({answers['asked']} asked for)"
    texts = (
        f"{of_prompts}, 95th percentile {_number(prompts['p95'])}",
        f"{of_answers}, {_number(ended)} % of them ended by that limit",
    )
    return [line for text in texts for line in textwrap.wrap(text, 80, subsequent_indent="  ")]


def _server(said: Mapping[str, Any] | None) -> list[str]:
    """What its own metrics said of the window."""
    if said is None:
        return []
    if said["kind"] is None:
        text = f"the server's own metrics: none ({printable(said['reason'] or 'no reason is known')})"
        return textwrap.wrap(text, 80, subsequent_indent="  ", max_lines=SAMPLE_LINES)
    share = said["kv_use_peak"]
    text = (
        f"the server ({said['kind']}): at most {_number(said['queue_peak'])} waited, {_number(said['running_peak'])}"
        f" ran, KV cache {_number(None if share is None else 100 * share)} %;"
        f" {_number(said['cached_percent'])} % of prompts cached"
    )
    return textwrap.wrap(text, 80, subsequent_indent="  ")


def _client(document: Mapping[str, Any]) -> list[str]:
    text = (
        f"in flight {_number(document['in_flight_mean'])}; the client added {_number(document['client_error_ms'])} ms, "
        f"used {_number(document['cpu_ms_per_request'])} ms CPU a request"
    )
    return textwrap.wrap(text, 80, subsequent_indent="  ")


def _verdict(document: Mapping[str, Any]) -> list[str]:
    findings = document["findings"]
    explained = {found["code"] for found in findings}
    lines = ["valid"] if document["valid"] else []
    lines += [f"not valid: {reason}" for reason in document["invalid_reasons"] if reason not in explained]
    for found in findings:
        measured = "" if found["measured"] is None else f": {_number(found['measured'])} {found['unit']}"
        limit = "" if found["threshold"] is None else f" (limit {_number(found['threshold'])})"
        word = "not valid" if found["invalidates"] else "warning"
        text = f"{word}: {found['code']}, {found['rule']}{measured}{limit}. {found['advice']}"
        lines += textwrap.wrap(text, 80, subsequent_indent="  ")
    return lines


def _number(value: float | None) -> str:
    if value is None:
        return ABSENT
    return f"{value:.0f}" if abs(value) >= 1000 else f"{value:.3g}"
