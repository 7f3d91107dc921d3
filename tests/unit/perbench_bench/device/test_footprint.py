"""The record of a server's devices, on figures made by hand."""

from dataclasses import replace

import pytest

from perbench.plan import DeviceMemory
from perbench.resources import MemoryOrigin, MemoryQuality, MemoryRecord
from perbench_bench.device.footprint import ModelFiles, ServerSeen, of_server, record_of
from perbench_bench.device.runtimes import RuntimeFigures
from tests.support.model_configs import LLAMA_3_8B
from tests.support.model_configs import LLAMA_3_8B_TOKEN as TOKEN

GIB = 1 << 30
FILES = ModelFiles(16 * GIB, LLAMA_3_8B)
ONE, TWO = DeviceMemory(accelerators=1), DeviceMemory(accelerators=2)
SGLANG = RuntimeFigures(
    server="SGLang", ranks=2, weights=15 * GIB, cache=80 * GIB, graphs=GIB, use=0.25, tokens=25_000
)  # fmt: skip
VLLM = RuntimeFigures(server="vLLM", use=0.25, tokens=25_600)
TGI = RuntimeFigures(server="TGI")


def seen(*readings: RuntimeFigures, running: int | None = None) -> ServerSeen:
    return ServerSeen(readings, running_tokens=running)


def of(*readings: RuntimeFigures, known: DeviceMemory = ONE, files: ModelFiles = FILES, running: int | None = None) -> (
    MemoryRecord
):  # fmt: skip
    return of_server(seen(*readings, running=running), files, known)


def test_sglangs_figures_are_measured() -> None:
    record = of(replace(SGLANG, use=0.1), SGLANG, replace(SGLANG, use=0.2), known=TWO, files=ModelFiles())
    assert (record.origin, record.quality) == (MemoryOrigin.DEVICE, MemoryQuality.MEASURED)
    assert record.footprint_bytes == 15 * GIB + 20 * GIB + GIB
    assert record.reserved_bytes == 96 * GIB
    assert (record.weights_bytes, record.kv_used_bytes, record.kv_reserved_bytes) == (15 * GIB, 20 * GIB, 80 * GIB)
    assert (record.graphs_bytes, record.samples, record.reason, record.reserved_reason) == (GIB, 3, None, None)
    assert record.source == "weights: the server's metrics; KV cache: the server's metrics"


def test_a_rank_that_speaks_for_all_makes_figures_modelled() -> None:
    record = of(replace(SGLANG, ranks=1), known=TWO)
    assert record.quality is MemoryQuality.MODELLED
    assert record.footprint_bytes == 2 * 36 * GIB
    assert record.reserved_bytes == 2 * 96 * GIB
    assert "1 of 2 ranks" in record.source


def test_what_was_read_before_the_window_is_known_within() -> None:
    """A short window has no reading: its tokens are then those of its requests."""
    record = of_server(ServerSeen((), before=SGLANG, running_tokens=1000), FILES, TWO)
    assert record.weights_bytes == 15 * GIB
    assert record.kv_used_bytes == 1000 * TOKEN
    assert record.quality is MemoryQuality.MODELLED


def test_vllms_tokens_are_turned_into_bytes() -> None:
    record = of(replace(VLLM, tokens=16), VLLM, running=7)
    assert (record.quality, record.kv_used_tokens) == (MemoryQuality.MODELLED, 25_600)
    assert record.kv_used_bytes == 25_600 * TOKEN
    assert record.footprint_bytes == 16 * GIB + 25_600 * TOKEN
    assert (record.reserved_bytes, record.reserved_reason) == (None, "vLLM does not say how much it holds")
    assert record.source == (
        "weights: as large as their files; KV cache: tokens by the server's metrics x 131072 bytes by config.json"
    )


