"""Expositions of real servers, understood."""

import contextlib
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from perbench.runtimes.metrics import FAMILIES, LLAMA_CPP, SGLANG, TGI, VLLM
from perbench_bench.server_metrics import ServerReading, differences, reading_of, together, wanted_lines

METRICS = Path(__file__).parents[2] / "golden" / "metrics"


def read(name: str) -> ServerReading:
    lines = wanted_lines((METRICS / f"{name}.txt").read_bytes())
    assert lines is not None
    return reading_of(lines)


def test_tgi() -> None:
    assert read("tgi-during") == ServerReading(
        TGI, running=2, waiting=2, requests=0, input_tokens=96, output_tokens=0, cached_tokens=None
    )
    after = read("tgi-after")
    assert (after.running, after.waiting, after.output_tokens) == (0, 0, 800)
    assert after.requests == 5, "four answered and one given up, each once"


def test_vllm() -> None:
    during = read("vllm-during")
    assert during == ServerReading(
        VLLM, running=4, waiting=4, cache_use=pytest.approx(0.0078163, rel=1e-4), requests=63, input_tokens=1507,
        cached_tokens=256, output_tokens=2888, preemptions=0, started=(1795409551.12,),
    )  # fmt: skip
    counted = differences(during, read("vllm-after"))
    assert (counted["requests"], counted["output_tokens"], counted["cached_tokens"]) == (8, 2515, 0)


def test_llama_server_counts_cached_prompt_tokens_apart() -> None:
    assert read("llamacpp-during") == ServerReading(
        LLAMA_CPP, running=2, waiting=4, input_tokens=2744 + 1580, cached_tokens=1580, output_tokens=404
    )


def test_the_ranks_of_sglang_repeat_each_other() -> None:
    assert read("sglang-two-ranks") == ServerReading(
        SGLANG, running=3, waiting=5, cache_use=0.25, requests=10, input_tokens=1200, cached_tokens=12,
        output_tokens=640,
    )  # fmt: skip


def test_several_engines_of_one_server_are_added_up() -> None:
    text = 'vllm:num_requests_running{engine="0"} 4\nvllm:num_requests_running{engine="1"} 2\n'
    text += 'vllm:kv_cache_usage_perc{engine="0"} 0.25\nvllm:kv_cache_usage_perc{engine="1"} 0.75\n'
    reading = reading_of(text.encode())
    assert (reading.running, reading.cache_use, reading.waiting) == (6, 0.75, None)


def test_older_names_count_where_the_newer_are_missing() -> None:
    assert reading_of(b"vllm:gpu_cache_usage_perc 0.5\n").cache_use == 0.5
    both = b"vllm:prefix_cache_hits_total 7\nvllm:prompt_tokens_cached_total 5\n"
    assert reading_of(both).cached_tokens == 5
    assert reading_of(b"vllm:prefix_cache_hits_total 7\n").cached_tokens == 7


@pytest.mark.parametrize("value", ["NaN", "+Inf", "-1", "1e300"])
def test_what_is_no_figure_is_none(value: str) -> None:
    assert reading_of(f"vllm:num_requests_running {value}\nvllm:num_requests_waiting 1\n".encode()).running is None


def test_pages_that_are_none() -> None:
    assert wanted_lines(b"") == wanted_lines(b"\n") == b"", "TGI before its first request"
    assert wanted_lines(b'{"error":{"message":"Loading model"}}') is None
    assert wanted_lines(b"# TYPE http_requests_total counter\nhttp_requests_total 4\n") is None


@given(st.text())
@example("{engine= nonsense")
@example('{a="b}')
@example(" 1 2 3 4")
@example("{")
def test_a_broken_line_is_a_value_error(rest: str) -> None:
    lines = wanted_lines(f"vllm:num_requests_running{rest}\n".encode(errors="replace"))
    assert lines is not None
    with contextlib.suppress(ValueError):
        reading_of(lines)


def test_only_the_lines_that_matter_are_kept() -> None:
    kept = wanted_lines((METRICS / "vllm-during.txt").read_bytes()) or b""
    assert b"_bucket" not in kept
    assert b"by_source" not in kept
    assert len(kept.splitlines()) == 14


def test_every_family_is_known_by_its_prefix() -> None:
    for family in FAMILIES:
        assert all(name.startswith(family.prefix) for name in family.names)


def test_counters_of_an_empty_page_are_zero() -> None:
    counted = differences(reading_of(b""), read("tgi-after"))
    assert (counted["requests"], counted["output_tokens"], counted["cached_tokens"]) == (5, 800, None)


def test_counters_never_go_back() -> None:
    with pytest.raises(ValueError, match="went back"):
        differences(read("llamacpp-after"), read("llamacpp-during"))


def test_another_process_is_another_server() -> None:
    one, other = (
        reading_of(f"vllm:num_preemptions_total 1\nprocess_start_time_seconds {n}\n".encode()) for n in (1, 2)
    )
    with pytest.raises(ValueError, match="several servers"):
        differences(one, other)


def test_replicas_are_added_up() -> None:
    both = together([read("vllm-during"), read("vllm-after")])
    assert (both.running, both.waiting, both.requests, both.output_tokens) == (4, 4, 63 + 71, 2888 + 5403)
    assert both.cache_use == pytest.approx(0.0078163, rel=1e-4), "the fullest"
    fresh = together([reading_of(b""), read("tgi-after")])
    assert (fresh.family, fresh.requests, fresh.cached_tokens) == (TGI, 5, None)
    assert together([reading_of(b"vllm:prompt_tokens_total 5\n"), read("vllm-after")]).requests is None
