from typing import Any

from perbench.cli.load_text import load_text

FIGURES = {"mean": 12.345, "p50": 12.0, "p90": None, "p95": None, "p99": None, "max": 99.0}
SERVER = {
    "kind": "vllm", "reason": None, "queue_peak": 3, "running_peak": 8, "kv_use_peak": 0.5, "preemptions": None,
    "cached_percent": 0.0,
}  # fmt: skip


def document(**changes: Any) -> dict[str, Any]:
    base: dict[str, Any] = {
        "requests": 40, "errors": 1, "duration_s": 2.5, "request_rate": 16.0, "output_token_rate": 1280.4,
        "in_flight_mean": 3.98, "client_error_ms": 0.123, "cpu_ms_per_request": 0.4, "valid": True,
        "invalid_reasons": [], "findings": [], "outcomes": {"Success": 39, "Timeout": 1},
        "error_samples": {"Timeout": "no answer within 600 s"},
        "input_length": FIGURES | {"asked": 500, "mean": 498.2, "p95": 501.0},
        "output_length": FIGURES | {"asked": 80, "mean": 80.0, "p95": None}, "stopped_by_length_percent": 100.0,
        "server": SERVER,
    }  # fmt: skip
    base |= dict.fromkeys(("ttft_ms", "ttft_sent_ms", "itl_ms", "chunk_gap_ms", "tpot_ms", "e2e_ms"), FIGURES)
    return base | changes


def test_figures_with_units_and_a_dash_for_what_is_withheld() -> None:
    text = load_text(document())
    assert "40 requests, 1 failed, in 2.5 s: 16 requests/s, 1280 tokens/s" in text
    assert "time to first token        12.3       12        -        -        -       99" in text
    assert text.endswith("valid\n")
    assert max(map(len, text.splitlines())) <= 80


def test_a_verdict_says_what_was_measured_and_what_to_do() -> None:
    finding = {
        "code": "LoadGeneratorSaturated", "invalidates": True, "measured": 0.9, "threshold": 0.5, "unit": "ms",
        "rule": "p50 of the client's error", "advice": "give it room",
    }  # fmt: skip
    text = load_text(document(valid=False, findings=[finding]))
    assert "not valid: LoadGeneratorSaturated, p50 of the client's error: 0.9 ms (limit\n  0.5). give it room" in text


def test_nothing_measured_says_so() -> None:
    text = load_text(document(valid=False, invalid_reasons=["NothingMeasured"], duration_s=None))
    assert "not valid: NothingMeasured" in text


def test_a_warning_does_not_hide_that_it_is_valid() -> None:
    finding = {
        "code": "NotSteady", "invalidates": False, "measured": 25.8, "threshold": 10.0, "unit": "%",
        "rule": "change", "advice": "warm up longer",
    }  # fmt: skip
    assert load_text(document(findings=[finding])).endswith(
        "valid\nwarning: NotSteady, change: 25.8 % (limit 10). warm up longer\n"
    )


def test_failures_have_their_kind_and_an_example() -> None:
    text = load_text(document(valid=False, invalid_reasons=["TooManyErrors"]))
    assert "failed: 1 Timeout, such as: no answer within 600 s\n" in text
    assert text.endswith("not valid: TooManyErrors\n")
    hostile = load_text(document(error_samples={"Timeout": "\x1b[2J" + "long " * 100}))
    assert "\x1b" not in hostile
    assert max(map(len, hostile.splitlines())) <= 80
    assert "failed: 1 Timeout\n" in load_text(document(error_samples={}))


def test_lengths_and_what_the_server_says() -> None:
    text = load_text(document())
    assert "prompts of 498 tokens (500 asked for), 95th percentile 501" in text
    assert "answers of 80 tokens (80 asked for), 100 % of them ended by that limit" in text
    assert "the server (vllm): at most 3 waited, 8 ran, KV cache 50 %; 0 % of prompts cached" in text
    silent = load_text(document(server=SERVER | {"kind": None, "reason": "HTTP 404"}))
    assert "the server's own metrics: none (HTTP 404)" in silent
    assert max(map(len, (text + silent).splitlines())) <= 80
