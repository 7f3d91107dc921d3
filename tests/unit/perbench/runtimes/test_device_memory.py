"""Which words of a user forbid to compute memory out of a model's files."""

import pytest

from perbench.api.serving import Runtime
from perbench.plan import DeviceMemory, MemorySource, Telemetry
from perbench.runtimes.base import Duty, ModelPlace
from perbench.runtimes.device_memory import OWN_AFFAIR, WORDS, device_memory


def told(runtime: Runtime, *args: str, accelerators: int = 1, **variables: str) -> DeviceMemory:
    duty = Duty("m", ModelPlace("org/name"), args, variables, accelerators=accelerators)
    return device_memory(runtime, duty)


@pytest.mark.parametrize("runtime", sorted(WORDS))
def test_a_server_that_is_told_nothing_is_as_its_files(runtime: Runtime) -> None:
    found = told(runtime, "--max-num-seqs", "64", accelerators=4)
    assert (found.accelerators, found.unlike_files, found.unlike_config) == (4, None, None)


@pytest.mark.parametrize(
    ("runtime", "args", "variables"),
    [
        (Runtime.VLLM, ("--kv-cache-dtype", "fp8"), {}),
        (Runtime.VLLM, ("--kv-cache-dtype=fp8",), {}),
        (Runtime.VLLM, ("--kv_cache_dtype", "fp8"), {}),
        (Runtime.VLLM, ("-pp", "2"), {}),
        (Runtime.SGLANG, ("--kv-cache-dtype", "fp8_e5m2"), {}),
        (Runtime.TGI, ("--kv-cache-dtype", "fp8_e4m3fn"), {}),
        (Runtime.TGI, (), {"KV_CACHE_DTYPE": "fp8_e5m2"}),
        (Runtime.LLAMA_CPP, ("-ctk", "q8_0"), {}),
        (Runtime.LLAMA_CPP, ("-ctv", "q4_0"), {}),
        (Runtime.LLAMA_CPP, (), {"LLAMA_ARG_CACHE_TYPE_K": "q8_0"}),
        (Runtime.LLAMA_CPP, ("-nkvo", "--metrics"), {}),
    ],
)
def test_words_that_change_the_cache_forbid_the_config(
    runtime: Runtime, args: tuple[str, ...], variables: dict[str, str]
) -> None:
    found = told(runtime, *args, **variables)
    assert found.unlike_files is None
    assert (found.unlike_config or "").startswith("it was told -") or variables


@pytest.mark.parametrize(
    ("runtime", "args"),
    [
        (Runtime.VLLM, ("--quantization", "fp8")),
        (Runtime.VLLM, ("-q", "bitsandbytes")),
        (Runtime.VLLM, ("--cpu-offload-gb", "4")),
        (Runtime.SGLANG, ("--torchao-config", "int4wo-128")),
        (Runtime.TGI, ("--quantize", "eetq")),
        (Runtime.LLAMA_CPP, ("-ncmoe", "8")),
    ],
)
def test_words_that_change_weights_forbid_their_files(runtime: Runtime, args: tuple[str, ...]) -> None:
    found = told(runtime, *args)
    assert found.unlike_files == f"it was told {' '.join(args)}"
    assert found.unlike_config is None


@pytest.mark.parametrize(
    ("runtime", "args"),
    [
        (Runtime.VLLM, ("--speculative-config", '{"model": "small"}')),
        (Runtime.VLLM, ("--data-parallel-size", "2")),
        (Runtime.SGLANG, ("--speculative-algorithm", "EAGLE")),
        (Runtime.SGLANG, ("--dp-size", "2")),
        (Runtime.TGI, ("--speculate", "3")),
        (Runtime.LLAMA_CPP, ("-ngl", "10")),
        (Runtime.LLAMA_CPP, ("-md", "/small.gguf")),
    ],
)
def test_second_models_and_parts_on_the_host_forbid_both(runtime: Runtime, args: tuple[str, ...]) -> None:
    found = told(runtime, *args)
    assert found.unlike_files == found.unlike_config == f"it was told {' '.join(args)}"


@pytest.mark.parametrize(
    ("runtime", "args"),
    [
        (Runtime.VLLM, ("--kv-cache-dtype", "auto")),
        (Runtime.VLLM, ("--quantization", "awq", "--data-parallel-size", "1")),
        (Runtime.SGLANG, ("--kv-cache-dtype", "bf16")),
        (Runtime.TGI, ("--quantize", "gptq", "--speculate", "0")),
        (Runtime.LLAMA_CPP, ("-ctk", "f16", "-ngl", "999")),
    ],
)
def test_values_that_change_nothing_forbid_nothing(runtime: Runtime, args: tuple[str, ...]) -> None:
    found = told(runtime, *args)
    assert (found.unlike_files, found.unlike_config) == (None, None)


def test_the_type_it_computes_in_is_passed_on() -> None:
    assert told(Runtime.VLLM, "--dtype", "float16", "--dtype=bfloat16").element_type == "bfloat16"
    assert told(Runtime.VLLM, "--dtype", "auto").element_type is None
    assert told(Runtime.TGI, DTYPE="float16").element_type == "float16"
    assert told(Runtime.LLAMA_CPP).element_type == "float16"


def test_of_a_server_of_ones_own_nothing_follows_from_files() -> None:
    found = told(Runtime.CUSTOM, accelerators=2)
    assert found == DeviceMemory(accelerators=2, unlike_files=OWN_AFFAIR, unlike_config=OWN_AFFAIR, preallocates=False)
    assert all(told(runtime).preallocates for runtime in Runtime if runtime is not Runtime.CUSTOM)


def test_a_source_is_one_place() -> None:
    with pytest.raises(ValueError, match="or of accelerators"):
        MemorySource(sidecar_port=9, device=DeviceMemory(accelerators=1))
    with pytest.raises(ValueError, match="telemetry is of accelerators"):
        MemorySource(sidecar_port=9, telemetry=Telemetry(namespace="team", pods=()))
    with pytest.raises(ValueError, match="or of accelerators"):
        MemorySource()
