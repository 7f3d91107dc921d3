"""Bytes that one token takes in a KV cache, out of a model's config.json. Pure.

    2 (keys and values) x layers x KV heads x size of a head x bytes of an element

That holds where every layer keeps keys and values of every token. Everything else is refused with its reason: layers
that look at a window only, latent attention, state-space and linear layers, caches of fewer bits, and kinds of models
that nobody here has looked at.
"""

from collections.abc import Mapping
from typing import Any

ELEMENT_BYTES = {
    "float32": 4, "float": 4, "float16": 2, "half": 2, "f16": 2, "fp16": 2, "bfloat16": 2, "bf16": 2,
}  # fmt: skip
"""By their names in config.json and in the words of servers."""

KNOWN = frozenset({
    "llama", "mistral", "mixtral", "qwen2", "qwen2_moe", "qwen3", "qwen3_moe", "gemma", "phi", "phi3", "granite",
    "granitemoe", "olmo", "olmo2", "olmoe", "stablelm", "starcoder2", "gpt_neox", "internlm2", "smollm3", "cohere",
    "glm", "glm4", "exaone", "qwen2_vl_text", "qwen2_5_vl_text", "qwen3_vl_text",
})  # fmt: skip
"""Kinds (`model_type`) whose layers all keep keys and values of all tokens, where their config does not say otherwise.
Looked at last on 2026-11-29."""

FULL_LAYERS = frozenset({"full_attention", "attention"})
"""Kinds of layers (`layer_types`) that keep all tokens."""

OTHER_KEYS = {
    "kv_lora_rank": "its attention is latent (MLA)",
    "ssm_cfg": "it has state-space layers",
    "state_size": "it has state-space layers",
    "mamba_d_state": "it has state-space layers",
    "mamba_num_heads": "it has state-space layers",
    "linear_num_key_heads": "it has linear attention",
    "full_attention_interval": "only some of its layers keep all tokens",
    "layers_block_type": "its layers are of several kinds",
    "hybrid_override_pattern": "its layers are of several kinds",
    "attn_layer_period": "only some of its layers are attention",
    "attention_chunk_size": "its layers attend to chunks",
    "num_kv_shared_layers": "some of its layers share one cache",
    "cross_attention_layers": "some of its layers attend to images",
}
"""Keys of a config that, with a value, say that the formula does not hold."""


class NoLayoutError(Exception):
    """What a token takes cannot be said of this model; says why."""


def bytes_per_token(config: Mapping[str, Any], *, told: str | None, ranks: int) -> int:
    """Of one server, all its ranks together; ranks beyond the KV heads hold copies of them.

    `told`: the type of element the server was told, None: that of the config. Raises NoLayoutError.
    """
    text = text_config(config)
    _refuse(config, text)
    layers, heads = _count(text, "num_hidden_layers"), _count(text, "num_attention_heads")
    kv_heads = _count(text, "num_key_value_heads", default=heads)
    head = _count(text, "head_dim", default=0) or _even(_count(text, "hidden_size"), heads)
    return 2 * layers * max(kv_heads, ranks) * head * element_bytes(config, told)


def element_bytes(config: Mapping[str, Any], told: str | None) -> int:
    """Bytes of one number that the server computes with. Raises NoLayoutError."""
    if told is not None:
        if told not in ELEMENT_BYTES:
            raise NoLayoutError(f"the server was told to compute in {told}, whose size is not known")
        return ELEMENT_BYTES[told]
    found = ELEMENT_BYTES.get(str(config_type(config)))
    if found is None:
        raise NoLayoutError("its config.json does not say what its numbers are (dtype)")
    if found != ELEMENT_BYTES["float16"]:
        raise NoLayoutError("its files are in float32, and servers differ in what they then compute in: give --dtype")
    return found


def config_type(config: Mapping[str, Any]) -> object:
    """What the model's numbers are, as its config has it."""
    text = text_config(config)
    places = (text.get("dtype"), text.get("torch_dtype"), config.get("dtype"), config.get("torch_dtype"))
    return next((value for value in places if value is not None), None)


def text_config(config: Mapping[str, Any]) -> Mapping[str, Any]:
    """The part on the language model, where a model has several."""
    found = config.get("text_config")
    return found if isinstance(found, Mapping) else config


def _refuse(config: Mapping[str, Any], text: Mapping[str, Any]) -> None:
    for key, why in OTHER_KEYS.items():
        if text.get(key):
            raise NoLayoutError(f"{why} ({key} in its config.json)")
    if config.get("is_encoder_decoder") or text.get("is_encoder_decoder"):
        raise NoLayoutError("it has an encoder, whose states are kept as well")
    if text.get("sliding_window") and text.get("use_sliding_window") is not False:
        raise NoLayoutError("its layers look at a window of the last tokens only (sliding_window in its config.json)")
    kinds = text.get("layer_types")
    other = next((kind for kind in kinds if kind not in FULL_LAYERS), None) if isinstance(kinds, list) else None
    if other is not None:
        raise NoLayoutError(f"some of its layers are {other} (layer_types in its config.json)")
    if _quantised_cache(config) or _quantised_cache(text):
        raise NoLayoutError("its files ask for a KV cache of fewer bits (quantization_config in its config.json)")
    kind = text.get("model_type")
    if kind not in KNOWN:
        raise NoLayoutError(f"models of the kind {kind!s:.60} have not been looked at")


def _quantised_cache(config: Mapping[str, Any]) -> bool:
    quantised = config.get("quantization_config")
    return isinstance(quantised, Mapping) and any(
        quantised.get(key) for key in ("kv_cache_scheme", "kv_cache_quant_algo", "kv_cache_dtype")
    )


def _count(text: Mapping[str, Any], key: str, default: int | None = None) -> int:
    value = text.get(key)
    if value is None and default is not None:
        return default
    if isinstance(value, bool) or not isinstance(value, int) or not 0 < value < 1_000_000:
        raise NoLayoutError(f"its config.json has no usable {key}")
    return value


def _even(size: int, heads: int) -> int:
    if size % heads:
        raise NoLayoutError("its hidden_size is no multiple of its num_attention_heads, and it has no head_dim")
    return size // heads
