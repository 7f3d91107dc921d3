"""Bytes of a token, and every kind of model for which the formula is refused."""

from typing import Any

import pytest

from perbench_bench.device.kv_layout import KNOWN, NoLayoutError, bytes_per_token, element_bytes
from tests.support.model_configs import LLAMA_3_8B, LLAMA_3_8B_TOKEN


def of(config: dict[str, Any], told: str | None = None, ranks: int = 1) -> int:
    return bytes_per_token(config, told=told, ranks=ranks)


def without(*keys: str) -> dict[str, Any]:
    return {key: value for key, value in LLAMA_3_8B.items() if key not in keys}


def test_grouped_queries_keep_the_heads_of_keys_and_values() -> None:
    assert of(LLAMA_3_8B) == LLAMA_3_8B_TOKEN == 131_072


def test_without_groups_every_head_is_kept() -> None:
    assert of(without("num_key_value_heads")) == 2 * 32 * 32 * 128 * 2


def test_a_size_of_heads_of_its_own_counts() -> None:
    assert of(LLAMA_3_8B | {"model_type": "qwen3", "head_dim": 64}) == 2 * 32 * 8 * 64 * 2


def test_more_ranks_than_heads_hold_copies() -> None:
    assert of(LLAMA_3_8B, ranks=8) == of(LLAMA_3_8B)
    assert of(LLAMA_3_8B, ranks=16) == 2 * of(LLAMA_3_8B)


def test_of_a_model_of_text_and_images_the_text_counts() -> None:
    inner = without("torch_dtype") | {"model_type": "mistral", "dtype": "float16"}
    assert of({"model_type": "llava", "text_config": inner}) == of(LLAMA_3_8B)
    outer = {"model_type": "llava", "text_config": without("torch_dtype"), "torch_dtype": "bfloat16"}
    assert of(outer) == of(LLAMA_3_8B)


def test_what_the_server_was_told_counts_before_the_config() -> None:
    assert of(LLAMA_3_8B, told="float32") == 2 * of(LLAMA_3_8B)
    assert of(LLAMA_3_8B | {"torch_dtype": "float32"}, told="half") == of(LLAMA_3_8B)


@pytest.mark.parametrize(
    ("config", "told", "said"),
    [
        ({"torch_dtype": "float32"}, None, "float32"),
        ({"torch_dtype": None}, None, "does not say what its numbers are"),
        ({"torch_dtype": "int4"}, None, "does not say what its numbers are"),
        ({}, "fp8", "compute in fp8"),
    ],
)
def test_numbers_of_unknown_size_are_refused(config: dict[str, Any], told: str | None, said: str) -> None:
    with pytest.raises(NoLayoutError, match=said):
        element_bytes(LLAMA_3_8B | config, told)


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({"model_type": "mistral", "sliding_window": 4096}, "a window of the last tokens"),
        ({"model_type": "qwen2", "sliding_window": 4096, "use_sliding_window": True}, "a window of the last tokens"),
        ({"layer_types": ["full_attention", "sliding_attention"]}, "some of its layers are sliding_attention"),
        ({"layer_types": ["linear_attention", "full_attention"]}, "some of its layers are linear_attention"),
        ({"kv_lora_rank": 512}, r"latent \(MLA\)"),
        ({"ssm_cfg": {"layer": "Mamba2"}}, "state-space"),
        ({"state_size": 16}, "state-space"),
        ({"mamba_d_state": 128}, "state-space"),
        ({"linear_num_key_heads": 16}, "linear attention"),
        ({"full_attention_interval": 4}, "only some of its layers"),
        ({"layers_block_type": ["mamba", "attention"]}, "several kinds"),
        ({"hybrid_override_pattern": "M-M*"}, "several kinds"),
        ({"attn_layer_period": 8}, "only some of its layers"),
        ({"attention_chunk_size": 8192}, "chunks"),
        ({"num_kv_shared_layers": 10}, "share one cache"),
        ({"cross_attention_layers": [3, 8]}, "attend to images"),
        ({"is_encoder_decoder": True}, "an encoder"),
        ({"quantization_config": {"kv_cache_scheme": {"num_bits": 8}}}, "fewer bits"),
        ({"quantization_config": {"kv_cache_quant_algo": "FP8"}}, "fewer bits"),
        ({"model_type": "something-new"}, "something-new have not been looked at"),
        ({"model_type": None}, "have not been looked at"),
        ({"num_hidden_layers": None}, "no usable num_hidden_layers"),
        ({"num_hidden_layers": "32"}, "no usable num_hidden_layers"),
        ({"num_key_value_heads": 0}, "no usable num_key_value_heads"),
        ({"num_key_value_heads": True}, "no usable num_key_value_heads"),
        ({"hidden_size": 4095}, "no multiple"),
    ],
)
def test_where_the_formula_does_not_hold_it_is_refused(config: dict[str, Any], said: str) -> None:
    with pytest.raises(NoLayoutError, match=said):
        of(LLAMA_3_8B | config)


@pytest.mark.parametrize(
    "config",
    [
        {"sliding_window": None},
        {"model_type": "qwen2", "sliding_window": 32768, "use_sliding_window": False},
        {"layer_types": ["full_attention"] * 32},
        {"quantization_config": {"quant_method": "awq"}},
        {"kv_lora_rank": None, "num_kv_shared_layers": 0},
        *({"model_type": kind} for kind in sorted(KNOWN)),
    ],
)
def test_keys_that_say_nothing_are_no_reason(config: dict[str, Any]) -> None:
    assert of(LLAMA_3_8B | config) == of(LLAMA_3_8B)
