"""Which words of a user make a server's memory another one than its model's files say. Pure.

The bench pod computes the memory of accelerators out of files and config where a server does not tell it. These words
would make that wrong, so that it is refused; their values are not looked into further than said here. Looked at last on
2026-11-29: vLLM 0.33, SGLang 0.5.23, TGI 3.3.7, llama-server b11669.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from perbench.api.serving import Runtime as RuntimeName
from perbench.plan import DeviceMemory
from perbench.runtimes.base import Duty

SIXTEEN_BITS = frozenset({"auto", "bfloat16", "bf16", "float16", "f16", "half"})
ALREADY_QUANTISED = frozenset({"awq", "gptq", "awq_marlin", "gptq_marlin", "marlin", "compressed-tensors", "exl2"})
"""Methods that load what is quantised in the files: its size stays."""
HALF_OF_LLAMA_CPP = "float16"
"""What llama-server keeps keys and values in, whatever the files hold."""


@dataclass(frozen=True)
class Word:
    """A flag or variable under all its names."""

    names: frozenset[str]
    plain: frozenset[str] = frozenset()
    """Values that change nothing."""
    weights: bool = False
    """Whether its weights become unlike their files."""
    cache: bool = False
    """Whether its KV cache becomes unlike what the config says."""


def _word(*names: str, plain: frozenset[str] = frozenset(), of: str = "weights and cache") -> Word:
    return Word(frozenset(names), plain, weights="weights" in of, cache="cache" in of)


ONE, NONE = frozenset({"1"}), frozenset({"0"})
WORDS: dict[RuntimeName, tuple[Word, ...]] = {
    RuntimeName.VLLM: (
        _word("--kv-cache-dtype", plain=SIXTEEN_BITS, of="cache"),
        _word("--quantization", "-q", plain=ALREADY_QUANTISED, of="weights"),
        _word("--speculative-config", "--speculative-model", "-sc"),
        _word("--cpu-offload-gb", plain=NONE, of="weights"),
        _word("--data-parallel-size", "-dp", plain=ONE),
        _word("--pipeline-parallel-size", "-pp", plain=ONE, of="cache"),
        _word("--decode-context-parallel-size", "-dcp", plain=ONE, of="cache"),
        _word("--hf-overrides", "--config", "--load-format"),
    ),
    RuntimeName.SGLANG: (
        _word("--kv-cache-dtype", plain=SIXTEEN_BITS, of="cache"),
        _word("--quantization", plain=ALREADY_QUANTISED, of="weights"),
        _word("--torchao-config", "--cpu-offload-gb", plain=NONE, of="weights"),
        _word("--speculative-algorithm", "--speculative-algo", "--speculative-draft-model-path"),
        _word("--data-parallel-size", "--dp-size", "--dp", plain=ONE),
        _word("--pipeline-parallel-size", "--pp-size", plain=ONE, of="cache"),
        _word("--json-model-override-args", "--config", "--load-format"),
    ),
    RuntimeName.TGI: (
        _word("--kv-cache-dtype", "KV_CACHE_DTYPE", of="cache"),
        _word("--quantize", "QUANTIZE", plain=ALREADY_QUANTISED, of="weights"),
        _word("--speculate", "SPECULATE", plain=NONE),
        _word("LORA_ADAPTERS", "--lora-adapters", of="weights"),
    ),
    RuntimeName.LLAMA_CPP: (
        _word("-ctk", "--cache-type-k", "LLAMA_ARG_CACHE_TYPE_K", plain=SIXTEEN_BITS, of="cache"),
        _word("-ctv", "--cache-type-v", "LLAMA_ARG_CACHE_TYPE_V", plain=SIXTEEN_BITS, of="cache"),
        _word("-md", "--model-draft", "--spec-draft-model", "-hfd", "--hf-repo-draft", "LLAMA_ARG_MODEL_DRAFT"),
        _word("-ngl", "--gpu-layers", "--n-gpu-layers", "LLAMA_ARG_N_GPU_LAYERS", plain=frozenset({"999", "all"})),
        _word("-ot", "--override-tensor", "-cmoe", "--cpu-moe", "-ncmoe", "--n-cpu-moe", of="weights"),
        _word("-nkvo", "--no-kv-offload", "LLAMA_ARG_NO_KV_OFFLOAD", of="cache"),
        _word("--mmproj", "--lora", of="weights"),
    ),
}
# All of these take their whole KV cache when they start: what they hold (`Reserved`) is no footprint. Of a Custom
# server nothing says so, unless its metrics are in the words of one of them.
OWN_AFFAIR = "how a Custom server is told to serve is its own affair"
TYPE_NAMES = frozenset({"--dtype", "DTYPE"})


def device_memory(runtime: RuntimeName, duty: Duty) -> DeviceMemory:
    """What the bench pod is told of a server with accelerators."""
    accelerators = max(1, duty.accelerators)
    if runtime not in WORDS:
        return DeviceMemory(
            accelerators=accelerators, unlike_files=OWN_AFFAIR, unlike_config=OWN_AFFAIR, preallocates=False
        )
    said = [(word, f"it was told {name} {value}".rstrip()) for word, name, value in _said(WORDS[runtime], duty)]
    told = HALF_OF_LLAMA_CPP if runtime is RuntimeName.LLAMA_CPP else _element_type(duty)
    found = {
        "accelerators": accelerators,
        "element_type": None if told in {None, "auto"} else told,
        "unlike_files": next((text for word, text in said if word.weights), None),
        "unlike_config": next((text for word, text in said if word.cache), None),
    }
    return DeviceMemory.model_validate({key: value for key, value in found.items() if value is not None})


def _said(words: tuple[Word, ...], duty: Duty) -> Iterator[tuple[Word, str, str]]:
    """The words that the user has said, with a value that is not plain."""
    for name, value in _values(duty):
        for word in words:
            if name in word.names and value not in word.plain:
                yield word, name, value


def _element_type(duty: Duty) -> str | None:
    """The last one counts, and a flag over a variable."""
    found = [value for name, value in _values(duty) if name in TYPE_NAMES]
    return found[-1] if found else None


def _values(duty: Duty) -> Iterator[tuple[str, str]]:
    """Variables, then flags, with their values. Flags may be written with `=`, and with `_` for `-`."""
    yield from duty.variables.items()
    for word, after in zip(duty.args, (*duty.args, "")[1:], strict=True):
        flag, equals, value = word.partition("=")
        if flag.startswith("-"):
            name = flag.replace("_", "-") if flag.startswith("--") else flag
            yield name, value if equals else "" if after.startswith("-") else after
