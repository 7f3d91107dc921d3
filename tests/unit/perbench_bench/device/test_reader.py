"""Whole stages against a server on loopback that says of its memory what SGLang, vLLM and llama-server say."""

import time
from collections.abc import Callable
from math import ceil

import pytest

from perbench.plan import DeviceMemory, MemorySource
from perbench.resources import MemoryOrigin, MemoryQuality, MemoryRecord
from perbench_bench.device.reader import DeviceReader
from perbench_bench.engine.http1 import Origin
from perbench_bench.memory_now import MemoryNow
from perbench_bench.metrics_watch import MetricsWatch
from tests.support.device_stages import CONCURRENCY, FILES, GIB, measured_stage
from tests.support.model_configs import LLAMA_3_8B_TOKEN
from tests.support.processes import wait_until
from tests.support.quiet import compared
from tests.support.scripted_model import OUTPUT_TOKENS, PROMPT_TOKENS, ScriptedModel, scripted_model

CACHE_TOKENS = 10_000
BLOCK = 16
MOST = CONCURRENCY * (PROMPT_TOKENS + OUTPUT_TOKENS)


def sglang(server: ScriptedModel) -> str:
    lines = [
        f'sglang:num_running_reqs{{tp_rank="0"}} {len(server.held)}',
        'sglang:num_queue_reqs{tp_rank="0"} 0',
        f"sglang:prompt_tokens_total {server.ended * PROMPT_TOKENS}",
        f"sglang:generation_tokens_total {server.ended * OUTPUT_TOKENS}",
        f"sglang:num_requests_total {server.ended}",
        f'sglang:max_total_num_tokens{{tp_rank="0"}} {CACHE_TOKENS}',
    ]
    for rank in (0, 1):
        label = f'{{tp_rank="{rank}"}}'
        lines += [
            f"sglang:num_used_tokens{label} {sum(server.held.values())}",
            f"sglang:weight_memory_usage_gb{label} 7.5",
            f"sglang:kv_cache_memory_usage_gb{label} 5.0",
        ]
    return "\n".join(lines) + "\n"


def vllm(server: ScriptedModel) -> str:
    blocks = sum(ceil(tokens / BLOCK) for tokens in server.held.values())
    return (
        f'vllm:num_requests_running{{engine="0"}} {len(server.held)}\n'
        'vllm:num_requests_waiting{engine="0"} 0\n'
        f'vllm:prompt_tokens_total{{engine="0"}} {server.ended * PROMPT_TOKENS}\n'
        f'vllm:generation_tokens_total{{engine="0"}} {server.ended * OUTPUT_TOKENS}\n'
        f'vllm:kv_cache_usage_perc{{engine="0"}} {blocks / 1000}\n'
        f'vllm:cache_config_info{{block_size="{BLOCK}",cache_dtype="auto",engine="0",num_gpu_blocks="1001"}} 1.0\n'
    )


def llamacpp(server: ScriptedModel) -> str:
    return (
        f"llamacpp:requests_processing {len(server.held)}\n"
        "llamacpp:requests_deferred 0\n"
        f"llamacpp:prompt_tokens_total {server.ended * PROMPT_TOKENS}\n"
        f"llamacpp:tokens_predicted_total {server.ended * OUTPUT_TOKENS}\n"
    )


def stage(page: Callable[[ScriptedModel], str], accelerators: int) -> MemoryRecord:
    """The memory of one stage, measured as a bench pod measures it, with something held at a reading within it."""

    def measure() -> MemoryRecord:
        record = measured_stage(page, MemorySource(device=DeviceMemory(accelerators=accelerators)))
        assert record.memory is not None
        return record.memory

    def compare(memory: MemoryRecord) -> None:
        assert memory.kv_used_tokens or memory.kv_used_bytes, "a machine that stalls reads too rarely"

    return compared(measure, compare)