def test_a_cache_whose_size_was_set_in_bytes_needs_no_config() -> None:
    sized = replace(VLLM, cache=8 * GIB, ranks=1)
    record = of(sized, files=ModelFiles(16 * GIB))
    assert record.footprint_bytes == 16 * GIB + 2 * GIB
    assert record.quality is MemoryQuality.MODELLED
    assert of(sized, files=ModelFiles(16 * GIB), known=TWO).kv_used_bytes == 4 * GIB


def test_where_the_server_says_nothing_its_requests_do() -> None:
    record = of(TGI, running=1234)
    assert record.kv_used_bytes == 1234 * TOKEN
    assert "tokens by the requests under way" in record.source


@pytest.mark.parametrize("missed", [replace(VLLM, use=0.0, tokens=0), replace(VLLM, use=None, tokens=None)])
def test_a_cache_in_which_no_reading_found_anything_is_not_empty(missed: RuntimeFigures) -> None:
    assert of(missed, running=99).kv_used_tokens == 99


@pytest.mark.parametrize(
    ("figures", "files", "known", "running", "said"),
    [
        (VLLM, ModelFiles(None, LLAMA_3_8B, "the hub is away"), ONE, None, "weights: vLLM does not say, and the size"),
        (VLLM, ModelFiles(None, LLAMA_3_8B, "the hub is away"), ONE, None, "the hub is away"),
        (VLLM, ModelFiles(GIB, None, "no config"), ONE, None, "bytes of a token are not known: no config"),
        (VLLM, FILES, DeviceMemory(accelerators=1, unlike_files="--quantization fp8"), None, "--quantization fp8"),
        (VLLM, FILES, DeviceMemory(accelerators=1, unlike_config="-ctk q8_0"), None, "not known: -ctk q8_0"),
        (VLLM, FILES, DeviceMemory(accelerators=1, element_type="float32"), None, "they hold bfloat16, and the server"),
        (replace(VLLM, obstacle="of another type"), FILES, ONE, None, "not known: of another type"),
        (replace(SGLANG, obstacle="two kinds", use=None), FILES, TWO, 5, "not known: two kinds"),
        (VLLM, ModelFiles(GIB, LLAMA_3_8B | {"kv_lora_rank": 512}), ONE, None, "not known: its attention is latent"),
        (TGI, FILES, ONE, None, "TGI does not say how many tokens it kept, and its requests do not either"),
        (TGI, FILES, ONE, 0, "its requests do not either"),
    ],
)
def test_a_part_without_a_source_leaves_no_figure_and_says_why(
    figures: RuntimeFigures, files: ModelFiles, known: DeviceMemory, running: int | None, said: str
) -> None:
    record = of(figures, files=files, known=known, running=running)
    assert (record.footprint_bytes, record.quality) == (None, None)
    assert said in (record.reason or "")


def test_what_was_held_may_be_known_where_the_footprint_is_not() -> None:
    record = of(replace(SGLANG, obstacle="two kinds", use=None), known=TWO)
    assert (record.footprint_bytes, record.reserved_bytes) == (None, 96 * GIB)


def test_files_of_32_bits_are_no_size_of_weights() -> None:
    files = ModelFiles(GIB, LLAMA_3_8B | {"torch_dtype": "float32"})
    assert "float32" in (of(VLLM, files=files).reason or "")
    told = DeviceMemory(accelerators=1, element_type="float32")
    assert of(VLLM, files=files, known=told).footprint_bytes == GIB + 25_600 * 2 * TOKEN


def test_of_several_replicas_the_largest_counts_and_all_must_be_known() -> None:
    small, large = seen(replace(VLLM, tokens=16)), seen(VLLM)
    found = record_of({"10.0.0.1": small, "10.0.0.2": large}, FILES, ONE)
    assert found.kv_used_tokens == 25_600
    assert found.source.endswith("(the largest of 2 replicas)")
    found = record_of({"10.0.0.1": large, "10.0.0.2": seen(TGI)}, FILES, ONE)
    assert found.footprint_bytes is None
    assert (found.reason or "").startswith("10.0.0.2: KV cache: TGI")
    assert record_of({}, FILES, ONE).reason == "the model has no address"
