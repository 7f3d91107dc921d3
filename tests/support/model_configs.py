"""Configs (`config.json`) of models, as far as their layout is asked for."""

LLAMA_3_8B = {
    "model_type": "llama", "num_hidden_layers": 32, "num_attention_heads": 32, "num_key_value_heads": 8,
    "hidden_size": 4096, "torch_dtype": "bfloat16",
}  # fmt: skip
"""derived: that of Llama 3 8B, the keys that matter."""
LLAMA_3_8B_TOKEN = 2 * 32 * 8 * 128 * 2
"""Bytes of one of its tokens: keys and values of 32 layers, 8 heads of 128 numbers of 16 bits."""