def test_sglangs_own_figures_become_a_measured_record() -> None:
    memory = stage(sglang, accelerators=2)
    assert (memory.origin, memory.quality, memory.reason) == (MemoryOrigin.DEVICE, MemoryQuality.MEASURED, None)
    assert (memory.weights_bytes, memory.kv_reserved_bytes) == (15 * GIB, 10 * GIB)
    assert memory.reserved_bytes == 25 * GIB
    assert memory.samples >= 1
    assert memory.kv_used_bytes is not None
    assert 0 < memory.kv_used_bytes <= MOST / CACHE_TOKENS * 10 * GIB
    assert memory.footprint_bytes == 15 * GIB + memory.kv_used_bytes


def test_vllms_blocks_become_a_modelled_record() -> None:
    memory = stage(vllm, accelerators=1)
    assert (memory.origin, memory.quality, memory.reason) == (MemoryOrigin.DEVICE, MemoryQuality.MODELLED, None)
    assert memory.kv_used_tokens is not None
    assert memory.kv_used_tokens % BLOCK == 0
    assert 0 < memory.kv_used_tokens <= CONCURRENCY * BLOCK * ceil((PROMPT_TOKENS + OUTPUT_TOKENS) / BLOCK)
    assert memory.footprint_bytes == 16 * GIB + memory.kv_used_tokens * LLAMA_3_8B_TOKEN
    assert memory.reserved_bytes is None


def test_where_the_server_says_nothing_the_requests_under_way_are_counted() -> None:
    memory = stage(llamacpp, accelerators=1)
    assert memory.quality is MemoryQuality.MODELLED
    assert memory.kv_used_tokens is not None
    assert CONCURRENCY * PROMPT_TOKENS < memory.kv_used_tokens <= MOST
    assert "the requests under way" in memory.source


def test_the_view_of_a_moment_is_that_of_the_last_reading() -> None:
    with scripted_model(sglang) as server:
        server.hold(1, 100)
        origin = Origin("127.0.0.1", server.server_port, tls=False, base_path="")
        reader = DeviceReader(["127.0.0.1"], DeviceMemory(accelerators=2), FILES)
        assert reader.now() == MemoryNow()
        watch = MetricsWatch(origin, ["127.0.0.1"], None, time.perf_counter_ns)
        watch.begin()
        reader.start(watch)
        one = 10 * GIB / CACHE_TOKENS
        wait_until(lambda: bool(reader.now().peak.get("Footprint")), "it was read")
        assert reader.now().current["Footprint"] == 15 * GIB + round(100 * one)
        server.hold(2, 300)
        wait_until(lambda: reader.now().current["Footprint"] == 15 * GIB + round(400 * one), "it grows")
        server.hold(2, 0)
        wait_until(lambda: reader.now().current["Footprint"] == 15 * GIB + round(100 * one), "it shrinks")
        watch.stop()
        view = reader.now()
    assert view.peak == {"Footprint": 15 * GIB + round(400 * one), "Reserved": 25 * GIB, "Weights": 15 * GIB}
    assert view.limit is None


def test_a_view_that_comes_late_is_that_of_the_last_reading_and_catches_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever asks for the first time after an hour is not kept waiting for 3,600 readings."""
    monkeypatch.setattr("perbench_bench.device.reader.NOW_SECONDS", 0.0)
    with scripted_model(sglang) as server:
        watch = MetricsWatch(
            Origin("127.0.0.1", server.server_port, tls=False, base_path=""), ["127.0.0.1"], None, time.perf_counter_ns
        )
        reader = DeviceReader(["127.0.0.1"], DeviceMemory(accelerators=2), FILES)
        watch.begin()
        reader.start(watch)
        for tokens in (300, 200, 100):
            server.hold(1, tokens)
            taken = len(watch.lines())
            wait_until(lambda: len(watch.lines()) > taken + 1, "it was read")  # noqa: B023 - called at once
        watch.stop()
        one = 10 * GIB / CACHE_TOKENS
        first = reader.now()
        assert first.current["Footprint"] == 15 * GIB + round(100 * one)
        wait_until(lambda: reader.now().peak.get("Footprint") == 15 * GIB + round(300 * one), "it has caught up")


def test_a_server_without_metrics_is_known_by_its_files_and_requests_alone() -> None:
    memory = stage(lambda _: "<html>nothing here</html>", accelerators=1)
    assert memory.quality is MemoryQuality.MODELLED
    assert (memory.weights_bytes, memory.samples) == (16 * GIB, 0)
