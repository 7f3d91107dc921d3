"""What each route's body may hold: the router's request types as tables."""

from tests.images.tgi_contract.deserialize import Field

TRUE, FALSE = Field("bool", default=True), Field("bool", default=False)

PARAMETERS = Field(
    "struct",
    default={},
    struct="GenerateParameters",
    fields={
        "best_of": Field("usize"),
        "temperature": Field("f32"),
        "repetition_penalty": Field("f32"),
        "frequency_penalty": Field("f32"),
        "top_k": Field("u32"),
        "top_p": Field("f32"),
        "typical_p": Field("f32"),
        "do_sample": FALSE,
        "max_new_tokens": Field("u32"),
        "return_full_text": Field("bool"),
        "stop": Field("strings", default=()),
        "truncate": Field("usize"),
        "watermark": FALSE,
        "details": FALSE,
        "decoder_input_details": FALSE,
        "seed": Field("u64"),
        "top_n_tokens": Field("u32"),
        "grammar": Field("any"),
        "adapter_id": Field("string"),
    },
)
GENERATE = Field(
    "struct",
    struct="GenerateRequest",
    fields={
        "inputs": Field("string", required=True),
        "parameters": PARAMETERS,
        "add_special_tokens": TRUE,
    },
)
COMPAT = Field("struct", struct="CompatGenerateRequest", fields={**GENERATE.fields, "stream": FALSE})

OPENAI_COMMON = {
    "model": Field("string"),
    "frequency_penalty": Field("f32"),
    "max_tokens": Field("u32"),
    "seed": Field("u64"),
    "stop": Field("strings"),
    "stream": FALSE,
    "temperature": Field("f32"),
    "top_p": Field("f32"),
}
CHAT = Field(
    "struct",
    struct="ChatRequest",
    fields={
        "messages": Field("any", required=True),
        **OPENAI_COMMON,
        "logprobs": Field("bool"),
        "top_logprobs": Field("u32"),
        "presence_penalty": Field("f32"),
        "tools": Field("any"),
        "tool_choice": Field("any"),
        "response_format": Field("any"),
        "stream_options": Field(
            "struct", struct="StreamOptions", fields={"include_usage": Field("bool", required=True)}
        ),
        "n": Field("u32"),
    },
)
COMPLETION = Field(
    "struct",
    struct="CompletionRequest",
    fields={
        "prompt": Field("any", required=True),
        **OPENAI_COMMON,
        "repetition_penalty": Field("f32"),
        "suffix": Field("string"),
    },
)
