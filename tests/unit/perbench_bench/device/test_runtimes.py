"""What servers say of their memory, on expositions as they came."""

from pathlib import Path

import pytest

from perbench_bench.device.runtimes import RuntimeFigures, figures_of
from perbench_bench.server_metrics import wanted_lines

METRICS = Path("tests/golden/metrics")
GIB = 1 << 30


def read(name: str, *changes: tuple[str, str]) -> RuntimeFigures:
    text = (METRICS / f"{name}.txt").read_text()
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    return figures_of(wanted_lines(text.encode()) or b"")


def test_sglang_says_bytes_of_every_rank() -> None:
    assert read("sglang-memory") == RuntimeFigures(
        server="SGLang", ranks=2, weights=round(14.75 * GIB), cache=80 * GIB, graphs=round(0.75 * GIB), use=0.2499,
        tokens=391 * 64,
    )  # fmt: skip


def test_the_share_that_sglang_says_serves_where_it_does_not_count_tokens() -> None:
    found = read("sglang-memory", ("sglang:kv_used_tokens", "sglang:other"))
    assert (found.use, found.tokens) == (0.25, 391 * 64)


def test_an_older_sglang_says_tokens_and_no_bytes() -> None:
    found = read("sglang-0.5.10")
    assert (found.ranks, found.weights, found.cache, found.graphs) == (0, None, None, None)
    assert (found.tokens, found.use) == (37, pytest.approx(37 / 430_839))


def test_series_of_a_former_name_of_the_model_are_no_second_rank() -> None:
    former = 'sglang:weight_memory_usage_gb{engine_type="unified",model_name="m"'
    text = (METRICS / "sglang-memory.txt").read_text()
    again = "".join(
        line.replace('model_name="m"', 'model_name="n"') + "\n" for line in text.splitlines() if line.startswith(former)
    )
    found = figures_of(wanted_lines((text + again).encode()) or b"")
    assert (found.ranks, found.weights) == (2, round(14.75 * GIB))


def test_nothing_held_by_torch_is_no_figure() -> None:
    found = read("sglang-memory", ("} 7.5\n", "} 0.0\n"), ("} 7.25\n", "} 0.0\n"), ("} 40.0\n", "} 0.0\n"))
    assert (found.weights, found.cache) == (None, None)


def test_a_second_kind_of_cache_makes_the_share_unusable() -> None:
    line = 'sglang:swa_token_usage{engine_type="unified",model_name="m",moe_ep_rank="0",pp_rank="0",tp_rank="0"} '
    found = read("sglang-memory", (line + "0.0", line + "0.5"))
    assert found.use is None
    assert found.obstacle == "it keeps more than one kind of cache (sglang:swa_token_usage)"


def test_groups_with_a_cache_each_make_the_share_unusable() -> None:
    line = 'sglang:token_usage{engine_type="unified",model_name="m",moe_ep_rank="0",pp_rank="0",tp_rank="%d"'
    changes = [(line % rank, line % rank + f',dp_rank="{rank}"') for rank in (0, 1)]
    assert "dp_rank" in (read("sglang-memory", *changes).obstacle or "")


def test_vllm_says_blocks_and_the_share_in_use() -> None:
    """One of the 2,048 blocks stands for nothing: 16 of 2,047 are in use."""
    found = read("vllm-memory")
    assert found == RuntimeFigures(
        server="vLLM", ranks=1, cache=GIB, use=pytest.approx(16 / 2047), tokens=16 * 128, waiting=True
    )


def test_an_older_vllm_on_a_gpu() -> None:
    assert read("vllm-memory-gpu") == RuntimeFigures(server="vLLM", use=0.0, tokens=0)
    idle = 'vllm:kv_cache_usage_perc{engine="0",model_name="Qwen/Qwen2.5-0.5B-Instruct"} '
    assert read("vllm-memory-gpu", (idle + "0.0", f"{idle}{7 / 101_624}")).tokens == 7 * 16


@pytest.mark.parametrize(
    ("blocks", "size", "room", "share", "tokens"),
    [
        (101, 16, "1616", 0.5, 50 * 16),
        (100, 16, "None", 0.5, 50 * 16),
        (101, 16, "None", 0.50004, 51 * 16),
        (101, 16, "3200", 0.5, 1600),
        (101, 16, "3200", 0.501, 1616),
    ],
)
def test_tokens_of_vllm_are_whole_blocks(blocks: int, size: int, room: str, share: float, tokens: int) -> None:
    labels = f'block_size="{size}",num_gpu_blocks="{blocks}",kv_cache_size_tokens="{room}",engine="0"'
    text = f'vllm:kv_cache_usage_perc{{engine="0"}} {share}\nvllm:cache_config_info{{{labels}}} 1.0\n'
    assert figures_of(text.encode()).tokens == tokens


def test_engines_of_one_vllm_are_added_up_and_all_must_speak() -> None:
    one = 'vllm:cache_config_info{block_size="16",num_gpu_blocks="101",engine="%d"} 1.0\n'
    shares = 'vllm:kv_cache_usage_perc{engine="0"} 0.5\nvllm:kv_cache_usage_perc{engine="1"} 0.25\n'
    assert figures_of((shares + one % 0 + one % 1).encode()).tokens == 75 * 16
    assert figures_of((shares + one % 0 + one % 2).encode()).tokens is None
    assert figures_of(shares.encode()).tokens is None


def test_a_cache_of_fewer_bits_is_said() -> None:
    found = read("vllm-memory", ('cache_dtype="auto"', 'cache_dtype="fp8_e4m3"'))
    assert found.obstacle == "its KV cache is of another type (fp8_e4m3)"


@pytest.mark.parametrize(
    ("name", "server"), [("tgi-during", "TGI"), ("llamacpp-during", "llama-server"), ("nothing", "the server")]
)
def test_others_say_nothing(name: str, server: str) -> None:
    found = figures_of(b"") if name == "nothing" else read(name)
    assert found == RuntimeFigures(server=server, waiting=name != "nothing")
