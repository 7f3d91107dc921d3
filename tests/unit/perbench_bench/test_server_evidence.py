"""The server's counts against ours, on figures made by hand."""

from dataclasses import replace

import pytest

from perbench.results import Finding, ServerEvidence
from perbench.runtimes.metrics import LLAMA_CPP, TGI, VLLM
from perbench_bench.engine.observations import Totals
from perbench_bench.server_evidence import evidence_of, judge_server
from perbench_bench.server_metrics import ServerReading

BEFORE = ServerReading(
    VLLM, running=0, waiting=0, cache_use=0, requests=10, input_tokens=1000, cached_tokens=0, output_tokens=500,
    preemptions=1,
)  # fmt: skip
TOTALS = Totals(requests=100, sends=100, answered=100, input_tokens_told=10_000, output_tokens=6_400)
AFTER = replace(BEFORE, requests=110, input_tokens=11_000, output_tokens=6_900)


def evidence(after: ServerReading = AFTER, totals: Totals = TOTALS, **changes: int) -> ServerEvidence:
    within = [
        replace(BEFORE, running=4, waiting=0, cache_use=0.5),
        replace(BEFORE, running=3, waiting=2, cache_use=0.7),
    ]
    return evidence_of(BEFORE, replace(after, **changes), within, totals, max_tokens=64)


def codes(found: ServerEvidence, totals: Totals = TOTALS) -> list[str]:
    findings = list(judge_server(found, totals))
    assert all(finding.invalidates for finding in findings)
    return [finding.code for finding in findings]


def test_a_server_that_counts_as_we_do() -> None:
    found = evidence()
    assert found == ServerEvidence(
        kind="vllm", readings=2, saturated=True, queue_peak=2, running_peak=4, kv_use_peak=0.7, preemptions=0,
        cached_percent=0.0, requests_counted=100, requests_sent=100, input_tokens_counted=10_000,
        input_tokens_seen=10_000, output_tokens_counted=6_400, output_tokens_seen=6_400,
    )  # fmt: skip
    assert codes(found) == []


def test_one_request_of_somebody_else_is_other_traffic() -> None:
    found = evidence(requests=111)
    [finding] = judge_server(found, TOTALS)
    assert (finding.code, finding.measured, finding.threshold) == ("OtherTraffic", 101, 100)


def test_a_second_attempt_of_ours_is_no_other_traffic() -> None:
    assert codes(evidence(requests=111, totals=replace(TOTALS, sends=101))) == []


def test_a_token_a_request_may_differ_and_one_percent() -> None:
    assert codes(evidence(output_tokens=6_900 + 100)) == []
    assert codes(evidence(output_tokens=6_900 - 101)) == ["TokenCountMismatch"]
    long = replace(TOTALS, output_tokens=100_000)
    assert codes(evidence(output_tokens=500 + 101_000, totals=long), long) == []
    assert codes(evidence(output_tokens=500 + 101_001, totals=long), long) == ["TokenCountMismatch"]
    assert codes(evidence(input_tokens=11_200)) == ["TokenCountMismatch"]


def test_a_mismatch_says_both_counts() -> None:
    [finding] = judge_server(evidence(output_tokens=4_900), TOTALS)
    assert isinstance(finding, Finding)
    assert finding.rule == "generated tokens: 4400 by the server's metrics, 6400 by its answers"
    assert (finding.measured, finding.threshold, finding.unit) == (2000, 100, "tokens")


def test_requests_that_failed_half_way_leave_tokens_open() -> None:
    """vLLM counts what it generated for a request that its client gave up; no answer says how much that was."""
    totals = replace(TOTALS, answered=97, uncounted=3)
    found = evidence(totals=totals, output_tokens=6_900 + 300)
    assert codes(found, totals) == []
    assert found.reason
    assert "3 requests failed" in found.reason


def test_one_of_several_servers_behind_an_address_is_not_compared() -> None:
    found = evidence(requests=60, output_tokens=3_700)
    assert codes(found) == []
    assert found.reason
    assert "50 of the 100 requests" in found.reason


def test_answers_that_do_not_say_how_long_their_prompts_were() -> None:
    totals = replace(TOTALS, untold=1)
    found = evidence(totals=totals)
    assert (found.input_tokens_counted, found.input_tokens_seen) == (10_000, None)
    assert codes(found, totals) == []


def test_cached_prompt_tokens() -> None:
    assert codes(evidence(cached_tokens=100)) == []
    found = evidence(cached_tokens=101)
    assert found.cached_percent == pytest.approx(1.01)
    assert codes(found) == ["PrefixCacheActive"]


def test_a_server_that_counts_no_requests_is_not_asked_for_other_traffic() -> None:
    before = ServerReading(LLAMA_CPP, running=0, waiting=0, input_tokens=0, cached_tokens=0, output_tokens=0)
    after = replace(before, input_tokens=10_000, output_tokens=6_400)
    found = evidence_of(before, after, [], TOTALS, 64)
    assert (found.requests_counted, found.readings, found.saturated, found.queue_peak) == (None, 0, None, None)
    assert codes(found) == []


def test_tgi_counts_prompts_of_long_answers_again() -> None:
    before = ServerReading(TGI, running=0, waiting=0, requests=0, input_tokens=0, output_tokens=0)
    after = replace(before, requests=100, input_tokens=20_000, output_tokens=6_400)
    assert evidence_of(before, after, [], TOTALS, 1024).input_tokens_counted == 20_000
    found = evidence_of(before, after, [], TOTALS, 1025)
    assert found.input_tokens_counted is None
    assert codes(found) == []


def test_readings_that_go_back_are_no_evidence() -> None:
    other = replace(BEFORE, requests=3)
    found = evidence_of(BEFORE, AFTER, [other], TOTALS, 64)
    assert found.kind is None
    assert "several servers" in (found.reason or "")
    assert found.requests_sent == 100
    assert codes(found) == []


def test_an_empty_page_is_no_evidence() -> None:
    found = evidence_of(ServerReading(None), ServerReading(None), [], TOTALS, 64)
    assert (found.kind, found.reason) == (None, "the server's metrics are empty")
